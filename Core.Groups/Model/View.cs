using System.Collections.Immutable;

namespace Core.Groups;

/// <summary>A group's membership, which all members see change in the same steps (virtual synchrony). Immutable.</summary>
/// <param name="Group">The group.</param>
/// <param name="GroupName">The group's path name.</param>
/// <param name="Number">1 for the first view of a group, then one more for every change of the membership.</param>
/// <param name="Id">Unique: no other view of this group has it, in any component or lineage.</param>
/// <param name="Members">The members, ranked in the order in which they joined, unless they were ranked anew.</param>
/// <param name="Joined">Who is new against the view before.</param>
/// <param name="Left">Who left or failed against the view before.</param>
/// <param name="IsPrimary">Whether the view stands in a primary configuration.</param>
public sealed record View(
    GroupId Group, string GroupName, long Number, string Id,
    ImmutableArray<NodeId> Members, ImmutableArray<NodeId> Joined, ImmutableArray<NodeId> Left, bool IsPrimary)
{
    /// <summary>
    /// In extended mode, where components have met: the members by the state that they bring, in the order of their ranks; each
    /// side has gone on without the others. Empty: all members have the same state.
    /// </summary>
    public ImmutableArray<ImmutableArray<NodeId>> Sides { get; init; } = [];

    /// <summary>The rank of a node in this view (0 is the oldest member), or -1.</summary>
    public int RankOf(NodeId node) => Members.IndexOf(node);

    /// <summary>Whether a node is a member.</summary>
    public bool Contains(NodeId node) => RankOf(node) >= 0;
}
