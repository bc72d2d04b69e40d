// How the members of one group end an epoch behind an announcement: who has sent what, and who has all of it.
// Keeps: the GBCAST is delivered only when every member has the whole epoch; that this one has it is not enough, for another may
// have to take over with less.
// Follows: protocol.md section 4. In a large group markers and finishes go through the oldest member, the gatherer: a marker then says
// how far its sender's messages go, for what comes from another link than they did says nothing by its place there.
namespace Core.Groups.Protocol.Ordering;

internal static class GroupFlush
{
    /// <summary>A marker or a finish of the open epoch. It may come before the announcement is delivered here.</summary>
    public static void Take(GroupOrder group, Message message, int self, int members)
    {
        (group.OpenMessages ??= []).Add(message);
        if (message.Kind == MessageKind.Marker)
        {
            group.Marked = group.Marked.With(message.Sender);
            if (!message.Body.IsEmpty && message.Sender != self) (group.Covered ??= []).AddRange(GroupChangeFormat.ReadCovered(message.Body, members));
            return;
        }
        group.Finished = group.Finished.With(message.Sender);
        group.Waiting |= message.Flags & MessageFlags.Spread;
        if ((message.Flags & MessageFlags.Loading) != 0) group.Loading = group.Loading.With(message.Sender);
        if ((message.Flags & MessageFlags.Gathered) != 0)
        {
            group.Closing = message;
            group.Loading = group.Loading.Union(MemberSet.Of(GroupChangeFormat.ReadFinish(message.Body).Loading));
        }
        else if (message.Sender == self && !group.IsGathered) group.Closing = message;
    }

    /// <summary>Whether the gatherer's marker is due, which says to all what the others' have said to it.</summary>
    public static bool IsMarkerDue(GroupOrder group, int self) =>
        group.IsGatheredBy(self) && !group.IsMarkerOwed && group.ViewSet.IsSubsetOf(group.Marked.With(self));

    /// <summary>Whether this member has everything that was sent in the epoch, and (the gatherer) all the others have it too.</summary>
    public static bool IsFinishDue(GroupOrder group, int self, ReadOnlySpan<SenderLog> logs, IOrderingOracle oracle, WeakRules weak)
    {
        if (group.FinishSent || !group.ViewSet.Contains(self)) return false;
        if (!group.IsGathered) return group.ViewSet.IsSubsetOf(group.Marked);
        int gatherer = group.View[0];
        if (!group.Marked.Contains(gatherer)) return false;
        // A joiner hears the gatherer alone: what went to it beside the group would come behind its first GBCAST.
        if (group.LastSpread > 0 && !oracle.IsStable(new Dependency(self, group.LastSpread)) && !weak.Lacks(WeakRules.GatheredMarkerCountsAtOnce)) return false;
        return gatherer == self ? group.ViewSet.IsSubsetOf(group.Finished.With(self)) : weak.Lacks(WeakRules.GatheredMarkerCountsAtOnce) || HasCovered(group, logs);
    }

    /// <summary>Whether all members have the whole epoch.</summary>
    public static bool IsOver(GroupOrder group, int self, WeakRules weak)
    {
        if (group.IsGathered) return group.Closing is not null;
        if (!weak.Lacks(WeakRules.GroupChangeOnMarkers)) return group.ViewSet.IsSubsetOf(group.Finished);
        return group.ViewSet.Contains(self) ? group.Finished.Contains(self) : !group.Finished.Equals(MemberSet.Empty);
    }

    private static bool HasCovered(GroupOrder group, ReadOnlySpan<SenderLog> logs)
    {
        foreach (Dependency last in group.Covered ?? [])
        {
            if (logs[last.Sender].Received < last.Sequence) return false;
        }
        return true;
    }
}
