// The stable store in the files of one directory. README.md beside this file describes the files.
// Keeps: a value is replaced by a rename of a synced file; the store fails once and for all.
using System.Buffers.Binary;
using System.Security.Cryptography;
using Core.Groups.Storage;

namespace Core.Groups;

/// <summary>A stable store in a directory: crash-safe, checksummed, used by one process at a time.</summary>
public sealed class FileStableStore : IStableStore
{
    private const string IdName = "store", ValueSuffix = ".value", NewSuffix = ".new", LogSuffix = ".log";
    private readonly IStoreFiles _files;
    private readonly StoreHealth _health;
    private readonly SemaphoreSlim _one = new(1);
    private readonly Dictionary<string, FileStableLog> _openLogs = [];
    private readonly long _segmentSize;

    internal FileStableStore(IStoreFiles files, long segmentSize = 16 << 20)
    {
        _files = files;
        _segmentSize = segmentSize;
        _health = new StoreHealth(files.Path);
        foreach (string left in files.List("").Where(f => f.EndsWith(NewSuffix, StringComparison.Ordinal))) files.Delete(left);
        Id = ReadId() ?? MakeId();
    }

    /// <inheritdoc/>
    public ulong Id { get; }

    /// <summary>Opens the store in a directory, and makes both if they are not there.</summary>
    /// <exception cref="StableStoreException">The directory is in use, cannot be used, or is damaged; the message says which.</exception>
    public static ValueTask<FileStableStore> OpenAsync(string directory, CancellationToken ct = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        return new ValueTask<FileStableStore>(Task.Run(() =>
        {
            DirectoryFiles? files = null;
            try
            {
                files = new DirectoryFiles(directory);
                return new FileStableStore(files);
            }
            catch (Exception e)
            {
                files?.Dispose();
                if (e is not StableStoreException) throw new StableStoreException($"The store {directory} cannot be used: {e.Message} See to the disk and the rights of the directory.", e);
                throw;
            }
        }, ct));
    }

    /// <inheritdoc/>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadAsync(string name, CancellationToken ct = default)
    {
        string path = StoreFormat.FileNameOf(name) + ValueSuffix;
        return await RunAsync<ReadOnlyMemory<byte>?>(
            () =>
            {
                if (!_files.Exists(path)) return null;
                return StoreFormat.DecodeValue(name, _files.Read(path)) ?? throw _health.Damaged($"the value {path} is not what was written");
            }, ct).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask WriteAsync(string name, ReadOnlyMemory<byte> value, CancellationToken ct = default)
    {
        string path = StoreFormat.FileNameOf(name) + ValueSuffix;
        await RunAsync(() => Write(name, path, value.Span), ct).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask DeleteAsync(string name, CancellationToken ct = default)
    {
        string path = StoreFormat.FileNameOf(name) + ValueSuffix;
        await RunAsync(
            () =>
            {
                if (!_files.Exists(path)) return false;
                _files.Delete(path);
                _files.SyncFolder("");
                return true;
            }, ct).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<IStableLog> OpenLogAsync(string name, CancellationToken ct = default)
    {
        string folder = StoreFormat.FileNameOf(name) + LogSuffix;
        return await RunAsync(
            () =>
            {
                if (_openLogs.ContainsKey(folder)) throw new StableStoreException($"The log '{name}' of {_files.Path} is open already. Share it.");
                if (_files.List(folder).Length == 0)
                {
                    _files.MakeFolder(folder);
                    _files.SyncFolder("");
                }
                var log = new FileStableLog(_files, _health, folder, Id, _segmentSize, () => CloseLog(folder));
                _openLogs.Add(folder, log);
                return log;
            }, ct).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask DeleteLogAsync(string name, CancellationToken ct = default)
    {
        string folder = StoreFormat.FileNameOf(name) + LogSuffix;
        await RunAsync(
            () =>
            {
                if (_openLogs.ContainsKey(folder)) throw new StableStoreException($"The log '{name}' of {_files.Path} is open. Dispose it first.");
                if (_files.List(folder).Length == 0) return false;
                _files.DeleteFolder(folder);
                _files.SyncFolder("");
                return true;
            }, ct).ConfigureAwait(false);
    }

    /// <summary>
    /// Waits for writes under way, those of its logs, too, and lets the directory go: whoever opens it next finds nobody writing there. What has not
    /// begun by then fails. Dispose the logs first.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        await _one.WaitAsync().ConfigureAwait(false);
        _health.Close();
        foreach (FileStableLog log in _openLogs.Values) await log.ReleaseAsync().ConfigureAwait(false);
        _files.Dispose();
        _one.Release();
    }

    private void CloseLog(string folder)
    {
        _one.Wait();
        _openLogs.Remove(folder);
        _one.Release();
    }

    private bool Write(string name, string path, ReadOnlySpan<byte> value)
    {
        using (IStoreFile file = _files.Open(path + NewSuffix))
        {
            byte[] content = StoreFormat.EncodeValue(name, value);
            file.SetLength(0);
            file.Write(content, 0);
            file.Sync();
        }
        _files.Replace(path + NewSuffix, path);
        _files.SyncFolder("");
        return true;
    }

    private ulong? ReadId()
    {
        if (!_files.Exists(IdName + ValueSuffix)) return null;
        return StoreFormat.DecodeValue(IdName, _files.Read(IdName + ValueSuffix)) is { Length: 8 } id
            ? BinaryPrimitives.ReadUInt64LittleEndian(id.Span) : throw _health.Damaged("its id cannot be read");
    }

    private ulong MakeId()
    {
        if (_files.List("").Any(f => f.EndsWith(ValueSuffix, StringComparison.Ordinal))) throw _health.Damaged("its id is missing");
        byte[] id = RandomNumberGenerator.GetBytes(8);
        id[0] |= 1; // never 0
        Write(IdName, IdName + ValueSuffix, id);
        return BinaryPrimitives.ReadUInt64LittleEndian(id);
    }

    /// <summary>One after the other, on the thread pool: a disk may take its time.</summary>
    private async Task<T> RunAsync<T>(Func<T> act, CancellationToken ct)
    {
        await _one.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            return await Task.Run(() => _health.Run(act), CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            _one.Release();
        }
    }
}
