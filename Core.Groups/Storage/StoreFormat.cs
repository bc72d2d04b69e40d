// The bytes of values and logs on disk: frames with a checksum each. README.md beside this file is the specification.
// Keeps: no length from a file is believed before it is bounded, nothing is handed out before its checksum is right.
using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace Core.Groups.Storage;

internal static class StoreFormat
{
    public const int ValueHeader = 16;
    public const int SegmentHeader = 24;
    public const int RecordHeader = 24;
    public const int MaximumRecord = 64 << 20;
    private const uint ValueMagic = 0x31564743, SegmentMagic = 0x314C4743; // CGV1, CGL1: the last letter is the version

    /// <summary>A value as its file holds it. The name is part of the checksum: a file that was renamed is not that value.</summary>
    public static byte[] EncodeValue(string name, ReadOnlySpan<byte> value)
    {
        byte[] file = new byte[ValueHeader + value.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(file, ValueMagic);
        BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(4), value.Length);
        value.CopyTo(file.AsSpan(ValueHeader));
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(12), ValueChecksum(name, file));
        return file;
    }

    /// <summary>Null: these bytes are not the value of that name.</summary>
    public static ReadOnlyMemory<byte>? DecodeValue(string name, byte[] file)
    {
        bool isSound = file.Length >= ValueHeader && BinaryPrimitives.ReadUInt32LittleEndian(file) == ValueMagic
            && BinaryPrimitives.ReadInt64LittleEndian(file.AsSpan(4)) == file.Length - ValueHeader
            && BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(12)) == ValueChecksum(name, file);
        if (!isSound) return null; // in a conditional expression null would become an empty memory
        return file.AsMemory(ValueHeader);
    }

    public static byte[] EncodeSegment(ulong log, long first)
    {
        byte[] header = new byte[SegmentHeader];
        BinaryPrimitives.WriteUInt32LittleEndian(header, SegmentMagic);
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(4), log);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(12), first);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(20), Checksum(0, header.AsSpan(0, 20)));
        return header;
    }

    /// <summary>False: this is no header of a segment of that log.</summary>
    public static bool IsSegment(ReadOnlySpan<byte> file, ulong log, long first) =>
        file.Length >= SegmentHeader && file[..SegmentHeader].SequenceEqual(EncodeSegment(log, first));

    /// <param name="batch">The number of the first record that shares this one's fsync: all before it were on the disk.</param>
    public static void WriteRecord(Span<byte> target, long number, long batch, ReadOnlySpan<byte> content)
    {
        BinaryPrimitives.WriteInt32LittleEndian(target, content.Length);
        BinaryPrimitives.WriteInt64LittleEndian(target[8..], number);
        BinaryPrimitives.WriteInt64LittleEndian(target[16..], batch);
        content.CopyTo(target[RecordHeader..]);
        BinaryPrimitives.WriteUInt32LittleEndian(target[4..], RecordChecksum(target[..(RecordHeader + content.Length)]));
    }

    /// <summary>Whether a whole, sound record begins here.</summary>
    public static bool TryReadRecord(ReadOnlySpan<byte> source, out long number, out long batch, out int length)
    {
        (number, batch, length) = (0, 0, 0);
        if (source.Length < RecordHeader) return false;
        length = BinaryPrimitives.ReadInt32LittleEndian(source);
        if (length is < 0 or > MaximumRecord || length > source.Length - RecordHeader) return false;
        number = BinaryPrimitives.ReadInt64LittleEndian(source[8..]);
        batch = BinaryPrimitives.ReadInt64LittleEndian(source[16..]);
        return batch >= 1 && batch <= number && BinaryPrimitives.ReadUInt32LittleEndian(source[4..]) == RecordChecksum(source[..(RecordHeader + length)]);
    }

    /// <summary>The number of the record that may begin here.</summary>
    public static long PeekNumber(ReadOnlySpan<byte> source) => BinaryPrimitives.ReadInt64LittleEndian(source[8..]);

    /// <summary>A name as a file system takes it. Two names never share a file.</summary>
    public static string FileNameOf(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (name.Length > 100) throw new ArgumentException("A name in a store has at most 100 characters.", nameof(name));
        var text = new StringBuilder();
        foreach (byte b in Encoding.UTF8.GetBytes(name))
        {
            if (char.IsAsciiLetterLower((char)b) || char.IsAsciiDigit((char)b) || b == '-') text.Append((char)b);
            else text.Append('%').Append(b.ToString("x2", System.Globalization.CultureInfo.InvariantCulture));
        }
        return text.ToString();
    }

    private static uint ValueChecksum(string name, ReadOnlySpan<byte> file) =>
        Checksum(Checksum(Checksum(0, Encoding.UTF8.GetBytes(name)), file[..12]), file[ValueHeader..]);

    private static uint RecordChecksum(ReadOnlySpan<byte> record) => Checksum(Checksum(0, record[..4]), record[8..]);

    /// <summary>CRC-32C (Castagnoli), eight bytes at a time.</summary>
    private static uint Checksum(uint before, ReadOnlySpan<byte> bytes)
    {
        uint crc = ~before;
        for (; bytes.Length >= 8; bytes = bytes[8..]) crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        foreach (byte b in bytes) crc = BitOperations.Crc32C(crc, b);
        return ~crc;
    }
}
