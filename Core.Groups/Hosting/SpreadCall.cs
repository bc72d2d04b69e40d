// One multicast to several groups, to single processes, or with a label, on its way to the protocol.
// Keeps: credit is taken in each group before the message is numbered, and given back if the call does not come that far.
using Core.Groups.Protocol.Requests;

namespace Core.Groups.Hosting;

/// <summary>Multicasts to more than one group.</summary>
internal static class SpreadCall
{
    /// <summary>The most characters of a label.</summary>
    public const int MaximumLabel = 1000;

    public static async ValueTask<MessageId> SendAsync(
        NodeHost host, IReadOnlyCollection<ProcessGroup> groups, Order order, ReadOnlyMemory<byte> packed, string? label,
        IReadOnlyCollection<NodeId>? to, CancellationToken ct)
    {
        host.Check(order, packed);
        Check(host, groups, order, label, to);
        CallResult result = await CallAsync(host, groups, new NodeInput { Kind = InputKind.Spread, Order = order, Body = packed }, label, to ?? [], ct).ConfigureAwait(false);
        return result.Message;
    }

    public static ValueTask<CallResult> RequestAsync(
        NodeHost host, IReadOnlyCollection<ProcessGroup> groups, Order order, ReadOnlyMemory<byte> packed, Replies replies, string? label, TimeSpan? timeout, CancellationToken ct)
    {
        host.Check(order, packed, timeout);
        Check(host, groups, order, label, null);
        if (order == Order.Group)
        {
            throw new NotSupportedException("A request by GBCAST goes to one group: use ProcessGroup.RequestAsync.");
        }

        // Inside a handler of one of them the call would wait for that handler's own reply, if it needs those of all members.
        int members = groups.SelectMany(g => g.View.Members).Distinct().Count();
        foreach (ProcessGroup group in groups)
        {
            group.Membership.RefuseWaitForSelf(replies, members);
        }

        var input = new NodeInput { Kind = InputKind.SpreadRequest, Order = order, Body = packed, Mode = replies.ToMode(), Number = replies.Number, Timeout = timeout };
        return CallAsync(host, groups, input, label, [], ct);
    }

    private static async ValueTask<CallResult> CallAsync(
        NodeHost host, IReadOnlyCollection<ProcessGroup> groups, NodeInput input, string? label, IReadOnlyCollection<NodeId> to, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        GroupMembership[] memberships = MembershipsOf(groups);
        (GroupId Id, int Generation)[] present = [.. memberships.Select(m => m.RequirePresent())];
        var target = new SpreadTarget([.. present.Select(p => p.Id).Order()], [.. to.Distinct()], label);
        PendingCall call = host.Calls.Add(present.Length > 0 ? present[0].Generation : host.Generation, string.Join("', '", memberships.Select(m => m.Name)));
        host.Counters.Sent();
        try
        {
            await PostAsync(host, memberships, input.For(call, target), input.Body.Length, ct).ConfigureAwait(false);
        }
        catch
        {
            host.Calls.Take(call.Number);
            throw;
        }

        host.Loop.RunHere();
        return await host.WaitAsync(call, ct).ConfigureAwait(false);
    }

    /// <summary>Each once, in the order in which credit is taken.</summary>
    public static GroupMembership[] MembershipsOf(IEnumerable<ProcessGroup> groups) =>
        [.. groups.Select(g => g.Membership).Distinct().OrderBy(m => m.Name, StringComparer.Ordinal)];

    /// <summary>Posts an input when there is credit for it in all the groups.</summary>
    public static async ValueTask PostAsync(NodeHost host, GroupMembership[] memberships, NodeInput input, int bytes, CancellationToken ct)
    {
        int taken = 0;
        try
        {
            for (; taken < memberships.Length; taken++)
            {
                bool isLast = taken == memberships.Length - 1;
                await memberships[taken].TakeCreditAsync(isLast ? input : new NodeInput { Kind = InputKind.Nothing }, bytes, ct).ConfigureAwait(false);
            }
        }
        catch
        {
            foreach (GroupMembership membership in memberships.AsSpan(0, taken))
            {
                membership.ReleaseCredit(bytes + CreditGate<NodeInput>.MessageOverhead);
            }

            throw;
        }

        if (memberships.Length == 0)
        {
            host.Loop.Post(input, schedule: false);
        }
    }

    private static void Check(NodeHost host, IReadOnlyCollection<ProcessGroup> groups, Order order, string? label, IReadOnlyCollection<NodeId>? to)
    {
        ArgumentNullException.ThrowIfNull(groups);
        if (groups.Any(g => g.Node.Host != host))
        {
            throw new ArgumentException("The groups must be those of this node: join them here.", nameof(groups));
        }

        if (groups.Count == 0 && to is not { Count: > 0 })
        {
            throw new ArgumentException("A multicast needs at least one group or process.", nameof(groups));
        }

        if (label is not null && (label.Length is 0 or > MaximumLabel || order is not (Order.Total or Order.CausalTotal or Order.Safe)))
        {
            throw new ArgumentException($"A label has 1 to {MaximumLabel} characters and names a total order: Total, CausalTotal or Safe.", nameof(label));
        }
    }
}
