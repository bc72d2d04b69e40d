// A stable store in one LiteDB file: values in chunks, records as documents, everything by transactions.
// Keeps: a call that has completed is in the data file itself (LiteDB's commit alone leaves it in a log file that is not synced: each
// group of writes ends with a checkpoint); the store fails once and for all; one process has it (LiteDB lets a second one in on Unix).
using System.Security.Cryptography;
using Core.Groups;
using LiteDB;

namespace Toolkit.Recovery.LiteDb;

/// <summary>A stable store in a LiteDB file, used by one process at a time. See <see cref="IStableStore"/>.</summary>
public sealed class LiteDbStableStore : IStableStore
{
    private const string ValueChunks = "values", LogNames = "logs", StoreId = "store";
    private const int ChunkSize = 1 << 20; // a document has at most 16 MB

    private readonly Lock _gate = new();
    private readonly LiteDatabase _database;
    private readonly FileStream _lock; // the operating system's, so it goes with the process, however that ends
    private readonly string _path;
    private readonly HashSet<string> _openLogs = [];
    private List<(Action<LiteDatabase> Write, TaskCompletionSource Done)> _queue = [];
    private Task _writing = Task.CompletedTask;
    private bool _isWriting, _isClosed;
    private Exception? _failure;

    private LiteDbStableStore(LiteDatabase database, FileStream fileLock, string path)
    {
        (_database, _lock, _path) = (database, fileLock, path);
        _database.GetCollection(ValueChunks).EnsureIndex("name");
        Id = ReadValue(StoreId) is { Length: sizeof(ulong) } id ? BitConverter.ToUInt64(id) : MakeId();
    }

    /// <inheritdoc/>
    public ulong Id { get; }

