using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Core.Groups;
using Toolkit.News.Replication;

namespace Toolkit.News;

/// <summary>The posts of a node that wait for their places, over all channels.</summary>
internal sealed class NewsCalls
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

    public void End(long call, long number)
    {
        if (_waiting.TryRemove(call, out TaskCompletionSource<long>? posted))
            posted.TrySetResult(number);
    }

    public void Fail(long call, Exception error)
    {
        if (_waiting.TryRemove(call, out TaskCompletionSource<long>? posted))
            posted.TrySetException(error);
    }
}
