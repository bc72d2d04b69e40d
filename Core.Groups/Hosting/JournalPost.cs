// Between the pump of a group and its journal: what is written down, what is asked, what is replayed.
using System.Text;
using Core.Groups.Protocol;

namespace Core.Groups.Hosting;

/// <summary>The journal of one group, and the application as the journal reaches it. Called by the pump alone.</summary>
internal sealed class JournalPost(
    IGroupJournal journal, ProcessGroup group, Dispatcher dispatcher, GroupMailHandler replies,
    Func<ValueTask<byte[]>> save, Func<ReadOnlyMemory<byte>?, ValueTask> load) : IJournaledMember
{
    /// <summary>The token of a request that is given to the application again.</summary>
    public const long Replayed = -1;

    public IGroupJournal Journal => journal;

    public ValueTask KeepAsync(in Delivery delivery)
    {
        try
        {
            return journal.OnMessageAsync(new JournalMessage(delivery.From, delivery.Order, delivery.Message, delivery.Body, delivery.ReplyToken != 0));
        }
        catch (Exception e)
        {
            return ValueTask.FromException(e);
        }
    }

    public async ValueTask KeepAsync(View view) => await journal.OnViewAsync(view).ConfigureAwait(false);

    public async ValueTask AskAsync(Delivery delivery, int generation)
    {
        long token = delivery.ReplyToken;
        await journal.OnQuestionAsync(delivery.Body[1..], Answer).ConfigureAwait(false);

        void Answer(ReadOnlyMemory<byte> answer, string? problem)
        {
            if (token != 0)
            {
                replies.ReplyLater(token, problem is null ? answer : Encoding.UTF8.GetBytes(problem), problem is not null, generation);
            }
        }
    }

    public async ValueTask<ReadOnlyMemory<byte>> SaveAsync() => await save().ConfigureAwait(false);

    public ValueTask LoadAsync(ReadOnlyMemory<byte>? state) => load(state);

    public ValueTask ReplayAsync(JournalMessage message, View view)
    {
        var delivery = new Delivery
        {
            Group = view.Group, From = message.From, Order = message.Order, Message = message.Id, Body = message.Body, ReplyToken = message.IsRequest ? Replayed : 0,
        };
        return dispatcher.DispatchAsync(delivery, group, view, NodeInput.AnyGeneration);
    }
}
