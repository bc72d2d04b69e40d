// One node's place for a replica of one group, through all incarnations of the node.
// Keeps: as on a real node, the replica lives on through exclusions (its next state replaces all), and a crashed one is replaced.
using Core.Groups.Hosting;
using Core.Groups.Protocol;
using Core.Groups.Replication;
using Core.Groups.Testing.Simulation;

namespace Core.Groups.Testing.Replicas;

/// <summary>A replica's place at a simulated node. Not thread-safe: a simulated world has one thread.</summary>
public abstract class ReplicaSite
{
    private readonly SimulatedCluster _cluster;
    private ReplicaSlot? _slot;
    private bool _mayLiveOn;

    private protected ReplicaSite(SimulatedCluster cluster, string node, string group)
    {
        _cluster = cluster;
        Node = node;
        Group = group;
    }

    /// <summary>The name of the node.</summary>
    public string Node { get; }

    /// <summary>The name of the group.</summary>
    public string Group { get; }

    /// <summary>The time of the world, the same at all nodes: for histories that are judged from outside.</summary>
    public TimeSpan Now => _cluster.Time.Now;

    /// <summary>Whether the node's process lives and is not frozen: only then a program there can call anything.</summary>
    public bool IsUp => _cluster[Node].Process is { IsFrozen: false, IsOver: false };

    /// <summary>Whether the replica is there and can be called.</summary>
    public bool IsMember => IsUp && _slot is { IsLive: true };

    /// <summary>The id of the node in the replica's membership; of the last one, if that is over.</summary>
    public NodeId Self => _slot?.Self ?? new NodeId(Node, 0);

    /// <summary>Says that something is wrong; the run ends.</summary>
    /// <param name="sentence">In English, with the names of what it is about.</param>
    public void Violate(string sentence) => _cluster.Violate($"{Self} in {Group}: {sentence}");

    /// <summary>Writes a line into the log of the run.</summary>
    public void Log(string line) => _cluster.Log(Self, $"{Group}: {line}");

    /// <summary>
    /// Asks the group from this node, by its name, whether it is a member or not. Its process must be up.
    /// </summary>
    /// <param name="order">The primitive.</param>
    /// <param name="body">The request.</param>
    /// <param name="replies">How many replies end it.</param>
    /// <param name="timeout">Null: none.</param>
    /// <param name="ended">Called with the answers; with null if the call failed or its process ended by exclusion or stop. Not called after a crash.</param>
    /// <exception cref="InvalidOperationException">The node is down.</exception>
    public void Request(Order order, ReadOnlyMemory<byte> body, Replies replies, TimeSpan? timeout, Action<GroupReplies?> ended)
    {
        ArgumentNullException.ThrowIfNull(ended);
        if (!IsUp) throw new InvalidOperationException($"{Node} is down or frozen: nothing runs there. Look at IsUp first.");
        ((ReplicaApplication)_cluster[Node].Process!.Application).Request(
            Group, order, body.ToArray(), replies.ToMode(), replies.Number, timeout,
            end => ended(end.Outcome == Outcome.Done ? new GroupReplies([.. end.Replies.Select(r => new GroupReply(r.From, r.Body, r.IsError))], end.Failed) : null));
    }

    /// <summary>Has the node join another of the groups, as an application does that needs it. Nothing happens if it is a member, or on its way.</summary>
    /// <param name="group">One of <see cref="ReplicaWorkload{TReplica}.Groups"/>.</param>
    public void JoinGroup(string group) => _cluster.Join(Node, group);

    internal Replica Held { get; private set; } = null!;

    internal ReplicaSlot? Slot => _slot;

    /// <summary>A membership begins.</summary>
    internal void Enter(ReplicaSlot slot)
    {
        _slot = slot;
        if (!_mayLiveOn) Held = CreateReplica();
        _mayLiveOn = false;
        Held.Attach(slot);
    }

    /// <summary>A membership ends by the protocol's word.</summary>
    internal void Exit(MembershipEnd end) => _mayLiveOn = end == MembershipEnd.Excluded;

    private protected abstract Replica CreateReplica();
}

/// <summary>A replica's place at a simulated node.</summary>
/// <typeparam name="TReplica">The replica.</typeparam>
public sealed class ReplicaSite<TReplica> : ReplicaSite where TReplica : Replica
{
    private readonly Func<ReplicaSite<TReplica>, TReplica> _create;

    internal ReplicaSite(SimulatedCluster cluster, string node, string group, Func<ReplicaSite<TReplica>, TReplica> create)
        : base(cluster, node, group) => _create = create;

    /// <summary>The replica of the last membership; null before the first.</summary>
    public TReplica? Replica => (TReplica?)Held;

    /// <summary>Runs a call of the replica now, between its deliveries. What it throws is a violation.</summary>
    /// <exception cref="InvalidOperationException">The node is no member.</exception>
    public void Run(Action<TReplica> call)
    {
        ArgumentNullException.ThrowIfNull(call);
        if (!IsMember) throw new InvalidOperationException($"{Node} is no member of {Group}. Look at IsMember first.");
        Slot!.Call(replica => call((TReplica)replica));
    }

    /// <summary>
    /// Runs a call of the replica later, also from inside one of its calls; not if the membership is over by then.
    /// </summary>
    /// <exception cref="InvalidOperationException">The node is no member.</exception>
    public void After(TimeSpan delay, Action<TReplica> call)
    {
        ArgumentNullException.ThrowIfNull(call);
        if (Slot is not { IsLive: true } slot) throw new InvalidOperationException($"{Node} is no member of {Group}.");
        slot.After(delay, replica => call((TReplica)replica));
    }

    private protected override Replica CreateReplica() => _create(this);
}
