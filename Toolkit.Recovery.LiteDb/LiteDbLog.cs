// A log as documents whose id is the number of the record.
using System.Runtime.CompilerServices;
using Core.Groups;
using LiteDB;

namespace Toolkit.Recovery.LiteDb;

internal sealed class LiteDbLog(LiteDbStableStore store, string name, string records, long first, long next) : IStableLog
{
    private const int MaximumRecord = 15 << 20; // a document has at most 16 MB
    private const int Page = 1000;

    private readonly Lock _gate = new();
    private long _first = first;
    private long _next = next; // of the records that are being written, too
    private long _stored = next;
    private bool _isClosed;

    public long First => Volatile.Read(ref _first);

    public long Next => Volatile.Read(ref _stored);

    public string? Repaired => null; // a transaction that a crash cut off leaves nothing

    public async ValueTask<long> AppendAsync(ReadOnlyMemory<byte> record)
    {
        if (record.Length > MaximumRecord) throw new ArgumentException($"A record has at most {MaximumRecord} bytes in a LiteDB file.", nameof(record));
        long number;
        Task written;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            number = _next++;
            written = store.EnqueueAsync(database =>
                database.GetCollection(records).Insert(new BsonDocument { ["_id"] = number, ["bytes"] = record.ToArray() }));
        }

        await written.ConfigureAwait(false);
        lock (_gate)
        {
            _stored = Math.Max(_stored, number + 1);
        }

        return number;
    }

    public async IAsyncEnumerable<StableRecord> ReadAsync(long from, [EnumeratorCancellation] CancellationToken ct = default)
    {
        long end = Next;
        for (long at = Math.Max(from, First); at < end;)
        {
            ct.ThrowIfCancellationRequested();
            long begin = at;
            BsonDocument[] page = await Task.Run(
                () => store.Guard(() => store.Database.GetCollection(records).Find(Query.Between("_id", begin, end - 1), limit: Page).OrderBy(d => d["_id"].AsInt64).ToArray()), ct).ConfigureAwait(false);
            if (page.Length == 0 || page[0]["_id"].AsInt64 != at) throw new StableStoreException($"Record {at} of the log '{name}' is missing. Restore the file.");
            foreach (BsonDocument record in page) yield return new StableRecord(at++, record["bytes"].AsBinary);
        }
    }

    public async ValueTask DiscardBeforeAsync(long number, CancellationToken ct = default)
    {
        ct.ThrowIfCancellationRequested();
        long first = Math.Clamp(number, First, Next);
        if (first == First) return;
        await store.EnqueueAsync(database =>
        {
            LiteDbStableStore.WriteFirst(database, name, first);
            database.GetCollection(records).DeleteMany("_id < @0", first);
        }).ConfigureAwait(false);
        Volatile.Write(ref _first, first);
    }

    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (_isClosed) return;
            _isClosed = true;
        }

        await store.EnqueueAsync(static _ => { }).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // behind what is being written
        store.CloseLog(name);
    }
}
