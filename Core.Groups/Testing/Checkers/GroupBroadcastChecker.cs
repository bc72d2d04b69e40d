// GBCAST (RFC 992, 6.1; invariant 4): it stands at the same place among all messages to its groups, of whatever kind, at all
// that deliver both, as members or not. (Its place among the views is VirtualSynchronyChecker's: it is delivered in its view.)
namespace Core.Groups.Testing.Checkers;

/// <summary>What comes before a GBCAST at one member comes before it at all.</summary>
internal sealed class GroupBroadcastChecker : IChecker
{
    public string Name => "group broadcast";

    public IEnumerable<Violation> Check(History history)
    {
        foreach (NodeTrace trace in history.Traces)
        {
            // The messages to each group since its last GBCAST here.
            var before = new Dictionary<string, List<Delivery>>();
            foreach (Delivery delivery in trace.Deliveries)
            {
                foreach (string group in delivery.Message.Groups)
                {
                    if (!before.TryGetValue(group, out List<Delivery>? messages))
                        before.Add(group, messages = []);
                    if (delivery.Message.Order == Order.Group)
                    {
                        foreach (Violation violation in messages.SelectMany(earlier => CheckPlace(earlier, delivery)))
                            yield return violation;
                        messages.Clear();
                    }
                    messages.Add(delivery);
                }
            }
        }
    }

    /// <summary>A message that stands before a GBCAST here must stand before it wherever the GBCAST was delivered.</summary>
    private IEnumerable<Violation> CheckPlace(Delivery earlier, Delivery broadcast)
    {
        Message message = earlier.Message;
        foreach (Delivery other in broadcast.Message.Deliveries)
        {
            if (other.Trace == broadcast.Trace)
                continue;
            Delivery? there = message.DeliveryAt(other.Trace);
            if (there?.Index > other.Index)
            {
                yield return this.Found(
                    $"{earlier.Trace} delivered {message} before the GBCAST {broadcast.Message}, {other.Trace} after it.",
                    earlier.Line, broadcast.Line, other.Line, there.Line);
            }
            else if (there is null && other.Period?.Key == broadcast.Period?.Key && SharesView(message, broadcast.Message) && message.IsOwedBy(other.Trace))
            {
                yield return this.Found(
                    $"{earlier.Trace} delivered {message} before the GBCAST {broadcast.Message}; {other.Trace} delivered the GBCAST in the same configuration, but never {message}.",
                    earlier.Line, broadcast.Line, other.Line);
            }
        }
    }

    private static bool SharesView(Message one, Message other) => one.Views.Any(view => view is not null && other.Views.Contains(view));
}
