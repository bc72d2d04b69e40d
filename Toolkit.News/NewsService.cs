// The news as the application holds it: posts go to the channel of their topic, subscriptions get what the channels bring of what they want.
using System.Collections.Concurrent;
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.News.Placement;
using Toolkit.News.Replication;

namespace Toolkit.News;

/// <summary>What the channels of this node have brought.</summary>
/// <param name="Topics">Topics of which this node keeps back issues.</param>
/// <param name="Delivered">Posts that came.</param>
/// <param name="Unwanted">Those of them that no subscription here wanted: the price of few groups for many topics.</param>
public readonly record struct NewsStatistics(int Topics, long Delivered, long Unwanted);

/// <summary>Posts and subscriptions of one node. May be used from any thread.</summary>
public sealed class NewsService : IAsyncDisposable
{
    private readonly GroupNode _node;
    private readonly NewsHub _hub;
    private readonly NewsCalls _calls;
    private readonly ConcurrentDictionary<NewsSubscription, byte> _subscriptions = [];
    private int _isOver;

    internal NewsService(GroupNode node, NewsOptions options)
    {
        options.Validate();
        (_node, _hub, _calls) = (node, NewsHub.Obtain(node, options), NewsCalls.Of(node));
    }

    /// <summary>
    /// Posts. Completes when the post has its place at a member of its topic's channel; as a node that has no part in that channel, when
    /// a member has answered. A node that posts where nobody listens keeps the back issues itself.
    /// </summary>
    /// <returns>The post's number (<see cref="NewsPost.Number"/>).</returns>
    /// <param name="topic">The topic: no wildcards.</param>
    /// <param name="body">The content; copied.</param>
    /// <param name="order">In which order subscribers get it.</param>
    /// <param name="ct">Ends the wait; it may be posted.</param>
    /// <exception cref="ArgumentException">That is no topic.</exception>
    /// <exception cref="MessageTooLargeException">The content is too large.</exception>
    /// <exception cref="ExcludedException">The others went on without this node; OutcomeUnknown: it may be posted.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public async ValueTask<long> PostAsync(string topic, ReadOnlyMemory<byte> body, NewsOrder order = NewsOrder.Total, CancellationToken ct = default)
    {
        string word = ChannelMap.Topic(topic).FirstWord!;
        while (true)
        {
            int place = _hub.PlaceOf(word);
            OpenChannel? open = _hub.EnterIfOpen(place);
            long? number = open is not null
                ? await PostInsideAsync(open, topic, body, order, ct).ConfigureAwait(false)
                : await TryPostFromOutsideAsync(place, topic, body, order, ct).ConfigureAwait(false);
            if (number > NewsReplica.Elsewhere)
                return number.Value;
            bool isAnybodyThere = await LookAgainAsync(word, isMoved: number is not null, ct).ConfigureAwait(false);
            if (number is not null || (isAnybodyThere && _hub.PlaceOf(word) != place))
                continue;

            // Nobody has part in the channel: this node keeps what is posted.
            await _hub.TakePartAsync(ct).ConfigureAwait(false);
            number = await PostInsideAsync(_hub.Enter(_hub.PlaceOf(word)), topic, body, order, ct).ConfigureAwait(false);
            if (number > NewsReplica.Elsewhere)
                return number.Value;
        }
    }

    // Where nothing moves there is nothing to look for.
    private ValueTask<bool> LookAgainAsync(string word, bool isMoved, CancellationToken ct) =>
        isMoved || _hub.CanMove ? _hub.LookAgainAsync(word, ct) : ValueTask.FromResult(false);

    // Zero: the topic is elsewhere.
    private async ValueTask<long?> PostInsideAsync(OpenChannel open, string topic, ReadOnlyMemory<byte> body, NewsOrder order, CancellationToken ct)
    {
        try
        {
            ReplicaHost<NewsReplica> host = await open.Opening.WaitAsync(ct).ConfigureAwait(false);
            await host.WhenWritable(ct).ConfigureAwait(false);
            var posted = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
            host.Run((this, posted, order, topic, body), static (replica, post) => post.Item1._calls.Begin(replica, post.posted, post.order, post.topic, post.body));
            return await posted.Task.WaitAsync(ct).ConfigureAwait(false);
        }
        finally
        {
            _hub.Exit(open);
        }
    }

