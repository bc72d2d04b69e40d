// Tells the others what they wait for before they deliver: this node's clock, and what it has received of safe messages.
// Keeps: whoever waits for this node's floor is told in the turn in which that is known, alone or through the gatherer of a large group.
// Follows: protocol.md sections 2 and 4.
using Core.Groups.Protocol.Groups;
using Core.Groups.Protocol.Links;
using Core.Groups.Protocol.Ordering;

namespace Core.Groups.Protocol;

internal sealed class FloorTeller(NodeContext context, ChannelTable channels, Services services)
{
    /// <summary>Large groups of which this node is the oldest member, and not all floors are here that are waited for.</summary>
    private readonly Queue<(GroupOrder Group, long Wanted)> _gathering = new();

    private OrderingLayer Ordering => context.Ordering!;

    public void Answer()
    {
        foreach ((GroupOrder group, long wanted) in Ordering.FloorsWanted)
        {
            if (group.View.Length > context.Settings.GatherAbove) AnswerGatherer(group, wanted);
            else foreach (int rank in group.View) Answer(rank, wanted);
        }
        Ordering.FloorsWanted.Clear();
        Ordering.FloorsWanted.LetGo();
        while (_gathering.TryDequeue(out var waiting)) Ordering.FloorsWanted.Add(waiting.Group, waiting.Wanted);
        AnswerAll();
        AnswerSafe();
    }

    /// <summary>In a large group its oldest member is told, and tells all when it has heard of all.</summary>
    private void AnswerGatherer(GroupOrder group, long wanted)
    {
        if (group.View[0] != Ordering.Self)
        {
            Answer(group.View[0], wanted);
            return;
        }
        TellGathered(group);
        if (group.Gatherer is { IsWanted: true }) _gathering.Enqueue((group, wanted));
    }

    /// <summary>At the oldest member of a large group: tells what is known of the floors of all, if that lets anything through.</summary>
    public void TellGathered(GroupOrder group)
    {
        if (Ordering.Gather(group) is not { } told) return;
        foreach (int rank in group.View)
        {
            if (rank != Ordering.Self) services.Send(context.NodeAt(rank), ServiceRecord.GatheredFloor, told.Write);
        }
    }

    private void Answer(int rank, long wanted)
    {
        if (rank != Ordering.Self && channels.ByRank(rank) is { } channel && channel.Told.Clock < wanted) channel.IsUrgent = true;
    }

    /// <summary>An order that spans groups waits for the clocks of all nodes; who gets no message of it is asked.</summary>
    private void AnswerAll()
    {
        long wanted = Ordering.ClockWanted;
        if (wanted == 0) return;
        foreach (int rank in Ordering.Unaddressed) services.Send(context.NodeAt(rank), ServiceRecord.ClockWanted, writer => writer.Varint(wanted));
        for (int rank = 0; rank < Ordering.Members; rank++) Answer(rank, wanted);
        Ordering.ClockWanted = 0;
        Ordering.Unaddressed = MemberSet.Empty;
    }

    private void AnswerSafe()
    {
        foreach (int sender in Ordering.SafeSenders)
        {
            if (sender != Ordering.Self && channels.ByRank(sender) is { } channel) channel.IsUrgent = true;
        }
        Ordering.SafeSenders = MemberSet.Empty;
        if (!Ordering.HasStableNews) return;
        Ordering.HasStableNews = false;
        foreach (Channel channel in channels.All) channel.IsUrgent = true;
    }
}
