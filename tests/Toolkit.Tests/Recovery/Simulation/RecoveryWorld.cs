// Sites with disks, recovery managers and logged groups, over an ideal virtually synchronous transport: one sequence of events for
// the managers, one for each group, every process at its own pace. What the protocol leaves open is open here: a process that is cut off may
// deliver what nobody else will ever see; who dies, or whose disk fails, leaves any part of its unsynced writes; disks may be slow.
using System.Collections.Immutable;
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.Recovery;
using Toolkit.Recovery.Decision;
using Toolkit.Recovery.Logs;

namespace Toolkit.Tests.Recovery.Simulation;

/// <summary>One run. Violations are English sentences.</summary>
internal sealed class RecoveryWorld
{
    private readonly Site[] _sites;
    private readonly List<(ImmutableArray<NodeId>? View, Action<RecoveryTable>? Operation)> _managerEvents = [];
    private readonly List<NodeId> _managers = [];
    private RecoveryTable _canon = new();
    private long _incarnations;
    private int _updates;

    /// <param name="below">Chance: a number from 0 to below its argument.</param>
    public RecoveryWorld(int sites, Func<int, int> below, Weakness weakness = Weakness.None, int groups = 1)
    {
        (Below, Weakness) = (below, weakness);
        _sites = [.. Enumerable.Range(0, sites).Select(i => new Site(((char)('a' + i)).ToString(), new SimulatedPlatter((ulong)i + 1), groups))];
        Groups = [.. Enumerable.Range(0, groups).Select(i => new GroupWorld(this, $"/ledger{i}"))];
    }

    public Func<int, int> Below { get; }

    public Weakness Weakness { get; }

    public GroupWorld[] Groups { get; }

    public int Seeds => _sites.Length;

    public List<string> Violations { get; } = [];

    /// <summary>What happened.</summary>
    public List<string> Log { get; } = [];

    /// <summary>How often a log was repaired when it was opened.</summary>
    public int Repaired { get; private set; }

    public bool IsUp(int site) => _sites[site].Process is not null;

    public bool IsCutOff(int site) => _sites[site].IsCutOff;

    /// <summary>The parts of the processes that are up in a group.</summary>
    public IEnumerable<(RecoveryProcess Process, GroupSide Side, bool IsCutOff)> Sides(GroupWorld group) =>
        _sites.Where(s => s.Process is not null).Select(s => (s.Process!, s.Process!.Sides[Array.IndexOf(Groups, group)], s.IsCutOff));

    // ---- what happens to sites

    public void Start(int index)
    {
        Site site = _sites[index];
        try
        {
            site.Process = new RecoveryProcess(this, new NodeId(site.Name, ++_incarnations), site.Platter);
        }
        catch (StableStoreException e)
        {
            Violations.Add($"{site.Name} cannot read what it has written: {e.Message}");
            return;
        }

        Repaired += site.Process.Sides.Count(s => s.Repaired is not null);
        foreach (GroupSide side in site.Process.Sides) side.Want();
        site.Process.ToManagers.Clear(); // what it declares goes with its introduction
        Log.Add($"{site.Process.Id} starts");
    }

    /// <summary>The others go on without it; it goes on for a while with what it had, alone.</summary>
    public void CutOff(int index)
    {
        Site site = _sites[index];
        if (site.Process is not { } process || site.IsCutOff) return;
        site.IsCutOff = true;
        for (int i = 0; i < Groups.Length; i++) site.OwnEvents[i] = [.. process.Sides[i].Run?.Events ?? []];
        Log.Add($"{process.Id} is cut off");
        Exclude(process.Id);
    }

    public void Crash(int index)
    {
        Site site = _sites[index];
        if (site.Process is not { } process) return;
        Log.Add($"{process.Id} dies");
        process.Store.Die(Below);
        if (!site.IsCutOff) Exclude(process.Id);
        (site.Process, site.IsCutOff) = (null, false);
    }

    /// <summary>Its disk fails: what it does next, it does not know yet.</summary>
    public void FailDisk(int index)
    {
        if (_sites[index].Process is not { } process) return;
        Log.Add($"the disk of {process.Id} fails");
        process.Store.Fail(Below);
    }

