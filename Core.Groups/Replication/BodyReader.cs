// Reads what BodyWriter wrote, from bytes that may be anything: no size is believed before it is checked.
using System.Buffers.Binary;
using System.Text;

namespace Core.Groups.Replication;

/// <summary>Reads a replica's message or state. What is not as written ends in a <see cref="FormatException"/>, nothing else.</summary>
/// <param name="memory">The bytes; blobs are slices of them.</param>
public ref struct BodyReader(ReadOnlyMemory<byte> memory)
{
    private readonly ReadOnlyMemory<byte> _memory = memory;
    private readonly ReadOnlySpan<byte> _span = memory.Span;
    private int _position;

    /// <summary>Whether everything is read.</summary>
    public readonly bool AtEnd => _position == _span.Length;

    /// <summary>How many bytes are not read.</summary>
    public readonly int Remaining => _span.Length - _position;

    /// <summary>One byte.</summary>
    /// <exception cref="FormatException">The bytes are at their end.</exception>
    public byte Byte()
    {
        Need(1);
        return _span[_position++];
    }

    /// <summary>A flag.</summary>
    /// <exception cref="FormatException">Neither 0 nor 1, or the end.</exception>
    public bool Flag() => Byte() switch
    {
        0 => false,
        1 => true,
        _ => throw new FormatException("A flag is neither 0 nor 1."),
    };

    /// <summary>A number that is not negative.</summary>
    /// <exception cref="FormatException">It is too large, or does not end.</exception>
    public long Varint()
    {
        ulong value = 0;
        for (int shift = 0; shift < 63; shift += 7)
        {
            byte next = Byte();
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80) return (long)value;
        }

        throw new FormatException("A number does not end.");
    }

    /// <summary>Eight bytes: any number.</summary>
    /// <exception cref="FormatException">The bytes are at their end.</exception>
    public long Int64()
    {
        Need(8);
        long value = BinaryPrimitives.ReadInt64LittleEndian(_span[_position..]);
        _position += 8;
        return value;
    }

    /// <summary>A number of items of which each takes at least one byte: bounded by what is there.</summary>
    /// <exception cref="FormatException">There cannot be so many.</exception>
    public int Count()
    {
        long count = Varint();
        return count <= Remaining ? (int)count : throw new FormatException("A count exceeds its bytes.");
    }

    /// <summary>Bytes with their length.</summary>
    /// <exception cref="FormatException">There are fewer.</exception>
    public ReadOnlyMemory<byte> Blob()
    {
        int size = Count();
        ReadOnlyMemory<byte> slice = _memory.Slice(_position, size);
        _position += size;
        return slice;
    }

    /// <summary>All that is left.</summary>
    public ReadOnlyMemory<byte> Rest()
    {
        ReadOnlyMemory<byte> rest = _memory[_position..];
        _position = _span.Length;
        return rest;
    }

    /// <summary>A text.</summary>
    /// <exception cref="FormatException">There are fewer bytes than it says.</exception>
    public string Text() => Encoding.UTF8.GetString(Blob().Span);

    /// <summary>A node's id.</summary>
    /// <exception cref="FormatException">The bytes end before it does.</exception>
    public NodeId Node() => new(Text(), Int64());

    private readonly void Need(int bytes)
    {
        if (Remaining < bytes) throw new FormatException("The bytes end too early.");
    }
}
