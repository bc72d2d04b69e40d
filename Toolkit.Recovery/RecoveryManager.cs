// The recovery manager of one node: tells the others of this node's logs, and this node what was decided.
// Keeps: what is decided stands on the disks of a majority before anybody here acts on it. It lives as long as its node.
// Follows: "Exploiting virtual synchrony", section 3.6 (the recovery manager as a group of its own, for many groups at a time).
using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Core.Groups;
using Core.Groups.Replication;
using Microsoft.Extensions.Logging;
using Toolkit.Recovery.Decision;
using Toolkit.Recovery.Logs;

namespace Toolkit.Recovery;

/// <summary>
/// Knows which logged groups there are and whose logs are the last. One per node, as a member of the group <see cref="GroupName"/>: open
/// it when the program starts, also where no logged group is joined, so that this node's logs and its knowledge count. May be used from any thread.
/// </summary>
public sealed class RecoveryManager : IManagerEffects
{
    /// <summary>The name of the managers' own group.</summary>
    public const string GroupName = "/groups#recovery";

    private static readonly TimeSpan HearsWithin = TimeSpan.FromSeconds(2);
    private static readonly ConditionalWeakTable<GroupNode, Opening> Managers = [];

    private readonly Lock _gate = new();
    private readonly Pulse _changed = new();
    private readonly IStableStore _store;
    private readonly SortedDictionary<string, (Declaration Declaration, NodeId By)> _declared = new(StringComparer.Ordinal);
    private readonly Dictionary<string, GroupLog> _logs = [];
    private readonly HashSet<string> _used = [];
    private readonly SemaphoreSlim _opening = new(1);
    private ReadOnlyMemory<byte> _catalogue = TableFormat.EncodeCatalogue(0, []);
    private ReplicaHost<ManagerReplica> _host = null!;
    private readonly Dictionary<string, LoggedGroup> _objects = [];
    private volatile StableStoreException? _failure;
    private long _attempts;

    private RecoveryManager(GroupNode node, IStableStore store) => (Node, _store) = (node, store);

    /// <summary>The node.</summary>
    public GroupNode Node { get; }

    internal ILogger Logger => _host.Logger;

