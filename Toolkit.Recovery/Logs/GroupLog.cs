// One group's log at one node: the last checkpoint, and the views, messages and cuts since, in delivery order.
// Keeps: what is restored is a prefix of what this member delivered, up to at least what was synced. Views are waited for, messages
// are written behind. Checkpoints stand at cuts, so that the log of one member can go on in another's.
// Follows: "Exploiting virtual synchrony", section 3.6; "Meta", joining (members keep the log for one that is down).
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Recovery.Logs;

/// <summary>Takes what is read from a log.</summary>
internal interface ILogReader
{
    /// <summary>The state of the checkpoint (null: empty), and where it stands.</summary>
    ValueTask OnStateAsync(IAsyncEnumerable<ReadOnlyMemory<byte>>? state, StatePlace place);

    /// <summary>A record: a view, a message, or an entry of the configuration data.</summary>
    ValueTask OnRecordAsync(ReadOnlyMemory<byte> record);
}

/// <summary>A group's log in a stable store. One call at a time, except for <see cref="WhenSyncedAsync"/>.</summary>
internal sealed class GroupLog : IAsyncDisposable
{
    private readonly IStableLog _log;
    private readonly StateFiles _states;
    private readonly BodyWriter _writer = new();
    private readonly CutIndex _cuts = new();
    private readonly List<(long From, long To)> _void = [];
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile Task _lastAppend = Task.CompletedTask;
    private int _isWatched;
    private Task _checkpointing = Task.CompletedTask;
    private StatePlace? _cutPlace;
    private long _from;
    private long _next;
    private long _bytes;

    private GroupLog(IStableStore store, IStableLog log, string group)
    {
        (_log, Group, _next) = (log, group, log.Next);
        (_states, Numbered) = (new StateFiles(store), new NumberedCheckpoints(store, group));
    }

    /// <summary>The group's name.</summary>
    public string Group { get; }

    /// <summary>How far the log goes, appends under way included; null: nothing is logged.</summary>
    public StatePlace? Place { get; private set; }

    /// <summary>What was found cut off when the log was opened; null: nothing.</summary>
    public string? Repaired => _log.Repaired;

    /// <summary>The checkpoints that can be rolled back to.</summary>
    public NumberedCheckpoints Numbered { get; }

    /// <summary>The numbers of the checkpoints that the group keeps and that are here, in order.</summary>
    public IReadOnlyList<long> Checkpoints => Place is { } place ? [.. place.Checkpoints.Select(c => c.Number).Intersect(Numbered.Numbers)] : [];

    /// <summary>Bytes of messages since the last checkpoint.</summary>
    public long BytesSinceCheckpoint { get; private set; }

    /// <summary>Bytes of messages that were not known to be on the disk when the last one was appended.</summary>
    public long Unsynced { get; private set; }

    /// <summary>The length of the state of the last checkpoint, in bytes.</summary>
    public long StateLength { get; private set; }

    /// <summary>Ends when the disk has failed, also if nobody asks: <see cref="ThrowIfFailed"/> says why.</summary>
    public Task Failed => _failed.Task;

    /// <summary>Whether a checkpoint is being written.</summary>
    public bool IsCheckpointing => !_checkpointing.IsCompleted;

    /// <summary>The last cut, from which on another member's log may go on; null: none is known.</summary>
    public CutPoint? LastCut => _cutPlace is null ? null : _cuts.Last?.Point;

    /// <summary>Whether nothing was logged behind the last cut.</summary>
    public bool IsAtCut => _cuts.Last is { } cut && cut.Record == _next;

    /// <summary>The state of another member is wanted as a whole: what was given last did not fit.</summary>
    public bool WantsWhole { get; set; }

    /// <exception cref="StableStoreException">The log is damaged; the message says where.</exception>
    public static async ValueTask<GroupLog> OpenAsync(IStableStore store, string group, CancellationToken ct = default)
    {
        IStableLog records = await store.OpenLogAsync(LogNames.Log(group), ct).ConfigureAwait(false);
        var log = new GroupLog(store, records, group);
        try
        {
            await log.Numbered.OpenAsync(ct).ConfigureAwait(false);
            await log.ReadAsync(ct).ConfigureAwait(false);
            return log;
        }
        catch (Exception e)
        {
            await log.DisposeAsync().ConfigureAwait(false);
            if (e is FormatException) throw new StableStoreException($"The log of '{group}' is not what was written: {e.Message} Restore the store, or remove it: the node is then given the state of the others.", e);
            throw;
        }
    }

