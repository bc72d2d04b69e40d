// A destination that is more than one group: several groups, single processes beside them, or a label.
// Follows: protocol.md sections 3, 4 and 7. A total message with a label is ordered in the label's domain, any other in the
// domain of all nodes and in each of its groups.
namespace Core.Groups.Protocol.Ordering;

/// <summary>One of the groups that a message goes to, as its sender knows it.</summary>
/// <param name="Via">The view in which the message is sent.</param>
/// <param name="Name">For the traces of nodes that are not in this group.</param>
internal sealed record DestinationPart(GroupId Group, long Epoch, MemberSet Via, string Name);

/// <param name="parts">By rising id; none for a total message to single processes alone.</param>
internal sealed class SpreadDestination(DestinationPart[] parts, string? label)
{
    private MemberSet? _groupMembers;

    public DestinationPart[] Parts => parts;
    public string? Label => label;
    /// <summary>The members of its groups.</summary>
    public MemberSet GroupMembers => _groupMembers ??= parts.Aggregate(MemberSet.Empty, static (all, part) => all.Union(part.Via));
    /// <summary>The name of the order domain that spans groups; empty: the domain of all nodes.</summary>
    public string Domain => label ?? "";
    /// <summary>Whether its total messages stand in the orders of its groups too.</summary>
    public bool IsInGroupOrders => label is null;

    public bool Addresses(GroupId group) => Array.Exists(parts, p => p.Group == group);

    /// <summary>Whether it is of this epoch of a group, or an earlier one.</summary>
    public bool Concerns(GroupId group, long epoch) => Array.Exists(parts, p => p.Group == group && p.Epoch <= epoch);

    public bool Equals(SpreadDestination other) => label == other.Label && parts.AsSpan().SequenceEqual(other.Parts);
}
