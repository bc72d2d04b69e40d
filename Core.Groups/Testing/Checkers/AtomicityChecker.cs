// EVS 4, failure atomicity: nodes that go together from one configuration to the next delivered the same messages in it
// (of those addressed to both). Where orders span groups (by labels, or total messages and GBCASTs to several groups or processes), the regular
// configuration in which such a one was sent and the transitional one that closes it count as one (protocol, section 4).
using Core.Groups.Tracing;

namespace Core.Groups.Testing.Checkers;

/// <summary>Nodes that go together through a configuration change delivered the same messages before it.</summary>
internal sealed class AtomicityChecker(CheckOptions options) : IChecker
{
    public string Name => "failure atomicity";

    public IEnumerable<Violation> Check(History history)
    {
        var together = new Dictionary<((string, string?) From, (string, string?) To), List<Period>>();
        foreach (Period period in history.Traces.SelectMany(trace => trace.Periods))
        {
            if (period.Next is not { } next)
                continue;
            if (!together.TryGetValue((period.Key, next.Key), out List<Period>? company))
                together.Add((period.Key, next.Key), company = []);
            company.Add(period);
        }
        HashSet<string> spanned = [.. history.Messages.Where(SpansGroups).SelectMany(PlacesOf), .. history.Traces.SelectMany(LeftWithCalls)];
        var done = new HashSet<List<Period>>();
        foreach (Message message in history.Messages)
        {
            done.Clear();
            foreach (Delivery delivery in message.Deliveries)
            {
                if (delivery.Period is not { Next: { } next } period)
                    continue;
                List<Period> company = together[(period.Key, next.Key)];
                if (!done.Add(company))
                    continue;
                foreach (Period other in company)
                {
                    if (message.IsOwedBy(other.Trace) && !IsDeliveredIn(message, other, spanned.Contains(other.RegularId)))
                    {
                        yield return this.Found(
                            $"{delivery.Trace} delivered {message} in {period}; {other.Trace} went with it from there to {next} and did not (EVS 4).",
                            message.Line, delivery.Line, next.Line, other.Next!.Line);
                    }
                }
            }
        }
    }

    /// <summary>Where it was sent; if no trace tells, where it was delivered, which is the same.</summary>
    private static IEnumerable<string> PlacesOf(Message message) => message.SentIn is { } sentIn
        ? [sentIn.RegularId] : message.Deliveries.Select(delivery => delivery.Period?.RegularId).OfType<string>().Distinct();

    /// <summary>
    /// The configurations in which calls of a node were not sent to the end. One may be a GBCAST to several groups that was announced
    /// there, at a place that spans them, of which no trace tells: it was sent later, or never, as one that the node was asked for.
    /// </summary>
    private IEnumerable<string> LeftWithCalls(NodeTrace trace)
    {
        if (!options.SpanningBroadcasts.TryGetValue(trace.Node, out int asked))
            yield break;
        HashSet<long> sent = [.. trace.Sends.Select(message => message.Line.Call)];
        HashSet<long> spanning = [.. trace.Sends.Where(message => message.Order == Order.Group && SpansGroups(message)).Select(message => message.Line.Call)];
        var calls = new HashSet<long>();
        int at = 0;
        foreach (Period period in trace.Periods.Where(period => !period.IsTransitional))
        {
            for (int end = period.Next?.Start ?? trace.Events.Count; at < end; at++)
            {
                if (trace.Events[at].Kind == TraceKind.Call) calls.Add(trace.Events[at].Call);
                else if (trace.Events[at].Kind == TraceKind.Send) calls.Remove(trace.Events[at].Call);
            }
            if (calls.Any(call => sent.Contains(call) ? spanning.Contains(call) : asked > spanning.Count)) yield return period.RegularId;
        }
    }

    private static bool SpansGroups(Message message) => message.Line.Label is not null
        || ((message.IsTotal || message.Order == Order.Group) && message.Groups.Length + message.Line.To.Length > 1);

    private static bool IsDeliveredIn(Message message, Period period, bool spansGroups)
    {
        Period? deliveredIn = message.DeliveryAt(period.Trace)?.Period;
        if (deliveredIn == period || (spansGroups && deliveredIn?.RegularId == period.RegularId))
            return true;
        // Taken together they end with the transitional one: a trace that ends in it owes nothing yet.
        return spansGroups && deliveredIn is null && period.Next is { IsTransitional: true, Next: null };
    }
}
