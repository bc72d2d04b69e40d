// Writes the bodies and states of replicas: varints (LEB128), byte strings, texts, node ids. BodyReader reads them back.
using Core.Groups.Wire;

namespace Core.Groups.Replication;

/// <summary>A growing buffer for a replica's messages and states. Not thread-safe; meant to be kept and reset.</summary>
/// <param name="capacity">The first size in bytes.</param>
public sealed class BodyWriter(int capacity = 256)
{
    private readonly WireWriter _writer = new(capacity);

    /// <summary>How many bytes are written.</summary>
    public int Length => _writer.Length;

    /// <summary>What is written; good until the next write.</summary>
    public ReadOnlySpan<byte> Written => _writer.Written;

    /// <summary>A copy of what is written.</summary>
    public byte[] ToArray() => _writer.ToArray();

    /// <summary>Empties the buffer and keeps its memory.</summary>
    public BodyWriter Reset()
    {
        _writer.Reset();
        return this;
    }

    /// <summary>One byte.</summary>
    public void Byte(byte value) => _writer.Byte(value);

    /// <summary>One byte, 0 or 1.</summary>
    public void Flag(bool value) => _writer.Flag(value);

    /// <summary>A number that is not negative, in 1 to 9 bytes.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative.</exception>
    public void Varint(long value)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(value);
        _writer.Varint(value);
    }

    /// <summary>Eight bytes: any number.</summary>
    public void Int64(long value) => _writer.Fixed64((ulong)value);

    /// <summary>Bytes without their length: the last thing of a body.</summary>
    public void Raw(ReadOnlySpan<byte> bytes) => _writer.Raw(bytes);

    /// <summary>Bytes with their length.</summary>
    public void Blob(ReadOnlySpan<byte> bytes) => _writer.Blob(bytes);

    /// <summary>A text, in UTF-8 with its length.</summary>
    public void Text(string value) => _writer.Text(value);

    /// <summary>A node's id.</summary>
    public void Node(NodeId id)
    {
        Text(id.Name);
        Int64(id.Incarnation);
    }
}
