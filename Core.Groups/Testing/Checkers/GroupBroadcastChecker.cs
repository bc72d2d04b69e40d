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
            Dictionary<(string, NodeTrace), int> lastShared = LastShared(trace);
            // The messages to each group since the last GBCAST here that tells all of them apart.
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
                        Forget(messages, delivery, group, lastShared);
                    }
                    messages.Add(delivery);
                }
            }
        }
    }

    /// <summary>For each group where the last GBCAST to it stands that this node and another delivered both.</summary>
    private static Dictionary<(string, NodeTrace), int> LastShared(NodeTrace trace)
    {
        var last = new Dictionary<(string, NodeTrace), int>();
        foreach (Delivery broadcast in trace.Deliveries.Where(delivery => delivery.Message.Order == Order.Group))
        {
            foreach (string group in broadcast.Message.Groups)
            {
                foreach (Delivery other in broadcast.Message.Deliveries)
                    last[(group, other.Trace)] = broadcast.Index;
            }
        }
        return last;
    }

    /// <summary>Whoever delivered this GBCAST has its place; what others get, that missed it, is held against their next one.</summary>
    private static void Forget(List<Delivery> messages, Delivery broadcast, string group, Dictionary<(string Group, NodeTrace Node), int> lastShared)
    {
        NodeTrace[] missed = [.. lastShared.Where(last => last.Key.Group == group && last.Value > broadcast.Index && broadcast.Message.DeliveryAt(last.Key.Node) is null)
            .Select(last => last.Key.Node)];
        if (missed.Length == 0)
            messages.Clear();
        else
            messages.RemoveAll(earlier => !Array.Exists(missed, node => earlier.Message.IsOwedBy(node) || earlier.Message.DeliveryAt(node) is not null));
    }

    /// <summary>
    /// A message that stands before a GBCAST here must stand before it wherever the GBCAST was delivered: in one configuration also where
    /// it is missing. (Whoever was elsewhere when it was sent may lack it; whoever came along is <see cref="AtomicityChecker"/>'s.)
    /// </summary>
    private IEnumerable<Violation> CheckPlace(Delivery earlier, Delivery broadcast)
    {
        Message message = earlier.Message;
        bool isOfConfiguration = earlier.Period?.RegularId == broadcast.Period?.RegularId;
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
            else if (there is null && isOfConfiguration && other.Period?.Key == broadcast.Period?.Key && message.IsOwedBy(other.Trace))
            {
                yield return this.Found(
                    $"{earlier.Trace} delivered {message} before the GBCAST {broadcast.Message}; {other.Trace} delivered the GBCAST in the same configuration, but never {message}.",
                    earlier.Line, broadcast.Line, other.Line);
            }
        }
    }
}