    /// <summary>From now on its disk is slow, or not.</summary>
    public void SlowDown(int index, bool isSlow) => _sites[index].IsSlow = isSlow;

    /// <summary>An operator at a site decides to go on with those that are up.</summary>
    public void Override(int index, int group)
    {
        if (_sites[index] is not { Process: { Table: not null } process, IsCutOff: false } || _managers.Count * 2 <= Seeds) return;
        ImmutableArray<string> chosen = [.. _sites.Where(s => s.Process is not null && !s.IsCutOff).Select(s => s.Name)];
        process.ToManagers.Enqueue(table => table.Override(Groups[group].Name, chosen));
    }

    // ---- steps

    /// <summary>Everything that could happen next at the sites that are up, in a fixed order.</summary>
    public List<Action> Steps()
    {
        var steps = new List<Action>();
        var slow = new List<Action>();
        for (int i = 0; i < _sites.Length; i++)
        {
            Site site = _sites[i];
            if (site.Process is { HasFailed: true } failed)
            {
                if (failed.Failure is not StableStoreException) Violations.Add($"{failed.Id} has ended with {failed.Failure}.");
                Crash(i); // who cannot write leaves
            }

            if (site.Process is not { } process) continue;
            foreach (string queue in process.Store.Waiting) (site.IsSlow && Below(8) > 0 ? slow : steps).Add(() => process.Store.Sync(queue));
            if (!site.IsCutOff) AddManagers(steps, process);
            for (int g = 0; g < Groups.Length; g++) AddGroup(steps, site, process, g);
        }

        return steps.Count > 0 ? steps : slow;
    }

    /// <summary>A client gives a member an update, and wants to know when it is stable.</summary>
    public bool TryUpdate(int index, int group)
    {
        if (_sites[index].Process?.Sides[group] is not { HasState: true } side) return false;
        side.SendUpdate(++_updates);
        side.Flush();
        return true;
    }

    /// <summary>A member asks for a checkpoint with a number.</summary>
    public void TryCheckpoint(int index, int group)
    {
        if (_sites[index].Process?.Sides[group] is { HasState: true } side) side.Ask(SimulatedQuestion.Ask(JournalQuestion.Checkpoint));
    }

    /// <summary>A member asks to roll back to one of its checkpoints.</summary>
    public void TryRollBack(int index, int group)
    {
        if (_sites[index].Process?.Sides[group] is { HasState: true, Checkpoints: { Count: > 0 } numbers } side) side.AskToRollBack(numbers[Below(numbers.Count)]);
    }

    /// <summary>Runs what can run, without further trouble. False: it does not come to rest.</summary>
    public bool Settle(int limit = 40_000)
    {
        for (int i = 0; i < limit && Violations.Count == 0; i++)
        {
            List<Action> steps = Steps();
            if (steps.Count == 0) return true;
            steps[Below(steps.Count)]();
        }

        return false;
    }

    // ---- for the processes

    public Ticket? TicketOf(RecoveryProcess process, string name, long attempt)
    {
        RecoveryTable table = process.Table!;
        GroupEntry? group = table.Groups.GetValueOrDefault(name);
        if (group is { IsDecided: true } && _managers.Count * 2 <= Seeds) return null; // a minority is blocked: the others may not know what was decided
        if (Weakness == Weakness.FirstRestores && group is { Catalogue: { } known, IsHeld: false } && group.Members.TryGetValue(process.Id, out MemberEntry? own) && own.Report is { } report)
        {
            return new Ticket(true, 1, known.Forced, report.Point.Term + 1);
        }

        MemberEntry? told = Weakness == Weakness.ActsBeforeWrittenDown
            ? group?.Members.GetValueOrDefault(process.Id) is { Phase: MemberPhase.Restoring or MemberPhase.Joining } early && early.Attempt == attempt ? early : null
            : table.TicketOf(process.Id, name, attempt);
        return told is null ? null : new Ticket(told.Phase == MemberPhase.Restoring, process.Store.Id, group!.Catalogue!.Forced, told.Term);
    }

