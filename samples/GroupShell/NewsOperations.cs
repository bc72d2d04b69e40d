// The operations of the news: news.subscribe, news.unsubscribe, news.post, news.back; and the event `news`.
using System.Text;
using System.Text.Json;
using Core.Groups;
using Toolkit.News;

namespace GroupShell;

/// <summary>Carries out the operations on the news. Posts are texts.</summary>
internal sealed class NewsOperations(GroupNode node, Answers answers)
{
    private readonly NewsService _news = node.OpenNews();
    private readonly Once<NewsSubscription> _subscriptions = new();

    public void AddTo(Dictionary<string, Func<CommandFields, CancellationToken, Task<AnswerFields?>>> operations)
    {
        operations["news.subscribe"] = SubscribeAsync;
        operations["news.unsubscribe"] = UnsubscribeAsync;
        operations["news.post"] = PostAsync;
        operations["news.back"] = BackAsync;
    }

    private async Task<AnswerFields?> SubscribeAsync(CommandFields command, CancellationToken ct)
    {
        command.RefuseLogged();
        string topic = command.Name("topic");
        var options = new SubscribeOptions { BackIssues = command.Has("back") ? command.Integer("back", 0, 1_000_000) : 0 };
        await _subscriptions.OpenAsync(topic, () => _news.SubscribeAsync(topic, Tell, options), ct).ConfigureAwait(false);
        return null;
    }

    private async Task<AnswerFields?> UnsubscribeAsync(CommandFields command, CancellationToken ct)
    {
        string topic = command.Name("topic");
        NewsSubscription subscription = await _subscriptions.CloseAsync(topic, ct).ConfigureAwait(false)
            ?? throw new ShellException("not-subscribed", $"This node has not subscribed to '{topic}'.");
        await subscription.DisposeAsync().ConfigureAwait(false);
        return null;
    }

    private async Task<AnswerFields?> PostAsync(CommandFields command, CancellationToken ct)
    {
        command.RefuseLogged();
        long number = await _news.PostAsync(command.Name("topic"), Encoding.UTF8.GetBytes(command.Text("text")), OrderOf(command), ct).ConfigureAwait(false);
        return json => json.WriteNumber("number", number);
    }

    private async Task<AnswerFields?> BackAsync(CommandFields command, CancellationToken ct)
    {
        IReadOnlyList<NewsPost> posts = await _news.BackAsync(command.Name("topic"), command.Count(), ct).ConfigureAwait(false);
        return json =>
        {
            json.WriteStartArray("posts");
            foreach (NewsPost post in posts)
            {
                json.WriteStartObject();
                Write(json, post);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        };
    }

    private ValueTask Tell(NewsPost post)
    {
        answers.Event("news", json => Write(json, post));
        return default;
    }

    private static void Write(Utf8JsonWriter json, NewsPost post)
    {
        json.WriteString("topic", post.Topic);
        json.WriteString("from", post.From.Name);
        json.WriteNumber("number", post.Number);
        json.WriteString("text", Encoding.UTF8.GetString(post.Body.Span));
    }

    private static NewsOrder OrderOf(CommandFields command) => (command.Has("order") ? command.Text("order") : "total") switch
    {
        "total" => NewsOrder.Total,
        "causal" => NewsOrder.Causal,
        "fifo" => NewsOrder.Fifo,
        _ => throw ShellException.BadField("order", "must be \"total\", \"causal\" or \"fifo\""),
    };
}
