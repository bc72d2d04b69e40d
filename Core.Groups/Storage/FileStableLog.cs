// A log in segments of about one size. Appends that meet are written together, with one fsync (group commit).
// Keeps: a record is acknowledged when it and all before it are on the disk; nothing damaged is ever handed out.
// LogScan decides, when the log is opened, what is a cut-off append (removed, reported) and what is damage (refused).
using System.Runtime.CompilerServices;

namespace Core.Groups.Storage;

internal sealed class FileStableLog : IStableLog
{
    private const string Suffix = ".segment";
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _files = new(1);
    private readonly IStoreFiles _store;
    private readonly StoreHealth _health;
    private readonly string _folder;
    private readonly ulong _id;
    private readonly long _segmentSize;
    private readonly Action _onClosed;
    private readonly List<long> _segments = [];
    private List<(ReadOnlyMemory<byte> Record, TaskCompletionSource<long> Done)> _queue = [];
    private IStoreFile? _last;
    private Task _writing = Task.CompletedTask;
    private long _length;
    private long _next = 1;
    private bool _isWriting, _isClosed;

    /// <summary>Opens and checks. Runs on a thread that may wait for the disk.</summary>
    public FileStableLog(IStoreFiles store, StoreHealth health, string folder, ulong id, long segmentSize, Action onClosed)
    {
        (_store, _health, _folder, _id, _segmentSize, _onClosed) = (store, health, folder, id, segmentSize, onClosed);
        foreach (string file in store.List(folder)) _segments.Add(ParseFirst(file));
        while (_segments.Count > 0 && !Load(_segments.Count - 1)) { }
        if (_segments.Count == 0) BeginSegment();
        First = _segments[0];
        for (int i = 0; i + 1 < _segments.Count; i++) Scan(i, _segments[i + 1]);
    }

    public long First { get; private set; }

    public long Next => Volatile.Read(ref _next);

    public string? Repaired { get; private set; }