    /// <summary>The recovery manager of a node; opens it if need be. Completes when it works; while the node is blocked this waits.</summary>
    /// <exception cref="InvalidOperationException">The node has no stable store.</exception>
    /// <exception cref="StableStoreException">A log is damaged; the message says which, and what to do.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public static async ValueTask<RecoveryManager> OpenAsync(GroupNode node, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(node);
        IStableStore store = node.StableStore ?? throw new InvalidOperationException("Logged groups need a stable store: set GroupNodeOptions.DataDirectory.");
        return await Managers.GetValue(node, static _ => new Opening()).Get(() => OpenAsync(node, store)).WaitAsync(ct).ConfigureAwait(false);
    }

    internal static RecoveryManager? Find(GroupNode node) => Managers.TryGetValue(node, out Opening? opening) ? opening.Opened : null;

    /// <summary>Where a logged group stands, as this node sees it.</summary>
    public LoggedGroupStatus GetStatus(string group)
    {
        ArgumentNullException.ThrowIfNull(group);
        (MemberPhase? phase, RestartDecision? wait) = ReadTable(table =>
            (table.Groups.GetValueOrDefault(group)?.Members.GetValueOrDefault(Node.Id)?.Phase, table.WaitOf(group)));
        LoggedGroupState state = phase switch
        {
            MemberPhase.Active => LoggedGroupState.Running,
            MemberPhase.Busy or MemberPhase.Joining or MemberPhase.Restoring => LoggedGroupState.Joining,
            MemberPhase.Waiting => LoggedGroupState.Waiting,
            _ => LoggedGroupState.Idle,
        };
        GroupLog? log;
        lock (_gate)
        {
            log = _logs.GetValueOrDefault(group);
        }

        bool waits = state is LoggedGroupState.Waiting && wait is not null;
        return new LoggedGroupStatus(state, waits ? wait!.WaitingFor : [], waits ? wait!.Reason : "", log?.Checkpoints ?? [], log?.Place?.View.Number ?? 0);
    }

    /// <summary>
    /// An operator's act when those that are waited for are lost: the group goes on with these nodes alone, from the newest of their
    /// logs. What others have logged beyond that is given up: when they come back they are given the group's state. Logged as a warning.
    /// </summary>
    /// <param name="group">The group.</param>
    /// <param name="members">The names of those to go on with. It still waits for them.</param>
    /// <param name="ct">Ends the wait; it may happen all the same.</param>
    /// <exception cref="InvalidOperationException">There is no such group, or it runs: there is nothing to decide.</exception>
    /// <exception cref="ExcludedException">The others went on without this node meanwhile.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public async ValueTask OverrideAsync(string group, IReadOnlyCollection<string> members, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(group);
        ArgumentNullException.ThrowIfNull(members);
        ArgumentOutOfRangeException.ThrowIfZero(members.Count, nameof(members));
        (bool isKnown, bool isHeld, long before) = ReadForced(group);
        if (!isKnown) throw new InvalidOperationException($"Nobody here knows a logged group '{group}'.");
        if (isHeld) throw new InvalidOperationException($"'{group}' runs, or is about to: there is nothing to decide.");
        RecoveryLog.Overridden(Logger, group, string.Join(", ", members));
        _host.Run((group, members), static (replica, o) => replica.Override(o.group, o.members));
        for (Task next = _changed.Next; ReadForced(group) is var (_, held, forced) && forced == before && !held; next = _changed.Next)
        {
            await next.WaitAsync(ct).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// The restart action of a process: runs its program, and starts it again whenever it fails, within the limits, to recover or to join as its groups stand
    /// then. This node may be a member of none of the groups: one node on each machine can look after the programs there, for all groups.
    /// </summary>
    /// <param name="process">The program, its arguments, and the limits.</param>
    /// <param name="groups">The names of its logged groups.</param>
    /// <param name="ct">Ends it: the process is killed.</param>
    /// <remarks>Errors as for <see cref="ProcessSupervisor.RunAsync(SupervisorOptions, CancellationToken)"/>.</remarks>
    public Task<SupervisedEnd> SuperviseAsync(SupervisorOptions process, IReadOnlyCollection<string> groups, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(groups);
        return ProcessSupervisor.RunAsync(process, () => ReadTable(table => groups.Any(g => table.Groups.TryGetValue(g, out GroupEntry? entry) && entry.IsHeld)), ct);
    }

    /// <summary>The logged group of a toolkit's object that is open at this node; null: there is none, or it is not logged.</summary>
    /// <param name="group">The name of the object's group.</param>
    public LoggedGroup? FindObject(string group)
    {
        lock (_gate)
        {
            return _objects.TryGetValue(group, out LoggedGroup? logged) && !logged.Completion.IsCompleted ? logged : null;
        }
    }

    internal async ValueTask<ProcessGroup> JoinObjectAsync(string group, GroupOptions options, LoggedGroupOptions logOptions, CancellationToken ct)
    {
        if (FindObject(group) is { } before) await before.Completion.WaitAsync(ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        LoggedGroup logged = await LoggedGroup.JoinAsync(this, group, options, logOptions, isObject: true, ct).ConfigureAwait(false);
        lock (_gate)
        {
            _objects[group] = logged;
        }

        return logged.Group;
    }

    private (bool IsKnown, bool IsHeld, long Forced) ReadForced(string group) => ReadTable(table =>
        table.Groups.TryGetValue(group, out GroupEntry? entry) && entry.Catalogue is not null ? (true, entry.IsHeld, entry.Catalogue.Forced) : default);

    // ---- for the logged groups of this node

    /// <summary>The log of a group, open, for one user at a time; made if it is not there. <see cref="CloseLog"/> follows.</summary>
    /// <exception cref="AlreadyMemberException">This node uses it already.</exception>
    internal async ValueTask<GroupLog> OpenLogAsync(string group, CancellationToken ct)
    {
        await _opening.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            if (_used.Contains(group)) throw new AlreadyMemberException(group);
            GroupLog log = _logs.GetValueOrDefault(group) ?? await OpenNewLogAsync(group, ct).ConfigureAwait(false);
            _used.Add(group);
            return log;
        }
        finally
        {
            _opening.Release();
        }
    }

    private async ValueTask<GroupLog> OpenNewLogAsync(string group, CancellationToken ct)
    {
        var log = await GroupLog.OpenAsync(_store, group, ct).ConfigureAwait(false);
        if (log.Repaired is { } repaired) RecoveryLog.Repaired(Logger, group, repaired);
        lock (_gate)
        {
            _logs[group] = log;
        }

        await _store.WriteAsync(LogNames.Groups, EncodeGroups(), CancellationToken.None).ConfigureAwait(false);
        return log;
    }

    /// <summary>The log may be used by another one.</summary>
    internal void CloseLog(GroupLog log)
    {
        _opening.Wait();
        _used.Remove(log.Group);
        _opening.Release();
    }

    /// <summary>Names an attempt to join: none of this node has the same number.</summary>
    internal long NextAttempt() => Interlocked.Increment(ref _attempts);

    /// <summary>Says what this node has to do with a group from now on.</summary>
    internal void Declare(GroupLog log, MemberPhase phase, long attempt, bool cleansUp)
    {
        Declaration declaration = Describe(log, phase, attempt, cleansUp);
        lock (_gate)
        {
            _declared[log.Group] = (declaration, Node.Id);
        }

        try
        {
            _host.Run(declaration, static (replica, declared) => replica.Declare(declared));
        }
        catch (GroupException)
        {
            // The manager joins its group again, and introduces itself with what is declared; or the node has stopped.
        }
    }

    /// <summary>Completes when all managers have what this one has declared; or a few seconds after the node was found blocked.</summary>
    internal async Task WhenToldAsync()
    {
        try
        {
            await _host.WaitUnlessBlockedAsync(Node.FlushAsync().AsTask()).ConfigureAwait(false);
        }
        catch (GroupException)
        {
            // This node is out, and the others have seen that.
        }
    }

    /// <summary>Waits until this node is told what to do in answer to an attempt.</summary>
    internal async Task<Ticket> WaitForTicketAsync(string group, long attempt, Action<LoggedGroupStatus> onWaiting, CancellationToken ct)
    {
        string reason = "";
        while (true)
        {
            Task next = _changed.Next;
            if (TryReadTicket(group, attempt) is { } ticket) return ticket;
            if (_failure is { } failure) throw new StableStoreException(failure.Message, failure);
            if (_host.Completion.IsCompleted) throw new NodeStoppedException(outcomeUnknown: false);
            if (_host.IsMember && GetStatus(group) is { Reason.Length: > 0 } status && status.Reason != reason)
            {
                reason = status.Reason;
                RecoveryLog.Waits(Logger, group, reason);
                onWaiting(status);
            }

            await Task.WhenAny(next, _host.Completion).WaitAsync(ct).ConfigureAwait(false);
        }
    }

    /// <summary>Runs the clean-up action of a group whenever it is this node's turn.</summary>
    /// <param name="over">The membership is over.</param>
    internal async Task CleanUpAsync(string group, Func<NodeId, ValueTask> cleanUp, Task over)
    {
        var done = new HashSet<NodeId>(); // until the others know
        while (!over.IsCompleted && !_host.Completion.IsCompleted)
        {
            Task next = _changed.Next;
            NodeId[] failed = ReadTable(table =>
                table.Groups.TryGetValue(group, out GroupEntry? entry) && entry.Cleaner == Node.Id ? entry.Failed.ToArray() : []) ?? [];
            done.IntersectWith(failed);
            foreach (NodeId node in failed.Where(done.Add))
            {
                try
                {
                    await cleanUp(node).ConfigureAwait(false);
                }
                catch (Exception e)
                {
                    RecoveryLog.CleanUpFailed(Logger, e, group, node);
                }

                TellCleanedUp(group, node);
            }

            await Task.WhenAny(next, over, _host.Completion).ConfigureAwait(false);
        }
    }

    private void TellCleanedUp(string group, NodeId failed)
    {
        try
        {
            _host.Run((group, failed), static (replica, o) => replica.CleanedUp(o.group, o.failed));
        }
        catch (GroupException)
        {
            // Another survivor does it again.
        }
    }

    /// <summary>The store has failed: the others are to look on this node's logs as gone, not as there.</summary>
    internal void Fail(string group, StableStoreException error)
    {
        _failure = error;
        RecoveryLog.Failed(Logger, error, group);
        _ = _host.DisposeAsync().AsTask();
        _changed.Beat();
    }

    // ---- the replica's side

    (ManagerEntry Manager, long Version, IReadOnlyList<CatalogueEntry> Catalogue, IReadOnlyList<Declaration> Declarations) IManagerEffects.Introduce()
    {
        lock (_gate)
        {
            var reader = new BodyReader(_catalogue);
            (long version, CatalogueEntry[] entries) = TableFormat.ReadCatalogue(ref reader);
            return (new ManagerEntry(_store.Id, Node.IsElector, Node.Seeds.Length), version, entries, [.. _declared.Values.Select(d => Now(d.Declaration, d.By))]);
        }
    }

    // A member of the incarnation before is on its way into the group again.
    private Declaration Now(Declaration declared, NodeId by) =>
        declared.Phase == MemberPhase.Active && by != Node.Id ? declared with { Phase = MemberPhase.Busy } : declared;

    void IManagerEffects.OnChanged() => _changed.Beat();

    private static async Task<RecoveryManager> OpenAsync(GroupNode node, IStableStore store)
    {
        var manager = new RecoveryManager(node, store);
        await manager.ReadStoreAsync().ConfigureAwait(false);
        manager._host = await ReplicaHost<ManagerReplica>.OpenAsync(node, GroupName, () => new ManagerReplica(manager)).ConfigureAwait(false);
        foreach (GroupLog log in manager._logs.Values)
        {
            if (log.Repaired is { } repaired) RecoveryLog.Repaired(manager.Logger, log.Group, repaired);
        }

        _ = manager.WriteCataloguesAsync();
        return manager;
    }

    private async Task ReadStoreAsync()
    {
        if (await _store.ReadAsync(LogNames.Catalogue).ConfigureAwait(false) is { } catalogue) _catalogue = Checked(catalogue);
        foreach (string group in DecodeGroups(await _store.ReadAsync(LogNames.Groups).ConfigureAwait(false) ?? default))
        {
            var log = await GroupLog.OpenAsync(_store, group).ConfigureAwait(false);
            _logs[group] = log;
            _declared[group] = (Describe(log, MemberPhase.Idle, 0, cleansUp: false), Node.Id);
        }
    }

    // Everybody writes the catalogue down when it has changed, and says so.
    private async Task WriteCataloguesAsync()
    {
        while (!_host.Completion.IsCompleted)
        {
            Task next = _changed.Next;
            try
            {
                (long version, bool isStored, byte[]? catalogue) = _host.Read(0, static (replica, _) =>
                    replica.Table.Managers.GetValueOrDefault(replica.Self) is { } self && self.Stored < replica.Table.Version
                        ? (replica.Table.Version, false, TableFormat.EncodeCatalogue(replica.Table.Version, replica.Table.Catalogue)) : (0L, true, null));
                if (!isStored)
                {
                    await _store.WriteAsync(LogNames.Catalogue, catalogue).ConfigureAwait(false);
                    lock (_gate)
                    {
                        _catalogue = catalogue;
                    }

                    _host.Run(version, static (replica, version) => replica.Stored(version));
                }
            }
            catch (StableStoreException e)
            {
                Fail(GroupName, e);
                return;
            }
            catch (GroupException)
            {
                // It joins again, and writes then; or the node has stopped.
            }

            await Task.WhenAny(next, _host.Completion).ConfigureAwait(false);
        }

        _changed.Beat();
        foreach (GroupLog log in _logs.Values.ToArray()) await log.DisposeAsync().ConfigureAwait(false);
    }

    private Ticket? TryReadTicket(string group, long attempt) => ReadTable(table => table.TicketOf(Node.Id, group, attempt) is { } told
        ? new Ticket(told.Phase == MemberPhase.Restoring, NewOrigin(), table.Groups[group].Catalogue!.Forced, told.Term) : null);

    // While the manager joins its group again it knows nothing.
    private T? ReadTable<T>(Func<RecoveryTable, T> read)
    {
        try
        {
            return _host.Read(read, static (replica, read) => read(replica.Table));
        }
        catch (GroupException)
        {
            return default;
        }
    }

    /// <summary>
    /// The last cut in the log of a node that joins. Its manager has declared it before; this one may apply that a little later than the group's view,
    /// and is waited for a moment: else the joiner would be given a whole state that it has.
    /// </summary>
    internal async ValueTask<CutPoint?> FindCutAsync(string group, NodeId joiner)
    {
        for (Task? late = null; ;)
        {
            Task next = _changed.Next;
            (bool isHeard, CutPoint? cut) = ReadTable(table => ReadCut(table, group, joiner));
            if (isHeard || late is { IsCompleted: true } || _host.Completion.IsCompleted) return cut;
            late ??= Task.Delay(HearsWithin);
            await Task.WhenAny(next, late, _host.Completion).ConfigureAwait(false);
        }
    }

    private static (bool IsHeard, CutPoint? Cut) ReadCut(RecoveryTable table, string group, NodeId joiner)
    {
        if (table.Groups.GetValueOrDefault(group) is not { } entry) return default;
        MemberEntry? member = entry.Members.GetValueOrDefault(joiner);
        bool hasLog = entry.Catalogue?.Holders.ContainsKey(joiner.Name) ?? false;
        return (!hasLog || member?.Phase is MemberPhase.Waiting or MemberPhase.Joining or MemberPhase.Restoring or MemberPhase.Busy, member?.Report?.Cut);
    }

    private static Declaration Describe(GroupLog log, MemberPhase phase, long attempt, bool cleansUp)
    {
        LogReport? report = phase is MemberPhase.Idle or MemberPhase.Waiting && log.Place is { } place
            ? new LogReport(place.Point, [.. place.View.Members.Select(m => m.Name)], log.WantsWhole ? null : log.LastCut) : null;
        return new Declaration(log.Group, phase, attempt, cleansUp, report);
    }

    private static ulong NewOrigin() => BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)));

    private static ReadOnlyMemory<byte> Checked(ReadOnlyMemory<byte> catalogue)
    {
        try
        {
            var reader = new BodyReader(catalogue);
            TableFormat.ReadCatalogue(ref reader);
            return catalogue;
        }
        catch (FormatException e)
        {
            throw new StableStoreException($"The catalogue of logged groups cannot be read: {e.Message} Restore the store.", e);
        }
    }

    private byte[] EncodeGroups()
    {
        var writer = new BodyWriter();
        lock (_gate)
        {
            TableFormat.Write(writer, _logs.Keys);
        }

        return writer.ToArray();
    }

    private static ImmutableArray<string> DecodeGroups(ReadOnlyMemory<byte> value)
    {
        if (value.IsEmpty) return [];
        var reader = new BodyReader(value);
        return TableFormat.ReadNames(ref reader);
    }

    /// <summary>One opening for all who ask; after a failure the next who asks tries again.</summary>
    private sealed class Opening
    {
        private readonly Lock _gate = new();
        private Task<RecoveryManager>? _manager;

        public RecoveryManager? Opened => Volatile.Read(ref _manager) is { IsCompletedSuccessfully: true } opened ? opened.Result : null;

        public Task<RecoveryManager> Get(Func<Task<RecoveryManager>> open)
        {
            lock (_gate)
            {
                return _manager is null or { IsFaulted: true } ? _manager = Task.Run(open) : _manager;
            }
        }
    }
}
