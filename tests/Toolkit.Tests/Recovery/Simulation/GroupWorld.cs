// One logged group of a simulated world, and what must be true of it whatever happens: nothing stable is lost, the last to fail restores, a
// group never comes back while it runs, all members roll back to the same state.
using Core.Groups;
using Toolkit.Recovery;
using Toolkit.Recovery.Logs;

namespace Toolkit.Tests.Recovery.Simulation;

/// <summary>The group.</summary>
internal sealed class GroupWorld(RecoveryWorld world, string name)
{
    private readonly List<SimulatedQuestion> _questions = [];
    private readonly Dictionary<int, long> _placed = []; // and how often an operator had decided where it was sent
    private readonly HashSet<int> _waived = []; // given up by an operator or a roll back: they may be there or not
    private readonly Dictionary<(string Site, long Number), int[]> _kept = [];
    private HashSet<int> _dropped = []; // rolled back on all disks: they must not be there
    private long _droppedIn; // after so many decisions of an operator
    private LogPoint _newest;
    private ulong _runs;

    /// <summary>Small, so that everything happens often.</summary>
    public static LoggedGroupOptions Options { get; } = new() { CheckpointAfter = 300, KeepLog = 1500, KeepCheckpoints = 2 };

    public string Name => name;

    public GroupRun? Run { get; private set; }

    public int Restorations { get; private set; }

    public int CaughtUp { get; private set; }

    public int RolledBack { get; private set; }

    public int Acknowledged => _questions.Count(q => q.Kind == JournalQuestion.Barrier && q.IsAnswered);

    // ---- what happens

    public GroupRun Enter(RecoveryProcess process)
    {
        Run ??= new GroupRun(name, ++_runs);
        Run.Change([process.Id], []);
        return Run;
    }

    public void Exclude(NodeId left)
    {
        if (Run is not { } run || !run.Members.Contains(left)) return;
        run.Change([], [left]);
        if (run.Members.Count == 0) Run = null;
    }

    /// <summary>It cannot take part, or has no right to: it leaves.</summary>
    public void Refuse(RecoveryProcess process, GroupSide side)
    {
        GroupRun run = side.Run!;
        side.Leave();
        if (run == Run) Exclude(process.Id);
    }

    public IEnumerable<GroupSide> Joiners(GroupRun run, View view) =>
        world.Sides(this).Where(s => s.Side is { HasState: false } side && side.Run == run && view.Contains(s.Process.Id)).Select(s => s.Side);

    public void OnPlaced(int update, long forced) => _placed[update] = forced;

    public void OnPlaced(SimulatedQuestion question)
    {
        _questions.Add(question);
        if (question.Kind != JournalQuestion.Rollback) return;
        _waived.UnionWith(_placed.Keys);
        _dropped.Clear();
    }

    // ---- checks

    public void OnLogged(LoggedView view)
    {
        if (view.Point(0).CompareViews(_newest) > 0) _newest = view.Point(0);
    }

    /// <param name="end">Where the log ended that it restored.</param>
    /// <param name="forced">How often an operator has decided.</param>
    public void OnRestored(RecoveryProcess process, GroupSide side, LogPoint end, long forced)
    {
        Restorations++;
        world.Log.Add($"{process.Id} restores {name} {end}: {string.Join(" ", side.Ledger)}");
        if (forced == end.Forced && end.CompareViews(_newest) < 0) world.Violations.Add($"{process.Id} was not the last to fail: its log of {name} ended in {end}, and there was {_newest}.");
        CheckState(process, side, "when the group came back", forced);
        if (world.Sides(this).Any(s => s.Side != side && s.Side.HasState && !s.IsCutOff)) world.Violations.Add($"{process.Id} restored {name} while it ran.");
    }

    public void OnCaughtUp(RecoveryProcess process, long records)
    {
        CaughtUp++;
        world.Log.Add($"{process.Id} caught up in {name} with {records} records");
    }

    public void OnKept(RecoveryProcess process, SimulatedQuestion question, long number, int[] state)
    {
        world.Log.Add($"{process.Id} keeps checkpoint {number} of {name}: {string.Join(" ", state)}");
        CheckAlike(process, question, state, $"checkpoint {number}");
        _kept[(process.Id.Name, number)] = state;
    }

