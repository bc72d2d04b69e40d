// EVS 2.1-2.4, as far as traces show them, and section 3's shape of a change: regular, transitional, regular.
// Keeps watch that all members agree on a configuration, are in it, and that a transitional one holds exactly those that
// go from the same old to the same new regular configuration. (2.1's "will come about" is QuietEndChecker's.)
using System.Globalization;

namespace Core.Groups.Testing.Checkers;

/// <summary>Configurations are agreed, well formed, and installed in one order.</summary>
internal sealed class ConfigurationChecker : IChecker
{
    public string Name => "configuration";

    public IEnumerable<Violation> Check(History history) =>
        history.Traces.SelectMany(CheckNode).Concat(CheckAgreement(history)).Concat(CheckChanges(history)).Concat(CheckOrder(history));

    private IEnumerable<Violation> CheckNode(NodeTrace trace)
    {
        var installed = new Dictionary<string, Period>();
        Period? regular = null;
        foreach (Period period in trace.Periods)
        {
            if (!period.Members.Contains(trace.Node))
                yield return this.Found($"{trace} installed {period} without being a member of it.", period.Line);
            if (period.Members.Count != period.Line.Members.Length)
                yield return this.Found($"{period} names a member twice at {trace}.", period.Line);
            if (period.IsTransitional)
            {
                if (period.Previous is null or { IsTransitional: true })
                    yield return this.Found($"{trace} installed {period} without a regular configuration before it.", period.Previous?.Line, period.Line);
                continue;
            }
            if (!installed.TryAdd(period.RegularId, period))
                yield return this.Found($"{trace} installed {period} twice (EVS 2.2).", installed[period.RegularId].Line, period.Line);
            if (period.Previous is { IsTransitional: false })
                yield return this.Found($"{trace} went from {period.Previous} to {period} without a transitional configuration.", period.Previous.Line, period.Line);
            if (regular is not null && EpochOf(period) < EpochOf(regular))
                yield return this.Found($"The epoch fell when {trace} went from {regular} to {period}.", regular.Line, period.Line);
            regular = period;
        }
    }

    private IEnumerable<Violation> CheckAgreement(History history)
    {
        var first = new Dictionary<(string, string?), Period>();
        foreach (Period period in history.Traces.SelectMany(trace => trace.Periods))
        {
            if (first.TryAdd(period.Key, period))
                continue;
            Period other = first[period.Key];
            if (!period.Line.Members.SequenceEqual(other.Line.Members))
            {
                yield return this.Found(
                    $"{other.Trace} and {period.Trace} installed {period} with different members: {other.Line.Members.Text()} and {period.Line.Members.Text()}.",
                    other.Line, period.Line);
            }
            if (period.Line.IsPrimary != other.Line.IsPrimary)
                yield return this.Found($"{other.Trace} and {period.Trace} do not agree on whether {period} is primary.", other.Line, period.Line);
        }
    }

    private IEnumerable<Violation> CheckChanges(History history)
    {
        var nextOf = new Dictionary<(string, string?), Period>();
        var changes = new Dictionary<(string From, string To), Period>();
        foreach (Period period in history.Traces.SelectMany(trace => trace.Periods).Where(period => period.IsTransitional))
        {
            if (period.Previous is { } old && period.Line.Members.Any(member => !old.Members.Contains(member)))
                yield return this.Found($"{period} holds a node that was not in {old} at {period.Trace}.", old.Line, period.Line);
            if (period.Next is not { IsTransitional: false } next)
                continue;
            if (period.Line.Members.Any(member => !next.Members.Contains(member)))
                yield return this.Found($"{period} holds a node that is not in {next}, which follows it at {period.Trace}.", period.Line, next.Line);
            if (!nextOf.TryAdd(period.Key, next) && nextOf[period.Key].RegularId != next.RegularId)
                yield return this.Found($"From {period}, {nextOf[period.Key].Trace} went to {nextOf[period.Key]} but {period.Trace} to {next}.", nextOf[period.Key].Line, next.Line);
            if (!changes.TryAdd((period.RegularId, next.RegularId), period) && !changes[(period.RegularId, next.RegularId)].Members.SetEquals(period.Members))
            {
                Period other = changes[(period.RegularId, next.RegularId)];
                yield return this.Found(
                    $"{other.Trace} and {period.Trace} went together from configuration {period.RegularId} to {next.RegularId}, but through different transitional ones.",
                    other.Line, period.Line);
            }
            foreach (NodeId member in period.Line.Members)
            {
                if (history.Find(member)?.FindRegular(next.RegularId) is { } installed && installed.Previous?.RegularId != period.RegularId)
                    yield return this.Found($"{member} is in {period} at {period.Trace}, but did not come to {next} from there.", period.Line, installed.Line);
            }
        }
    }

    private IEnumerable<Violation> CheckOrder(History history)
    {
        List<Period> circular = new ConfigurationGraph(history).Circular;
        if (circular.Count > 0)
        {
            yield return this.Found(
                $"The nodes installed these configurations in orders that contradict each other (EVS 1.1, 2.3): {circular.Select(period => period.RegularId).Text()}.",
                [.. circular.Select(period => period.Line)]);
        }
    }

    /// <summary>The epoch in an id of the form <c>epoch@representative</c>; other ids carry none, and their order shows in the graph alone.</summary>
    private static long? EpochOf(Period period) =>
        period.RegularId.IndexOf('@') is int at and > 0
        && long.TryParse(period.RegularId.AsSpan(0, at), NumberStyles.None, CultureInfo.InvariantCulture, out long epoch) ? epoch : null;
}
