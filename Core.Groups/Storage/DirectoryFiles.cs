// The operating system's files under one directory, and the lock that keeps a second process out.
// Keeps: the lock is the operating system's (flock), so it goes with the process, however that ends.
using System.Runtime.InteropServices;
using System.Text;

namespace Core.Groups.Storage;

internal sealed class DirectoryFiles : IStoreFiles
{
    private const string LockName = "lock";
    private readonly FileStream _lock;

    /// <exception cref="StableStoreException">The directory is in use.</exception>
    public DirectoryFiles(string path)
    {
        Path = System.IO.Path.GetFullPath(path);
        Directory.CreateDirectory(Path);
        try
        {
            _lock = new FileStream(Full(LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (e is not (DirectoryNotFoundException or PathTooLongException))
        {
            throw new StableStoreException($"The store {Path} is in use by another process (or cannot be locked: {e.Message}). Stop that process, or give this node a directory of its own.", e);
        }
    }

    public string Path { get; }

    public bool Exists(string path) => File.Exists(Full(path));

    public byte[] Read(string path) => File.ReadAllBytes(Full(path));

    public string[] List(string folder) => !Directory.Exists(Full(folder)) ? []
        : [.. Directory.GetFiles(Full(folder)).Select(f => System.IO.Path.GetFileName(f)).Order(StringComparer.Ordinal)];

    public void MakeFolder(string path) => Directory.CreateDirectory(Full(path));

    public IStoreFile Open(string path) => new DirectoryFile(Full(path));

    public void Delete(string path) => File.Delete(Full(path));

    public void DeleteFolder(string path) => Directory.Delete(Full(path), recursive: true);

    public void Replace(string from, string to) => File.Move(Full(from), Full(to), overwrite: true);

    public void SyncFolder(string path)
    {
        // Windows keeps names with the file system's own journal and cannot sync a folder.
        if (!OperatingSystem.IsWindows()) Unix.SyncFolder(Full(path));
    }

    public void Dispose() => _lock.Dispose();

    private string Full(string path) => System.IO.Path.Combine(Path, path);

    private sealed class DirectoryFile(string path) : IStoreFile
    {
        private readonly FileStream _stream = new(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);

        public long Length => _stream.Length;

        public void Write(ReadOnlySpan<byte> bytes, long at) => RandomAccess.Write(_stream.SafeFileHandle, bytes, at);

        public void SetLength(long length) => _stream.SetLength(length);

        public void Sync() => RandomAccess.FlushToDisk(_stream.SafeFileHandle);

        public void Dispose() => _stream.Dispose();
    }

    /// <summary>.NET opens no folders, and a new name is not on the disk before its folder is.</summary>
    private static class Unix
    {
        public static void SyncFolder(string path)
        {
            int folder = Open(Encoding.UTF8.GetBytes(path + '\0'), 0);
            if (folder < 0) throw Error("open", path);
            bool isSynced = Sync(folder) == 0;
            IOException? error = isSynced ? null : Error("fsync", path);
            _ = Close(folder);
            if (error is not null) throw error;
        }

        private static IOException Error(string what, string path) => new($"{what} of the folder {path}: {Marshal.GetLastPInvokeErrorMessage()}");

        [DllImport("libc", EntryPoint = "open", SetLastError = true), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        private static extern int Open(byte[] path, int flags);

        [DllImport("libc", EntryPoint = "fsync", SetLastError = true), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        private static extern int Sync(int file);

        [DllImport("libc", EntryPoint = "close", SetLastError = true), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        private static extern int Close(int file);
    }
}
