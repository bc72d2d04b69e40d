using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Locks.Waits;

/// <summary>Names a report: reports of one node are numbered.</summary>
internal readonly record struct ReportId(NodeId Node, long Number) : IComparable<ReportId>
{
    public int CompareTo(ReportId other) => Node.CompareTo(other.Node) is var order and not 0 ? order : Number.CompareTo(other.Number);

    public void Write(BodyWriter to)
    {
        to.Node(Node);
        to.Varint(Number);
    }

    public static ReportId Read(ref BodyReader from) => new(from.Node(), from.Varint());
}

/// <summary>An owner waits: made at the node of the owner, while it waits.</summary>
/// <param name="Name">For messages.</param>
/// <param name="Waiting">What it asked for.</param>
/// <param name="Need">How much of the blockers must be released.</param>
/// <param name="Tickets">All that the owner has and waits for.</param>
internal sealed record Report(string Name, Ticket Waiting, long Need, Blocker[] Blockers, Ticket[] Tickets)
{
    /// <summary>The place of its delivery: of two, the later is the younger.</summary>
    public long At { get; set; }

    public static void Write(BodyWriter to, Report report)
    {
        to.Text(report.Name);
        Write(to, report.Waiting);
        to.Varint(Math.Max(0, report.Need));
        to.Varint(report.Blockers.Length);
        foreach (Blocker blocker in report.Blockers)
        {
            Write(to, blocker.Ticket);
            to.Varint(blocker.Weight);
        }

        to.Varint(report.Tickets.Length);
        foreach (Ticket ticket in report.Tickets) Write(to, ticket);
    }

    public static Report Read(ref BodyReader from)
    {
        (string name, Ticket waiting, long need) = (from.Text(), ReadTicket(ref from), from.Varint());
        var blockers = new Blocker[from.Count()];
        for (int i = 0; i < blockers.Length; i++) blockers[i] = new Blocker(ReadTicket(ref from), (int)Math.Min(int.MaxValue, from.Varint()));
        var tickets = new Ticket[from.Count()];
        for (int i = 0; i < tickets.Length; i++) tickets[i] = ReadTicket(ref from);
        return new Report(name, waiting, Math.Min(need, blockers.Sum(b => (long)b.Weight)), blockers, tickets);
    }

    private static void Write(BodyWriter to, Ticket ticket)
    {
        to.Text(ticket.Object);
        to.Node(ticket.Node);
        to.Varint(ticket.Call);
    }

    private static Ticket ReadTicket(ref BodyReader from) => new(from.Text(), from.Node(), from.Varint());
}

/// <summary>A circle that was found, until its victim has given way or it turns out to be none.</summary>
/// <param name="Number">Names it.</param>
/// <param name="Victim">The report of the one who is to give way.</param>
/// <param name="Circle">In words.</param>
/// <param name="Rests">The reports that it rests on.</param>
internal sealed record Suspicion(long Number, ReportId Victim, string Circle, ReportId[] Rests)
{
    /// <summary>Those who have not said once more that they wait.</summary>
    public List<ReportId> Unconfirmed { get; private init; } = [.. Rests];

    public void Write(BodyWriter to)
    {
        to.Varint(Number);
        Victim.Write(to);
        to.Text(Circle);
        WriteAll(to, Rests);
        WriteAll(to, Unconfirmed);
    }

    public static Suspicion Read(ref BodyReader from) =>
        new(from.Varint(), ReportId.Read(ref from), from.Text(), ReadAll(ref from)) { Unconfirmed = [.. ReadAll(ref from)] };

    private static void WriteAll(BodyWriter to, IReadOnlyCollection<ReportId> reports)
    {
        to.Varint(reports.Count);
        foreach (ReportId report in reports) report.Write(to);
    }

    private static ReportId[] ReadAll(ref BodyReader from)
    {
        var reports = new ReportId[from.Count()];
        for (int i = 0; i < reports.Length; i++) reports[i] = ReportId.Read(ref from);
        return reports;
    }
}
