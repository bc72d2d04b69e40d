// Writes the primitives of the wire format into one growing buffer: varints (LEB128), byte strings, ids, sets.
// Keeps: what is written here is read back by WireReader, byte for byte. Not thread-safe; one per link and turn.
using System.Buffers.Binary;
using System.Text;

namespace Core.Groups.Wire;

internal sealed class WireWriter(int capacity = 256)
{
    private byte[] _buffer = new byte[capacity];

    public int Length { get; private set; }

    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, Length);

    public byte[] ToArray() => Written.ToArray();

    /// <summary>Empties the buffer, leaving room for a header that is only known at the end.</summary>
    public void Reset(int reserved = 0)
    {
        Length = 0;
        Reserve(reserved);
        Length = reserved;
    }

    /// <summary>Copies a header so that it ends where the reserved room ends; returns where it begins.</summary>
    public int Prepend(ReadOnlySpan<byte> header, int reserved)
    {
        int start = reserved - header.Length;
        header.CopyTo(_buffer.AsSpan(start));
        return start;
    }

    public void Byte(byte value)
    {
        Reserve(1);
        _buffer[Length++] = value;
    }

    public void Flag(bool value) => Byte(value ? (byte)1 : (byte)0);

    public void Varint(long value)
    {
        Reserve(10);
        ulong rest = (ulong)value;
        while (rest >= 0x80)
        {
            _buffer[Length++] = (byte)(rest | 0x80);
            rest >>= 7;
        }
        _buffer[Length++] = (byte)rest;
    }

    public void Fixed64(ulong value)
    {
        Reserve(8);
        BinaryPrimitives.WriteUInt64LittleEndian(_buffer.AsSpan(Length), value);
        Length += 8;
    }

    public void Raw(ReadOnlySpan<byte> bytes)
    {
        Reserve(bytes.Length);
        bytes.CopyTo(_buffer.AsSpan(Length));
        Length += bytes.Length;
    }

    public void Blob(ReadOnlySpan<byte> bytes)
    {
        Varint(bytes.Length);
        Raw(bytes);
    }

    public void Text(string value)
    {
        int size = Encoding.UTF8.GetByteCount(value);
        Varint(size);
        Reserve(size);
        Length += Encoding.UTF8.GetBytes(value, _buffer.AsSpan(Length));
    }

    public void Node(NodeId id)
    {
        Text(id.Name);
        Varint(id.Incarnation);
    }

    public void Configuration(ConfigurationId id)
    {
        Varint(id.Epoch);
        Node(id.Representative);
    }

    public void Group(GroupId id)
    {
        Fixed64(id.High);
        Fixed64(id.Low);
    }

    public void Members(MemberSet set)
    {
        ReadOnlySpan<ulong> words = set.Words;
        Varint(words.Length);
        foreach (ulong word in words) Varint((long)word);
    }

    private void Reserve(int more)
    {
        if (Length + more > _buffer.Length) Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, Length + more));
    }
}
