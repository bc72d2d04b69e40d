// Reads what BodyWriter wrote, from bytes that may be anything: no size is believed before it is checked.
using System.Text;
using Core.Groups.Wire;

namespace Core.Groups.Replication;

/// <summary>Reads a replica's message or state. What is not as written ends in a <see cref="FormatException"/>, nothing else.</summary>
/// <param name="memory">The bytes; blobs are slices of them.</param>
public ref struct BodyReader(ReadOnlyMemory<byte> memory)
{
    private WireReader _reader = new(memory);

    /// <summary>Whether everything is read.</summary>
    public readonly bool AtEnd => _reader.AtEnd;

    /// <summary>How many bytes are not read.</summary>
    public readonly int Remaining => _reader.Remaining;

    /// <summary>One byte.</summary>
    /// <exception cref="FormatException">The bytes are at their end.</exception>
    public byte Byte() => _reader.Byte();

    /// <summary>A flag.</summary>
    /// <exception cref="FormatException">Neither 0 nor 1, or the end.</exception>
    public bool Flag() => _reader.Flag();

    /// <summary>A number that is not negative.</summary>
    /// <exception cref="FormatException">It is too large, or does not end.</exception>
    public long Varint() => _reader.Varint();

    /// <summary>Eight bytes: any number.</summary>
    /// <exception cref="FormatException">The bytes are at their end.</exception>
    public long Int64() => (long)_reader.Fixed64();

    /// <summary>A number of items of which each takes at least one byte: bounded by what is there.</summary>
    /// <exception cref="FormatException">There cannot be so many.</exception>
    public int Count() => _reader.Count();

    /// <summary>Bytes with their length.</summary>
    /// <exception cref="FormatException">There are fewer.</exception>
    public ReadOnlyMemory<byte> Blob() => _reader.Blob();

    /// <summary>All that is left.</summary>
    public ReadOnlyMemory<byte> Rest() => _reader.Rest();

    /// <summary>A text.</summary>
    /// <exception cref="FormatException">There are fewer bytes than it says.</exception>
    public string Text() => Encoding.UTF8.GetString(_reader.BlobSpan());

    /// <summary>A node's id.</summary>
    /// <exception cref="FormatException">The bytes end before it does.</exception>
    public NodeId Node() => new(Text(), Int64());
}
