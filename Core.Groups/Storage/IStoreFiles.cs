// The few operations of a file system that a store rests on, so that tests can put a bad disk in its place.
namespace Core.Groups.Storage;

/// <summary>The files under one directory; paths are relative to it. Errors are those of the operating system.</summary>
internal interface IStoreFiles : IDisposable
{
    /// <summary>The path of the directory, for messages.</summary>
    string Path { get; }
    bool Exists(string path);
    byte[] Read(string path);
    /// <summary>The names of the files in a folder, sorted; none if it is not there.</summary>
    string[] List(string folder);
    void MakeFolder(string path);
    IStoreFile Open(string path);
    void Delete(string path);
    void DeleteFolder(string path);
    /// <summary>Gives a file a new name, in place of what was there.</summary>
    void Replace(string from, string to);
    /// <summary>Brings the names in a folder ("" is the directory itself) to the disk.</summary>
    void SyncFolder(string path);
}

/// <summary>A file open for writing.</summary>
internal interface IStoreFile : IDisposable
{
    long Length { get; }
    void Write(ReadOnlySpan<byte> bytes, long at);
    void SetLength(long length);
    /// <summary>Brings the content to the disk.</summary>
    void Sync();
}
