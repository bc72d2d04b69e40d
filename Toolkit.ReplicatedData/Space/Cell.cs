using Core.Groups;

namespace Toolkit.ReplicatedData.Space;

/// <summary>One version of one value. Immutable but for the memory of what its bytes mean.</summary>
/// <param name="value">The bytes; null: removed.</param>
/// <param name="version">Grows with every update of the value.</param>
/// <param name="writer">Who made it.</param>
/// <param name="isTotal">Whether it came in the total order.</param>
internal sealed class Cell(byte[]? value, long version, NodeId writer, bool isTotal)
{
    public static readonly Cell None = new(null, 0, default, true);

    public byte[]? Value { get; } = value;
    public long Version { get; } = version;
    public NodeId Writer { get; } = writer;
    public bool IsTotal { get; } = isTotal;

    /// <summary>What the bytes mean, once somebody has read them: a boxed value of the reader's type.</summary>
    public object? Decoded { get; set; }

    public bool IsPresent => Value is not null;

    /// <summary>The version as users see it: 0 if there is no value.</summary>
    public long ShownVersion => IsPresent ? Version : 0;

    /// <summary>
    /// Which of two updates stands, the same at all members whatever the order in which they come: the higher version. Of
    /// two with the same version, of members that did not know of each other, the one in the total order, then the name.
    /// </summary>
    public bool IsNewerThan(Cell other)
    {
        if (Version != other.Version) return Version > other.Version;
        return IsTotal != other.IsTotal ? IsTotal : Writer > other.Writer;
    }
}

/// <summary>One value of an object: a variable's only one, or that of one key.</summary>
internal sealed class Slot
{
    /// <summary>The newest update that was delivered.</summary>
    public Cell Delivered = Cell.None;

    /// <summary>The newest causal update of this member that is not delivered yet, if it is newer.</summary>
    public Cell? Ahead;

    /// <summary>Causal objects: the last update in the total order, whether or not it stood.</summary>
    public long TotalVersion;

    /// <summary>Causal objects: whether that update left a value.</summary>
    public bool TotalPresent;

    public Cell Visible => Ahead ?? Delivered;
}

/// <summary>Keys by their bytes.</summary>
internal sealed class BytesComparer : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
{
    public static readonly BytesComparer Instance = new();

    public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);
    public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);
    public int GetHashCode(byte[] obj) => GetHashCode(obj.AsSpan());
    public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();

    public int GetHashCode(ReadOnlySpan<byte> alternate)
    {
        var hash = new HashCode();
        hash.AddBytes(alternate);
        return hash.ToHashCode();
    }
}
