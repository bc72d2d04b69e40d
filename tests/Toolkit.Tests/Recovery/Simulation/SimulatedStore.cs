// A stable store of one simulated site. What was not synced when the process dies or the disk fails is there as any prefix, or not; the
// first write that is not there may be torn: a log finds that when it is opened, and removes it.
using Core.Groups;

namespace Toolkit.Tests.Recovery.Simulation;

/// <summary>What is on the disk: it outlives the processes.</summary>
internal sealed class SimulatedPlatter(ulong id)
{
    public ulong Id => id;

    public Dictionary<string, byte[]> Values { get; } = [];

    public Dictionary<string, (long First, List<byte[]> Records)> Logs { get; } = [];

    /// <summary>Halves of records at the ends of logs.</summary>
    public Dictionary<string, byte[]> Torn { get; } = [];
}

/// <summary>The store of one process. Writes wait for <see cref="Sync"/>; reads are at once. Everything runs on the caller's thread.</summary>
internal sealed class SimulatedStore(SimulatedPlatter platter, Weakness weakness) : IStableStore
{
    // Values are written one after the other, and each log for itself.
    private readonly SortedDictionary<string, Queue<Write>> _unsynced = new(StringComparer.Ordinal);
    private bool _isDead;
    private StableStoreException? _failure;

    private sealed record Write(Action Apply, TaskCompletionSource Done, byte[]? Record);

    public ulong Id => platter.Id;

    public bool IsDead => _isDead;

    public bool HasFailed => _failure is not null;

    /// <summary>The queues in which something waits.</summary>
    public string[] Waiting => [.. _unsynced.Where(q => q.Value.Count > 0).Select(q => q.Key)];

    /// <summary>The oldest write of a queue reaches the disk, and its caller goes on.</summary>
    public void Sync(string queue)
    {
        Write write = _unsynced[queue].Dequeue();
        write.Apply();
        write.Done.SetResult();
    }

    /// <summary>The process dies: of each queue a prefix has reached the disk.</summary>
    public void Die(Func<int, int> below)
    {
        _isDead = true;
        foreach (string queue in _unsynced.Keys) Cut(queue, below);
    }

    /// <summary>An fsync fails: what waits for it is told so, and the store takes nothing more.</summary>
    public void Fail(Func<int, int> below)
    {
        _failure = new StableStoreException("fsync has failed");
        foreach (Write write in _unsynced.Keys.ToArray().SelectMany(queue => Cut(queue, below)))
        {
            if (weakness == Weakness.FailedSyncIsTakenForDone) write.Done.SetResult();
            else write.Done.SetException(_failure);
        }

        if (weakness == Weakness.FailedSyncIsTakenForDone) _failure = null;
    }

    public ValueTask<ReadOnlyMemory<byte>?> ReadAsync(string name, CancellationToken ct = default) =>
        ValueTask.FromResult(platter.Values.TryGetValue(name, out byte[]? value) ? (ReadOnlyMemory<byte>?)value : null);

    public ValueTask WriteAsync(string name, ReadOnlyMemory<byte> value, CancellationToken ct = default)
    {
        byte[] copy = value.ToArray();
        return Enqueue("values", () => platter.Values[name] = copy, null);
    }

    public ValueTask DeleteAsync(string name, CancellationToken ct = default) => Enqueue("values", () => platter.Values.Remove(name), null);

    public ValueTask<IStableLog> OpenLogAsync(string name, CancellationToken ct = default)
    {
        if (!platter.Logs.ContainsKey(name)) platter.Logs[name] = (1, []);
        string? repaired = platter.Torn.Remove(name, out byte[]? torn) ? "an append was cut off" : null;
        if (torn is not null && weakness == Weakness.TornRecordsAreTaken) platter.Logs[name].Records.Add(torn);
        return ValueTask.FromResult<IStableLog>(new Log(this, platter, name, repaired));
    }

    public ValueTask DeleteLogAsync(string name, CancellationToken ct = default) => Enqueue("values", () => platter.Logs.Remove(name), null);

    public ValueTask DisposeAsync() => default;

    private List<Write> Cut(string queue, Func<int, int> below)
    {
        Queue<Write> waiting = _unsynced[queue];
        List<Write> all = [.. waiting]; // nobody is told of any of them that it is there
        for (int kept = below(waiting.Count + 1); kept > 0; kept--) waiting.Dequeue().Apply();
        if (waiting.TryPeek(out Write? next) && next.Record is { } record && below(2) == 0) platter.Torn[queue] = record[..(record.Length / 2)];
        waiting.Clear();
        return all;
    }

    private ValueTask Enqueue(string queue, Action apply, byte[]? record)
    {
        var done = new TaskCompletionSource(); // continuations run in Sync: one thread, one order
        if (_failure is { } failure) return ValueTask.FromException(failure);
        if (!_isDead)
        {
            if (!_unsynced.TryGetValue(queue, out Queue<Write>? writes)) _unsynced[queue] = writes = new Queue<Write>();
            writes.Enqueue(new Write(apply, done, record));
        }

        return new ValueTask(done.Task);
    }

    private sealed class Log(SimulatedStore store, SimulatedPlatter platter, string name, string? repaired) : IStableLog
    {
        private long _next = platter.Logs[name].First + platter.Logs[name].Records.Count;

        public long First => platter.Logs[name].First;

        public long Next => platter.Logs[name].First + platter.Logs[name].Records.Count;

        public string? Repaired => repaired;

        public async ValueTask<long> AppendAsync(ReadOnlyMemory<byte> record)
        {
            byte[] copy = record.ToArray();
            long number = _next++;
            await store.Enqueue(name, () => platter.Logs[name].Records.Add(copy), copy);
            return number;
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
