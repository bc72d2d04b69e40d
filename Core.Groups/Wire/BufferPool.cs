// Buffers that are used again: as many as were needed at once lately, and none when all is quiet. (The runtime's shared pool keeps those of
// a burst for as long as nothing happens.)
// Not thread-safe.
using System.Numerics;

namespace Core.Groups.Wire;

internal sealed class BufferPool
{
    /// <summary>The sizes are powers of two between these; what is larger is not kept.</summary>
    private const int Smallest = 64, Largest = 4 << 20;

    private readonly Stack<byte[]>[] _free = new Stack<byte[]>[BitOperations.Log2(Largest) - BitOperations.Log2(Smallest) + 1];
    /// <summary>Of each size, how many were never in use since the last <see cref="Trim"/>.</summary>
    private readonly int[] _spare;

    public BufferPool()
    {
        _spare = new int[_free.Length];
        for (int i = 0; i < _free.Length; i++) _free[i] = new Stack<byte[]>();
    }

    /// <summary>How many bytes are kept for use.</summary>
    public long Kept => _free.Sum(static free => (long)free.Sum(static b => b.Length));

    /// <summary>A buffer of at least this size, in bytes, with anything in it.</summary>
    public byte[] Rent(int size)
    {
        int length = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(size, Smallest));
        if (length > Largest) return GC.AllocateUninitializedArray<byte>(size);
        int at = IndexOf(length);
        if (!_free[at].TryPop(out byte[]? buffer)) return GC.AllocateUninitializedArray<byte>(length);
        _spare[at] = Math.Min(_spare[at], _free[at].Count);
        return buffer;
    }

    public void Return(byte[] buffer)
    {
        if (buffer.Length is >= Smallest and <= Largest && BitOperations.IsPow2(buffer.Length)) _free[IndexOf(buffer.Length)].Push(buffer);
    }

    /// <summary>Lets go of what was not needed since the last time: to be called now and then, also when all is quiet.</summary>
    public void Trim()
    {
        for (int at = 0; at < _free.Length; at++)
        {
            Stack<byte[]> free = _free[at];
            bool isAny = _spare[at] > 0;
            for (int left = _spare[at]; left > 0; left--) free.Pop();
            if (isAny && free.Count == 0) free.TrimExcess();
            _spare[at] = free.Count;
        }
    }

    private static int IndexOf(int length) => BitOperations.Log2((uint)length) - BitOperations.Log2(Smallest);
}
