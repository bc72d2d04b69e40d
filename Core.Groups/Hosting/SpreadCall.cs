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
        ct.ThrowIfCancellationRequested();
        GroupMembership[] memberships = [.. groups.Select(g => g.Membership).Distinct().OrderBy(m => m.Name, StringComparer.Ordinal)];
        (GroupId Id, int Generation)[] present = [.. memberships.Select(m => m.RequirePresent())];
        var target = new SpreadTarget([.. present.Select(p => p.Id).Order()], [.. (to ?? []).Distinct()], label);
        PendingCall call = host.Calls.Add(present.Length > 0 ? present[0].Generation : host.Generation, string.Join("', '", memberships.Select(m => m.Name)));
        var input = new NodeInput { Kind = InputKind.Spread, Subject = target, Generation = call.Generation, Order = order, Body = packed, Call = call.Number };
        host.Counters.Sent();
        int taken = 0;
        try
        {
            for (; taken < memberships.Length; taken++)
            {
                bool isLast = taken == memberships.Length - 1;
                await memberships[taken].TakeCreditAsync(isLast ? input : new NodeInput { Kind = InputKind.Nothing }, packed.Length, ct).ConfigureAwait(false);
            }
        }
        catch
        {
            host.Calls.Take(call.Number);
            foreach (GroupMembership membership in memberships.AsSpan(0, taken))
            {
                membership.ReleaseCredit(packed.Length + CreditGate<NodeInput>.MessageOverhead);
            }

            throw;
        }

        if (memberships.Length == 0)
        {
            host.Loop.Post(input, schedule: false);
        }

        host.Loop.RunHere();
        return (await host.WaitAsync(call, ct).ConfigureAwait(false)).Message;
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
