// A stable store of one simulated site: what was not synced when the process dies is there as any prefix, or not.
using Core.Groups;

namespace Toolkit.Tests.Recovery.Simulation;

/// <summary>What is on the disk: it outlives the processes.</summary>
internal sealed class SimulatedPlatter(ulong id)
{
    public ulong Id => id;

    public Dictionary<string, byte[]> Values { get; } = [];

    public Dictionary<string, (long First, List<byte[]> Records)> Logs { get; } = [];
}

/// <summary>The store of one process. Writes wait for <see cref="Sync"/>; reads are at once. Everything runs on the caller's thread.</summary>
internal sealed class SimulatedStore(SimulatedPlatter platter) : IStableStore
{
    // Values are written one after the other, and each log for itself.
    private readonly SortedDictionary<string, Queue<(Action Apply, Action Done)>> _unsynced = new(StringComparer.Ordinal);
    private bool _isDead;

    public ulong Id => platter.Id;

    /// <summary>The queues in which something waits.</summary>
    public string[] Waiting => [.. _unsynced.Where(q => q.Value.Count > 0).Select(q => q.Key)];

    /// <summary>The oldest write of a queue reaches the disk, and its caller goes on.</summary>
    public void Sync(string queue)
    {
        (Action apply, Action done) = _unsynced[queue].Dequeue();
        apply();
        done();
    }

    /// <summary>The process dies: of each queue a prefix has reached the disk.</summary>
    public void Die(Func<int, int> below)
    {
        _isDead = true;
        foreach (Queue<(Action Apply, Action Done)> queue in _unsynced.Values)
        {
            for (int kept = below(queue.Count + 1); kept > 0; kept--) queue.Dequeue().Apply();
            queue.Clear();
        }
    }

    public ValueTask<ReadOnlyMemory<byte>?> ReadAsync(string name, CancellationToken ct = default) =>
        ValueTask.FromResult(platter.Values.TryGetValue(name, out byte[]? value) ? (ReadOnlyMemory<byte>?)value : null);

    public ValueTask WriteAsync(string name, ReadOnlyMemory<byte> value, CancellationToken ct = default)
    {
        byte[] copy = value.ToArray();
        return Enqueue("values", () => platter.Values[name] = copy);
    }

    public ValueTask DeleteAsync(string name, CancellationToken ct = default) => Enqueue("values", () => platter.Values.Remove(name));

    public ValueTask<IStableLog> OpenLogAsync(string name, CancellationToken ct = default)
    {
        if (!platter.Logs.ContainsKey(name)) platter.Logs[name] = (1, []);
        return ValueTask.FromResult<IStableLog>(new Log(this, platter, name));
    }

    public ValueTask DeleteLogAsync(string name, CancellationToken ct = default) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => default;

    private ValueTask Enqueue(string queue, Action apply)
    {
        var done = new TaskCompletionSource(); // continuations run in Sync: one thread, one order
        if (!_isDead)
        {
            if (!_unsynced.TryGetValue(queue, out Queue<(Action, Action)>? writes)) _unsynced[queue] = writes = new Queue<(Action, Action)>();
            writes.Enqueue((apply, done.SetResult));
        }

        return new ValueTask(done.Task);
    }

    private sealed class Log(SimulatedStore store, SimulatedPlatter platter, string name) : IStableLog
    {
        public long First => platter.Logs[name].First;

        public long Next => platter.Logs[name].First + platter.Logs[name].Records.Count;

        public string? Repaired => null;

        public async ValueTask<long> AppendAsync(ReadOnlyMemory<byte> record)
        {
            byte[] copy = record.ToArray();
            await store.Enqueue(name, () => platter.Logs[name].Records.Add(copy));
            return 0;
        }

        public async IAsyncEnumerable<StableRecord> ReadAsync(long from, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct = default)
        {
            await Task.CompletedTask;
            (long first, List<byte[]> records) = platter.Logs[name];
            foreach ((int i, byte[] record) in records.ToArray().Index())
            {
                if (first + i >= from) yield return new StableRecord(first + i, record);
            }
        }

        public ValueTask DiscardBeforeAsync(long number, CancellationToken ct = default)
        {
            (long first, List<byte[]> records) = platter.Logs[name];
            int gone = (int)Math.Clamp(number - first, 0, records.Count);
            records.RemoveRange(0, gone);
            platter.Logs[name] = (first + gone, records);
            return default;
        }

        public ValueTask DisposeAsync() => default;
    }
}
