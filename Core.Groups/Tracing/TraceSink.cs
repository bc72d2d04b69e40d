// Where a trace goes: bytes at a place, so that a write that failed half-way is simply done again at the same place.
using Microsoft.Win32.SafeHandles;

namespace Core.Groups.Tracing;

/// <summary>The outside of a <see cref="TraceFile"/>. Both calls may throw <see cref="IOException"/> and the like.</summary>
internal interface ITraceSink : IDisposable
{
    /// <summary>Hands the bytes to the operating system, to stand at an offset.</summary>
    void Write(ReadOnlySpan<byte> bytes, long offset);

    /// <summary>Cuts off what stands behind a length.</summary>
    void Truncate(long length);
}

/// <summary>A new file. An existing one is another run's evidence and is never overwritten.</summary>
internal sealed class FileTraceSink(string path) : ITraceSink
{
    private readonly SafeFileHandle handle = File.OpenHandle(path, FileMode.CreateNew, FileAccess.Write, FileShare.Read);

    public void Write(ReadOnlySpan<byte> bytes, long offset) => RandomAccess.Write(handle, bytes, offset);

    public void Truncate(long length) => RandomAccess.SetLength(handle, length);

    public void Dispose() => handle.Dispose();
}
