// Who failed last: the decision of the recovery manager, as a function of what is known.
// Keeps: no group comes back while somebody may hold a later view of it. The views of a group are one sequence, and a member gives its
// state to a joiner only when it has logged the view with the joiner; so the members of the newest view known are all that can be last.
// Follows: "Exploiting virtual synchrony", section 3.6; Skeen, "Determining the last process to fail".
using System.Collections.Immutable;
using Toolkit.Recovery.Logs;

namespace Toolkit.Recovery.Decision;

/// <summary>What is known of one node that is here.</summary>
/// <param name="Name">The node's name.</param>
/// <param name="Store">The id of its store.</param>
/// <param name="Report">Its log of the group; null: it has none.</param>
/// <param name="Wants">Whether it wants to join.</param>
internal readonly record struct Candidate(string Name, ulong Store, LogReport? Report, bool Wants);

/// <summary>What follows.</summary>
/// <param name="Source">Who brings the group back; null: wait.</param>
/// <param name="Point">Where its log ends; null: nothing was ever logged, the group begins empty.</param>
/// <param name="WaitingFor">The names that are waited for.</param>
/// <param name="Reason">Why, in words for an operator.</param>
internal sealed record RestartDecision(string? Source, LogPoint? Point, ImmutableArray<string> WaitingFor, string Reason);

/// <summary>The rule.</summary>
internal static class LastToFail
{
    /// <param name="here">The nodes that are here, none of them in the group. Reports of another group of the name are left out.</param>
    /// <param name="group">What is written down of the group: who may hold a log, and whom an operator chose.</param>
    public static RestartDecision Decide(IReadOnlyCollection<Candidate> here, CatalogueEntry group)
    {
        // Whom an operator chose are all that count, until they have logged that they went on.
        bool isChosen = group.Forced > 0 && here.All(c => c.Report is null || c.Report.Point.Forced < group.Forced);
        Candidate[] heard = [.. here.Where(c => !isChosen || group.Chosen.Contains(c.Name))];
        LogReport? last = heard.Where(c => c.Report is not null).Select(c => c.Report!).OrderBy(r => r.Point).LastOrDefault();
        IEnumerable<string> needed = isChosen ? group.Chosen : last is null ? group.Holders.Keys : last.Members;
        string[] missing = [.. needed.Where(name => heard.All(c => c.Name != name))];
        if (missing.Length > 0)
        {
            return Wait(missing, $"{Names(missing)} may have been the last to fail. Start {(missing.Length > 1 ? "them" : "it")}, or decide (override) whom to go on with.");
        }

        string[] lost = [.. needed.Where(name => !isChosen && heard.Any(c => c.Name == name && HasLost(c, group)))];
        if (lost.Length > 0)
        {
            return Wait(lost, $"{Names(lost)} may have been the last to fail, and came back with another store: that log is lost. Restore it, or decide (override) whom to go on with.");
        }

        // All logs of the last view hold what was stable; the longest holds most of the rest.
        Candidate[] best = last is null ? [.. heard.Where(c => isChosen || group.Holders.ContainsKey(c.Name))] : [.. heard.Where(c => c.Report?.Point == last.Point)];
        string? source = best.Where(c => c.Wants).Select(c => c.Name).Order(StringComparer.Ordinal).FirstOrDefault();
        if (source is null)
        {
            string[] idle = [.. best.Select(c => c.Name)];
            return Wait(idle, $"the newest log is that of {Names(idle)}, which has not joined yet.");
        }

        return new RestartDecision(source, last?.Point, [], last is null ? $"{source} begins: nothing was ever logged" : $"{source} was the last to fail");
    }

    private static bool HasLost(Candidate candidate, CatalogueEntry group) =>
        group.Holders.TryGetValue(candidate.Name, out Holder holder) && holder.Store != 0 && holder.Store != candidate.Store;

    private static RestartDecision Wait(IEnumerable<string> names, string reason) => new(null, null, [.. names.Order(StringComparer.Ordinal)], reason);

    private static string Names(IEnumerable<string> names) => string.Join(", ", names.Order(StringComparer.Ordinal));
}
