// Identities: node, configuration, group, message.
// Keeps: an identity never names two things, in any component, lineage or restart.
// Follows: EVS section 2 (processes and configurations), protocol.md section 0.
using System.Globalization;

namespace Core.Groups;

/// <summary>
/// A running program that holds the library: a stable, configured name and an incarnation that is new at every
/// start and at every forced re-join. Virtual synchrony identifies a process by the whole id (protocol, section 0).
/// </summary>
/// <param name="Name">The configured name, unique among live nodes of a cluster.</param>
/// <param name="Incarnation">A number that only grows for a name (milliseconds since 1970 at start, or one more than the last).</param>
public readonly record struct NodeId(string Name, long Incarnation) : IComparable<NodeId>
{
    /// <summary>Orders by name (ordinal), then by incarnation.</summary>
    public int CompareTo(NodeId other)
    {
        int byName = string.CompareOrdinal(Name, other.Name);
        return byName != 0 ? byName : Incarnation.CompareTo(other.Incarnation);
    }

    /// <summary><c>name.incarnation</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Name}.{Incarnation}");

    /// <summary>Orders by name, then by incarnation.</summary>
    public static bool operator <(NodeId left, NodeId right) => left.CompareTo(right) < 0;
    /// <summary>Orders by name, then by incarnation.</summary>
    public static bool operator >(NodeId left, NodeId right) => left.CompareTo(right) > 0;
    /// <summary>Orders by name, then by incarnation.</summary>
    public static bool operator <=(NodeId left, NodeId right) => left.CompareTo(right) <= 0;
    /// <summary>Orders by name, then by incarnation.</summary>
    public static bool operator >=(NodeId left, NodeId right) => left.CompareTo(right) >= 0;
}

/// <summary>Names one agreed configuration. Ordered by epoch, then by representative.</summary>
/// <param name="Epoch">Higher than every epoch that a member had promised before.</param>
/// <param name="Representative">The node that proposed it.</param>
public readonly record struct ConfigurationId(long Epoch, NodeId Representative) : IComparable<ConfigurationId>
{
    /// <summary>Orders by epoch, then by representative.</summary>
    public int CompareTo(ConfigurationId other)
    {
        int byEpoch = Epoch.CompareTo(other.Epoch);
        return byEpoch != 0 ? byEpoch : Representative.CompareTo(other.Representative);
    }

    /// <summary><c>epoch@representative</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Epoch}@{Representative}");

    /// <summary>Orders by epoch, then by representative.</summary>
    public static bool operator <(ConfigurationId left, ConfigurationId right) => left.CompareTo(right) < 0;
    /// <summary>Orders by epoch, then by representative.</summary>
    public static bool operator >(ConfigurationId left, ConfigurationId right) => left.CompareTo(right) > 0;
    /// <summary>Orders by epoch, then by representative.</summary>
    public static bool operator <=(ConfigurationId left, ConfigurationId right) => left.CompareTo(right) <= 0;
    /// <summary>Orders by epoch, then by representative.</summary>
    public static bool operator >=(ConfigurationId left, ConfigurationId right) => left.CompareTo(right) >= 0;
}

/// <summary>
/// An unguessable 128-bit id of a group. It can be stored and passed to another process, which can use the group by it: its
/// text stands wherever a group's name does. A group that is made anew under an old name has a new id.
/// </summary>
/// <param name="High">The upper 64 bits.</param>
/// <param name="Low">The lower 64 bits.</param>
public readonly record struct GroupId(ulong High, ulong Low) : IComparable<GroupId>
{
    /// <summary>No group.</summary>
    public static GroupId None => default;

    /// <summary>Orders by value.</summary>
    public int CompareTo(GroupId other)
    {
        int byHigh = High.CompareTo(other.High);
        return byHigh != 0 ? byHigh : Low.CompareTo(other.Low);
    }

    /// <summary>Reads what <see cref="ToString"/> wrote: 32 hexadecimal digits.</summary>
    /// <exception cref="FormatException">The text is no group id.</exception>
    public static GroupId Parse(string text) =>
        TryParse(text, out GroupId id) ? id : throw new FormatException($"'{text}' is not a group id: that has 32 hexadecimal digits.");

    /// <summary>Reads 32 hexadecimal digits; false if the text is anything else.</summary>
    public static bool TryParse(string? text, out GroupId id)
    {
        id = None;
        if (text?.Length != 32
            || !ulong.TryParse(text.AsSpan(0, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong high)
            || !ulong.TryParse(text.AsSpan(16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong low))
            return false;
        id = new GroupId(high, low);
        return true;
    }

    /// <summary>32 hexadecimal digits.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{High:x16}{Low:x16}");

    /// <summary>Orders by value.</summary>
    public static bool operator <(GroupId left, GroupId right) => left.CompareTo(right) < 0;
    /// <summary>Orders by value.</summary>
    public static bool operator >(GroupId left, GroupId right) => left.CompareTo(right) > 0;
    /// <summary>Orders by value.</summary>
    public static bool operator <=(GroupId left, GroupId right) => left.CompareTo(right) <= 0;
    /// <summary>Orders by value.</summary>
    public static bool operator >=(GroupId left, GroupId right) => left.CompareTo(right) >= 0;
}

/// <summary>Names one multicast, for ever and everywhere.</summary>
/// <param name="Sender">The node that numbered the message.</param>
/// <param name="Epoch">The epoch of the configuration in which it was numbered.</param>
/// <param name="Sequence">The sender's counter in that configuration, from 1, over all its groups.</param>
public readonly record struct MessageId(NodeId Sender, long Epoch, long Sequence)
{
    /// <summary><c>name.incarnation/epoch/sequence</c>.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Sender}/{Epoch}/{Sequence}");
}