    /// <summary>Gives back what is logged.</summary>
    /// <param name="reader">Takes it.</param>
    /// <param name="toCut">Only up to the last cut.</param>
    public async ValueTask ReplayAsync(ILogReader reader, bool toCut = false)
    {
        await _checkpointing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await WhenSyncedAsync().ConfigureAwait(false); // what was appended by a transfer that broke off, too
        (StateHead head, _) = (await _states.ReadHeadAsync(LogNames.Checkpoint(Group)).ConfigureAwait(false))!.Value;
        await reader.OnStateAsync(await _states.ReadAsync(LogNames.Checkpoint(Group)).ConfigureAwait(false), head.Place).ConfigureAwait(false);
        long end = toCut ? _cuts.Last!.Value.Record : long.MaxValue;
        await foreach (StableRecord record in _log.ReadAsync(_from).ConfigureAwait(false))
        {
            if (record.Number >= end) break;
            if (!IsVoid(record.Number) && record.Content.Span[0] != LogFormat.CutRecord) await reader.OnRecordAsync(record.Content).ConfigureAwait(false);
        }
    }

    /// <summary>Begins anew with a state from elsewhere (null: empty): what was logged before counts no more. On the disk when it completes.</summary>
    public async ValueTask BeginAsync(StatePlace place, IAsyncEnumerable<ReadOnlyMemory<byte>>? state)
    {
        await _checkpointing.ConfigureAwait(false);
        await WhenSyncedAsync().ConfigureAwait(false);
        await Numbered.RetainAsync(Place is { } old && old.Origin != place.Origin ? [] : [.. place.Checkpoints.Select(c => c.Number)]).ConfigureAwait(false);
        LoggedCut? here = place.Cut < 0 ? null : new LoggedCut(place.View, new CutPoint(place.View.Id, place.Cut), _next, _bytes);
        StateLength = await _states.WriteAsync(LogNames.Checkpoint(Group), new StateHead(place, _next, here), state).ConfigureAwait(false);
        (Place, _cutPlace, _from, BytesSinceCheckpoint, WantsWhole) = (place, here is null ? null : place, _next, 0, false);
        _cuts.Clear();
        _void.Clear();
        if (here is { } cut) _cuts.Add(cut);
        await _log.DiscardBeforeAsync(_next).ConfigureAwait(false);
    }

    /// <summary>The state of the last checkpoint; null: empty.</summary>
    public ValueTask<IAsyncEnumerable<ReadOnlyMemory<byte>>?> ReadStateAsync() => _states.ReadAsync(LogNames.Checkpoint(Group));

    /// <summary>Logs a view. On the disk when it completes, with everything before it.</summary>
    public async ValueTask AppendViewAsync(LoggedView view)
    {
        Append(LogFormat.EncodeView(view));
        await WhenSyncedAsync().ConfigureAwait(false);
        Unsynced = 0;
    }

    /// <summary>Logs a message, behind the caller's back.</summary>
    public void AppendMessage(in JournalMessage message) => Append(LogFormat.EncodeMessage(_writer, message));

    /// <summary>Logs a change of the configuration data, behind the caller's back.</summary>
    public void AppendConfiguration(ConfigurationEntry entry) => Append(LogFormat.EncodeConfiguration(entry.Key, entry.Value));

    /// <summary>Marks a cut: all members stand at the same place. Behind the caller's back.</summary>
    /// <param name="checkpoint">The number of the checkpoint that is taken there; 0: none.</param>
    /// <param name="keep">How many numbered checkpoints are kept then.</param>
    public void AppendCut(long checkpoint = 0, int keep = 0) => Append(LogFormat.EncodeCut(checkpoint, keep));

    /// <summary>Logs a record of another member's log, behind the caller's back.</summary>
    public void Append(byte[] record)
    {
        Unsynced = _lastAppend.IsCompleted ? record.Length : Unsynced + record.Length;
        _lastAppend = _log.AppendAsync(record).AsTask(); // appends complete in order
        if (Interlocked.Exchange(ref _isWatched, 1) == 0) _ = WatchAppendsAsync();
        _next++;
        Count(record);
    }

    /// <summary>Goes back to the last cut: what was logged behind it counts no more.</summary>
    public void GoBackToCut()
    {
        if (_cuts.Last!.Value.Record < _next) Append(LogFormat.EncodeBack());
    }

    /// <exception cref="StableStoreException">The disk failed: nothing more is logged.</exception>
    public void ThrowIfFailed()
    {
        if (_lastAppend.IsFaulted) _lastAppend.GetAwaiter().GetResult();
        if (_checkpointing.IsFaulted) _checkpointing.GetAwaiter().GetResult();
    }

    /// <summary>Completes when everything that was appended before is on the disk; throws if the disk failed.</summary>
    public Task WhenSyncedAsync() => _lastAppend.Own();