    public ValueTask<long> AppendAsync(ReadOnlyMemory<byte> record)
    {
        if (record.Length > StoreFormat.MaximumRecord) throw new ArgumentException($"A record has at most {StoreFormat.MaximumRecord} bytes.", nameof(record));
        var done = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            _queue.Add((record, done));
            if (!_isWriting)
            {
                _isWriting = true;
                _writing = Task.Run(WriteAll);
            }
        }
        return new ValueTask<long>(done.Task);
    }

    public async IAsyncEnumerable<StableRecord> ReadAsync(long from, [EnumeratorCancellation] CancellationToken ct = default)
    {
        long end = Next;
        for (long number = Math.Max(from, First); number < end;)
        {
            ct.ThrowIfCancellationRequested();
            List<StableRecord> records = await ReadSegmentAsync(number, end, ct).ConfigureAwait(false);
            foreach (StableRecord record in records) yield return record;
            number = records[^1].Number + 1;
        }
    }

    public async ValueTask DiscardBeforeAsync(long number, CancellationToken ct = default)
    {
        await _files.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            await Task.Run(() => _health.Run(() => Discard(number)), CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            _files.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        Task writing;
        lock (_gate)
        {
            if (_isClosed) return;
            _isClosed = true;
            writing = _writing;
        }
        await writing.ConfigureAwait(false);
        _last?.Dispose();
        _onClosed();
    }

    /// <summary>The store is closed: waits for what is being written, and lets the file go.</summary>
    public async Task ReleaseAsync()
    {
        await _files.WaitAsync().ConfigureAwait(false);
        _last?.Dispose();
        _files.Release();
    }

    // ---- writing

    private void WriteAll()
    {
        while (true)
        {
            List<(ReadOnlyMemory<byte> Record, TaskCompletionSource<long> Done)> batch;
            lock (_gate)
            {
                if (_queue.Count == 0)
                {
                    _isWriting = false;
                    return;
                }
                (batch, _queue) = (_queue, []);
            }
            _files.Wait();
            try
            {
                long first = _health.Run(() => Write(batch));
                for (int i = 0; i < batch.Count; i++) batch[i].Done.TrySetResult(first + i);
            }
            catch (Exception e)
            {
                foreach (var (_, done) in batch) done.TrySetException(e);
            }
            finally
            {
                _files.Release();
            }
        }
    }

    private long Write(List<(ReadOnlyMemory<byte> Record, TaskCompletionSource<long> Done)> batch)
    {
        if (_length >= _segmentSize) BeginSegment();
        long first = _next;
        byte[] bytes = new byte[batch.Sum(b => (long)StoreFormat.RecordHeader + b.Record.Length)];
        int at = 0;
        for (int i = 0; i < batch.Count; i++)
        {
            StoreFormat.WriteRecord(bytes.AsSpan(at), first + i, first, batch[i].Record.Span);
            at += StoreFormat.RecordHeader + batch[i].Record.Length;
        }
        _last!.Write(bytes, _length);
        _last.Sync();
        _length += bytes.Length;
        Volatile.Write(ref _next, first + batch.Count);
        return first;
    }

    private void BeginSegment()
    {
        _last?.Dispose();
        _last = _store.Open(PathOf(_next));
        _last.SetLength(0);
        _last.Write(StoreFormat.EncodeSegment(_id, _next), 0);
        _last.Sync();
        _store.SyncFolder(_folder);
        _length = StoreFormat.SegmentHeader;
        _segments.Add(_next);
    }

    // ---- reading

    /// <summary>Opens the last segment for appends. False: it had not begun when a crash came, and was removed.</summary>
    private bool Load(int index)
    {
        long first = _segments[index];
        byte[] content = _store.Read(PathOf(first));
        if (!StoreFormat.IsSegment(content, _id, first))
        {
            // Its header is synced before anything else is written to it.
            if (content.Length > StoreFormat.SegmentHeader) throw _health.Damaged($"{PathOf(first)} does not begin as a segment of this log");
            _store.Delete(PathOf(first));
            _segments.RemoveAt(index);
            Repaired = $"The last segment of {_folder} was cut off as it began; it was removed.";
            _next = first;
            return false;
        }
        LogScan scan = LogScan.Of(content, first);
        if (scan.Damage is { } damage) throw _health.Damaged($"{PathOf(first)}: {damage}");
        _last = _store.Open(PathOf(first));
        if (scan.End < content.Length)
        {
            _last.SetLength(scan.End);
            _last.Sync();
            Repaired = $"{content.Length - scan.End} bytes after record {scan.Next - 1} of {_folder} are no whole record: an append was cut off before it was acknowledged. They were removed.";
        }
        (_length, _next) = (scan.End, scan.Next);
        return true;
    }

    /// <summary>A segment that others follow is whole.</summary>
    private byte[] Scan(int index, long next)
    {
        byte[] content = _store.Read(PathOf(_segments[index]));
        bool isWhole = StoreFormat.IsSegment(content, _id, _segments[index]) && LogScan.Of(content, _segments[index]) is var scan
            && scan.Damage is null && scan.End == content.Length && scan.Next == next;
        return isWhole ? content : throw _health.Damaged($"{PathOf(_segments[index])} is not whole, and others follow it");
    }

    private async Task<List<StableRecord>> ReadSegmentAsync(long from, long end, CancellationToken ct)
    {
        await _files.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            return await Task.Run(() => _health.Run(() => ReadSegment(from, end)), CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            _files.Release();
        }
    }

    private List<StableRecord> ReadSegment(long from, long end)
    {
        from = Math.Max(from, First); // it may have been discarded meanwhile
        int index = _segments.FindLastIndex(s => s <= from);
        byte[] content = _store.Read(PathOf(_segments[index]));
        var records = new List<StableRecord>();
        int at = StoreFormat.SegmentHeader;
        for (long number = _segments[index]; number < end && at < content.Length; number++)
        {
            if (!StoreFormat.TryReadRecord(content.AsSpan(at), out long found, out _, out int length) || found != number) break;
            if (number >= from) records.Add(new StableRecord(number, content.AsMemory(at + StoreFormat.RecordHeader, length)));
            at += StoreFormat.RecordHeader + length;
        }
        return records.Count > 0 ? records : throw _health.Damaged($"record {from} of {_folder} cannot be read");
    }

    private bool Discard(long number)
    {
        bool any = false;
        while (_segments.Count > 1 && _segments[1] <= number)
        {
            _store.Delete(PathOf(_segments[0]));
            _segments.RemoveAt(0);
            any = true;
        }
        First = _segments[0];
        if (any) _store.SyncFolder(_folder);
        return any;
    }

    private string PathOf(long first) => $"{_folder}/{first:D19}{Suffix}";

    private long ParseFirst(string file) =>
        file.EndsWith(Suffix, StringComparison.Ordinal) && long.TryParse(file.AsSpan(0, file.Length - Suffix.Length), out long first) && first > 0
            ? first : throw _health.Damaged($"{_folder}/{file} does not belong there");
}
