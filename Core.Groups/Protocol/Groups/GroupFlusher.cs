// What this node sends to end an epoch behind an announcement: what waits to go by GBCAST, its marker, its finish.
// Keeps: nothing of this node comes after its marker in the epoch; a finish is sent when the whole epoch is delivered here.
// Follows: protocol.md section 4. Through whom markers and finishes go: GroupFlush, which decides when they are due.
using Core.Groups.Protocol.Ordering;

namespace Core.Groups.Protocol.Groups;

internal sealed class GroupFlusher(NodeContext context, GroupService groups)
{
    /// <summary>This node's marker is owed: what it sends by GBCAST leaves before it.</summary>
    public Action<GroupOrder> BeforeMarker { get; set; } = static _ => { };
    public Action<JointChange> BeforeJointMarker { get; set; } = static _ => { };
    /// <summary>What a finish says of this node's messages to a group and others that wait.</summary>
    public Func<GroupId, MessageFlags> WaitingSpread { get; set; } = static _ => MessageFlags.None;

    private OrderingLayer Ordering => context.Ordering!;

    public void OnAnnounced(GroupOrder order)
    {
        if (groups.Find(order.Id) is not { IsHalted: true }) BeforeMarker(order);      // the state that it hands over would lack them
        Dependency[] covered = [];
        if (order.IsGatheredBy(Ordering.Self)) covered = [.. order.Covered ?? []];
        else if (order.IsGathered && order.LastSent > 0) covered = [new Dependency(Ordering.Self, order.LastSent)];
        Ordering.Emit(MessageKind.Marker, DestinationOf(order, order.ViewSet), GroupChangeFormat.WriteCovered(covered), []);
    }

    public void OnFlushed(GroupOrder order)
    {
        MessageFlags flags = groups.Find(order.Id) is { IsLoaded: false } ? MessageFlags.Loading : MessageFlags.None;
        if (order.IsGatheredBy(Ordering.Self)) flags |= MessageFlags.Gathered;
        flags |= order.Waiting | WaitingSpread(order.Id);      // a gatherer's finish stands for those that it has
        bool isRead = !order.IsGathered || order.IsGatheredBy(Ordering.Self);
        Destination to = DestinationOf(order, order.ViewSet.Union(MemberSet.Of(order.ViewAfter())));
        Ordering.Emit(MessageKind.Finished, to, isRead ? GroupChangeFormat.WriteFinish(order) : default, [], flags);
    }

    public void OnAnnounced(JointChange joint)
    {
        SpreadDestination spread = joint.Destination.Spread!;
        if (!spread.GroupMembers.Contains(Ordering.Self)) return;
        BeforeJointMarker(joint);
        bool isVoid = spread.Parts.Count(p => p.Via.Contains(Ordering.Self)) > joint.Groups.Count;
        Ordering.Emit(MessageKind.Marker, joint.Destination, isVoid ? JointChange.Void : default, joint.Reference);
    }

    public void OnFlushed(JointChange joint)
    {
        var flags = MessageFlags.None;
        foreach (GroupOrder order in joint.Groups) flags |= WaitingSpread(order.Id);
        Ordering.Emit(MessageKind.Finished, joint.Destination, default, joint.Reference, flags);
    }

    /// <summary>To whom a marker or a finish goes: to all, or to the oldest member of a large group.</summary>
    private Destination DestinationOf(GroupOrder order, MemberSet all)
    {
        if (order.IsGathered && !order.IsGatheredBy(Ordering.Self)) all = MemberSet.Of([order.View[0], Ordering.Self]);
        return Ordering.Destinations.Intern(order.Id, order.Epoch, all, order.ViewSet);
    }
}
