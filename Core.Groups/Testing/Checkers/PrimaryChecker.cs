// EVS 2.2 (the primary component model): primary configurations are unique, that is totally ordered by what nodes
// installed (never by clocks), and continuous: consecutive ones share what CheckOptions.Continuity says (protocol, section 6).
// Strangers may begin again where what was known is lost with those who failed, not where they were excluded for nothing.
using Core.Groups.Tracing;

namespace Core.Groups.Testing.Checkers;

/// <summary>No two primary configurations at once.</summary>
internal sealed class PrimaryChecker(CheckOptions options) : IChecker
{
    public string Name => "primary";

    public IEnumerable<Violation> Check(History history)
    {
        var graph = new ConfigurationGraph(history);
        List<Period> all = graph.Sorted.FindAll(period => period.Line.IsPrimary);
        List<Period> primaries = all.FindAll(period => !IsPassedThrough(history, period));
        List<Period> passed = [.. all.Except(primaries)];
        foreach (Period primary in primaries)
        {
            if (ElectorateWeight(primary) is int weight && weight < MinimumWeight)
                yield return this.Found($"The primary {primary} holds {weight} of the electorate's weight; {MinimumWeight} is the minimum.", primary.Line);
        }
        if (options.Continuity == PrimaryContinuity.None)
            yield break;
        foreach (Violation lost in FindLostStates(history, graph, all))
            yield return lost;
        for (int i = 1; i < primaries.Count; i++)
        {
            Period earlier = primaries[i - 1], later = primaries[i];
            if (!graph.Precedes(earlier, later) && !graph.Precedes(later, earlier)
                && (ProvesDead(earlier, later) || EndedOnTheWay(history, earlier, later) || EndedOnTheWay(history, later, earlier)))
                continue;
            // In extended mode a member that took part in forming a primary and did not install it goes on without it.
            bool isInOrder = graph.Precedes(earlier, later) || (!options.IsPrimaryMode && !graph.Precedes(later, earlier) && earlier.Members.Overlaps(later.Members));
            if (!isInOrder)
                yield return this.Found($"Two primaries could be active at once: no one went from {earlier} to {later} or back.", earlier.Line, later.Line);
            else if (!Continues(graph, passed, earlier, later))
                yield return this.Found($"The primary {later} does not hold what it must of the primary before it, {earlier} ({options.Continuity}).", earlier.Line, later.Line);
        }
    }

    /// <summary>
    /// Strangers began again, although most of the primary before had not failed: they were excluded and came back among the strangers,
    /// and no primary had gone on without them. So what they knew was lost with nobody's failure. (Not where their lineage had given way
    /// to one that began apart, and that failed afterwards: they were told that it was lost.)
    /// </summary>
    private IEnumerable<Violation> FindLostStates(History history, ConfigurationGraph graph, List<Period> primaries)
    {
        for (int i = 1; i < primaries.Count; i++)
        {
            Period later = primaries[i];
            if (later.Members.Any(member => history.Find(member)?.FindRegular(later.RegularId) is { RegularOrdinal: > 1 }))
                continue;
            foreach (Period last in primaries[..i].Where(earlier => graph.Precedes(earlier, later)))
            {
                List<NodeId> excluded = [.. last.Members.Where(member => history.Find(member) is { } trace && IsExcludedFrom(trace, last)
                    && later.Members.Any(again => again.Name == member.Name && again.Incarnation > member.Incarnation))];
                bool wentOn = primaries.Exists(other => other != last && other != later && !graph.Precedes(later, other) && (graph.Precedes(last, other) || IsApart(other, last)));
                if (!wentOn && 2 * WeightOf(excluded) > WeightOf(last.Members))
                    yield return this.Found($"Strangers began {later} although most of the primary {last} had not failed: {string.Join(", ", excluded.Order())} were excluded, and no primary had gone on without them.", last.Line, later.Line);
            }
        }
    }

