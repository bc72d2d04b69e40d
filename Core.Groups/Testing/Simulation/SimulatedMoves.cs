// The moves of members from node to node, and what must be true of them: one joins and one leaves in one view.
using Core.Groups.Protocol;

namespace Core.Groups.Testing.Simulation;

internal sealed class SimulatedMoves(ApplicationSeat seat, SimulatedApplication application)
{
    private readonly SimulatedCluster cluster = seat.Cluster;
    private readonly SimulatedProcess process = seat.Process;
    private SimulationRandom? own;
    private readonly Dictionary<long, (string Group, NodeId To)> begun = [];
    /// <summary>Whose places this node takes, by group.</summary>
    private readonly Dictionary<string, NodeId> taken = [];

    // Made when it is needed: the draws of scenarios without moves stay as they are.
    private SimulationRandom Random => own ??= seat.Random.Fork();

    public void Begin(string group, NodeId to)
    {
        if (application.IsStopping || application.Find(group) is not { IsLeaving: false, IsLoaded: true } replica) return;
        long call = application.Calls.Begin($"move {group} to {to}", _ => { });
        begun.Add(call, (group, to));
        process.Call(now => process.Machine.Migrate(now, call, replica.Id, to));
        if (Random.Chance(0.05)) process.After(Random.Between(TimeSpan.Zero, TimeSpan.FromMilliseconds(20)), () => process.Call(now => process.Machine.Cancel(now, call)));
    }

    public void OnOffered(long token, string group, NodeId from)
    {
        bool declines = Random.Chance(0.1) || !application.TryAccept(token, group, () => taken.Remove(group));
        if (declines) process.Call(now => process.Machine.DeclineMigration(now, token, "there is no room"));
        else taken[group] = from;
    }

    /// <summary>The first view of a membership.</summary>
    public void OnFirstView(View view)
    {
        if (taken.Remove(view.GroupName, out NodeId from) && !(view.Joined.SequenceEqual([process.Id]) && view.Left.SequenceEqual([from])))
            cluster.Violate($"{process.Id} took the place of {from} in {view.GroupName}, but view {view.Number} says that [{string.Join(' ', view.Joined)}] joined and [{string.Join(' ', view.Left)}] left.");
    }

    public void OnEnded(long call, GroupInfo? moved, string? reason)
    {
        application.Calls.OnCompleted(call, moved is null ? Outcome.NotMember : Outcome.Done);
        if (!begun.Remove(call, out var move)) return;
        if (moved is null)
        {
            cluster.Log(process.Id, $"stays in {move.Group}: {reason}");
            return;
        }
        seat.Wanted.Remove(move.Group);
        cluster.Coverage.Moves++;
        if (moved.Name != move.Group || !moved.Members.Contains(move.To) || moved.Members.Contains(process.Id))
            cluster.Violate($"{process.Id} has moved to {move.To}, but the members of {moved.Name} are [{string.Join(' ', moved.Members)}].");
    }
}
