// The operations of the news: news.subscribe, news.unsubscribe, news.post, news.back; and the event `news`.
// Logged topics are in news of their own, so that each topic is logged or not as its first operation says.
using System.Text;
using System.Text.Json;
using Core.Groups;
using Toolkit.News;

namespace GroupShell;

/// <summary>Carries out the operations on the news. Posts are texts.</summary>
internal sealed class NewsOperations
{
    /// <summary>Where the logged news are.</summary>
    public const string LoggedPath = "/logged/news";

    private readonly Answers _answers;
    private readonly RecoveryOperations _recovery;
    private readonly NewsService _news, _logged;
    private readonly Once<NewsSubscription> _subscriptions = new();
    private readonly Lock _gate = new();
    private readonly Dictionary<string, TopicPattern> _loggedTopics = [];

    public NewsOperations(GroupNode node, Answers answers, RecoveryOperations recovery)
    {
        (_answers, _recovery) = (answers, recovery);
        (_news, _logged) = (node.OpenNews(), node.OpenNews(new NewsOptions { Path = LoggedPath }));
    }

    public void AddTo(Dictionary<string, Operation> operations)
    {
        operations["news.subscribe"] = SubscribeAsync;
        operations["news.unsubscribe"] = UnsubscribeAsync;
        operations["news.post"] = PostAsync;
        operations["news.back"] = BackAsync;
    }

    private async Task<AnswerFields?> SubscribeAsync(CommandFields command, CancellationToken ct)
    {
        string topic = command.Name("topic");
        NewsService news = NewsOf(command, topic);
        var options = new SubscribeOptions { BackIssues = command.Has("back") ? command.Integer("back", 0, 1_000_000) : 0 };
        await _subscriptions.OpenAsync(topic, () => news.SubscribeAsync(topic, Tell, options), ct).ConfigureAwait(false);
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
        string topic = command.Name("topic");
        byte[] text = Encoding.UTF8.GetBytes(command.Text("text"));
        NewsOrder order = OrderOf(command);
        NewsService news = NewsOf(command, topic);
        if (news == _logged)
            await news.BackAsync(topic, 0, ct).ConfigureAwait(false); // a member posts: only members know what is on their disks
        long number = await news.PostAsync(topic, text, order, ct).ConfigureAwait(false);
        await _recovery.WhenStableAsync(news.GroupOf(topic), ct).ConfigureAwait(false);
        return json => json.WriteNumber("number", number);
    }

    private async Task<AnswerFields?> BackAsync(CommandFields command, CancellationToken ct)
    {
        string topic = command.Name("topic");
        IReadOnlyList<NewsPost> posts = await NewsOf(command, topic).BackAsync(topic, command.Count(), ct).ConfigureAwait(false);
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

    // Called in the order of the commands. A pattern that was named as logged makes all its topics logged.
    private NewsService NewsOf(CommandFields command, string topic)
    {
        bool wantsLog = _recovery.WantsLog(command);
        var pattern = new TopicPattern(topic);
        lock (_gate)
        {
            if (wantsLog)
                _loggedTopics.TryAdd(topic, pattern);
            return wantsLog || _loggedTopics.ContainsKey(topic) || (pattern.IsTopic && _loggedTopics.Values.Any(p => p.Matches(topic))) ? _logged : _news;
        }
    }

    private ValueTask Tell(NewsPost post)
    {
        _answers.Event("news", json => Write(json, post));
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
