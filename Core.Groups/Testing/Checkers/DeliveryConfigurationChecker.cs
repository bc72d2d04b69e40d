// EVS 1.3, 1.4 and 2.2, as far as they speak of messages and configurations: a message is sent in a regular
// configuration, and delivered in that one or in the transitional one that closes it.
namespace Core.Groups.Testing.Checkers;

/// <summary>Every message is delivered in the configuration of its sending.</summary>
internal sealed class DeliveryConfigurationChecker : IChecker
{
    public string Name => "delivery configuration";

    public IEnumerable<Violation> Check(History history)
    {
        foreach (Message message in history.Messages)
        {
            if (message.Sender is not null && message.SentIn is null)
                yield return this.Found($"{message.Sender} sent {message} before any configuration (EVS 2.2).", message.Line);
            if (message.SentIn is { IsTransitional: true })
                yield return this.Found($"{message.Sender} sent {message} in {message.SentIn} (EVS 1.4).", message.SentIn.Line, message.Line);
            foreach (Delivery delivery in message.Deliveries)
            {
                if (delivery.Period is null)
                    yield return this.Found($"{delivery.Trace} delivered {message} before any configuration (EVS 2.2).", delivery.Line);
                else if (message.SentIn is not null && message.SentIn.RegularId != delivery.Period.RegularId)
                {
                    yield return this.Found(
                        $"{delivery.Trace} delivered {message} in {delivery.Period}, but it was sent in {message.SentIn} (EVS 1.3).",
                        message.SentIn.Line, message.Line, delivery.Period.Line, delivery.Line);
                }
            }
        }
    }
}
