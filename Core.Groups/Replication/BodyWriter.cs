// Writes the bodies and states of replicas: varints (LEB128), byte strings, texts, node ids. BodyReader reads them back.
using System.Buffers.Binary;
using System.Text;

namespace Core.Groups.Replication;

/// <summary>A growing buffer for a replica's messages and states. Not thread-safe; meant to be kept and reset.</summary>
/// <param name="capacity">The first size in bytes.</param>
public sealed class BodyWriter(int capacity = 256)
{
    private byte[] _buffer = new byte[capacity];

    /// <summary>How many bytes are written.</summary>
    public int Length { get; private set; }

    /// <summary>What is written; good until the next write.</summary>
    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, Length);

    /// <summary>A copy of what is written.</summary>
    public byte[] ToArray() => Written.ToArray();

    /// <summary>Empties the buffer and keeps its memory.</summary>
    public BodyWriter Reset()
    {
        Length = 0;
        return this;
    }

    /// <summary>One byte.</summary>
    public void Byte(byte value)
    {
        Reserve(1);
        _buffer[Length++] = value;
    }

    /// <summary>One byte, 0 or 1.</summary>
    public void Flag(bool value) => Byte(value ? (byte)1 : (byte)0);

    /// <summary>A number that is not negative, in 1 to 9 bytes.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative.</exception>
    public void Varint(long value)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(value);
        Reserve(9);
        ulong rest = (ulong)value;
        while (rest >= 0x80)
        {
            _buffer[Length++] = (byte)(rest | 0x80);
            rest >>= 7;
        }

        _buffer[Length++] = (byte)rest;
    }

    /// <summary>Eight bytes: any number.</summary>
    public void Int64(long value)
    {
        Reserve(8);
        BinaryPrimitives.WriteInt64LittleEndian(_buffer.AsSpan(Length), value);
        Length += 8;
    }

    /// <summary>Bytes without their length: the last thing of a body.</summary>
    public void Raw(ReadOnlySpan<byte> bytes)
    {
        Reserve(bytes.Length);
        bytes.CopyTo(_buffer.AsSpan(Length));
        Length += bytes.Length;
    }

    /// <summary>Bytes with their length.</summary>
    public void Blob(ReadOnlySpan<byte> bytes)
    {
        Varint(bytes.Length);
        Raw(bytes);
    }

    /// <summary>A text, in UTF-8 with its length.</summary>
    public void Text(string value)
    {
        int size = Encoding.UTF8.GetByteCount(value);
        Varint(size);
        Reserve(size);
        Length += Encoding.UTF8.GetBytes(value, _buffer.AsSpan(Length));
    }

    /// <summary>A node's id.</summary>
    public void Node(NodeId id)
    {
        Text(id.Name);
        Int64(id.Incarnation);
    }

    private void Reserve(int more)
    {
        if (Length + more > _buffer.Length) Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, Length + more));
    }
}
