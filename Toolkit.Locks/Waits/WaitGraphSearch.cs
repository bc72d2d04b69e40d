// Finds those who cannot go on. Semaphores make "any of these" waits, for which a circle alone proves nothing: so the graph is
// reduced first (who can get what it needs from those who can go on, can go on), and what is left waits for ever.
namespace Toolkit.Locks.Waits;

/// <summary>One deadlock of a set of reports.</summary>
/// <param name="Victim">The youngest report in the circle.</param>
/// <param name="Circle">In words, from the victim back to the victim.</param>
/// <param name="Reports">All that the proof rests on: who is waited for, from the victim on.</param>
internal sealed record Deadlock(ReportId Victim, string Circle, IReadOnlyCollection<ReportId> Reports);

/// <summary>The search, a function of the reports alone.</summary>
internal static class WaitGraphSearch
{
    /// <param name="reports">Who waits.</param>
    /// <param name="victims">Those who will give way: they are taken to go on.</param>
    public static Deadlock? Find(IReadOnlyDictionary<ReportId, Report> reports, IEnumerable<ReportId> victims)
    {
        HashSet<ReportId> stuck = Reduce(reports, [.. victims]);
        if (stuck.Count == 0) return null;
        Dictionary<Ticket, List<ReportId>> holders = HoldersOf(reports, stuck);
        List<ReportId> circle = CircleFrom(stuck.Min(), reports, holders);
        int youngest = circle.IndexOf(circle.MaxBy(r => reports[r].At));
        circle = [.. circle[youngest..], .. circle[..youngest]];
        return new Deadlock(circle[0], Describe(circle, reports), ReachableFrom(circle[0], reports, holders));
    }

    private static HashSet<ReportId> Reduce(IReadOnlyDictionary<ReportId, Report> reports, HashSet<ReportId> goOn)
    {
        HashSet<ReportId> stuck = [.. reports.Keys.Where(r => !goOn.Contains(r))];
        while (true)
        {
            // An owner waits with all its waits: what it has comes free when none of them is stuck.
            Dictionary<Ticket, List<ReportId>> holders = HoldersOf(reports, stuck);
            if (stuck.RemoveWhere(r => reports[r].Blockers.Where(b => !OthersWith(b.Ticket, r, holders).Any()).Sum(b => (long)b.Weight) >= reports[r].Need) == 0) return stuck;
        }
    }

    private static Dictionary<Ticket, List<ReportId>> HoldersOf(IReadOnlyDictionary<ReportId, Report> reports, HashSet<ReportId> among)
    {
        var holders = new Dictionary<Ticket, List<ReportId>>();
        foreach (ReportId id in among.Order())
        {
            foreach (Ticket ticket in reports[id].Tickets)
            {
                if (!holders.TryGetValue(ticket, out List<ReportId>? list)) holders.Add(ticket, list = []);
                list.Add(id);
            }
        }

        return holders;
    }

    private static IEnumerable<ReportId> Next(ReportId from, IReadOnlyDictionary<ReportId, Report> reports, Dictionary<Ticket, List<ReportId>> holders) =>
        reports[from].Blockers.SelectMany(b => OthersWith(b.Ticket, from, holders));

    // Who waits for permits that nobody else holds back waits for a signal, which may come from anyone.
    private static IEnumerable<ReportId> OthersWith(Ticket ticket, ReportId than, Dictionary<Ticket, List<ReportId>> holders) =>
        (holders.GetValueOrDefault(ticket) ?? []).Where(r => r != than);

    // Everyone who is stuck waits for someone who is: going on from one to the next must come back somewhere.
    private static List<ReportId> CircleFrom(ReportId start, IReadOnlyDictionary<ReportId, Report> reports, Dictionary<Ticket, List<ReportId>> holders)
    {
        List<ReportId> path = [start];
        while (true)
        {
            ReportId next = Next(path[^1], reports, holders).First();
            int seen = path.IndexOf(next);
            if (seen >= 0) return path[seen..];
            path.Add(next);
        }
    }

    private static List<ReportId> ReachableFrom(ReportId start, IReadOnlyDictionary<ReportId, Report> reports, Dictionary<Ticket, List<ReportId>> holders)
    {
        List<ReportId> reached = [start];
        for (int i = 0; i < reached.Count; i++) reached.AddRange(Next(reached[i], reports, holders).Distinct().Except(reached).ToArray());
        return reached;
    }

    private static string Describe(List<ReportId> circle, IReadOnlyDictionary<ReportId, Report> reports)
    {
        IEnumerable<string> steps = circle.Select(r => $"{NameOf(r)} waits for '{reports[r].Waiting.Object}', which is up to ");
        return string.Join("", steps.Select((step, i) => i == 0 ? step : $"{NameOf(circle[i])}; {step}")) + NameOf(circle[0]);

        string NameOf(ReportId report) => $"{reports[report].Name} at {report.Node.Name}";
    }
}
