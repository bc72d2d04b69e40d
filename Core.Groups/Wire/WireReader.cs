// Reads the primitives of the wire format, bounded by the frame: no size from outside is believed before it is checked.
using System.Buffers.Binary;
using System.Text;

namespace Core.Groups.Wire;

internal ref struct WireReader(ReadOnlyMemory<byte> memory)
{
    private readonly ReadOnlyMemory<byte> _memory = memory;
    private readonly ReadOnlySpan<byte> _span = memory.Span;

    public int Position { get; private set; }

    public readonly bool AtEnd => Position == _span.Length;

    public readonly int Remaining => _span.Length - Position;

    public byte Byte()
    {
        Need(1);
        return _span[Position++];
    }

    public bool Flag() => Byte() switch
    {
        0 => false,
        1 => true,
        _ => throw new WireFormatException("A flag is neither 0 nor 1."),
    };

    /// <summary>A number that is never negative.</summary>
    public long Varint()
    {
        long value = (long)UnsignedVarint();
        return value >= 0 ? value : throw new WireFormatException("A number is out of range.");
    }

    public ulong UnsignedVarint()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte next = Byte();
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80) return value;
        }
        throw new WireFormatException("A number does not end.");
    }

    /// <summary>A count of items of which each takes at least <paramref name="itemSize"/> bytes: bounded by what is there.</summary>
    public int Count(int itemSize = 1)
    {
        long count = Varint();
        if (count * itemSize > Remaining || count > int.MaxValue) throw new WireFormatException("A count exceeds its frame.");
        return (int)count;
    }

    public ulong Fixed64()
    {
        Need(8);
        ulong value = BinaryPrimitives.ReadUInt64LittleEndian(_span[Position..]);
        Position += 8;
        return value;
    }

    public ReadOnlyMemory<byte> Blob()
    {
        int size = Count();
        ReadOnlyMemory<byte> slice = _memory.Slice(Position, size);
        Position += size;
        return slice;
    }

    public ReadOnlySpan<byte> BlobSpan()
    {
        int size = Count();
        ReadOnlySpan<byte> slice = _span.Slice(Position, size);
        Position += size;
        return slice;
    }

    /// <summary>All that is left.</summary>
    public ReadOnlyMemory<byte> Rest()
    {
        ReadOnlyMemory<byte> rest = _memory[Position..];
        Position = _span.Length;
        return rest;
    }

    /// <summary>Passes over these bytes if they come next.</summary>
    public bool TrySkip(ReadOnlySpan<byte> expected)
    {
        if (!_span[Position..].StartsWith(expected)) return false;
        Position += expected.Length;
        return true;
    }

    public readonly ReadOnlySpan<byte> Since(int start) => _span[start..Position];

    public string Text()
    {
        ReadOnlySpan<byte> bytes = BlobSpan();
        if (bytes.Length > 4096) throw new WireFormatException("A text is too long.");
        return Encoding.UTF8.GetString(bytes);
    }

    public NodeId Node() => new(Text(), Varint());

    public ConfigurationId Configuration() => new(Varint(), Node());

    public GroupId Group() => new(Fixed64(), Fixed64());

    public MemberSet Members()
    {
        int words = Count();
        if (words > 1024) throw new WireFormatException("A member set is too large.");
        var bits = new ulong[words];
        for (int i = 0; i < words; i++) bits[i] = UnsignedVarint();
        return MemberSet.FromWords(bits);
    }

    private readonly void Need(int bytes)
    {
        if (Remaining < bytes) throw new WireFormatException("A frame is truncated.");
    }
}
