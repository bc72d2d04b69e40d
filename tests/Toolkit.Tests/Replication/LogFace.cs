// An asynchronous face over the log, as a toolkit writes one.
using System.Collections.Concurrent;
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Tests.Replication;

internal sealed class LogFace : ILogEffects, IAsyncDisposable
{
    private readonly ConcurrentDictionary<long, TaskCompletionSource<int>> _calls = [];
    private readonly TaskCompletionSource _woke = NewSource();
    private long _lastCall;

    public ReplicaHost<LogReplica> Host { get; private set; } = null!;

    public Task Woke => _woke.Task;

    public MembershipEnd? End => Host.Run(0, static (log, _) => log.End);

    public static async Task<LogFace> OpenAsync(GroupNode node, string name = "/test#log")
    {
        var face = new LogFace();
        face.Host = await ReplicaHost<LogReplica>.OpenAsync(node, name, () => new LogReplica(face)).AsTask().WaitAsync(RealNodes.Patience);
        return face;
    }

    public async Task<int> AppendAsync(long value)
    {
        await Host.WhenWritable();
        return await CallAsync(value, static (log, call, value) => log.Append(call, value));
    }

    public Task FlushAsync() => CallAsync(0, static (log, call, _) => log.Flush(call));

    public long[] Read() => Host.Read(0, static (log, _) => log.Log.ToArray());

    /// <summary>Completes when the log here has so many entries and more.</summary>
    public async Task<long[]> ReadAsync(int count)
    {
        while (Read().Length < count)
        {
            await FlushAsync();
        }

        return Read();
    }

    public ValueTask DisposeAsync() => Host.DisposeAsync();

    void ILogEffects.Appended(long call, int position) => Take(call)?.TrySetResult(position);

    void ILogEffects.Flushed(long call) => Take(call)?.TrySetResult(0);

    void ILogEffects.Woke() => _woke.TrySetResult();

    void ILogEffects.Ended(long call, MembershipEnd end) => Take(call)?.TrySetException(end.ToException(Host.Name, outcomeUnknown: true));

    private async Task<int> CallAsync(long value, Action<LogReplica, long, long> run)
    {
        long call = Interlocked.Increment(ref _lastCall);
        var source = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        _calls[call] = source;
        try
        {
            Host.Run((call, value, run), static (log, c) => c.run(log, c.call, c.value));
        }
        catch
        {
            Take(call);
            throw;
        }

        return await source.Task.WaitAsync(RealNodes.Patience);
    }

    private TaskCompletionSource<int>? Take(long call) => _calls.TryRemove(call, out TaskCompletionSource<int>? source) ? source : null;

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
