// The news as the application holds it: posts go to the channel of their topic, subscriptions filter what their channels bring.
// Keeps: every subscription has a queue and a reader of its own, so that a slow handler holds up nobody; no channel is left while something
// of this node is under way in it.
using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Core.Groups;
using Core.Groups.Replication;
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
    private readonly NewsOptions _options;
    private readonly OpenChannel?[] _channels;
    private readonly Lock _gate = new();
    private readonly NewsCalls _calls;
    private readonly CancellationTokenSource _closed = new();
    private Task? _tending;

    internal NewsService(GroupNode node, NewsOptions options)
    {
        options.Validate();
        (_node, _options) = (node, options);
        _channels = new OpenChannel?[options.Channels];
        _calls = NewsCalls.Of(node);
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
        TopicPattern pattern = ChannelMap.Topic(topic);
        int channel = ChannelOf(pattern.FirstWord!);
        if (EnterIfOpen(channel) is not { } open)
        {
            if (await TryPostFromOutsideAsync(channel, topic, body, order, ct).ConfigureAwait(false) is { } number)
                return number;
            open = Enter(channel);
        }

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
            Exit(open);
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
        var subscription = new NewsSubscription(new TopicPattern(pattern), handler, options.MaximumWaiting);
        IEnumerable<int> channels = subscription.Pattern.FirstWord is { } word ? [ChannelOf(word)] : Enumerable.Range(0, _channels.Length);
        OpenChannel[] open = [.. channels.Select(Enter)];
        subscription.OnEnd = () => Array.ForEach(open, Exit);
        try
        {
            foreach (OpenChannel channel in open)
            {
                ReplicaHost<NewsReplica> host = await channel.Opening.WaitAsync(ct).ConfigureAwait(false);
                await host.WhenJoinedAsync(ct).ConfigureAwait(false);
                host.Run((subscription, options), static (replica, asked) => replica.Subscribe(asked.subscription, asked.options.BackIssues, asked.options.Since ?? DateTimeOffset.MinValue));
                subscription.Add(host);
            }

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
        OpenChannel open = Enter(ChannelOf(ChannelMap.Topic(topic).FirstWord!));
        try
        {
            ReplicaHost<NewsReplica> host = await open.Opening.WaitAsync(ct).ConfigureAwait(false);
            await host.WhenJoinedAsync(ct).ConfigureAwait(false);
            return host.Read((topic, count), static (replica, asked) => replica.Back(asked.topic, asked.count));
        }
        finally
        {
            Exit(open);
        }
    }

    /// <summary>The name of the process group that carries a topic now: what Toolkit.Recovery knows its log by.</summary>
    /// <param name="topic">The topic: no wildcards.</param>
    /// <exception cref="ArgumentException">That is no topic.</exception>
    public string GroupOf(string topic) => _options.GroupOf(ChannelOf(ChannelMap.Topic(topic).FirstWord!));

    /// <summary>What the channels of this node have brought.</summary>
    public NewsStatistics GetStatistics()
    {
        var sum = new NewsStatistics();
        foreach (ReplicaHost<NewsReplica> host in Hosts().Where(h => h.IsMember))
        {
            sum = host.Read(sum, static (replica, sum) =>
                new NewsStatistics(sum.Topics + replica.Topics, sum.Delivered + replica.Delivered, sum.Unwanted + replica.Unwanted));
        }

        return sum;
    }

    /// <summary>Leaves the news. Back issues that no other node keeps are gone; subscriptions get nothing more. While the node is blocked that is not waited for longer than a few seconds.</summary>
    public async ValueTask DisposeAsync()
    {
        await _closed.CancelAsync().ConfigureAwait(false);
        if (_tending is not null)
            await _tending.ConfigureAwait(false);
        foreach (OpenChannel open in _channels.OfType<OpenChannel>())
        {
            await ((Task)open.Opening).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (open.Opening.IsCompletedSuccessfully)
                await open.Opening.Result.DisposeAsync().ConfigureAwait(false);
        }
    }

    // Null: nobody has part in the channel.
    private async ValueTask<long?> TryPostFromOutsideAsync(int channel, string topic, ReadOnlyMemory<byte> body, NewsOrder order, CancellationToken ct)
    {
        try
        {
            return await OutsidePost.SendAsync(
                (primitive, post) => _node.RequestAsync(_options.GroupOf(channel), primitive, post, Replies.First, timeout: null, ct), _calls.Next(), topic, body, order).ConfigureAwait(false);
        }
        catch (GroupNotFoundException)
        {
            return null;
        }
    }

    // ---- channels

    private IEnumerable<ReplicaHost<NewsReplica>> Hosts() =>
        _channels.OfType<OpenChannel>().Where(c => c.Opening.IsCompletedSuccessfully).Select(c => c.Opening.Result);

    private OpenChannel? EnterIfOpen(int channel)
    {
        lock (_gate)
        {
            if (_channels[channel] is not { Opening.IsCompletedSuccessfully: true } open)
                return null;
            open.Users++;
            return open;
        }
    }

    private OpenChannel Enter(int channel)
    {
        lock (_gate)
        {
            if (_channels[channel] is null or { Opening: { IsFaulted: true } or { IsCanceled: true } })
            {
                _channels[channel] = new OpenChannel(
                    Task.Run(() => ReplicaHost<NewsReplica>.OpenAsync(_node, _options.GroupOf(channel), () => new NewsReplica(_options, _calls), _closed.Token).AsTask()));
            }

            if (_options.LeaveAfter != Timeout.InfiniteTimeSpan)
                _tending ??= TendAsync();
            _channels[channel]!.Users++;
            return _channels[channel]!;
        }
    }

    private void Exit(OpenChannel open)
    {
        lock (_gate)
        {
            open.Users--;
            open.WasUsed = true;
        }
    }

    // Channels follow their subscribers: a node that has nothing to do with one any more leaves it. The two oldest members stay and keep the back issues.
    private async Task TendAsync()
    {
        using var timer = new PeriodicTimer(_options.LeaveAfter);
        try
        {
            while (await timer.WaitForNextTickAsync(_closed.Token).ConfigureAwait(false))
            {
                for (int channel = 0; channel < _channels.Length; channel++)
                {
                    if (TakeUnused(channel) is { } unused)
                        await unused.DisposeAsync().AsTask().WaitAsync(_closed.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // the service is disposed of
        }
    }

    private ReplicaHost<NewsReplica>? TakeUnused(int channel)
    {
        const int Keepers = 2;
        lock (_gate)
        {
            if (_channels[channel] is not { Users: 0, Opening.IsCompletedSuccessfully: true } open)
                return null;
            ReplicaHost<NewsReplica> host = open.Opening.Result;
            bool isWanted = open.WasUsed || !host.IsMember || host.View.RankOf(_node.Id) < Keepers;
            open.WasUsed = false;
            if (isWanted)
                return null;
            _channels[channel] = null;
            return host;
        }
    }

    /// <summary>A channel that this node has part in.</summary>
    private sealed class OpenChannel(Task<ReplicaHost<NewsReplica>> opening)
    {
        public Task<ReplicaHost<NewsReplica>> Opening => opening;

        /// <summary>Subscriptions, and calls that are under way. Under the gate, as what follows.</summary>
        public int Users { get; set; }

        /// <summary>Whether one has ended since the last look.</summary>
        public bool WasUsed { get; set; }
    }

    private int ChannelOf(string firstWord) => ChannelMap.ChannelOf(firstWord, _options.Channels);
}

/// <summary>A subscription. Dispose of it to end it.</summary>
public sealed class NewsSubscription : INewsSink, IAsyncDisposable
{
    private readonly Channel<NewsPost> _waiting;
    private readonly List<ReplicaHost<NewsReplica>> _hosts = [];
    private long _dropped;
    private long _errors;

    internal NewsSubscription(TopicPattern pattern, Func<NewsPost, ValueTask> handler, int maximumWaiting)
    {
        Pattern = pattern;
        _waiting = Channel.CreateBounded<NewsPost>(
            new BoundedChannelOptions(maximumWaiting) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true },
            _ => Interlocked.Increment(ref _dropped));
        Completion = Task.Run(() => ReadAsync(handler));
    }

    /// <summary>The topics.</summary>
    public TopicPattern Pattern { get; }

    /// <summary>How many posts were dropped because the handler did not keep up.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>How often the handler threw.</summary>
    public long Errors => Interlocked.Read(ref _errors);

    /// <summary>Ends when the subscription has ended and its handler has returned.</summary>
    public Task Completion { get; }

    bool INewsSink.Wants(string topic) => Pattern.Matches(topic);

    void INewsSink.Add(NewsPost post) => _waiting.Writer.TryWrite(post);

    internal void Add(ReplicaHost<NewsReplica> host) => _hosts.Add(host);

    /// <summary>Called once, at the end.</summary>
    internal Action? OnEnd { get; set; }

    /// <summary>Ends the subscription. What waits for the handler still comes; <see cref="Completion"/> tells when that is over.</summary>
    public ValueTask DisposeAsync()
    {
        foreach (ReplicaHost<NewsReplica> host in _hosts)
        {
            try
            {
                host.Run(this, static (replica, sink) => replica.Unsubscribe(sink));
            }
            catch (Exception e) when (e is GroupException or InvalidOperationException)
            {
                // Not a member now: what comes later finds the queue closed.
            }
        }

        if (_waiting.Writer.TryComplete())
            OnEnd?.Invoke();
        return ValueTask.CompletedTask;
    }

    private async Task ReadAsync(Func<NewsPost, ValueTask> handler)
    {
        await foreach (NewsPost post in _waiting.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            try
            {
                await handler(post).ConfigureAwait(false);
            }
            catch (Exception)
            {
                Interlocked.Increment(ref _errors); // one bad post is no reason to miss the next
            }
        }
    }
}

/// <summary>The posts of a node that wait for their places, over all channels.</summary>
internal sealed class NewsCalls : INewsEffects
{
    private static readonly ConditionalWeakTable<GroupNode, NewsCalls> Tables = [];
    private readonly ConcurrentDictionary<long, TaskCompletionSource<long>> _waiting = [];
    private long _last;

    public static NewsCalls Of(GroupNode node) => Tables.GetValue(node, static _ => new NewsCalls());

    public long Next() => Interlocked.Increment(ref _last);

    /// <summary>Under the replica's gate: the numbers of a node's posts in a channel grow.</summary>
    public void Begin(NewsReplica replica, TaskCompletionSource<long> posted, NewsOrder order, string topic, ReadOnlyMemory<byte> body)
    {
        long call = Next();
        _waiting[call] = posted;
        try
        {
            replica.Post(call, order, DateTimeOffset.UtcNow, topic, body.Span);
        }
        catch
        {
            _waiting.TryRemove(call, out _);
            throw;
        }
    }

    public void Posted(long call, long number)
    {
        if (_waiting.TryRemove(call, out TaskCompletionSource<long>? posted))
            posted.TrySetResult(number);
    }

    public void Ended(long call, MembershipEnd end)
    {
        if (_waiting.TryRemove(call, out TaskCompletionSource<long>? posted))
            posted.TrySetException(end.ToException("/news", outcomeUnknown: true));
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
