// Sites with disks, recovery managers and one logged group, over an ideal virtually synchronous transport: one sequence of events for
// the managers, one for the group, every process at its own pace. What the protocol leaves open is open here: a process that is cut off may
// deliver what nobody else will ever see, and who dies leaves any part of its unsynced writes.
using System.Collections.Immutable;
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.Recovery;
using Toolkit.Recovery.Decision;
using Toolkit.Recovery.Logs;

namespace Toolkit.Tests.Recovery.Simulation;

/// <summary>A rule that is left out, to see that the checks bite.</summary>
internal enum Weakness
{
    None,

    /// <summary>A joiner is given the state before the donor has logged the view with the joiner.</summary>
    StateBeforeView,

    /// <summary>A member says that it has on disk what it is still writing.</summary>
    AnsweredBeforeSynced,

    /// <summary>Whoever comes first restores the group from its log.</summary>
    FirstRestores,

    /// <summary>What is decided is acted on before a majority has written it down.</summary>
    ActsBeforeWrittenDown,
}

/// <summary>One run. Violations are English sentences.</summary>
internal sealed class RecoveryWorld
{
    public const string Group = "/ledger";

    private readonly Func<int, int> _below;
    private readonly Site[] _sites;
    private readonly List<(ImmutableArray<NodeId>? View, Action<RecoveryTable>? Operation)> _managerEvents = [];
    private readonly List<NodeId> _managers = [];
    private RecoveryTable _canon = new();
    private GroupRun? _run;
    private ulong _runs;
    private long _incarnations;
    private int _updates;

    /// <param name="below">Chance: a number from 0 to below its argument.</param>
    public RecoveryWorld(int sites, Func<int, int> below, Weakness weakness = Weakness.None)
    {
        (_below, Weakness) = (below, weakness);
        _sites = [.. Enumerable.Range(0, sites).Select(i => new Site(((char)('a' + i)).ToString(), new SimulatedPlatter((ulong)i + 1)))];
    }

    public Weakness Weakness { get; }

    public int Seeds => _sites.Length;

    public List<string> Violations { get; } = [];

    public List<SimulatedBarrier> Barriers { get; } = [];

    public List<string> Log { get; } = [];

    public int Restorations { get; private set; }

    public int Acknowledged => Barriers.Where(b => b.IsAnswered).SelectMany(b => b.Covers).Distinct().Count();

    /// <summary>The newest view that anybody has logged.</summary>
    public LogPoint Newest { get; private set; }

    public bool IsUp(int site) => _sites[site].Process is not null;

    public bool IsCutOff(int site) => _sites[site].IsCutOff;

    // ---- what happens to sites

    public void Start(int index)
    {
        Site site = _sites[index];
        site.Process = new RecoveryProcess(this, new NodeId(site.Name, ++_incarnations), site.Platter);
        site.Process.Want();
        site.Process.ToManagers.Clear(); // what it declares goes with its introduction
        Log.Add($"{site.Process.Id} starts");
    }

    /// <summary>The others go on without it; it goes on for a while with what it had, alone.</summary>
    public void CutOff(int index)
    {
        Site site = _sites[index];
        if (site.Process is null || site.IsCutOff) return;
        (site.IsCutOff, site.OwnEvents) = (true, [.. site.Process.Run?.Events ?? []]);
        Log.Add($"{site.Process.Id} is cut off");
        Exclude(site.Process.Id);
    }

    public void Crash(int index)
    {
        Site site = _sites[index];
        if (site.Process is not { } process) return;
        Log.Add($"{process.Id} dies");
        process.Store.Die(_below);
        if (!site.IsCutOff) Exclude(process.Id);
        (site.Process, site.IsCutOff) = (null, false);
    }

    // ---- steps

    /// <summary>Everything that could happen next at the sites that are up, in a fixed order.</summary>
    public List<Action> Steps()
    {
        var steps = new List<Action>();
        foreach (Site site in _sites)
        {
            if (site.Process is not { } process) continue;
            foreach (string queue in process.Store.Waiting) steps.Add(() => process.Store.Sync(queue));
            if (!site.IsCutOff) AddShared(steps, process);
            else if (process.ToGroup.Count > 0 && process.Run is not null) steps.Add(() => SendAlone(site, process));
            if (CanStep(site, process)) steps.Add(() => process.Step(EventsOf(site)));
        }

        return steps;
    }

