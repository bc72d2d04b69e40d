using System.Collections.Immutable;

namespace Core.Groups;

/// <summary>The nodes that can talk now, as all of them agreed (EVS section 2).</summary>
/// <param name="Id">The id of this configuration; a transitional one bears the id of the regular one that follows it.</param>
/// <param name="IsTransitional">Whether this is the transitional configuration between two regular ones.</param>
/// <param name="Members">The members, ranked by age: the oldest first.</param>
/// <param name="IsPrimary">Whether it passed the primary component rule (protocol, section 6).</param>
public sealed record Configuration(
    ConfigurationId Id, bool IsTransitional, ImmutableArray<NodeId> Members, bool IsPrimary);
