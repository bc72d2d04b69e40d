using System.Collections.Immutable;

namespace Core.Groups.Testing.Checkers;

/// <summary>What consecutive primary configurations must have in common.</summary>
public enum PrimaryContinuity
{
    /// <summary>Nothing is said of primaries (after <c>ForcePrimary</c>, or where nodes start clusters of their own).</summary>
    None,
    /// <summary>A member, by name (EVS 2.2): for a cluster with an electorate, which may begin a new lineage after a total loss.</summary>
    Member,
    /// <summary>
    /// A member, and votes: of the primary that its own members come from it holds a weighted majority, by incarnation, or a newer incarnation
    /// of everybody that is missing: for a cluster with an electorate where votes are forgotten with those who gave them.
    /// </summary>
    VotesOrProof,
    /// <summary>A weighted majority of the earlier one, by name: for votes on stable storage.</summary>
    MajorityOfNames,
    /// <summary>A weighted majority of the earlier one, by incarnation: for votes without stable storage and no electorate.</summary>
    MajorityOfIncarnations,
}

/// <summary>What the checkers may take for granted about a history.</summary>
public sealed record CheckOptions
{
    /// <summary>Primary mode (the filter of EVS section 5) or, if false, extended mode.</summary>
    public bool IsPrimaryMode { get; init; } = true;

    /// <summary>
    /// A claim: the run ended in quiet, with exactly these nodes up, able to reach each other and done. Then everything
    /// must have been delivered. Null claims nothing, and any trace may end anywhere.
    /// </summary>
    public ImmutableHashSet<NodeId>? Survivors { get; init; }

    /// <summary>The names of nodes whose traces are absent or may lack their end although the nodes went on.</summary>
    public ImmutableHashSet<string> Incomplete { get; init; } = [];

    /// <summary>What consecutive primaries must share.</summary>
    public PrimaryContinuity Continuity { get; init; } = PrimaryContinuity.Member;

    /// <summary>The nodes that were asked to stop in an orderly way: a change that leaves one of them out has its vote all the same.</summary>
    public ImmutableHashSet<NodeId> Leavers { get; init; } = [];

    /// <summary>The nodes' weights in majorities, by name; a name that is not here weighs 1.</summary>
    public ImmutableDictionary<string, int> Weights { get; init; } = ImmutableDictionary<string, int>.Empty;

    /// <summary>The names of the electorate; empty: there is none.</summary>
    public ImmutableHashSet<string> Electorate { get; init; } = [];

    /// <summary>The electorate weight that every primary must hold; 0 means a majority of the electorate.</summary>
    public int MinimumPrimaryWeight { get; init; }

    /// <summary>
    /// How many GBCASTs to several groups each node was asked for. One that was announced and never sent is in no trace, and yet has a place that
    /// spans groups: in a configuration in which a node left such a one, failure atomicity counts the transitional one with the regular one.
    /// </summary>
    public ImmutableDictionary<NodeId, int> SpanningBroadcasts { get; init; } = ImmutableDictionary<NodeId, int>.Empty;

    /// <summary>How many violations are reported at most, per checker.</summary>
    public int MaximumViolations { get; init; } = 10;

    internal int WeightOf(string name) => Weights.GetValueOrDefault(name, 1);
}