    /// <summary>Whether a primary began without the other's members, and one of its own may have lived beside it: nothing there proves it dead.</summary>
    private static bool IsApart(Period one, Period other) =>
        !one.Members.Overlaps(other.Members) && one.Members.Any(member => other.Members.All(m => m.Name != member.Name));

    private int WeightOf(IEnumerable<NodeId> members) => members.Sum(member => options.WeightOf(member.Name));

    private static bool IsExcludedFrom(NodeTrace trace, Period last) =>
        trace.FindRegular(last.RegularId) is { Next: null } && trace.Events[^1].Kind == TraceKind.Exclude;

    /// <summary>
    /// A configuration that each node which installed it left at once for the next, or in which the filter stopped it before
    /// it did anything: it was completed on the way, and nothing was sent, delivered or transferred in it. It was never active.
    /// </summary>
    private static bool IsPassedThrough(History history, Period primary) =>
        history.Traces.All(trace => trace.FindRegular(primary.RegularId) is not { } period || IsPassedThrough(trace, period));

    private static bool IsPassedThrough(NodeTrace trace, Period period)
    {
        int at = period.Start + 1, end = period.Next?.Start ?? trace.Events.Count;
        while (at < end && trace.Events[at].Kind == TraceKind.View)
            at++;
        return at == end ? period.Next is not null : trace.Events[at].Kind is TraceKind.Block or TraceKind.Exclude;
    }

    /// <summary>
    /// After a total loss without stable storage strangers begin a new lineage. With an electorate it holds a name of every
    /// earlier primary under another incarnation: the two cannot both be active.
    /// </summary>
    private bool ProvesDead(Period one, Period other) => !options.Electorate.IsEmpty
        && one.Members.Any(member => options.Electorate.Contains(member.Name) && other.Members.Any(m => m.Name == member.Name && m.Incarnation != member.Incarnation));

    /// <summary>
    /// All that could have gone from the one to the other, by agreeing to it, were stopped or died on the way: only those
    /// completed the other who had not been in the one, in which nobody acts any more.
    /// </summary>
    private static bool EndedOnTheWay(History history, Period one, Period other)
    {
        NodeId[] common = [.. one.Members.Where(other.Members.Contains)];
        return common.Length > 0 && common.All(member => history.Traces.FirstOrDefault(trace => trace.Node == member) is { } trace
            && trace.FindRegular(one.RegularId) is { Next: null }
            && trace.Events.LastOrDefault(line => line.Kind != TraceKind.Leave) is { Kind: TraceKind.Block or TraceKind.Fail });
    }

    private int MinimumWeight =>
        options.MinimumPrimaryWeight > 0 ? options.MinimumPrimaryWeight : options.Electorate.Sum(options.WeightOf) / 2 + 1;

    private int? ElectorateWeight(Period primary) => options.Electorate.IsEmpty
        ? null : primary.Members.Where(member => options.Electorate.Contains(member.Name)).Sum(member => options.WeightOf(member.Name));

    /// <summary>
    /// At once, or over configurations that were completed on the way: they had recorded what the later one goes on from. Who brought
    /// the majority of the earlier one may have died before it installed the one between.
    /// </summary>
    private bool Continues(ConfigurationGraph graph, List<Period> passed, Period earlier, Period later) => Continues(earlier, later)
        || passed.Exists(between => !graph.Precedes(between, earlier) && graph.Precedes(between, later) && Continues(earlier, between) && Continues(graph, passed, between, later));

    private bool Continues(Period earlier, Period later)
    {
        bool byIncarnation = options.Continuity == PrimaryContinuity.MajorityOfIncarnations;
        var names = later.Members.Select(member => member.Name).ToHashSet();
        List<NodeId> common = [.. earlier.Line.Members.Where(member => byIncarnation ? later.Members.Contains(member) : names.Contains(member.Name))];
        if (options.Continuity == PrimaryContinuity.Member)
            return common.Count > 0;
        int held = WeightOf(common), all = WeightOf(earlier.Members);
        return 2 * held > all || (2 * held == all && common.Count > 0 && common[0] == earlier.Line.Members[0]);
    }
}
