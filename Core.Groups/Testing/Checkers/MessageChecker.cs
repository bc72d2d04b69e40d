// EVS 1.3 and 1.4, as far as they speak of messages alone: what is delivered was sent, by one node and once, before its
// sender delivers it; no node delivers a message twice; and all lines of a message agree on what it is.
namespace Core.Groups.Testing.Checkers;

/// <summary>Every message is sent once, and delivered at most once by a node, and only after it was sent.</summary>
internal sealed class MessageChecker(CheckOptions options) : IChecker
{
    public string Name => "message";

    public IEnumerable<Violation> Check(History history)
    {
        foreach (var line in history.RepeatedSends)
        {
            var first = history.MessagesById[line.Message ?? ""];
            yield return this.Found($"{line.Node} sent {first}, which {first.Sender} had sent already (EVS 1.4).", first.Line, line);
        }
        foreach (Message message in history.Messages)
        {
            if (message.Sender is null && !options.Incomplete.Contains(message.Line.From ?? ""))
                yield return this.Found($"{message.Line.Node} delivered {message}, which no one sent (EVS 1.3).", message.Line);
            for (int i = 0; i < message.Deliveries.Count; i++)
            {
                Delivery delivery = message.Deliveries[i];
                if (i > 0 && message.Deliveries[i - 1].Trace == delivery.Trace)
                    yield return this.Found($"{delivery.Trace} delivered {message} twice.", message.Deliveries[i - 1].Line, delivery.Line);
                if (delivery.Trace == message.Sender && delivery.Index < message.SendIndex)
                    yield return this.Found($"{delivery.Trace} delivered {message} before it sent it (EVS 1.3).", delivery.Line, message.Line);
                if (Difference(message, delivery) is string field)
                    yield return this.Found($"{delivery.Trace} delivered {message} with another {field} than it was sent with.", message.Line, delivery.Line);
            }
        }
    }

    private static string? Difference(Message message, Delivery delivery)
    {
        var (sent, delivered) = (message.Line, delivery.Line);
        if (sent.Order != delivered.Order)
            return "order";
        if (sent.Label != delivered.Label)
            return "label";
        if (sent.Group != delivered.Group || !sent.Groups.SequenceEqual(delivered.Groups))
            return "group";
        if (!sent.To.SequenceEqual(delivered.To))
            return "destination";
        if (sent.For != delivered.For)
            return "caller";
        string? from = message.Sender?.Node.Name ?? sent.From;
        return from != delivered.From ? "sender" : null;
    }
}
