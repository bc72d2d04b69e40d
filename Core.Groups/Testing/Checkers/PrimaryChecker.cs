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
        var graph = new ConfigurationGraph(history, byMembers: !options.Electorate.IsEmpty);
        List<Period> all = graph.Sorted.FindAll(period => period.Line.IsPrimary);
        foreach (Period primary in all)
        {
            if (ElectorateWeight(primary) is int weight && weight < MinimumWeight)
                yield return this.Found($"The primary {primary} holds {weight} of the electorate's weight; {MinimumWeight} is the minimum.", primary.Line);
        }
        if (options.Continuity == PrimaryContinuity.None)
            yield break;
        foreach (Violation lost in FindLostStates(history, graph, all))
            yield return lost;
        foreach (Violation violation in CheckSuccession(history, graph, all))
            yield return violation;
    }

    /// <summary>Those that were ever active stand in one order, and each holds what it must of the one before.</summary>
    private IEnumerable<Violation> CheckSuccession(History history, ConfigurationGraph graph, List<Period> all)
    {
        List<(Period, Period)> ended = [.. FindEndedOnTheWay(history, graph, all)];
        if (ended.Count > 0)
            graph = new ConfigurationGraph(history, byMembers: !options.Electorate.IsEmpty, ended);
        if (graph.Circular.Find(period => period.Line.IsPrimary) is { } circular)
            yield return this.Found($"Two primaries could be active at once: {circular} precedes others that precede it.", circular.Line);
        List<Period> primaries = graph.Sorted.FindAll(period => period.Line.IsPrimary && !IsPassedThrough(history, period));
        List<Period> passed = graph.Sorted.FindAll(period => period.Line.IsPrimary && IsPassedThrough(history, period));
        for (int i = 1; i < primaries.Count; i++)
        {
            Period earlier = primaries[i - 1], later = primaries[i];
            // In extended mode a member that took part in forming a primary and did not install it goes on without it.
            bool isInOrder = graph.Precedes(earlier, later) || (!options.IsPrimaryMode && earlier.Members.Overlaps(later.Members));
            if (!isInOrder)
                yield return this.Found($"Two primaries could be active at once: no one went from {earlier} to {later} or back.", earlier.Line, later.Line);
            else if (!Continues(history, graph, passed, earlier, later))
                yield return this.Found($"The primary {later} does not hold what it must of the primary before it, {earlier} ({options.Continuity}).", earlier.Line, later.Line);
        }
        foreach (Period later in all)
        {
            if (FindWithoutVotes(history, later) is { } last)
                yield return this.Found($"The primary {later} has no majority of {last}, from which its members came, and not all that are missing are proven dead.", last.Line, later.Line);
        }
    }

    /// <summary>
    /// Where votes are forgotten with those who gave them: the primary from which members came to one that has neither a majority of it nor a
    /// newer incarnation of everybody else (protocol, section 6). What happened there, with those that are missing, may be going on.
    /// </summary>
    private Period? FindWithoutVotes(History history, Period later)
    {
        if (!options.IsPrimaryMode || options.Continuity != PrimaryContinuity.VotesOrProof)
            return null;
        IEnumerable<Period> before = later.Members.Select(member => history.Find(member)?.FindRegular(later.RegularId)?.Previous).OfType<Period>();
        return before.Select(period => period.Trace.FindRegular(period.RegularId)!).FirstOrDefault(last => !HoldsMajority(history, last, later.Members.Contains)
            && !last.Members.All(member => later.Members.Any(present => present.Name == member.Name && present.Incarnation >= member.Incarnation)));
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
                bool wentOn = primaries.Exists(other => other != last && other != later && !graph.Precedes(later, other)
                    && (graph.Precedes(last, other) || IsApart(history, other, last)));
                if (!wentOn && 2 * WeightOf(excluded) > WeightOf(last.Members))
                    yield return this.Found($"Strangers began {later} although most of the primary {last} had not failed: {string.Join(", ", excluded.Order())} were excluded, and no primary had gone on without them.", last.Line, later.Line);
            }
        }
    }

    /// <summary>
    /// Whether a primary began without the other's members, and one of its own may have lived beside it: it never went on, and nothing there
    /// proves it dead.
    /// </summary>
    private static bool IsApart(History history, Period one, Period other) => !one.Members.Overlaps(other.Members)
        && one.Members.Any(member => other.Members.All(m => m.Name != member.Name) && history.Find(member)?.FindRegular(one.RegularId) is { Next: null });

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
    /// All that could have gone from the one to the other, by agreeing to it, were stopped or died on the way: only those
    /// completed the other who had not been in the one, in which nobody of them acts any more. So the one was before.
    /// </summary>
    private static IEnumerable<(Period One, Period Other)> FindEndedOnTheWay(History history, ConfigurationGraph graph, List<Period> primaries)
    {
        foreach (Period one in primaries)
        {
            HashSet<NodeId> ended = [.. one.Members.Where(member => history.Find(member) is { } trace && HasEndedIn(trace, one))];
            foreach (Period other in primaries)
            {
                if (other != one && ended.Overlaps(other.Members) && one.Members.All(member => ended.Contains(member) || !other.Members.Contains(member))
                    && !graph.Precedes(one, other) && !graph.Precedes(other, one))
                    yield return (one, other);
            }
        }
    }

    private static bool HasEndedIn(NodeTrace trace, Period period) => trace.FindRegular(period.RegularId) is { Next: null }
        && trace.Events.LastOrDefault(line => line.Kind != TraceKind.Leave) is { Kind: TraceKind.Block or TraceKind.Fail };

    private int MinimumWeight =>
        options.MinimumPrimaryWeight > 0 ? options.MinimumPrimaryWeight : options.Electorate.Sum(options.WeightOf) / 2 + 1;

    private int? ElectorateWeight(Period primary) => options.Electorate.IsEmpty
        ? null : primary.Members.Where(member => options.Electorate.Contains(member.Name)).Sum(member => options.WeightOf(member.Name));

    /// <summary>
    /// At once, or over configurations that were completed on the way: they had recorded what the later one goes on from. Who brought
    /// the majority of the earlier one may have died before it installed the one between.
    /// </summary>
    private bool Continues(History history, ConfigurationGraph graph, List<Period> passed, Period earlier, Period later) => Continues(history, earlier, later)
        || passed.Exists(between => !graph.Precedes(between, earlier) && graph.Precedes(between, later) && Continues(history, earlier, between) && Continues(history, graph, passed, between, later));

    private bool Continues(History history, Period earlier, Period later)
    {
        var names = later.Members.Select(member => member.Name).ToHashSet();
        return options.Continuity switch
        {
            PrimaryContinuity.Member or PrimaryContinuity.VotesOrProof => earlier.Members.Any(member => names.Contains(member.Name)),
            PrimaryContinuity.MajorityOfIncarnations => HoldsMajority(history, earlier, later.Members.Contains),
            _ => HoldsMajority(history, earlier, member => names.Contains(member.Name)),
        };
    }

    /// <summary>Whether these are more than half of a primary, or half with its lowest ranked member.</summary>
    private bool HoldsMajority(History history, Period primary, Predicate<NodeId> isHere)
    {
        int held = WeightOf(primary.Members.Where(Votes)), all = WeightOf(primary.Members);
        return 2 * held > all || (2 * held == all && Votes(primary.Line.Members[0]));

        bool Votes(NodeId member) => isHere(member) || (options.Leavers.Contains(member) && history.Find(member)?.FindRegular(primary.RegularId) is null or { Next: null });
    }
}
