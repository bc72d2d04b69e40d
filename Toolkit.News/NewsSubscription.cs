// A subscription as the application holds it.
// Keeps: it has a queue and a reader of its own, so that a slow handler holds up nobody.
using System.Threading.Channels;
using Toolkit.News.Replication;

namespace Toolkit.News;

/// <summary>A subscription. Dispose of it to end it.</summary>
public sealed class NewsSubscription : INewsSink, IAsyncDisposable
{
    private readonly Channel<NewsPost> _waiting;
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

    /// <summary>Called once, at the end.</summary>
    internal Action? OnEnd { get; set; }

    /// <summary>Ends the subscription. What waits for the handler still comes; <see cref="Completion"/> tells when that is over.</summary>
    public ValueTask DisposeAsync()
    {
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