    /// <summary>A client gives a member an update, and wants to know when it is stable.</summary>
    public bool TryUpdate(int index)
    {
        if (_sites[index].Process is not { HasState: true } process) return false;
        process.SendUpdate(++_updates);
        process.Flush();
        return true;
    }

    /// <summary>Runs what can run, without further trouble. False: it does not come to rest.</summary>
    public bool Settle(int limit = 20_000)
    {
        for (int i = 0; i < limit && Violations.Count == 0; i++)
        {
            List<Action> steps = Steps();
            if (steps.Count == 0) return true;
            steps[_below(steps.Count)]();
        }

        return false;
    }

    /// <summary>At rest, everybody up: all are members, alike, with everything that was acknowledged.</summary>
    public void CheckEnd()
    {
        foreach (Site site in _sites)
        {
            if (site.Process is not { HasState: true } process)
            {
                Violations.Add($"{site.Name} is no member in the end (it is {site.Process?.Phase.ToString() ?? "down"}).");
                continue;
            }

            CheckAcknowledged(process, "in the end");
            if (!process.Ledger.SequenceEqual(_sites[0].Process!.Ledger)) Violations.Add($"{site.Name} and {_sites[0].Name} differ in the end.");
        }
    }

    // ---- for the processes

    public Ticket? TicketOf(RecoveryProcess process, long attempt)
    {
        RecoveryTable table = process.Table!;
        GroupEntry? group = table.Groups.GetValueOrDefault(Group);
        if (Weakness == Weakness.FirstRestores && group is { Catalogue: { } known, IsHeld: false } && group.Members.TryGetValue(process.Id, out MemberEntry? own) && own.Report is { } report)
        {
            return new Ticket(true, 1, known.Forced, report.Point.Term + 1);
        }

        MemberEntry? told = Weakness == Weakness.ActsBeforeWrittenDown
            ? group?.Members.GetValueOrDefault(process.Id) is { Phase: MemberPhase.Restoring or MemberPhase.Joining } early && early.Attempt == attempt ? early : null
            : table.TicketOf(process.Id, Group, attempt);
        return told is null ? null : new Ticket(told.Phase == MemberPhase.Restoring, process.Store.Id, group!.Catalogue!.Forced, told.Term);
    }

    public GroupRun Enter(RecoveryProcess process)
    {
        _run ??= new GroupRun(Group, ++_runs);
        _run.Change([process.Id], []);
        return _run;
    }

    public IEnumerable<RecoveryProcess> Joiners(GroupRun run, View view) =>
        from site in _sites
        where site.Process is { HasState: false } process && process.Run == run && view.Contains(process.Id)
        select site.Process;

    /// <summary>It began a group that it has no right to begin: it leaves.</summary>
    public void Refuse(RecoveryProcess process)
    {
        GroupRun run = process.Run!;
        process.Leave();
        if (run == _run) Change(run, process.Id);
    }

    public void OnLogged(LoggedView view)
    {
        if (view.Point(0).CompareViews(Newest) > 0) Newest = view.Point(0);
    }

    /// <param name="end">Where the log ended that it restored.</param>
    public void OnRestored(RecoveryProcess process, LogPoint end)
    {
        Restorations++;
        Log.Add($"{process.Id} restores {end}: {string.Join(" ", process.Ledger)}");
        CheckAcknowledged(process, "when the group came back");
        if (end.CompareViews(Newest) < 0) Violations.Add($"{process.Id} was not the last to fail: its log ended in {end}, and there was {Newest}.");

        if (_sites.Any(s => s.Process is { HasState: true } other && other != process && !s.IsCutOff)) Violations.Add($"{process.Id} restored the group while it ran.");
    }

    private void CheckAcknowledged(RecoveryProcess process, string when)
    {
        int[] lost = [.. Barriers.Where(b => b.IsAnswered).SelectMany(b => b.Covers).Except(process.Ledger)];
        if (lost.Length > 0) Violations.Add($"{process.Id} has lost {string.Join(", ", lost)}, which was stable, {when}.");
    }

