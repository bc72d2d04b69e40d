using Core.Groups.Replication;
using Core.Groups.Testing.Simulation;

namespace Core.Groups.Testing.Replicas;

/// <summary>
/// What a test does with replicas in a simulated cluster. One object a run: its functions may keep what they see in lists and
/// dictionaries of the test's own, which need no locks.
/// </summary>
/// <typeparam name="TReplica">The replica.</typeparam>
public sealed class ReplicaWorkload<TReplica> where TReplica : Replica
{
    /// <summary>The groups. At the start most nodes are members of most groups; a scenario can have them join and leave.</summary>
    public IReadOnlyList<string> Groups { get; init; } = ["/replica"];

    /// <summary>Makes a replica: for the first membership of a node, and after a crash, a stop or a leave.</summary>
    public required Func<ReplicaSite<TReplica>, TReplica> Create { get; init; }

    /// <summary>Does one random call (with <see cref="ReplicaSite{TReplica}.Run"/>) at a place that is a member.</summary>
    public required Action<ReplicaSite<TReplica>, SimulationRandom> Act { get; init; }

    /// <summary>Does one random request (with <see cref="ReplicaSite.Request"/>) from a node that is up, member or not; null: as <see cref="Act"/>.</summary>
    public Action<ReplicaSite<TReplica>, SimulationRandom>? Ask { get; init; }

    /// <summary>Says what is wrong when all is at rest, as English sentences; called several times in a run, the last time at its end.</summary>
    public Func<IReadOnlyList<ReplicaSite<TReplica>>, IEnumerable<string>>? Check { get; init; }

    /// <summary>Whether all members' <see cref="Replica.Save"/> must give the same bytes at rest.</summary>
    public bool ComparesStates { get; init; } = true;
}