    public void OnRolledBack(RecoveryProcess process, SimulatedQuestion question, int[] state, long forced)
    {
        RolledBack++;
        long number = JournalQuestion.ReadRollback(question.Body, name).Number;
        CheckAlike(process, question, state, "after the roll back");
        if (!_kept.TryGetValue((process.Id.Name, number), out int[]? kept) || !kept.SequenceEqual(state))
            world.Violations.Add($"{process.Id} rolled {name} back to {string.Join(" ", state)}, and checkpoint {number} was {string.Join(" ", kept ?? [])}.");
        if (question.IsAnswered && question == _questions.FindLast(q => q.Kind == JournalQuestion.Rollback)) (_dropped, _droppedIn) = ([.. _waived.Except(state)], forced);
    }

    /// <summary>Nothing that was acknowledged is missing, and nothing is there that all have rolled back.</summary>
    public void CheckState(RecoveryProcess process, GroupSide side, string when, long forced = 0)
    {
        // What an operator's decision gives up may be there or not: it was sent before the decision, or by somebody who did not know of it.
        forced = Math.Max(forced, _newest.Forced);
        int[] lost = [.. _questions.Where(b => b.IsAnswered).SelectMany(b => b.Covers).Where(u => _placed[u] == forced).Except(_waived).Except(side.Ledger)];
        if (lost.Length > 0) world.Violations.Add($"{process.Id} has lost {string.Join(", ", lost)}, which was stable in {name}, {when}.");
        int[] back = forced == _droppedIn ? [.. side.Ledger.Intersect(_dropped)] : [];
        if (back.Length > 0) world.Violations.Add($"{process.Id} has {string.Join(", ", back)} again, which was rolled back in {name}, {when}.");
        if (side.Ledger.Distinct().Count() != side.Ledger.Count) world.Violations.Add($"{process.Id} has an update of {name} twice, {when}: {string.Join(" ", side.Ledger)}.");
    }

    /// <summary>At rest, everybody up: all are members, alike, with everything that was acknowledged.</summary>
    /// <param name="isAfterUpdates">Every member has been asked to write something since.</param>
    public void CheckEnd(bool isAfterUpdates)
    {
        GroupSide? first = null;
        foreach ((RecoveryProcess process, GroupSide side, _) in world.Sides(this))
        {
            if (!side.HasState)
            {
                world.Violations.Add($"{process.Id} is no member of {name} in the end (it is {side.Phase}: {process.Table?.WaitOf(name)?.Reason} {Told(process)}, {(side.Run is null ? "in no group" : side.Run == Run ? $"at {side.Cursor} of {side.Run.Events.Count}" : "in another group")}, {side.Offers.Count} offers{(side.IsHandling ? ", at work" : "")}).");
                continue;
            }

            if (isAfterUpdates && process.Store.HasFailed) world.Violations.Add($"{process.Id} is a member of {name} in the end, and its disk has failed.");
            CheckState(process, side, "in the end");
            first ??= side;
            if (!side.Ledger.SequenceEqual(first.Ledger)) world.Violations.Add($"{process.Id} and others differ in {name} in the end: {string.Join(" ", side.Ledger)} and {string.Join(" ", first.Ledger)}.");
        }
    }

    private string Told(RecoveryProcess process) => process.Table is not { } table ? "no table" :
        $"version {table.Version}, decided {table.Groups[name].IsDecided}; {string.Join(" ", table.Managers.Select(m => $"{m.Key} has {m.Value.Stored}"))}; "
        + string.Join(" ", table.Groups[name].Members.Select(m => $"{m.Key} {m.Value.Phase} {m.Value.Attempt} {m.Value.Needs}"));

    private void CheckAlike(RecoveryProcess process, SimulatedQuestion question, int[] state, string what)
    {
        question.State ??= state;
        if (!question.State.SequenceEqual(state)) world.Violations.Add($"{process.Id} differs from others at one instant, {what} of {name}: {string.Join(" ", state)} and {string.Join(" ", question.State)}.");
    }
}
