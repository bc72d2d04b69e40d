// Values that come again and again from all sides, byte for byte the same: what n nodes say of n nodes is read once, not n times.
// Keeps: what is given for some bytes is what reading them would give, since no value's bytes are the beginning of another's.
namespace Core.Groups.Wire;

/// <summary>Reads one kind of value that is immutable; the last few that came are kept with their bytes.</summary>
internal sealed class Recurring<T>(Recurring<T>.Reader read)
{
    /// <summary>How many are kept: as many variants as are told at one time.</summary>
    private const int Kept = 8;

    /// <summary>What is longer is not kept, in bytes: thousands of groups are not told alike by all.</summary>
    private const int LongestKept = 64 << 10;

    private readonly (byte[]? Bytes, T Value)[] _kept = new (byte[]?, T)[Kept];
    private int _next;

    /// <summary>Reads the value from its bytes.</summary>
    internal delegate T Reader(ref WireReader reader);

    public T Read(ref WireReader reader)
    {
        foreach ((byte[]? bytes, T known) in _kept)
        {
            if (bytes is not null && reader.TrySkip(bytes)) return known;
        }
        int start = reader.Position;
        T value = read(ref reader);
        if (reader.Position - start > LongestKept) return value;
        _kept[_next] = (reader.Since(start).ToArray(), value);
        _next = (_next + 1) % Kept;
        return value;
    }

    /// <summary>Lets go of all values.</summary>
    public void Clear() => Array.Clear(_kept);
}
