// A node's membership of a logged group, as the application holds it.
// Keeps: what an update or a flush has acknowledged is on the disk of every member of a view that they all have logged.
// Follows: "Exploiting virtual synchrony", section 3.6; "Meta", joining ("logged" groups).
using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using Core.Groups;
using Toolkit.Recovery.Decision;
using Toolkit.Recovery.Logs;

namespace Toolkit.Recovery;

/// <summary>
/// A group that comes back from its members' logs after all of them have failed. Its handlers, state and views are those of
/// <see cref="Group"/>; what they are given is logged first. All members may be used from any thread.
/// </summary>
public sealed class LoggedGroup : IJournalHolder, IAsyncDisposable
{
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan JoinAgain = TimeSpan.FromMilliseconds(100);

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _leaving = new();
    private readonly GroupOptions _options;
    private readonly LoggedGroupOptions _logOptions;
    private readonly RecoveryManager _manager;
    private readonly GroupLog _log;
    private readonly bool _isObject; // a toolkit's, which joins again by itself
    private volatile ProcessGroup? _group;
    private ImmutableSortedDictionary<string, string>? _configuration;
    private Task? _flushing;
    private Task? _nextFlush;

    private LoggedGroup(RecoveryManager manager, GroupLog log, GroupOptions options, LoggedGroupOptions logOptions, bool isObject) =>
        (_manager, _log, _options, _logOptions, _isObject) = (manager, log, options, logOptions, isObject);

    /// <summary>The group's name.</summary>
    public string Name => _log.Group;

    /// <summary>The present membership; another one after everybody in the group had failed and it came back.</summary>
    public ProcessGroup Group => _group!;

    /// <summary>Where the group stands.</summary>
    public LoggedGroupStatus Status => _manager.GetStatus(Name);

    /// <summary>From where this node had the state when it became a member the last time.</summary>
    public StateOrigin StateOrigin { get; private set; }

    /// <summary>Ends when this node is no member any more, for good. Faults if its log failed.</summary>
    public Task Completion { get; private set; } = Task.CompletedTask;

    internal static async ValueTask<LoggedGroup> JoinAsync(
        RecoveryManager manager, string name, GroupOptions options, LoggedGroupOptions logOptions, bool isObject, CancellationToken ct)
    {
        GroupLog log = await manager.OpenLogAsync(name, ct).ConfigureAwait(false);
        var logged = new LoggedGroup(manager, log, options, logOptions, isObject);
        try
        {
            await (isObject ? logged.JoinOnceAsync(ct) : logged.BecomeMemberAsync(ct)).ConfigureAwait(false);
        }
        catch
        {
            logged.Stand(MemberPhase.Idle);
            manager.CloseLog(log);
            throw;
        }

        logged.Completion = logged.LiveAsync();
        _ = logged.LeaveWhenFailedAsync();
        if (logOptions.OnMemberFailed is { } cleanUp) _ = Task.Run(() => manager.CleanUpAsync(name, cleanUp, logged.Completion), CancellationToken.None);
        return logged;
    }

    /// <summary>
    /// Multicasts in one order at all members (ABCAST), and completes when the update is stable: on the disk of every member, so that no
    /// failure, not even of all of them, loses it. Updates that are under way together share the disks' work.
    /// </summary>
    /// <remarks>Errors as for <see cref="ProcessGroup.TotalAsync{T}(T, CancellationToken)"/> and <see cref="FlushAsync"/>.</remarks>
    public async ValueTask UpdateAsync<T>(T update, CancellationToken ct = default)
    {
        (ProcessGroup group, CancellationToken ended) = Enter();
        await group.TotalAsync(update, ct).ConfigureAwait(false);
        await FlushInAsync(ended, ct).ConfigureAwait(false);
    }

    /// <summary>As <see cref="UpdateAsync{T}"/>, with bytes.</summary>
    public async ValueTask UpdateAsync(ReadOnlyMemory<byte> update, CancellationToken ct = default)
    {
        (ProcessGroup group, CancellationToken ended) = Enter();
        await group.SendAsync(Order.Total, update, ct).ConfigureAwait(false);
        await FlushInAsync(ended, ct).ConfigureAwait(false);
    }

    /// <summary>
    /// Completes when everything that this node has sent to the group, and everything that was delivered to it here, is on the disk of
    /// every member. Not to be awaited inside a handler of the group.
    /// </summary>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="ExcludedException">The incarnation ended; see OutcomeUnknown.</exception>
    /// <exception cref="NotMemberException">The membership is over: what was not acknowledged may be lost.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    /// <exception cref="InvalidOperationException">Called inside a handler of this group.</exception>
    public Task FlushAsync(CancellationToken ct = default)
    {
        Enter();
        lock (_gate)
        {
            // One question at a time: those who come while it is under way share the next one, whoever began it.
            using AsyncFlowControl alone = ExecutionContext.SuppressFlow();
            return (_nextFlush ??= FlushAfterAsync(_flushing)).WaitAsync(ct);
        }
    }

