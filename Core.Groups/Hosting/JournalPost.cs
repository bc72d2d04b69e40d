// Between the pump of a group and its journal: what is written down, what is asked, what is replayed.
using System.Text;
using Core.Groups.Protocol;

namespace Core.Groups.Hosting;

/// <summary>The journal of one group, and the application as the journal reaches it. Called by the pump alone.</summary>
internal sealed class JournalPost(IGroupJournal journal, ProcessGroup group, Dispatcher dispatcher, GroupOptions options, GroupMailHandler pump) : IJournaledMember
{
    /// <summary>The token of a request that is given to the application again.</summary>
    public const long Replayed = -1;

    public IGroupJournal Journal => journal;

    /// <summary>The generation of the membership that has begun last.</summary>
    public int Generation { get; set; }

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

    public async ValueTask KeepAsync(ConfigurationEntry entry) => await journal.OnConfiguredAsync(entry).ConfigureAwait(false);

    public async ValueTask AskAsync(Delivery delivery, int generation)
    {
        long token = delivery.ReplyToken;
        await journal.OnQuestionAsync(delivery.Message, delivery.Body[1..], Answer).ConfigureAwait(false);

        void Answer(ReadOnlyMemory<byte> answer, string? problem)
        {
            if (token != 0)
            {
                pump.ReplyLater(token, problem is null ? answer : Encoding.UTF8.GetBytes(problem), problem is not null, generation);
            }
        }
    }

    public ValueTask<StateSnapshot> SaveAsync() => options.State!.OpenAsync();

    public async ValueTask LoadAsync(IAsyncEnumerable<ReadOnlyMemory<byte>>? state)
    {
        if (state is not null)
        {
            await options.State!.TakeAsync(new StateReader(state)).ConfigureAwait(false);
        }
        else if (options.State!.Initialize is { } initialize)
        {
            await initialize().ConfigureAwait(false);
        }
    }

    public ValueTask ShowAsync(View view)
    {
        options.Sink?.OnView(view, Generation);
        return pump.OnViewAsync(view);
    }

    public ValueTask ConfigureAsync(ConfigurationEntry entry) => pump.OnConfiguredAsync(entry);

    public ValueTask ReplayAsync(JournalMessage message, View view)
    {
        if (options.Sink is { } sink)
        {
            sink.OnMessage(message.From, message.Order, message.Body, message.IsRequest ? Replayed : 0, Generation);
            return default;
        }

        var delivery = new Delivery
        {
            Group = view.Group, From = message.From, Order = message.Order, Message = message.Id, Body = message.Body, ReplyToken = message.IsRequest ? Replayed : 0,
        };
        return dispatcher.DispatchAsync(delivery, group, view, NodeInput.AnyGeneration);
    }
}