    private static bool CanStep(GroupSide side, IReadOnlyList<GroupEvent> events, NodeId self)
    {
        if (side.Run is null || side.IsHandling) return false;
        bool hasNext = side.Cursor < events.Count;
        return side.HasState ? hasNext : (hasNext && events[side.Cursor].View?.Joined.Contains(self) == true) || side.Offers.Exists(o => o.Cut >= side.Cursor - 1);
    }

    private void AddGroup(List<Action> steps, Site site, RecoveryProcess process, int index)
    {
        (GroupSide side, GroupWorld group) = (process.Sides[index], Groups[index]);
        IReadOnlyList<GroupEvent> events = site.IsCutOff ? site.OwnEvents[index] : side.Run?.Events ?? [];
        if (side.ToGroup.Count > 0 && side.Run is not null)
        {
            if (site.IsCutOff) steps.Add(() => SendAlone(site, side, index));
            else steps.Add(() => side.ToGroup.Dequeue()(side.Run));
        }

        if (!site.IsCutOff && process.Table is not null && IsLost(group, process, side)) steps.Add(() => group.Refuse(process, side));
        if (CanStep(side, events, process.Id)) steps.Add(() => side.Step(events));
    }

    private void AddManagers(List<Action> steps, RecoveryProcess process)
    {
        if (process.Table is null)
        {
            steps.Add(() => EnterManagers(process));
            return;
        }

        if (process.ToManagers.Count > 0) steps.Add(() => Decide(process.ToManagers.Dequeue()));
        if (process.ManagerCursor < _managerEvents.Count) steps.Add(() => StepManager(process));
    }

    // Everybody who had the group's state is gone, and no state is on its way.
    private bool IsLost(GroupWorld group, RecoveryProcess process, GroupSide side) =>
        side is { Run: not null, HasState: false, IsHandling: false } && side.Run == group.Run && !side.Offers.Exists(o => o.Cut >= side.Cursor - 1)
        && side.Cursor > 0 && side.Run.Events.FindIndex(e => e.View?.Joined.Contains(process.Id) == true) < side.Cursor
        && !Sides(group).Any(s => s.Side.Run == group.Run && !s.IsCutOff && (s.Side.HasState || s.Side.IsHandling || IsFirst(group.Run!, s.Process, s.Side)));

    private static bool IsFirst(GroupRun run, RecoveryProcess process, GroupSide side) => run.Events[0].View!.Members[0] == process.Id && side.Cursor == 0;

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
        long before = Groups.Sum(ForcedOf);
        _managerEvents.Add((null, operation));
        operation(_canon);
        if (Groups.Sum(ForcedOf) > before) Log.Add("an operator has decided");
    }

    private long ForcedOf(GroupWorld group) => _canon.Groups.GetValueOrDefault(group.Name)?.Catalogue?.Forced ?? 0;

    private void StepManager(RecoveryProcess process)
    {
        (ImmutableArray<NodeId>? view, Action<RecoveryTable>? operation) = _managerEvents[process.ManagerCursor++];
        if (view is { } here) process.Table!.Keep(here);
        operation?.Invoke(process.Table!);
        process.OnTableChanged();
    }

    // Cut off, a process still delivers to itself what it sends, but for GBCASTs; nobody answers it.
    private void SendAlone(Site site, GroupSide side, int index)
    {
        var alone = new GroupRun(Groups[index].Name, 0);
        side.ToGroup.Dequeue()(alone);
        ImmutableArray<NodeId> members = site.OwnEvents[index].Last(e => e.View is not null).View!.Members;
        foreach (GroupEvent own in alone.Events)
        {
            own.Question?.Members = members;
            if (members.Length == 1 || own.Question is not { Kind: not JournalQuestion.Barrier }) site.OwnEvents[index].Add(own);
        }
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

        foreach (GroupWorld group in Groups) group.Exclude(node);
    }

    private sealed class Site(string name, SimulatedPlatter platter, int groups)
    {
        public string Name => name;
        public SimulatedPlatter Platter => platter;
        public RecoveryProcess? Process { get; set; }
        public bool IsCutOff { get; set; }
        public bool IsSlow { get; set; }
        public List<GroupEvent>[] OwnEvents { get; } = [.. Enumerable.Range(0, groups).Select(_ => new List<GroupEvent>())];
    }
}