    // Null: nobody has part in the channel. Zero: the topic is elsewhere.
    private async ValueTask<long?> TryPostFromOutsideAsync(int channel, string topic, ReadOnlyMemory<byte> body, NewsOrder order, CancellationToken ct)
    {
        try
        {
            return await OutsidePost.SendAsync(
                (primitive, post) => _node.RequestAsync(_hub.Options.GroupOf(channel), primitive, post, Replies.First, timeout: null, ct), _calls.Next(), topic, body, order).ConfigureAwait(false);
        }
        catch (GroupNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Subscribes. Completes when nothing that is posted later is missed. Posts of one topic come in their order, one at a time.</summary>
    /// <param name="pattern">The topics: <c>markets.nyse.SUN</c>, <c>markets.*.SUN</c>, <c>markets.&gt;</c>.</param>
    /// <param name="handler">Gets the posts, one at a time. What it throws is counted, and the next post comes.</param>
    /// <param name="options">Null: no back issues.</param>
    /// <param name="ct">Gives it up.</param>
    /// <exception cref="ArgumentException">That is no pattern.</exception>
    /// <exception cref="ExcludedException">The incarnation ended meanwhile.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public async ValueTask<NewsSubscription> SubscribeAsync(
        string pattern, Func<NewsPost, ValueTask> handler, SubscribeOptions? options = null, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(handler);
        options ??= new SubscribeOptions();
        ArgumentOutOfRangeException.ThrowIfNegative(options.BackIssues, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaximumWaiting, 1, nameof(options));
        ObjectDisposedException.ThrowIf(_isOver != 0, this);
        var subscription = new NewsSubscription(new TopicPattern(pattern), handler, options.MaximumWaiting);
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var route = new Route(subscription, subscription.Pattern.FirstWord, options.BackIssues, options.Since ?? DateTimeOffset.MinValue, () => begun.TrySetResult());
        subscription.OnEnd = () =>
        {
            _subscriptions.TryRemove(subscription, out _);
            _hub.Remove(route);
        };
        _subscriptions[subscription] = 0;
        _hub.Add(route, e => begun.TrySetException(e));
        try
        {
            await begun.Task.WaitAsync(ct).ConfigureAwait(false);
            return subscription;
        }
        catch
        {
            await subscription.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>The last posts of a topic, the oldest first. This node takes part in the topic's channel from then on.</summary>
    /// <param name="topic">The topic: no wildcards.</param>
    /// <param name="count">At most so many.</param>
    /// <param name="ct">Gives it up.</param>
    /// <exception cref="ArgumentException">That is no topic.</exception>
    public async ValueTask<IReadOnlyList<NewsPost>> BackAsync(string topic, int count, CancellationToken ct = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        string word = ChannelMap.Topic(topic).FirstWord!;
        await _hub.TakePartAsync(ct).ConfigureAwait(false);
        while (true)
        {
            OpenChannel open = _hub.Enter(_hub.PlaceOf(word));
            try
            {
                ReplicaHost<NewsReplica> host = await open.Opening.WaitAsync(ct).ConfigureAwait(false);
                await host.WhenJoinedAsync(ct).ConfigureAwait(false);
                if (host.Read((topic, word, count), static (replica, asked) => replica.Words.Has(asked.word) ? replica.Back(asked.topic, asked.count) : null) is { } posts)
                    return posts;
            }
            finally
            {
                _hub.Exit(open);
            }

            await _hub.LookAgainAsync(word, ct).ConfigureAwait(false);
        }
    }

    /// <summary>The name of the process group that carries a topic now: what Toolkit.Recovery knows its log by.</summary>
    /// <param name="topic">The topic: no wildcards.</param>
    /// <exception cref="ArgumentException">That is no topic.</exception>
    public string GroupOf(string topic) => _hub.Options.GroupOf(_hub.PlaceOf(ChannelMap.Topic(topic).FirstWord!));

    /// <summary>What the channels of this node have brought.</summary>
    public NewsStatistics GetStatistics()
    {
        var sum = new NewsStatistics();
        foreach (ReplicaHost<NewsReplica> host in _hub.Hosts().Where(h => h.IsMember))
        {
            sum = host.Read(sum, static (replica, sum) =>
                new NewsStatistics(sum.Topics + replica.Topics, sum.Delivered + replica.Delivered, sum.Unwanted + replica.Unwanted));
        }

        return sum;
    }

    /// <summary>
    /// Leaves the news. Back issues that no other node keeps are gone; subscriptions get nothing more. While the node is blocked that is not
    /// waited for longer than a few seconds.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isOver, 1) != 0)
            return;
        foreach (NewsSubscription subscription in _subscriptions.Keys)
            await subscription.DisposeAsync().ConfigureAwait(false);
        await _hub.ReleaseAsync().ConfigureAwait(false);
    }
}

/// <summary>The way to the news.</summary>
public static class NewsNodes
{
    /// <summary>The news of the cluster, at this node. Costs nothing until it is used.</summary>
    /// <param name="node">The node.</param>
    /// <param name="options">Null: the defaults. The same at all nodes.</param>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static NewsService OpenNews(this GroupNode node, NewsOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(node);
        return new NewsService(node, options ?? new NewsOptions());
    }

    /// <summary>Posts from a client, which takes no part in channels: it costs nothing until it is used.</summary>
    /// <param name="client">The client.</param>
    /// <param name="options">Null: the defaults. The same as at the nodes.</param>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static NewsPoster OpenNewsPoster(this GroupClient client, NewsOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(client);
        options ??= new NewsOptions();
        options.Validate();
        return new NewsPoster(client, options);
    }
}