    /// <summary>Opens the store in a file, and makes it if it is not there.</summary>
    /// <exception cref="StableStoreException">The file is in use, cannot be used, or is damaged.</exception>
    public static ValueTask<LiteDbStableStore> OpenAsync(string file, CancellationToken ct = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(file);
        return new ValueTask<LiteDbStableStore>(Task.Run(() =>
        {
            FileStream? fileLock = null;
            LiteDatabase? database = null;
            try
            {
                fileLock = new FileStream(file + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
                // Names are told apart as they are, whatever the culture of the process: the usual collation of a new file ignores case.
                database = new LiteDatabase(new ConnectionString { Filename = file, Connection = ConnectionType.Direct, Collation = Collation.Binary });
                return new LiteDbStableStore(database, fileLock, file);
            }
            catch (Exception e) when (e is LiteException or IOException or UnauthorizedAccessException)
            {
                database?.Dispose();
                fileLock?.Dispose();
                throw new StableStoreException($"The store {file} cannot be used; it may be in use by another process: {e.Message}", e);
            }
        }, ct));
    }

    /// <inheritdoc/>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadAsync(string name, CancellationToken ct = default)
    {
        CheckName(name);
        return await Task.Run(() => Guard(() => ReadValue(name) is { } value ? (ReadOnlyMemory<byte>?)value : null), ct).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask WriteAsync(string name, ReadOnlyMemory<byte> value, CancellationToken ct = default)
    {
        CheckName(name);
        ct.ThrowIfCancellationRequested();
        await EnqueueAsync(database => WriteValue(database, name, value)).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask DeleteAsync(string name, CancellationToken ct = default)
    {
        CheckName(name);
        ct.ThrowIfCancellationRequested();
        await EnqueueAsync(database => database.GetCollection(ValueChunks).DeleteMany("name = @0", name)).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<IStableLog> OpenLogAsync(string name, CancellationToken ct = default)
    {
        CheckName(name);
        lock (_gate)
        {
            if (!_openLogs.Add(name)) throw new StableStoreException($"The log '{name}' of {_path} is open already. Share it.");
        }

        try
        {
            return await Task.Run(() => Guard(() =>
            {
                string records = RecordsOf(name);
                ILiteCollection<BsonDocument> collection = _database.GetCollection(records);
                long first = (long?)_database.GetCollection(LogNames).FindById(name)?["first"].AsInt64 ?? 1;
                long next = collection.Count() == 0 ? first : collection.Max("_id").AsInt64 + 1;
                return (IStableLog)new LiteDbLog(this, name, records, first, Math.Max(first, next));
            }), ct).ConfigureAwait(false);
        }
        catch
        {
            CloseLog(name);
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DeleteLogAsync(string name, CancellationToken ct = default)
    {
        CheckName(name);
        ct.ThrowIfCancellationRequested();
        lock (_gate)
        {
            if (_openLogs.Contains(name)) throw new StableStoreException($"The log '{name}' of {_path} is open. Dispose it first.");
        }

        await EnqueueAsync(database =>
        {
            database.GetCollection(RecordsOf(name)).DeleteAll(); // a collection cannot be dropped inside a transaction
            database.GetCollection(LogNames).Delete(name);
        }).ConfigureAwait(false);
    }

    /// <summary>Waits for writes under way, and lets the file go. Dispose the logs first.</summary>
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
        _database.Dispose();
        _lock.Dispose();
    }

    /// <summary>Writes in order, what meets in one transaction with one checkpoint (group commit). Completes when it is on the disk.</summary>
    internal Task EnqueueAsync(Action<LiteDatabase> write)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            _queue.Add((write, done));
            if (!_isWriting)
            {
                _isWriting = true;
                _writing = Task.Run(WriteAll);
            }
        }

        return done.Task;
    }

    internal T Guard<T>(Func<T> read)
    {
        try
        {
            return _failure is { } failure ? throw Failed(failure) : read();
        }
        catch (Exception e) when (e is LiteException or IOException)
        {
            throw Failed(e);
        }
    }

    internal LiteDatabase Database => _database;

    internal void CloseLog(string name)
    {
        lock (_gate)
        {
            _openLogs.Remove(name);
        }
    }

    /// <summary>Remembers where a log begins, when its oldest records are gone.</summary>
    internal static void WriteFirst(LiteDatabase database, string log, long first) =>
        database.GetCollection(LogNames).Upsert(new BsonDocument { ["_id"] = log, ["first"] = first });

    private void WriteAll()
    {
        while (true)
        {
            List<(Action<LiteDatabase> Write, TaskCompletionSource Done)> batch;
            lock (_gate)
            {
                if (_queue.Count == 0)
                {
                    _isWriting = false;
                    return;
                }

                (batch, _queue) = (_queue, []);
            }

            try
            {
                if (_failure is { } failure) throw Failed(failure);
                _database.BeginTrans();
                foreach ((Action<LiteDatabase> write, _) in batch) write(_database);
                _database.Commit();
                _database.Checkpoint(); // into the data file, synced
                foreach ((_, TaskCompletionSource done) in batch) done.TrySetResult();
            }
            catch (Exception e)
            {
                // Nobody can know what of it is on the disk: nothing more is taken.
                _failure ??= e;
                foreach ((_, TaskCompletionSource done) in batch) done.TrySetException(Failed(_failure));
            }
        }
    }

    private byte[]? ReadValue(string name)
    {
        BsonDocument[] chunks = [.. _database.GetCollection(ValueChunks).Find(Query.EQ("name", name)).OrderBy(c => c["number"].AsInt32)];
        if (chunks.Length == 0) return null;
        if (chunks.Length != chunks[0]["chunks"].AsInt32) throw new StableStoreException($"The value '{name}' of {_path} is not whole. Restore the file.");
        return [.. chunks.SelectMany(c => c["bytes"].AsBinary)];
    }

    private static void WriteValue(LiteDatabase database, string name, ReadOnlyMemory<byte> value)
    {
        ILiteCollection<BsonDocument> collection = database.GetCollection(ValueChunks);
        collection.DeleteMany("name = @0", name);
        int chunks = Math.Max(1, (value.Length + ChunkSize - 1) / ChunkSize);
        for (int i = 0; i < chunks; i++)
        {
            byte[] bytes = value.Slice(i * ChunkSize, Math.Min(ChunkSize, value.Length - (i * ChunkSize))).ToArray();
            collection.Insert(new BsonDocument { ["name"] = name, ["number"] = i, ["chunks"] = chunks, ["bytes"] = bytes });
        }
    }

    private ulong MakeId()
    {
        byte[] id = RandomNumberGenerator.GetBytes(sizeof(ulong));
        id[0] |= 1; // never 0
        _database.BeginTrans();
        WriteValue(_database, StoreId, id);
        _database.Commit();
        _database.Checkpoint();
        return BitConverter.ToUInt64(id);
    }

    private StableStoreException Failed(Exception error) =>
        error as StableStoreException ?? new StableStoreException($"The store {_path} has failed: {error.Message} See to the disk, and open it in a new process.", error);

    private static string RecordsOf(string log) => "log_" + Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(log)).AsSpan(0, 12));

    private static void CheckName(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (name.Length > 100) throw new ArgumentException("A name in a store has at most 100 characters.", nameof(name));
        if (name == StoreId) throw new ArgumentException($"The name '{StoreId}' is the store's own.", nameof(name));
    }
}
