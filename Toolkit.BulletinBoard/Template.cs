// What an operation looks for: as many fields as the item has, each a value, anything, a prefix or a range.
// Keeps: a template sees the fields of one item only, and runs no code: it means the same at every member.
// Follows: Linda ("Exploiting virtual synchrony", section 4.3).
using System.Collections.Immutable;

namespace Toolkit.BulletinBoard;

internal enum MatchKind : byte { Any = 0, Equal = 1, Prefix = 2, Range = 3 }

/// <summary>What one field must be. A value converts to it by itself.</summary>
public readonly struct Match
{
    private Match(MatchKind kind, Field low, Field high) => (Kind, Low, High) = (kind, low, high);

    /// <summary>Anything.</summary>
    public static Match Any => default;

    internal MatchKind Kind { get; }
    internal Field Low { get; }
    internal Field High { get; }

    /// <summary>A text that begins so.</summary>
    public static Match Prefix(string prefix) => new(MatchKind.Prefix, prefix, default);

    /// <summary>A number, or a text (by ordinal comparison), from one value to another, both included.</summary>
    /// <exception cref="ArgumentException">The bounds are neither two numbers nor two texts.</exception>
    public static Match Range(Field from, Field to) => IsNumber(from) && IsNumber(to) || (from.Kind == FieldKind.Text && to.Kind == FieldKind.Text)
        ? new(MatchKind.Range, from, to)
        : throw new ArgumentException("A range has two numbers or two texts as its bounds.");

    /// <summary>Exactly this value.</summary>
    public static implicit operator Match(Field value) => new(MatchKind.Equal, value, default);

    /// <summary>Exactly this text.</summary>
    public static implicit operator Match(string value) => (Field)value;

    /// <summary>Exactly this number.</summary>
    public static implicit operator Match(long value) => (Field)value;

    /// <summary>Exactly this number.</summary>
    public static implicit operator Match(int value) => (Field)value;

    /// <summary>Exactly this number.</summary>
    public static implicit operator Match(double value) => (Field)value;

    /// <summary>Exactly this flag.</summary>
    public static implicit operator Match(bool value) => (Field)value;

    internal bool Matches(Field field) => Kind switch
    {
        MatchKind.Any => true,
        MatchKind.Equal => field.Equals(Low),
        MatchKind.Prefix => field.Kind == FieldKind.Text && field.Text.StartsWith(Low.Text, StringComparison.Ordinal),
        _ when Low.Kind == FieldKind.Text => field.Kind == FieldKind.Text
            && string.CompareOrdinal(field.Text, Low.Text) >= 0 && string.CompareOrdinal(field.Text, High.Text) <= 0,
        _ => IsNumber(field) && field.Number >= Low.Number && field.Number <= High.Number,
    };

    private static bool IsNumber(Field field) => field.Kind is FieldKind.Whole or FieldKind.Number;
}

/// <summary>What an item must look like. Immutable; make it once and use it often.</summary>
public sealed class Template
{
    private readonly Match[] _fields;

    /// <summary>A template for items of so many fields.</summary>
    /// <param name="fields">What each must be.</param>
    /// <exception cref="ArgumentException">There are none, or too many.</exception>
    public Template(params Match[] fields)
    {
        ArgumentNullException.ThrowIfNull(fields);
        if (fields.Length is 0 or > BoardItem.MaximumFields)
            throw new ArgumentException($"An item has 1 to {BoardItem.MaximumFields} fields.", nameof(fields));
        _fields = [.. fields];
        Key = KeyOf();
    }

    /// <summary>How many fields the items have.</summary>
    public int Length => _fields.Length;

    internal ReadOnlySpan<Match> Fields => _fields;

    /// <summary>Where in the index its items are.</summary>
    internal ulong Key { get; }

    /// <summary>Whether an item looks so.</summary>
    public bool Matches(BoardItem item)
    {
        ArgumentNullException.ThrowIfNull(item);
        ImmutableArray<Field> fields = item.Fields;
        if (fields.Length != _fields.Length)
            return false;
        for (int i = 0; i < _fields.Length; i++)
        {
            if (!_fields[i].Matches(fields[i]))
                return false;
        }

        return true;
    }

    private ulong KeyOf()
    {
        ulong key = IndexKey.OfLength(_fields.Length);
        for (int i = 0; i < Math.Min(_fields.Length, IndexKey.Depth) && _fields[i].Kind == MatchKind.Equal; i++)
            key = IndexKey.Append(key, _fields[i].Low);
        return key;
    }
}

/// <summary>The key of the first fields of an item: what has the same key may match, what has another cannot.</summary>
internal static class IndexKey
{
    /// <summary>So many fields are indexed.</summary>
    public const int Depth = 2;

    private const ulong Prime = 1099511628211;

    public static ulong OfLength(int fields) => (14695981039346656037 ^ (ulong)fields) * Prime;

    public static ulong Append(ulong key, Field field)
    {
        key = (key ^ (ulong)field.Kind) * Prime;
        key = Mix(key ^ (ulong)field.Whole ^ (field.Kind == FieldKind.Number ? (ulong)BitConverter.DoubleToInt64Bits(field.Number) : field.Flag ? 1UL : 0));
        if (field.Kind == FieldKind.Text)
        {
            foreach (char c in field.Text)
                key = (key ^ c) * Prime;
        }

        foreach (byte b in field.Bytes.Span)
            key = (key ^ b) * Prime;
        return Mix(key);
    }

    private static ulong Mix(ulong key)
    {
        key = (key ^ (key >> 32)) * 0x9E3779B97F4A7C15;
        return key ^ (key >> 29);
    }
}
