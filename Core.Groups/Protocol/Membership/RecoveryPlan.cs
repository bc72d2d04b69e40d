// What the members that go together from one configuration to the next deliver in between: computed by each alike, from
// the same Statuses and the same messages, and kept unchanged until the attempt is decided.
// Keeps: invariants 1, 3, 4, 5 across a configuration change (EVS 3, 4, 6, 7).
// Follows: protocol.md section 5, steps 4 and 5; EVS section 3. The model's check_done, Coll and Trans.
using System.Collections.Immutable;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Protocol.Primary;

namespace Core.Groups.Protocol.Membership;

/// <summary>One step of a plan: a delivery, or a delivered GBCAST with the group as it was right after it.</summary>
internal sealed record PlanStep(Message? Delivered, GroupOrder? Group, Message? Announcement, GroupOperation[] Operations, int[] OldView);

internal sealed class RecoveryPlan
{
    public required Proposal Proposal { get; init; }
    /// <summary>The session of primaries that the configuration is; null in extended mode where it is not primary.</summary>
    public required Session? Session { get; init; }
    /// <summary>The members that go along from this node's present configuration, by rank there.</summary>
    public required ImmutableArray<NodeId> Together { get; init; }
    /// <summary>Delivered in the old regular configuration.</summary>
    public List<PlanStep> Regular { get; } = [];
    /// <summary>Delivered in the transitional configuration.</summary>
    public List<PlanStep> Transitional { get; } = [];
    /// <summary>The groups as they are after the plan, by rank in the old configuration.</summary>
    public List<GroupOrder> Groups { get; } = [];
    /// <summary>An attempt that others may have completed: installed first.</summary>
    public RecoveryPlan? Chain { get; init; }
    public long Clock { get; init; }

    /// <summary>The members of the configuration that follows: the participants that stay.</summary>
    public ImmutableArray<PeerIdentity> Peers => [.. Proposal.Members.Where(m => !Proposal.Leavers.Contains(m.Id))];


    /// <summary>A group of this plan as it is in the configuration that follows, still by the ranks before it.</summary>
    public GroupOrder Continue(GroupOrder group, Func<int, NodeId> nodeAt)
    {
        ImmutableArray<NodeId> members = [.. Peers.Select(m => m.Id)];
        return GroupOrder.After(group, [.. group.View.Where(rank => members.Contains(nodeAt(rank)))], Proposal.Id);
    }

    /// <summary>Computes what this node, with those that go along, delivers before the proposed configuration.</summary>
    public void Compute(OrderingLayer ordering, int number, CollectiveOracle oracle)
    {
        var collector = new Collector(Regular);
        DeliveryEngine engine = ordering.Fork(oracle, collector, number);
        engine.Pump();
        collector.Steps = Transitional;
        oracle.IsTransitional = true;
        bool more = true;
        while (more)
        {
            engine.GiveUpLost(blocking: false);
            int before = Transitional.Count;
            engine.Pump();
            more = Transitional.Count > before || engine.GiveUpLost(blocking: true);
        }
        Groups.AddRange(engine.Groups);
    }

    private sealed class Collector(List<PlanStep> steps) : IOrderingSink
    {
        public List<PlanStep> Steps { get; set; } = steps;
        public void OnDelivered(Message message) => Steps.Add(new PlanStep(message, null, null, [], []));
        public void OnAnnounced(GroupOrder group) { }
        public void OnFlushed(GroupOrder group) { }
        public void OnAnnounced(JointChange joint) { }
        public void OnFlushed(JointChange joint) { }
        public void OnVoided(Message announcement, GroupId group) { }
        public void OnGroupChanged(GroupOrder group, Message announcement, Message? closing, GroupOperation[] operations, int[] oldView) =>
            Steps.Add(new PlanStep(null, group.Fork(), announcement, operations, oldView));
    }
}

/// <summary>What the members that go along know together: the boundary of the regular configuration, then everything.</summary>
internal sealed class CollectiveOracle(OrderingLayer ordering, IReadOnlyList<(int Rank, MemberStatus Status)> together) : IOrderingOracle
{
    private readonly MemberSet _together = MemberSet.Of([.. together.Select(t => t.Rank)]);

    /// <summary>The gathered floors that members hold that go along.</summary>
    private readonly ILookup<GroupId, (int Member, long Epoch, long Floor)> _gathered =
        together.SelectMany(t => t.Status.Gathered, (t, g) => (g.Group, Held: (t.Rank, g.Epoch, g.Floor))).ToLookup(g => g.Group, g => g.Held);

    public bool IsTransitional { get; set; }

    /// <summary>
    /// As for floors on links: what a member of the group holds. One that was told in an earlier epoch covers nothing of this one; one of a
    /// later epoch counts, for who is there has all of this one.
    /// </summary>
    public long Gathered(GroupOrder group)
    {
        long floor = 0;
        foreach ((int member, long epoch, long held) in _gathered[group.Id])
        {
            if (epoch >= group.Epoch && group.ViewSet.Contains(member)) floor = Math.Max(floor, held);
        }
        return floor;
    }

    /// <summary>For a sender that does not go along: the highest floor that a member of the group holds that does.</summary>
    public long Floor(int rank, GroupOrder group)
    {
        if (IsTransitional || _together.Contains(rank)) return long.MaxValue;
        long floor = 0;
        foreach ((int member, MemberStatus status) in together)
        {
            if (group.ViewSet.Contains(member) || ordering.Weak.Lacks(WeakRules.BoundaryByAnyFloor)) floor = Math.Max(floor, MemberStatus.At(status.Floors, rank));
        }
        return floor;
    }

    /// <summary>
    /// For an order that spans groups: the lowest floor that a member holds that goes along. Any of them may be addressed, and
    /// what is above is delivered all the same, in the transitional configuration.
    /// </summary>
    public long Floor(int rank)
    {
        if (IsTransitional || _together.Contains(rank)) return long.MaxValue;
        long floor = long.MaxValue;
        foreach ((_, MemberStatus status) in together) floor = Math.Min(floor, MemberStatus.At(status.Floors, rank));
        return floor;
    }

    public bool IsStable(Message message) => IsStable(message.Sender, message.Sequence, message.Destination);

    public bool IsStable(Dependency dependency) =>
        IsStable(dependency.Sender, dependency.Sequence, ordering.Logs[dependency.Sender].Find(dependency.Sequence)?.Destination);

    private bool IsStable(int sender, long sequence, Destination? destination)
    {
        if (IsTransitional) return true;
        foreach ((_, MemberStatus status) in together)
        {
            if (sequence <= MemberStatus.At(status.Stable, sender)) return true;
        }
        if (destination is null || !_together.Contains(sender)) return destination is null && sequence <= ordering.StableOf(sender);
        MemberStatus own = together.First(t => t.Rank == sender).Status;
        foreach (int rank in destination.Members)
        {
            if (rank != sender && !_together.Contains(rank) && MemberStatus.At(own.ReceivedBy, rank) < sequence) return false;
        }
        return true;
    }
}
