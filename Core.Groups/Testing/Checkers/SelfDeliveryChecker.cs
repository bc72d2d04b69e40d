// EVS 3: a node delivers what it sent, unless it fails: before its next regular configuration, and (virtual synchrony)
// before it goes from the view in which it sent. An excluded incarnation failed: it installs nothing more.
namespace Core.Groups.Testing.Checkers;

/// <summary>A sender that goes on has delivered its own message.</summary>
internal sealed class SelfDeliveryChecker(CheckOptions options) : IChecker
{
    public string Name => "self-delivery";

    public IEnumerable<Violation> Check(History history)
    {
        foreach (Message message in history.Messages)
        {
            if (message is not { Sender: { } sender, SentIn: { } sentIn } || !message.IsOwedBy(sender))
                continue;
            Delivery? delivery = message.DeliveryAt(sender);
            if (delivery is null && sender.WentOnFrom(sentIn, options))
                yield return this.Found($"{sender} sent {message} in {sentIn} and went on without delivering it (EVS 3).", message.Line, sentIn.NextRegular?.Line);
            else if (EndedView(message, sender) is { } view && !(delivery?.Index < view.End))
                yield return this.Found($"{sender} sent {message} in {view.View} and left that view without delivering it.", message.Line, sender.Events[view.End]);
        }
    }

    /// <summary>The first of the message's views that its sender has left behind.</summary>
    private static ViewPeriod? EndedView(Message message, NodeTrace sender)
    {
        foreach (GroupView? view in message.Views)
        {
            if (view is not null && sender.Views.TryGetValue(view, out ViewPeriod? period) && period.End != int.MaxValue)
                return period;
        }
        return null;
    }
}
