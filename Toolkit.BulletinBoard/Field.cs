// The values that items are made of.
// Keeps: what is equal has one form: a number that is whole is a whole number, whoever wrote it.
using System.Globalization;
using System.Text;

namespace Toolkit.BulletinBoard;

/// <summary>What a field holds. The numbers are part of the format.</summary>
public enum FieldKind : byte
{
    /// <summary>A text.</summary>
    Text = 0,

    /// <summary>A whole number of 64 bits.</summary>
    Whole = 1,

    /// <summary>A number that is not whole.</summary>
    Number = 2,

    /// <summary>True or false.</summary>
    Flag = 3,

    /// <summary>Bytes that the board does not look into.</summary>
    Bytes = 4,
}

/// <summary>One value of an item. Texts, numbers, flags and byte arrays convert to it by themselves.</summary>
public readonly struct Field : IEquatable<Field>
{
    private readonly object? _content;
    private readonly long _bits;

    private Field(FieldKind kind, object? content, long bits) => (Kind, _content, _bits) = (kind, content, bits);

    /// <summary>What it holds.</summary>
    public FieldKind Kind { get; }

    /// <summary>The text; of another kind, how it is written.</summary>
    public string Text => _content as string ?? ToString();

    /// <summary>The whole number; 0 for another kind.</summary>
    public long Whole => Kind == FieldKind.Whole ? _bits : 0;

    /// <summary>The number, whole or not; NaN for another kind.</summary>
    public double Number => Kind switch
    {
        FieldKind.Whole => _bits,
        FieldKind.Number => BitConverter.Int64BitsToDouble(_bits),
        _ => double.NaN,
    };

    /// <summary>The flag; false for another kind.</summary>
    public bool Flag => Kind == FieldKind.Flag && _bits != 0;

    /// <summary>The bytes; empty for another kind.</summary>
    public ReadOnlyMemory<byte> Bytes => _content as byte[];

    /// <summary>A text.</summary>
    public static implicit operator Field(string value) => new(FieldKind.Text, value ?? throw new ArgumentNullException(nameof(value)), 0);

    /// <summary>A whole number.</summary>
    public static implicit operator Field(long value) => new(FieldKind.Whole, null, value);

    /// <summary>A whole number.</summary>
    public static implicit operator Field(int value) => new(FieldKind.Whole, null, value);

    /// <summary>A number; a whole number if it is one.</summary>
    public static implicit operator Field(double value) => Math.Abs(value) < 1L << 53 && value == Math.Floor(value)
        ? new(FieldKind.Whole, null, (long)value)
        : new(FieldKind.Number, null, BitConverter.DoubleToInt64Bits(value));

    /// <summary>A flag.</summary>
    public static implicit operator Field(bool value) => new(FieldKind.Flag, null, value ? 1 : 0);

    /// <summary>Bytes; not copied.</summary>
    public static implicit operator Field(byte[] value) => new(FieldKind.Bytes, value ?? throw new ArgumentNullException(nameof(value)), 0);

    /// <summary>The same kind and value.</summary>
    public static bool operator ==(Field left, Field right) => left.Equals(right);

    /// <summary>Another kind or value.</summary>
    public static bool operator !=(Field left, Field right) => !left.Equals(right);

    /// <inheritdoc/>
    public bool Equals(Field other) => Kind == other.Kind && _bits == other._bits && Kind switch
    {
        FieldKind.Text => string.Equals((string?)_content, (string?)other._content, StringComparison.Ordinal),
        FieldKind.Bytes => Bytes.Span.SequenceEqual(other.Bytes.Span),
        _ => true,
    };

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Field other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Kind, _bits, (_content as string)?.GetHashCode(StringComparison.Ordinal), (_content as byte[])?.Length);

    /// <summary>The value, as people write it.</summary>
    public override string ToString() => Kind switch
    {
        FieldKind.Text => (string?)_content ?? "",
        FieldKind.Whole => _bits.ToString(CultureInfo.InvariantCulture),
        FieldKind.Number => Number.ToString("R", CultureInfo.InvariantCulture),
        FieldKind.Flag => _bits != 0 ? "true" : "false",
        _ => $"{Bytes.Length} bytes",
    };

    internal int Size => 10 + (Kind == FieldKind.Text ? Encoding.UTF8.GetByteCount((string?)_content ?? "") : Bytes.Length);
}
