// One node incarnation's trace, cut into what it stood in: configurations, memberships of groups, views.
using Core.Groups.Tracing;

namespace Core.Groups.Testing.Checkers;

/// <summary>The trace of one node incarnation.</summary>
internal sealed class NodeTrace(NodeId node, int index)
{
    internal NodeId Node { get; } = node;

    /// <summary>The place of this trace among all traces of the history.</summary>
    internal int Index { get; } = index;

    internal List<TraceEvent> Events { get; } = [];
    internal List<Period> Periods { get; } = [];
    internal List<Membership> Memberships { get; } = [];
    internal List<Message> Sends { get; } = [];
    internal List<Delivery> Deliveries { get; } = [];

    /// <summary>The periods by the configuration that they stand in; of a configuration installed twice, the first.</summary>
    internal Dictionary<(string Regular, string? Transitional), Period> PeriodsByKey { get; } = [];

    /// <summary><c>state</c> and <c>leave</c> lines of groups that this node was not a member of.</summary>
    internal List<TraceEvent> StrayLines { get; } = [];

    /// <summary>Where each view that this node installed stands.</summary>
    internal Dictionary<GroupView, ViewPeriod> Views { get; } = [];

    /// <summary>Whether the filter had stopped this node when its trace ended.</summary>
    internal bool EndsBlocked { get; set; }

    internal Period? LastPeriod => Periods.Count == 0 ? null : Periods[^1];

    /// <summary>The (first) regular configuration of that id in this trace.</summary>
    internal Period? FindRegular(string id) => PeriodsByKey.GetValueOrDefault((id, null));

    public override string ToString() => Node.ToString();
}

/// <summary>The part of a trace that stands in one configuration: from its <c>conf</c> line to the next.</summary>
internal sealed class Period(NodeTrace trace, TraceEvent line, int start, Period? previous)
{
    internal NodeTrace Trace { get; } = trace;
    internal TraceEvent Line { get; } = line;
    internal int Start { get; } = start;
    internal Period? Previous { get; } = previous;
    internal Period? Next { get; set; }
    internal bool IsTransitional => Line.IsTransitional;

    /// <summary>EVS's reg(c): the id of the regular configuration that this is, or that this transitional one closes.</summary>
    internal string RegularId { get; } = line.IsTransitional ? previous?.RegularId ?? "" : line.ConfigurationId ?? "";

    /// <summary>Names the configuration. A transitional one is known by the regular one that it closes and its own id.</summary>
    internal (string Regular, string? Transitional) Key =>
        (RegularId, IsTransitional ? Line.ConfigurationId ?? "" : null);

    /// <summary>How many regular configurations this node had installed, this one included.</summary>
    internal int RegularOrdinal { get; } = (previous?.RegularOrdinal ?? 0) + (line.IsTransitional ? 0 : 1);

    internal HashSet<NodeId> Members { get; } = [.. line.Members];

    /// <summary>The next regular configuration of this node, if it lived to see it.</summary>
    internal Period? NextRegular
    {
        get
        {
            Period? next = Next;
            while (next is { IsTransitional: true })
                next = next.Next;
            return next;
        }
    }

    public override string ToString() => IsTransitional
        ? $"the transitional configuration {Line.ConfigurationId} after {RegularId}" : $"configuration {RegularId}";
}

/// <summary>A view of a group, wherever it was installed. Its content is that of the first line that names it.</summary>
internal sealed class GroupView(TraceEvent line)
{
    internal TraceEvent Line { get; } = line;
    internal string Group { get; } = line.Group ?? "";
    internal long Number => Line.ViewNumber;
    internal HashSet<NodeId> Members { get; } = [.. line.Members];
    internal List<ViewPeriod> Installations { get; } = [];

    public override string ToString() => $"view {Number} ({Line.ViewId}) of {Group}";
}

/// <summary>The part of a trace in which a node stood in one view of a group.</summary>
internal sealed class ViewPeriod(Membership membership, GroupView view, TraceEvent line, int start, Period? installedIn)
{
    internal Membership Membership { get; } = membership;
    internal NodeTrace Trace => Membership.Trace;
    internal GroupView View { get; } = view;
    internal TraceEvent Line { get; } = line;
    internal int Start { get; } = start;

    /// <summary>Where the next view or the <c>leave</c> stands; beyond the trace if there is none.</summary>
    internal int End { get; set; } = int.MaxValue;

    internal Period? InstalledIn { get; } = installedIn;
    internal ViewPeriod? Next { get; set; }

    /// <summary>
    /// In extended mode: where this view was left behind. Those that went on with it through different transitional configurations
    /// were apart by then, though they may meet in the next regular one.
    /// </summary>
    internal (string, string?)? PlaceOfEnd => Next?.InstalledIn is not { } period ? null
        : period is { IsTransitional: false, Previous: { IsTransitional: true } before } && InstalledIn?.RegularId != period.RegularId ? before.Key : period.Key;

    /// <summary>The place of this view in the membership, from 0.</summary>
    internal int Ordinal { get; } = membership.Views.Count;
}

/// <summary>A node's membership of a group, from its first view to its <c>leave</c> or the end of the trace.</summary>
internal sealed class Membership(NodeTrace trace, string group)
{
    internal NodeTrace Trace { get; } = trace;
    internal string Group { get; } = group;
    internal List<ViewPeriod> Views { get; } = [];

    /// <summary>Whether this node is the group's first member, which needs no state.</summary>
    internal bool IsCreator { get; set; }

    /// <summary>The <c>state</c> lines, and where they stand in the trace.</summary>
    internal List<(TraceEvent Line, int Index)> StateLines { get; } = [];

    /// <summary>Where the first of <see cref="StateLines"/> stands in the trace; -1 if there is none.</summary>
    internal int StateIndex { get; set; } = -1;

    internal TraceEvent? LeaveLine { get; set; }

    /// <summary>The configuration in which <see cref="LeaveLine"/> stands.</summary>
    internal Period? LeftIn { get; set; }

    /// <summary>The first view whose messages this node owes (by ordinal); none before it has the group's state.</summary>
    internal int OwesFromView { get; set; } = int.MaxValue;

    /// <summary>
    /// In that first view, only the messages sent from this regular configuration (by ordinal) on, the one in which the
    /// state came: a configuration change cuts the snapshot again, and it holds what was delivered before.
    /// </summary>
    internal int OwesFromRegular { get; set; }

    internal bool HasState => OwesFromView != int.MaxValue;
}
