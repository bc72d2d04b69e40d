// A disk in memory that keeps what was synced, loses or tears what was not, gets full and fails.
using Core.Groups.Storage;

namespace Core.Groups.Tests.Storage;

/// <summary>Files whose unsynced part a crash damages at random.</summary>
internal sealed class BadDisk : IStoreFiles
{
    private sealed class Content
    {
        public byte[] Bytes = [];
        public byte[] Synced = [];
    }

    private readonly SortedDictionary<string, Content> _files = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource _standsStill = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SortedDictionary<string, Content> _syncedNames = new(StringComparer.Ordinal);

    /// <summary>The number of the operation (from 1) that fails, and all after it; 0: none.</summary>
    public int FailsAt { get; set; }

    /// <summary>What it fails with.</summary>
    public Func<Exception> Failure { get; set; } = static () => new IOException("No space left on device");

    public int Operations { get; private set; }

    /// <summary>While it is not set, an operation takes its time.</summary>
    public ManualResetEventSlim GoesOn { get; } = new(initialState: true);

    /// <summary>Completes when an operation has come upon it.</summary>
    public Task StandsStill => _standsStill.Task;
    public string Path => "(memory)";

    public byte[] this[string path]
    {
        get => _files[path].Bytes;
        set => _files[path].Bytes = _files[path].Synced = value;
    }

    public IEnumerable<string> Paths => _files.Keys;

    /// <summary>What the next process finds: synced names with synced content; what was not synced in any mixture of old and new.</summary>
    public BadDisk Crash(Random random)
    {
        var after = new BadDisk();
        SortedDictionary<string, Content> names = random.Next(2) == 0 ? _files : _syncedNames;
        foreach ((string path, Content content) in names)
        {
            byte[] bytes = [.. content.Synced];
            if (!content.Bytes.SequenceEqual(content.Synced) && random.Next(3) > 0) bytes = Tear(content, random);
            after._files[path] = after._syncedNames[path] = new Content { Bytes = bytes, Synced = bytes };
        }
        return after;
    }

    public bool Exists(string path) => _files.ContainsKey(path);

    public byte[] Read(string path) => [.. _files[path].Bytes];

    public string[] List(string folder)
    {
        string prefix = folder.Length == 0 ? "" : folder + "/";
        return [.. _files.Keys.Where(p => p.StartsWith(prefix, StringComparison.Ordinal) && !p[prefix.Length..].Contains('/')).Select(p => p[prefix.Length..])];
    }

    public void MakeFolder(string path) => Step();

    public IStoreFile Open(string path)
    {
        Step();
        if (!_files.TryGetValue(path, out Content? content)) _files.Add(path, content = new Content());
        return new OpenFile(this, content);
    }

    public void Delete(string path)
    {
        Step();
        _files.Remove(path);
    }

    public void DeleteFolder(string path)
    {
        Step();
        foreach (string file in List(path)) _files.Remove($"{path}/{file}");
    }

    public void Replace(string from, string to)
    {
        Step();
        _files[to] = _files[from];
        _files.Remove(from);
    }

    public void SyncFolder(string path)
    {
        Step();
        _syncedNames = new(_files, StringComparer.Ordinal);
    }

    public void Dispose() { }

    private void Step()
    {
        if (!GoesOn.IsSet) _standsStill.TrySetResult();
        GoesOn.Wait();
        if (++Operations >= FailsAt && FailsAt > 0) throw Failure();
    }

    /// <summary>Each sector of eight bytes is old or new, and the length is anything in between.</summary>
    private static byte[] Tear(Content content, Random random)
    {
        int shortest = Math.Min(content.Bytes.Length, content.Synced.Length), longest = Math.Max(content.Bytes.Length, content.Synced.Length);
        byte[] torn = new byte[random.Next(shortest, longest + 1)];
        for (int at = 0; at < torn.Length; at += 8)
        {
            byte[] source = random.Next(2) == 0 ? content.Bytes : content.Synced;
            for (int i = at; i < Math.Min(at + 8, torn.Length); i++) torn[i] = i < source.Length ? source[i] : (byte)0;
        }
        return torn;
    }

    private sealed class OpenFile(BadDisk disk, Content content) : IStoreFile
    {
        public long Length => content.Bytes.Length;

        public void Write(ReadOnlySpan<byte> bytes, long at)
        {
            byte[] now = content.Bytes;
            Array.Resize(ref now, (int)Math.Max(now.Length, at + bytes.Length));
            int written = disk.FailsAt == disk.Operations + 1 ? bytes.Length / 2 : bytes.Length; // a full disk takes a part
            content.Bytes = [.. now];
            bytes[..written].CopyTo(content.Bytes.AsSpan((int)at));
            disk.Step();
        }

        public void SetLength(long length)
        {
            disk.Step();
            byte[] now = [.. content.Bytes];
            Array.Resize(ref now, (int)length);
            content.Bytes = now;
        }

        public void Sync()
        {
            disk.Step();
            content.Synced = content.Bytes;
        }

        public void Dispose() { }
    }
}
