// One multicast, as its sender's trace and all its deliveries show it.
using System.Collections.Immutable;
using Core.Groups.Tracing;

namespace Core.Groups.Testing.Checkers;

/// <summary>One multicast.</summary>
internal sealed class Message(string id, TraceEvent line)
{
    internal string Id { get; } = id;

    /// <summary>Its <c>send</c>, or the first <c>deliver</c> if no trace has the send.</summary>
    internal TraceEvent Line { get; } = line;

    /// <summary>The sender's trace; null if no trace has the send.</summary>
    internal NodeTrace? Sender { get; init; }

    /// <summary>Where the send stands in the sender's trace.</summary>
    internal int SendIndex { get; init; } = -1;

    /// <summary>The configuration in which it was sent.</summary>
    internal Period? SentIn { get; init; }

    internal required ImmutableArray<string> Groups { get; init; }

    /// <summary>For each group the view in which it was sent; null if no trace tells.</summary>
    internal required GroupView?[] Views { get; init; }

    /// <summary>Whether its sender was a member of one of the groups when it sent.</summary>
    internal bool IsFromMember { get; init; }

    /// <summary>The messages that its destinations must see in the sender's order, this one among them.</summary>
    internal MessageStream? Stream { get; set; }

    /// <summary>Its place in the stream, from 1.</summary>
    internal int StreamIndex { get; set; }

    /// <summary>All deliveries, by the index of the trace, then in the order of the trace.</summary>
    internal List<Delivery> Deliveries { get; } = [];

    internal Order Order => Line.Order;
    internal bool IsCausal => Order is Order.Causal or Order.CausalTotal or Order.Safe;
    internal bool IsTotal => Order is Order.Total or Order.CausalTotal or Order.Safe;

    /// <summary>Whether a node is among the destinations D(m).</summary>
    internal bool IsAddressedTo(NodeId node)
    {
        foreach (GroupView? view in Views)
        {
            if (view is not null && view.Members.Contains(node))
                return true;
        }
        return Line.To.Contains(node.Name) && SentIn is not null && SentIn.Members.Contains(node);
    }

    /// <summary>The first delivery at a node; null if there is none.</summary>
    internal Delivery? DeliveryAt(NodeTrace trace)
    {
        int low = 0, high = Deliveries.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (Deliveries[middle].Trace.Index < trace.Index)
                low = middle + 1;
            else
                high = middle;
        }
        return low < Deliveries.Count && Deliveries[low].Trace == trace ? Deliveries[low] : null;
    }

    /// <summary>
    /// Whether a node, if it goes on, had to deliver this message: it is a destination, it installed the view in which
    /// the message was sent, and it had the group's state, or got one that does not hold the message already.
    /// </summary>
    internal bool IsOwedBy(NodeTrace trace)
    {
        foreach (GroupView? view in Views)
        {
            if (view is null || !view.Members.Contains(trace.Node) || !trace.Views.TryGetValue(view, out ViewPeriod? period))
                continue;
            Membership membership = period.Membership;
            if (period.Ordinal > membership.OwesFromView || (period.Ordinal == membership.OwesFromView && IsSentFrom(membership)))
                return true;
        }
        return Line.To.Contains(trace.Node.Name) && SentIn is not null && SentIn.Members.Contains(trace.Node);
    }

    public override string ToString() => Id;

    private bool IsSentFrom(Membership membership) =>
        membership.OwesFromRegular == 0
        || (SentIn is not null && membership.Trace.FindRegular(SentIn.RegularId)?.RegularOrdinal >= membership.OwesFromRegular);
}

/// <summary>One delivery of a message at one node.</summary>
internal sealed class Delivery(NodeTrace trace, int index, TraceEvent line, Period? period, ViewPeriod?[] views)
{
    internal NodeTrace Trace { get; } = trace;

    /// <summary>Where it stands in the trace.</summary>
    internal int Index { get; } = index;

    internal TraceEvent Line { get; } = line;

    /// <summary>The configuration in which it was delivered.</summary>
    internal Period? Period { get; } = period;

    /// <summary>For each group of the message the view in which this node stood; null if it was not a member.</summary>
    internal ViewPeriod?[] Views { get; } = views;

    internal Message Message { get; set; } = null!;
}

/// <summary>
/// The messages of one sender to the same destinations (the same views of the same groups) of one class (fifo, causal,
/// total; protocol, section 3). A reliable message has no order and is a stream of its own.
/// </summary>
internal sealed class MessageStream
{
    internal List<Message> Messages { get; } = [];
}