    /// <summary>
    /// Takes a checkpoint with a number, at one place among all messages of the group (by GBCAST): the states of all members under that number
    /// are the same. Completes when it is on the disk of every member.
    /// </summary>
    /// <returns>The number: 1, 2, 3, ...</returns>
    /// <remarks>Errors as for <see cref="FlushAsync"/>.</remarks>
    public async ValueTask<long> CheckpointAsync(CancellationToken ct = default)
    {
        GroupReplies replies = await Group.AskJournalsAsync(Order.Group, JournalQuestion.Ask(JournalQuestion.Checkpoint), ct).ConfigureAwait(false);
        await FlushAsync(ct).ConfigureAwait(false); // a member that could not take it has left by then
        GroupReply taken = replies.Answers.FirstOrDefault(a => !a.IsError);
        return taken.Body.Length == sizeof(long) ? BinaryPrimitives.ReadInt64LittleEndian(taken.Body.Span)
            : throw new StateTransferException(Name, "no member could take the checkpoint; see the members' logs.");
    }

    /// <summary>
    /// Rolls all members back to a checkpoint, at one place among all messages of the group. A member that does not have it was not
    /// there when it was taken: it drops out, and joins again with the state of the others ("Exploiting virtual synchrony", section 3.6).
    /// </summary>
    /// <param name="number">The checkpoint.</param>
    /// <param name="ct">Ends the wait; it may happen all the same.</param>
    /// <exception cref="ArgumentOutOfRangeException">This member does not have it: it is too old, or never was.</exception>
    /// <remarks>Errors as for <see cref="FlushAsync"/>.</remarks>
    public async ValueTask RollBackAsync(long number, CancellationToken ct = default)
    {
        CutPoint cut = await FindCheckpointAsync(number).ConfigureAwait(false);

        GroupReplies replies = await Group.AskJournalsAsync(Order.Group, JournalQuestion.AskToRollBack(number, (Name, cut)), ct).ConfigureAwait(false);
        await FlushAsync(ct).ConfigureAwait(false);
        if (replies.Answers.All(a => a.IsError))
            throw new ArgumentOutOfRangeException(nameof(number), number, $"No member of '{Name}' rolled back: {string.Join("; ", replies.Answers.Select(a => Encoding.UTF8.GetString(a.Body.Span)).Distinct())}.");
    }

    /// <exception cref="ArgumentOutOfRangeException">It is not here.</exception>
    internal async ValueTask<CutPoint> FindCheckpointAsync(long number) =>
        _log.Place!.Checkpoints.FirstOrDefault(c => c.Number == number) is { Number: > 0 } kept && await _log.Numbered.HasAsync(kept).ConfigureAwait(false) ? kept.Cut
            : throw new ArgumentOutOfRangeException(nameof(number), number, $"'{Name}' has the checkpoints {string.Join(", ", _log.Checkpoints)} here. Ask a member that has the one.");

    /// <summary>The number of the last checkpoint that this member knows of.</summary>
    internal long LastCheckpoint => _log.Place?.LastCheckpoint ?? 0;

