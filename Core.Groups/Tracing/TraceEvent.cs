// What a node saw, as one line of the trace contract (design: trace.md).
// Keeps: events stand in the node's own order. The protocol makes them, hosts write them, checkers read them.
using System.Collections.Immutable;

namespace Core.Groups.Tracing;

/// <summary>The kinds of trace lines.</summary>
public enum TraceKind : byte
{
    /// <summary><c>conf</c>: a configuration was installed.</summary>
    Configuration,
    /// <summary><c>view</c>: a group's view was installed.</summary>
    View,
    /// <summary><c>leave</c>: this node left the group of its own will.</summary>
    Leave,
    /// <summary><c>send</c>: a multicast was numbered.</summary>
    Send,
    /// <summary><c>deliver</c>: a multicast was delivered.</summary>
    Deliver,
    /// <summary><c>state</c>: a transferred state was installed here.</summary>
    State,
    /// <summary><c>block</c>: the filter stopped this node.</summary>
    Block,
    /// <summary><c>unblock</c>: the filter resumed this node.</summary>
    Unblock,
    /// <summary><c>exclude</c>: this incarnation is over.</summary>
    Exclude,
    /// <summary><c>call</c>: the application asked for a multicast that had to wait.</summary>
    Call,
    /// <summary><c>fail</c>: a deliberate crash.</summary>
    Fail,
}

/// <summary>One trace line. Which members are set depends on <see cref="Kind"/>; see the trace contract.</summary>
public sealed record TraceEvent
{
    /// <summary>What happened.</summary>
    public required TraceKind Kind { get; init; }
    /// <summary>Whose line this is.</summary>
    public required NodeId Node { get; init; }
    /// <summary>Monotonic time since the node started.</summary>
    public required TimeSpan Time { get; init; }
    /// <summary><c>conf</c>: the id of the configuration.</summary>
    public string? ConfigurationId { get; init; }
    /// <summary><c>conf</c>: transitional or regular.</summary>
    public bool IsTransitional { get; init; }
    /// <summary><c>conf</c>, <c>view</c>: the members, ranked.</summary>
    public ImmutableArray<NodeId> Members { get; init; } = [];
    /// <summary><c>conf</c>, <c>view</c>: primary or not.</summary>
    public bool IsPrimary { get; init; }
    /// <summary>The group's name; null for messages to several groups or to single processes.</summary>
    public string? Group { get; init; }
    /// <summary>The groups' names, if several.</summary>
    public ImmutableArray<string> Groups { get; init; } = [];
    /// <summary><c>view</c>, <c>state</c>: the view's number.</summary>
    public long ViewNumber { get; init; }
    /// <summary><c>view</c>: the view's unique id.</summary>
    public string? ViewId { get; init; }
    /// <summary><c>view</c>: who is new.</summary>
    public ImmutableArray<NodeId> Joined { get; init; } = [];
    /// <summary><c>view</c>: who left or failed.</summary>
    public ImmutableArray<NodeId> Left { get; init; } = [];
    /// <summary><c>send</c>, <c>deliver</c>: the message's id.</summary>
    public string? Message { get; init; }
    /// <summary><c>send</c>, <c>deliver</c>: the primitive.</summary>
    public Order Order { get; init; }
    /// <summary><c>deliver</c>: the sender's name.</summary>
    public string? From { get; init; }
    /// <summary>Messages to single processes: the destinations' names.</summary>
    public ImmutableArray<string> To { get; init; } = [];
    /// <summary>The label, where given.</summary>
    public string? Label { get; init; }
    /// <summary><c>call</c>, and a <c>send</c> that had waited: the number of the call; 0 if none.</summary>
    public long Call { get; init; }
    /// <summary>Messages sent for a caller that is not a member: the caller's name.</summary>
    public string? For { get; init; }
}
