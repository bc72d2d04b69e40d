// Who waits for whom, over all objects of a set of nodes: finds every deadlock, chooses one victim for each, and raises no false alarm.
// Keeps: an edge counts only if the one waited for says in a report of its own, made while it waits too, that it still has what is waited for.
// Who waits gives nothing up, so of such reports the first that ceased to be true would have needed another to cease before it: all were true together
// when the last was made. Against waits that time out, all that are in a suspected circle say once more that they still wait before the victim is told.
// Follows: the deadlock detector that "Exploiting virtual synchrony", 3.3 mentions; the reduction of wait-for graphs of Holt (1972).
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Locks.Waits;

/// <summary>One node's copy of the graph. All messages travel by total order, so all copies judge alike.</summary>
internal sealed class WaitGraphReplica : Replica
{
    private const byte StateVersion = 1;

    private readonly SortedDictionary<ReportId, Report> _reports = [];
    private readonly List<Suspicion> _suspicions = [];
    private readonly Dictionary<long, OwnReport> _own = [];
    private readonly BodyWriter _body = new();
    private long _lastReport;
    private long _lastSuspicion;
    private long _deliveries;

    private enum Kind : byte
    {
        Waits = 1,
        Over = 2,
        StillWaits = 3,
    }

    /// <summary>A wait of this node's.</summary>
    /// <param name="StillWaits">Asked before anyone is chosen.</param>
    /// <param name="Chosen">Told once, with the circle in words.</param>
    private sealed record OwnReport(Func<bool> StillWaits, Action<string> Chosen);

    // ---- calls of this node

    /// <summary>Reports a wait, for all to see. What an older report of the same wait said is replaced.</summary>
    /// <returns>Names the report.</returns>
    public long Waits(LockOwner owner, Ticket waiting, long need, IReadOnlyCollection<Blocker> blockers, Func<bool> stillWaits, Action<string> chosen, long replaces)
    {
        long number = ++_lastReport;
        _own.Remove(replaces);
        _own.Add(number, new OwnReport(stillWaits, chosen));
        _body.Reset();
        _body.Byte((byte)Kind.Waits);
        _body.Varint(number);
        _body.Varint(replaces);
        Report.Write(_body, new Report(owner.Name, waiting, need, [.. blockers], [.. owner.Tickets]));
        Port.Multicast(Order.Total, _body.Written);
        return number;
    }

    /// <summary>A wait is over, however it ended.</summary>
    public void Over(long number)
    {
        if (_own.Remove(number)) Multicast(Kind.Over, number, 0);
    }

    // ---- deliveries

    protected override void Initialize() => Clear();

    protected override void OnMessage(in ReplicaMessage message)
    {
        try
        {
            var body = new BodyReader(message.Body);
            var kind = (Kind)body.Byte();
            var report = new ReportId(message.From, body.Varint());
            long other = body.Varint();
            switch (kind)
            {
                case Kind.Waits:
                    Report waits = Report.Read(ref body);
                    Remove(report with { Number = other });
                    waits.At = ++_deliveries;
                    _reports[report] = waits;
                    break;
                case Kind.Over:
                    Remove(report);
                    break;
                case Kind.StillWaits:
                    OnStillWaits(report, other);
                    return;
                default:
                    return;
            }

            Suspect();
        }
        catch (FormatException)
        {
            // Of no version that is known here: all members ignore it alike.
        }
    }

    protected override void OnView(View view)
    {
        foreach (ReportId gone in _reports.Keys.Where(r => !view.Contains(r.Node)).ToArray()) Remove(gone);
        Suspect();
    }

    protected override void OnEnded(MembershipEnd end) => Clear(); // those who wait report again in the next membership

    protected override ReadOnlyMemory<byte> Save()
    {
        var state = new BodyWriter();
        state.Byte(StateVersion);
        state.Varint(_lastSuspicion);
        state.Varint(_deliveries);
        state.Varint(_reports.Count);
        foreach ((ReportId id, Report report) in _reports)
        {
            id.Write(state);
            state.Varint(report.At);
            Report.Write(state, report);
        }

        state.Varint(_suspicions.Count);
        foreach (Suspicion suspicion in _suspicions) suspicion.Write(state);
        return state.ToArray();
    }

    protected override void Load(ReadOnlyMemory<byte> state)
    {
        Clear();
        var reader = new BodyReader(state);
        if (reader.Byte() != StateVersion) throw new FormatException("The state of a wait-for graph is of a version that is not known here.");
        (_lastSuspicion, _deliveries) = (reader.Varint(), reader.Varint());
        for (int left = reader.Count(); left > 0; left--)
        {
            ReportId id = ReportId.Read(ref reader);
            long at = reader.Varint();
            _reports[id] = Report.Read(ref reader);
            _reports[id].At = at;
        }

        for (int left = reader.Count(); left > 0; left--) _suspicions.Add(Suspicion.Read(ref reader));
    }

    // A circle is looked for until none is left that has no victim yet.
    private void Suspect()
    {
        while (WaitGraphSearch.Find(_reports, _suspicions.Select(s => s.Victim)) is { } found)
        {
            var suspicion = new Suspicion(++_lastSuspicion, found.Victim, found.Circle, [.. found.Reports]);
            _suspicions.Add(suspicion);
            foreach (ReportId report in suspicion.Unconfirmed.Where(r => r.Node == Port.Self))
            {
                if (_own.TryGetValue(report.Number, out OwnReport? own) && own.StillWaits()) Multicast(Kind.StillWaits, report.Number, suspicion.Number);
            }
        }
    }

    private void OnStillWaits(ReportId report, long number)
    {
        if (_suspicions.Find(s => s.Number == number) is not { } suspicion || !suspicion.Unconfirmed.Remove(report) || suspicion.Unconfirmed.Count > 0) return;
        if (suspicion.Victim.Node == Port.Self && _own.TryGetValue(suspicion.Victim.Number, out OwnReport? own)) own.Chosen(suspicion.Circle);
    }

    // With a report goes every suspicion that rests on it.
    private void Remove(ReportId report)
    {
        if (_reports.Remove(report)) _suspicions.RemoveAll(s => s.Rests.Contains(report));
    }

    private void Multicast(Kind kind, long report, long other)
    {
        _body.Reset();
        _body.Byte((byte)kind);
        _body.Varint(report);
        _body.Varint(other);
        Port.Multicast(Order.Total, _body.Written);
    }

    private void Clear()
    {
        _reports.Clear();
        _suspicions.Clear();
        _own.Clear();
        (_lastSuspicion, _deliveries) = (0, 0);
    }
}
