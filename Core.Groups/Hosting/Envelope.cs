// What surrounds a message's body: [0] raw bytes; [1][length of the name: varint][name in UTF-8] a typed message; [2][reason in
// UTF-8] a request to end the member's process; [3][bytes] a question to the members' journals.
// Keeps: reading never throws and never allocates, whatever the bytes.
using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Core.Groups.Hosting;

/// <summary>Packs and unpacks bodies.</summary>
internal static class Envelope
{
    /// <summary>The longest name of an entry point, in bytes of UTF-8.</summary>
    public const int MaximumName = 1000;

    private const byte Raw = 0;
    private const byte Typed = 1;
    private const byte Kill = 2;
    private const byte Question = 3;
    private const int SlabSize = 32 << 10;

    [ThreadStatic] private static byte[]? _slab;
    [ThreadStatic] private static int _slabUsed;
    [ThreadStatic] private static ArrayBufferWriter<byte>? _writer;

    /// <summary>A copy of raw bytes with its envelope. The caller's memory is free again.</summary>
    public static ReadOnlyMemory<byte> Pack(ReadOnlySpan<byte> body)
    {
        Memory<byte> packed = Allocate(body.Length + 1);
        packed.Span[0] = Raw;
        body.CopyTo(packed.Span[1..]);
        return packed;
    }

    /// <summary>How an entry point by name or number travels.</summary>
    /// <exception cref="ArgumentException">It is none.</exception>
    public static byte[] NameOf(EntryAddress entry) =>
        entry.Text is { } text ? Encoding.UTF8.GetBytes(text) : throw new ArgumentException("An entry point has a name or a number.", nameof(entry));

    /// <summary>A copy of raw bytes for an entry point by name or number.</summary>
    public static ReadOnlyMemory<byte> Pack(EntryAddress entry, ReadOnlySpan<byte> body)
    {
        byte[] name = NameOf(entry);
        Memory<byte> packed = Allocate(name.Length + body.Length + (name.Length >= 0x80 ? 3 : 2));
        int start = WriteHead(packed.Span, name);
        body.CopyTo(packed.Span[start..]);
        return packed;
    }

    /// <summary>What stands before the body of a message to this entry point.</summary>
    public static byte[] HeadOf(byte[] name)
    {
        byte[] head = new byte[name.Length + 3];
        return head[..WriteHead(head, name)];
    }

    // What stands before a typed body; its length.
    private static int WriteHead(Span<byte> head, byte[] name)
    {
        int length = 0;
        head[length++] = Typed;
        if (name.Length >= 0x80)
        {
            head[length++] = (byte)(name.Length | 0x80);
        }

        head[length++] = (byte)(name.Length >= 0x80 ? name.Length >> 7 : name.Length);
        name.CopyTo(head[length..]);
        return length + name.Length;
    }

    /// <summary>A request to end the members' processes.</summary>
    public static ReadOnlyMemory<byte> PackKill(string reason) => (byte[])[Kill, .. Encoding.UTF8.GetBytes(reason)];

    /// <summary>A question to the members' journals.</summary>
    public static ReadOnlyMemory<byte> PackQuestion(ReadOnlySpan<byte> question) => (byte[])[Question, .. question];

    /// <summary>Whether it is a question to the journal.</summary>
    public static bool IsQuestion(ReadOnlyMemory<byte> packed) => packed.Length > 0 && packed.Span[0] == Question;

    /// <summary>Whether it is a request to end this process.</summary>
    public static bool TryUnpackKill(ReadOnlyMemory<byte> packed, [NotNullWhen(true)] out string? reason)
    {
        reason = packed.Length > 0 && packed.Span[0] == Kill ? Encoding.UTF8.GetString(packed.Span[1..]) : null;
        return reason is not null;
    }

    /// <summary>A typed message. What the serializer throws, the caller gets.</summary>
    public static ReadOnlyMemory<byte> Pack<T>(T message, IPayloadSerializer serializer)
    {
        // Taken while in use: a serializer may itself send.
        ArrayBufferWriter<byte> writer = Interlocked.Exchange(ref _writer, null) ?? new ArrayBufferWriter<byte>();
        writer.ResetWrittenCount();
        byte[] name = EntryName<T>.Utf8;
        writer.Advance(WriteHead(writer.GetSpan(name.Length + 3), name));
        serializer.Serialize(message, writer);
        Memory<byte> packed = Allocate(writer.WrittenCount);
        writer.WrittenSpan.CopyTo(packed.Span);
        if (writer.Capacity <= 1 << 20)
        {
            _writer = writer;
        }

        return packed;
    }

    /// <summary>The name of the entry point (empty: raw) and the body; false for bytes that no version wrote.</summary>
    public static bool TryUnpack(ReadOnlyMemory<byte> packed, out ReadOnlySpan<byte> name, out ReadOnlyMemory<byte> body)
    {
        ReadOnlySpan<byte> bytes = packed.Span;
        name = default;
        body = default;
        if (bytes.Length >= 1 && bytes[0] == Raw)
        {
            body = packed[1..];
            return true;
        }

        if (bytes.Length < 3 || bytes[0] != Typed)
        {
            return false;
        }

        int length = bytes[1];
        int start = 2;
        if (length >= 0x80)
        {
            length = (length & 0x7F) | (bytes[2] << 7);
            start = 3;
        }

        if (length is 0 or > MaximumName || length > bytes.Length - start)
        {
            return false;
        }

        name = bytes.Slice(start, length);
        body = packed[(start + length)..];
        return true;
    }

    // Small bodies share an array: one allocation for hundreds of messages.
    private static Memory<byte> Allocate(int size)
    {
        if (size > SlabSize / 16)
        {
            return GC.AllocateUninitializedArray<byte>(size);
        }

        if (_slab is null || _slab.Length - _slabUsed < size)
        {
            _slab = GC.AllocateUninitializedArray<byte>(SlabSize);
            _slabUsed = 0;
        }

        Memory<byte> memory = _slab.AsMemory(_slabUsed, size);
        _slabUsed += size;
        return memory;
    }
}