    private IReadOnlyList<GroupEvent> EventsOf(Site site) => site.IsCutOff ? site.OwnEvents : site.Process!.Run?.Events ?? [];

    private bool CanStep(Site site, RecoveryProcess process)
    {
        if (process.Run is null || process.IsHandling) return false;
        IReadOnlyList<GroupEvent> events = EventsOf(site);
        bool hasNext = process.GroupCursor < events.Count;
        return process.HasState ? hasNext : (hasNext && events[process.GroupCursor].View?.Joined.Contains(process.Id) == true) || process.Offers.Exists(o => o.Cut >= process.GroupCursor - 1);
    }

    private void AddShared(List<Action> steps, RecoveryProcess process)
    {
        if (process.Table is null)
        {
            steps.Add(() => EnterManagers(process));
            return;
        }

        if (process.ToManagers.Count > 0) steps.Add(() => Decide(process.ToManagers.Dequeue()));
        if (process.ManagerCursor < _managerEvents.Count) steps.Add(() => StepManager(process));
        if (process.ToGroup.Count > 0 && process.Run is not null) steps.Add(() => process.ToGroup.Dequeue()(process.Run));
        if (IsLost(process)) steps.Add(() => Refuse(process));
    }

    // Everybody who had the group's state is gone, and no state is on its way.
    private bool IsLost(RecoveryProcess process) =>
        process is { Run: not null, HasState: false, IsHandling: false, Offers.Count: 0 } && process.Run == _run
        && process.GroupCursor > 0 && process.Run.Events.FindIndex(e => e.View?.Joined.Contains(process.Id) == true) < process.GroupCursor
        && !_sites.Any(s => s.Process is { } other && other.Run == _run && !s.IsCutOff && (other.HasState || other.IsHandling || IsFirst(other)));

    private bool IsFirst(RecoveryProcess process) => _run!.Events[0].View!.Members[0] == process.Id && process.GroupCursor == 0;

    private void EnterManagers(RecoveryProcess process)
    {
        _managers.Add(process.Id);
        Decide([.. _managers]);
        var writer = new BodyWriter();
        _canon.Write(writer);
        var reader = new BodyReader(writer.ToArray());
        process.Table = RecoveryTable.Read(ref reader);
        process.ManagerCursor = _managerEvents.Count;
        process.Introduce();
    }

    private void Decide(ImmutableArray<NodeId> view)
    {
        _managerEvents.Add((view, null));
        _canon.Keep(view);
    }

    private void Decide(Action<RecoveryTable> operation)
    {
        _managerEvents.Add((null, operation));
        operation(_canon);
    }

    private void StepManager(RecoveryProcess process)
    {
        (ImmutableArray<NodeId>? view, Action<RecoveryTable>? operation) = _managerEvents[process.ManagerCursor++];
        if (view is { } here) process.Table!.Keep(here);
        operation?.Invoke(process.Table!);
        process.OnTableChanged();
    }

    // Cut off, a process still delivers to itself what it sends; nobody answers it.
    private static void SendAlone(Site site, RecoveryProcess process)
    {
        var alone = new GroupRun(Group, 0);
        process.ToGroup.Dequeue()(alone);
        foreach (GroupEvent own in alone.Events) own.Barrier?.Members = site.OwnEvents.Last(e => e.View is not null).View!.Members;
        site.OwnEvents.AddRange(alone.Events);
    }

    private void Exclude(NodeId node)
    {
        if (_managers.Remove(node))
        {
            Decide([.. _managers]);
            if (_managers.Count == 0)
            {
                _managerEvents.Clear();
                _canon = new RecoveryTable();
            }
        }

        if (_run is { } run) Change(run, node);
    }

    private void Change(GroupRun run, NodeId left)
    {
        if (!run.Members.Contains(left)) return;
        run.Change([], [left]);
        if (run.Members.Count == 0) _run = null;
    }

    private sealed class Site(string name, SimulatedPlatter platter)
    {
        public string Name => name;
        public SimulatedPlatter Platter => platter;
        public RecoveryProcess? Process { get; set; }
        public bool IsCutOff { get; set; }
        public List<GroupEvent> OwnEvents { get; set; } = [];
    }
}
