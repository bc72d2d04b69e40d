// What a member tells of the messages that it holds when it freezes, and which of them it forwards.
// Keeps: after the exchange all that go along hold the same of every sender that does not; each message has one forwarder.
// Follows: protocol.md section 5, steps 2 and 3 (Status, Exchange).
using System.Collections.Immutable;
using Core.Groups.Protocol.Links;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Protocol.Primary;

namespace Core.Groups.Protocol.Membership;

internal sealed class MessageExchange(NodeContext context, ChannelTable channels, Reachability reachability, IMembershipUser user)
{
    private readonly ChangeRecords _records = new(context, channels);

    private WeakRules Weak => context.Settings.Weak;

    /// <summary>This node's Status.</summary>
    public MemberStatus Describe(VoteMemory votes, ImmutableArray<ConfigurationId> recorded)
    {
        var status = new MemberStatus { Last = votes.Last, Attempts = votes.Attempts, Memory = votes.Memory, Recorded = recorded };
        if (context.Ordering is not { } ordering) return status;
        int n = ordering.Members;
        var forwarded = ImmutableHashSet.CreateBuilder<(int, long)>();
        var received = new long[n];
        for (int rank = 0; rank < n; rank++)
        {
            received[rank] = ordering.Logs[rank].Received;
            foreach (Message message in ordering.Logs[rank].Messages)
            {
                if (message.Sequence <= received[rank]) continue;
                if (Weak.Lacks(WeakRules.StatusTellsHighest)) received[rank] = message.Sequence;
                else forwarded.Add((rank, message.Sequence));
            }
        }
        return status with
        {
            Installed = context.Configuration!.Id,
            Received = received,
            Forwarded = forwarded.ToImmutable(),
            Floors = Array(ordering.FloorOf),
            Gathered = Weak.Lacks(WeakRules.StatusOmitsGathered) ? []
                : [.. ordering.Engine.Groups.Select(g => (g.Id, g.Epoch, ordering.Gathered(g))).Where(g => g.Item3 > 0)],
            ReceivedBy = Array(ordering.ReceivedBy),
            Stable = Array(ordering.StableOf),
            Clock = ordering.Clock,
        };

        long[] Array(Func<int, long> value) => [.. Enumerable.Range(0, n).Select(value)];
    }

    /// <summary>Forwards what this node is to forward to those that go along.</summary>
    public void Share(Attempt attempt, OrderingLayer ordering, (NodeId Node, int Rank, MemberStatus Status)[] together)
    {
        for (int sender = 0; sender < ordering.Members; sender++)
        {
            bool isOwn = sender == ordering.Self;
            if (!isOwn && System.Array.Exists(together, t => t.Rank == sender)) continue;      // it finishes its own links
            foreach (Message message in ordering.Logs[sender].Messages)
            {
                if (isOwn)
                {
                    foreach (var (node, rank, status) in together)
                    {
                        // What was on a link that was lost is not on its way any more.
                        if (reachability.IsLinkLost(node) && message.Destination.Members.Contains(rank) && !Holds(status, message)) Forward(attempt, node, message);
                    }
                    continue;
                }
                var concerned = together.Where(t => message.Destination.Members.Contains(t.Rank)).ToArray();
                var holder = concerned.FirstOrDefault(t => Holds(t.Status, message));
                if (holder.Node != context.Self || (Weak.Lacks(WeakRules.MarkersAreNotForwarded) && message.Kind >= MessageKind.Marker)) continue;
                foreach (var (node, _, _) in concerned.Where(t => !Holds(t.Status, message))) Forward(attempt, node, message);
            }
        }
    }

    private void Forward(Attempt attempt, NodeId to, Message message) =>
        _records.Send(to, ControlRecord.Forward, attempt.Proposal, writer => writer.Raw(user.Forward(message)));

    private static bool Holds(MemberStatus status, Message message) =>
        MemberStatus.At(status.Received, message.Sender) >= message.Sequence || status.Forwarded.Contains((message.Sender, message.Sequence));
}
