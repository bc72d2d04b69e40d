// FIFO (protocol, sections 3 and 4): within a stream every member delivers in the sender's order and without a gap; and
// fifo messages of one sender that share a group keep the sender's order whatever their other destinations are.
namespace Core.Groups.Testing.Checkers;

/// <summary>The order of one sender is kept.</summary>
internal sealed class FifoChecker : IChecker
{
    public string Name => "fifo";

    public IEnumerable<Violation> Check(History history) => history.Traces.SelectMany(Check);

    private IEnumerable<Violation> Check(NodeTrace trace)
    {
        var lastOfStream = new Dictionary<MessageStream, Message>();
        var lastFifo = new Dictionary<(NodeTrace Sender, string Group), Message>();
        foreach (Delivery delivery in trace.Deliveries)
        {
            Message message = delivery.Message;
            if (message.Stream is null || message.Order == Order.Reliable)
                continue;
            int before = lastOfStream.TryGetValue(message.Stream, out Message? previous) ? previous.StreamIndex : 0;
            if (message.StreamIndex < before)
                yield return this.Found($"{trace} delivered {message} after {previous}, which {message.Sender} sent later to the same destinations.", delivery.Line, previous!.Line);
            else if (message.StreamIndex > before + 1 && message.IsOwedBy(trace))
            {
                Message skipped = message.Stream.Messages[before];
                yield return this.Found($"{trace} delivered {message} without {skipped}, which {message.Sender} sent before to the same destinations.", skipped.Line, delivery.Line);
            }
            if (message.StreamIndex > before)
                lastOfStream[message.Stream] = message;
            if (message.Order != Order.Fifo)
                continue;
            foreach (string group in message.Groups)
            {
                if (lastFifo.TryGetValue((message.Sender!, group), out Message? last) && last.Stream != message.Stream && last.SendIndex > message.SendIndex)
                    yield return this.Found($"{trace} delivered {message} after {last}, which {message.Sender} sent later in {group}.", last.Line, delivery.Line);
                lastFifo[(message.Sender!, group)] = message;
            }
        }
    }
}
