// Values as bytes and back. Keeps: a value is decoded once for each version, whoever reads it; reading it again allocates nothing.
using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Core.Groups;

namespace Toolkit.ReplicatedData.Space;

/// <summary>The default: numbers of 64 bits, texts and bytes as they are, everything else as JSON.</summary>
internal sealed class DefaultSerializer : IPayloadSerializer
{
    public static DefaultSerializer Instance { get; } = new();

    public void Serialize<T>(T value, IBufferWriter<byte> output)
    {
        switch (value)
        {
            case long number:
                BinaryPrimitives.WriteInt64LittleEndian(output.GetSpan(8), number);
                output.Advance(8);
                break;
            case string text when typeof(T) == typeof(string):
                Encoding.UTF8.GetBytes(text, output);
                break;
            case byte[] bytes when typeof(T) == typeof(byte[]):
                output.Write(bytes);
                break;
            default:
                JsonPayloadSerializer.Default.Serialize(value, output);
                break;
        }
    }

    public T Deserialize<T>(ReadOnlyMemory<byte> body)
    {
        if (typeof(T) == typeof(long)) return (T)(object)(body.Length == 8 ? BinaryPrimitives.ReadInt64LittleEndian(body.Span) : throw new FormatException("The value is not a number of 64 bits."));
        if (typeof(T) == typeof(string)) return (T)(object)Encoding.UTF8.GetString(body.Span);
        if (typeof(T) == typeof(byte[])) return (T)(object)body.ToArray();
        return JsonPayloadSerializer.Default.Deserialize<T>(body);
    }
}

/// <summary>A value that was decoded.</summary>
internal sealed class Box<T>(T value)
{
    public readonly T Value = value;
}

/// <summary>Encodes and decodes with the serializer of an object.</summary>
internal static class Payloads
{
    [ThreadStatic] private static ArrayBufferWriter<byte>? _buffer;

    /// <summary>The bytes of a value; good until the next call on this thread.</summary>
    public static ReadOnlyMemory<byte> Encode<T>(IPayloadSerializer serializer, T value)
    {
        // Taken while in use: a serializer may itself encode.
        ArrayBufferWriter<byte> buffer = Interlocked.Exchange(ref _buffer, null) ?? new ArrayBufferWriter<byte>();
        buffer.ResetWrittenCount();
        serializer.Serialize(value, buffer);
        _buffer = buffer;
        return buffer.WrittenMemory;
    }

    /// <summary>What a cell holds.</summary>
    public static T Decode<T>(IPayloadSerializer serializer, Cell cell)
    {
        if (cell.Decoded is Box<T> known) return known.Value;
        var box = new Box<T>(serializer.Deserialize<T>(cell.Value));
        cell.Decoded = box;
        return box.Value;
    }
}