    /// <summary>
    /// Takes a checkpoint of the state that contains everything appended so far, at a cut. It is written behind the caller's back; the log before
    /// the checkpoint before it is freed then, unless somebody is down who may need it.
    /// </summary>
    /// <param name="state">The state.</param>
    /// <param name="keep">So many bytes of the log are kept at most for those that are down.</param>
    public void Checkpoint(StateSnapshot state, long keep)
    {
        _cuts.Trim(_from, _bytes, keep);
        (BytesSinceCheckpoint, _from) = (0, _next);
        var head = new StateHead(Place!, _next, _cuts.First);
        _checkpointing = WriteAsync(Task.WhenAll(_checkpointing, WhenSyncedAsync()));

        async Task WriteAsync(Task before)
        {
            try
            {
                await before.ConfigureAwait(false); // a checkpoint beyond the end of the log would hide what is appended next
                StateLength = await _states.WriteAsync(LogNames.Checkpoint(Group), head, state.Pieces).ConfigureAwait(false);
                await _log.DiscardBeforeAsync(head.Since?.Record ?? head.Position).ConfigureAwait(false);
            }
            catch
            {
                _failed.TrySetResult();
                throw;
            }
        }
    }

    /// <summary>Where another member's log, which ends its own knowledge at a cut, may go on; null: this log does not hold that any more.</summary>
    public LoggedCut? Find(CutPoint cut) => _cuts.Find(cut);

    /// <summary>The bytes of records behind a cut.</summary>
    public long BytesSince(LoggedCut cut) => _bytes - cut.Bytes;

    /// <summary>The records from a cut up to the present place. They are read later: if they are freed before, that is an error.</summary>
    public IAsyncEnumerable<ReadOnlyMemory<byte>> ReadSince(LoggedCut cut)
    {
        return ReadAsync(cut.Record, _next);

        async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(long next, long end)
        {
            await foreach (StableRecord record in _log.ReadAsync(next).ConfigureAwait(false))
            {
                if (record.Number != next || next == end) break;
                next++;
                if (!IsVoid(record.Number)) yield return record.Content;
            }

            if (next < end) throw new StableStoreException($"Records of the log of '{Group}' were freed while they were being given to another member.");
        }
    }

    /// <summary>Waits for what is being written.</summary>
    public async ValueTask DisposeAsync()
    {
        await _checkpointing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await Numbered.DisposeAsync().ConfigureAwait(false);
        await _states.DisposeAsync().ConfigureAwait(false);
        await _log.DisposeAsync().ConfigureAwait(false);
    }

    // One awaits the last append at a time: what is written behind fails behind, too.
    private async Task WatchAppendsAsync()
    {
        while (true)
        {
            Task last = _lastAppend;
            await last.Own().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (last.IsFaulted) _failed.TrySetResult();
            if (last != _lastAppend) continue;
            Volatile.Write(ref _isWatched, 0);
            if (last == _lastAppend || Interlocked.Exchange(ref _isWatched, 1) == 1) return;
        }
    }

    private async ValueTask ReadAsync(CancellationToken ct)
    {
        if (await _states.ReadHeadAsync(LogNames.Checkpoint(Group), ct).ConfigureAwait(false) is not (var head, var body)) return;
        if (_next < head.Position) throw new FormatException($"it ends before record {head.Position}, where the last checkpoint goes on.");
        (_from, StateLength) = (head.Position, body.Length);
        Place = head.Place;
        if (head.Since is { } since)
        {
            // The records before the checkpoint are there for others: only the cuts in them are of interest.
            _cuts.Add(since);
            Place = _cutPlace = head.Place with { View = since.View, Cut = since.Point.Number };
        }

        await foreach (StableRecord record in _log.ReadAsync(head.Since?.Record ?? head.Position, ct).ConfigureAwait(false))
        {
            if (record.Number == _from) Stand(head.Place);
            Count(record.Content, record.Number);
        }

        if (_next == _from) Stand(head.Place);
    }

    private void Stand(StatePlace place)
    {
        (Place, BytesSinceCheckpoint) = (place, 0);
        if (_cuts.Last is not null) _cutPlace = place;
    }

    private void Count(ReadOnlyMemory<byte> record) => Count(record, _next - 1);

    private void Count(ReadOnlyMemory<byte> record, long number)
    {
        if (record.IsEmpty) throw new FormatException($"record {number} is empty.");
        BytesSinceCheckpoint += record.Length;
        _bytes += record.Length;
        if (record.Span[0] == LogFormat.BackRecord)
        {
            Place = _cutPlace ?? throw new FormatException($"record {number} goes back to a cut that is not there.");
            _void.Add((_cuts.Last!.Value.Record, number));
            return;
        }

        Place = Place!.After(record);
        if (Place.Cut < 0 || record.Span[0] is not (LogFormat.ViewRecord or LogFormat.CutRecord)) return;
        _cutPlace = Place;
        _cuts.Add(new LoggedCut(Place.View, new CutPoint(Place.View.Id, Place.Cut), number + 1, _bytes));
    }

    private bool IsVoid(long record) => _void.Exists(v => v.From <= record && record <= v.To);
}
