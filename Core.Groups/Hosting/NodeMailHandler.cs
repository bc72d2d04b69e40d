// Hands messages to this node as a single process to the application's callback.
// Keeps: a callback that throws is logged and ends nothing; without one the messages are passed over.
namespace Core.Groups.Hosting;

/// <summary>The receiving end of the node's own mailbox.</summary>
internal sealed class NodeMailHandler(NodeHost host) : IMailHandler
{
    public bool TakesMessages => true;

    public async ValueTask HandleAsync(Mail mail)
    {
        if (host.Options.OnMessage is not { } onMessage || !Envelope.TryUnpack(mail.Delivery.Body, out _, out ReadOnlyMemory<byte> body))
        {
            return;
        }

        try
        {
            await onMessage(new NodeMessage { From = mail.Delivery.From, Order = mail.Delivery.Order, Body = body, Id = mail.Delivery.Message }).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            host.Counters.HandlerFailed();
            HostLog.HandlerFailed(host.Logger, e, "(this node)", mail.Delivery.Message);
        }
    }

    public ValueTask HandleAsync(in Mail mail, int generation) => HandleAsync(mail);

    // Messages to single processes take no credit.
    public void Consumed(int messages, long bytes, int generation) { }

    public void WakeLoop(bool onThisThread) { }
}
