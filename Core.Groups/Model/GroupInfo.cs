using System.Collections.Immutable;

namespace Core.Groups;

/// <summary>A group as the cluster's registry knows it: it may have changed since.</summary>
/// <param name="Id">The group's id.</param>
/// <param name="Name">Its path name.</param>
/// <param name="ViewNumber">The number of its view; 0: its first member is about to begin.</param>
/// <param name="Members">The members, ranked in the order in which they joined.</param>
public sealed record GroupInfo(GroupId Id, string Name, long ViewNumber, ImmutableArray<NodeId> Members);