    /// <summary>
    /// Leaves the group; completes when the last handler has run, the log is on the disk, and the others know that this member left: whatever
    /// becomes of this node then, nobody cleans up after it. While the node is blocked that is not waited for longer than a few seconds. The log stays.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        await _leaving.CancelAsync().ConfigureAwait(false);
        _group?.Leave();
        await Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _manager.WhenToldAsync().ConfigureAwait(false);
    }

    private (ProcessGroup Group, CancellationToken Ended) Enter()
    {
        ProcessGroup group = Group;
        return group.IsInHandler
            ? throw new InvalidOperationException($"Inside a handler of '{Name}' this would wait for that very handler. Start it there and await it elsewhere.")
            : (group, group.Ended);
    }

    // A flush in another membership than that of the update says nothing of the update.
    private async ValueTask FlushInAsync(CancellationToken ended, CancellationToken ct)
    {
        await FlushAsync(ct).ConfigureAwait(false);
        if (ended.IsCancellationRequested) throw new ExcludedException($"the membership of '{Name}' ended while an update was under way", outcomeUnknown: true);
    }

    private async Task FlushAfterAsync(Task? before)
    {
        await Task.Yield(); // out of the gate
        if (before is not null) await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        lock (_gate)
        {
            (_flushing, _nextFlush) = (_nextFlush, null);
        }

        try
        {
            await AskUntilStableAsync().ConfigureAwait(false);
        }
        catch (NodeStoppedException e) when (!e.OutcomeUnknown)
        {
            throw new NodeStoppedException(outcomeUnknown: true, e); // the question never left, but what it is about did
        }
        catch (ExcludedException e) when (!e.OutcomeUnknown)
        {
            throw new ExcludedException($"the membership of '{Name}' ended during a flush", outcomeUnknown: true);
        }
    }

    // Stable is what all members of one view have on disk, after that view. A member that fails meanwhile makes another view.
    private async Task AskUntilStableAsync()
    {
        while (true)
        {
            GroupReplies replies = await Group.AskJournalsAsync(Order.CausalTotal, JournalQuestion.Ask(JournalQuestion.Barrier)).ConfigureAwait(false);
            if (replies.Failed.Count == 0 && replies.Answers.All(a => !a.IsError)) return;
            await Task.Delay(AskAgain, TimeProvider.System, CancellationToken.None).ConfigureAwait(false); // who cannot log is about to leave
        }
    }

    // ---- the life of the membership

    private async Task BecomeMemberAsync(CancellationToken ct)
    {
        while (true)
        {
            try
            {
                await JoinOnceAsync(ct).ConfigureAwait(false);
                return;
            }
            catch (StateTransferException e) when (e.InnerException is StableStoreException disk)
            {
                _manager.Fail(Name, disk); // to try again would help nobody
                throw new StableStoreException(disk.Message, e);
            }
            catch (Exception e) when (e is StateTransferException or ExcludedException)
            {
                RecoveryLog.JoinsLater(_manager.Logger, e, Name);
            }

            await Task.Delay(JoinAgain, TimeProvider.System, ct).ConfigureAwait(false);
        }
    }

    private async Task JoinOnceAsync(CancellationToken ct)
    {
        long attempt = _manager.NextAttempt();
        Stand(MemberPhase.Waiting, attempt);
        Ticket ticket = await _manager.WaitForTicketAsync(Name, attempt, OnWaiting, ct).ConfigureAwait(false);
        GroupOptions options = Complete(ticket);
        _group = await _manager.Node.JoinAsync(Name, options, ct).ConfigureAwait(false);
        if (Interlocked.Exchange(ref _configuration, null) is { } configuration) await ConfigureAsync(_group, configuration).ConfigureAwait(false);
    }

    // The group that came back has its configuration data before others are let in.
    private async Task ConfigureAsync(ProcessGroup group, ImmutableSortedDictionary<string, string> configuration)
    {
        try
        {
            foreach ((string key, string value) in configuration) await group.ConfigureAsync(key, value).ConfigureAwait(false);
        }
        catch
        {
            group.Leave();
            await group.Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw;
        }

        Stand(MemberPhase.Active);
    }

    private async Task LiveAsync()
    {
        try
        {
            while (true)
            {
                await _group!.Completion.ConfigureAwait(false);
                await _log.WhenSyncedAsync().ConfigureAwait(false);
                _log.ThrowIfFailed();
                Stand(MemberPhase.Idle);
                if (_isObject || _leaving.IsCancellationRequested || _manager.Node.Completion.IsCompleted) return;
                await BecomeMemberAsync(_leaving.Token).ConfigureAwait(false);
            }
        }
        catch (StableStoreException e) when (!_manager.Node.Completion.IsCompleted)
        {
            _manager.Fail(Name, e);
            throw;
        }
        catch (Exception e) when (e is OperationCanceledException or NodeStoppedException or StableStoreException)
        {
            Stand(MemberPhase.Idle);
        }
        finally
        {
            _manager.CloseLog(_log);
        }
    }

    // A member that cannot log does not wait until it is asked for something.
    private async Task LeaveWhenFailedAsync()
    {
        await Task.WhenAny(_log.Failed, Completion).ConfigureAwait(false);
        if (_log.Failed.IsCompleted) _group?.Leave();
    }

    private GroupOptions Complete(Ticket ticket)
    {
        var journal = new GroupJournal(_manager.Node.Name, _log, _logOptions, ticket, this);
        if (!_isObject) return Copy(journal);
        _options.Journal = journal;
        return _options;
    }

    private GroupOptions Copy(GroupJournal journal) => new()
    {
        State = _options.State, Credentials = _options.Credentials, InspectJoin = _options.InspectJoin, OnKill = _options.OnKill,
        OnConfigured = _options.OnConfigured, OnView = _options.OnView,
        Configure = group =>
        {
            _group = group;
            _options.Configure?.Invoke(group);
        },
        Journal = journal,
    };

    ValueTask<CutPoint?> IJournalHolder.FindCutAsync(NodeId joiner) => _manager.FindCutAsync(Name, joiner);

    async Task IJournalHolder.AskForCutAsync()
    {
        try
        {
            await Group.AskJournalsAsync(Order.Group, JournalQuestion.Ask(JournalQuestion.Cut)).ConfigureAwait(false);
        }
        catch (GroupException)
        {
            // The membership is over; in the next one it is asked for again.
        }
    }

    void IJournalHolder.OnMember(StateOrigin origin, long records, StatePlace place)
    {
        StateOrigin = origin;
        if (origin == StateOrigin.Log) RecoveryLog.Restored(_manager.Logger, Name, place.View.Term, records);
        if (origin == StateOrigin.LogOfMembers) RecoveryLog.CaughtUp(_manager.Logger, Name, records);
        if (origin == StateOrigin.Log && place.Configuration.Count > 0) _configuration = place.Configuration;
        else Stand(MemberPhase.Active);
    }

    private void Stand(MemberPhase phase, long attempt = 0) => _manager.Declare(_log, phase, attempt, _logOptions.OnMemberFailed is not null);

    private void OnWaiting(LoggedGroupStatus status)
    {
        if (_logOptions.OnWaiting is { } onWaiting) ThreadPool.QueueUserWorkItem(static s => s.onWaiting(s.status), (onWaiting, status), preferLocal: false);
    }
}
