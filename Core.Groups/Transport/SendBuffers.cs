// The buffers in which the connections of a transport gather what leaves.
// Keeps: they are used again while there is traffic, and let go of when it ebbs: signs of life alone see to that.
using Core.Groups.Wire;

namespace Core.Groups.Transport;

/// <summary>Thread-safe.</summary>
internal sealed class SendBuffers
{
    private static readonly TimeSpan TrimEvery = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private readonly BufferPool _pool = new();
    private long _trimAt;

    /// <summary>How many bytes are kept for use.</summary>
    public long Kept
    {
        get
        {
            lock (_gate)
            {
                return _pool.Kept;
            }
        }
    }

    /// <summary>A buffer of at least this size, in bytes.</summary>
    public byte[] Rent(int size)
    {
        lock (_gate)
        {
            return _pool.Rent(size);
        }
    }

    /// <summary>Gives a buffer back.</summary>
    public void Return(byte[] buffer)
    {
        lock (_gate)
        {
            _pool.Return(buffer);
            if (Environment.TickCount64 is var now && now >= _trimAt)
            {
                _pool.Trim();
                _trimAt = now + (long)TrimEvery.TotalMilliseconds;
            }
        }
    }
}
