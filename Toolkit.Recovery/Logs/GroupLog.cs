// One group's log at one node: the last checkpoint, and the views and messages since, in delivery order.
// Keeps: what is restored is a prefix of what this member delivered, up to at least what was synced. Views are waited for, messages
// are written behind. Follows: "Exploiting virtual synchrony", section 3.6.
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Recovery.Logs;

/// <summary>A group's log in a stable store. One call at a time, except for <see cref="WhenSyncedAsync"/>.</summary>
internal sealed class GroupLog : IAsyncDisposable
{
    private readonly IStableStore _store;
    private readonly IStableLog _log;
    private readonly BodyWriter _writer = new();
    private readonly List<long> _numbered;
    private Task _lastAppend = Task.CompletedTask;
    private Task _checkpointing = Task.CompletedTask;
    private long _from;
    private long _next;

    private GroupLog(IStableStore store, IStableLog log, string group, List<long> numbered) =>
        (_store, _log, Group, _numbered, _next) = (store, log, group, numbered, log.Next);

    /// <summary>The group's name.</summary>
    public string Group { get; }

    /// <summary>How far the log goes, appends under way included; null: nothing is logged.</summary>
    public StatePlace? Place { get; private set; }

    /// <summary>What was found cut off when the log was opened; null: nothing.</summary>
    public string? Repaired => _log.Repaired;

    /// <summary>The numbers of the checkpoints that can be rolled back to, in order.</summary>
    public IReadOnlyList<long> Numbered => _numbered;

    /// <summary>Bytes of messages since the last checkpoint.</summary>
    public long BytesSinceCheckpoint { get; private set; }

    /// <summary>Bytes of messages that were not known to be on the disk when the last one was appended.</summary>
    public long Unsynced { get; private set; }

    /// <summary>Whether a checkpoint is being written.</summary>
    public bool IsCheckpointing => !_checkpointing.IsCompleted;

    /// <exception cref="StableStoreException">The log is damaged; the message says where.</exception>
    public static async ValueTask<GroupLog> OpenAsync(IStableStore store, string group, CancellationToken ct = default)
    {
        ReadOnlyMemory<byte>? checkpoint = await store.ReadAsync(LogNames.Checkpoint(group), ct).ConfigureAwait(false);
        ReadOnlyMemory<byte>? index = await store.ReadAsync(LogNames.Index(group), ct).ConfigureAwait(false);
        IStableLog records = await store.OpenLogAsync(LogNames.Log(group), ct).ConfigureAwait(false);
        try
        {
            var log = new GroupLog(store, records, group, ReadIndex(index));
            if (checkpoint is { } bytes)
            {
                (log.Place, log._from, _) = LogFormat.DecodeState(bytes);
                if (records.Next < log._from) throw new FormatException($"it ends before record {log._from}, where the last checkpoint goes on.");
                await log.ScanAsync(ct).ConfigureAwait(false);
            }

            return log;
        }
        catch (Exception e)
        {
            await records.DisposeAsync().ConfigureAwait(false);
            if (e is FormatException) throw new StableStoreException($"The log of '{group}' is not what was written: {e.Message} Restore the store, or remove it: the node is then given the state of the others.", e);
            throw;
        }
    }

    /// <summary>Gives back what is logged: the state of the last checkpoint (null: empty), then every message since with its view.</summary>
    public async ValueTask ReplayAsync(Func<ReadOnlyMemory<byte>?, ValueTask> load, Func<JournalMessage, LoggedView, ValueTask> replay)
    {
        (StatePlace place, _, ReadOnlyMemory<byte>? state) = await ReadStateAsync(LogNames.Checkpoint(Group)).ConfigureAwait(false);
        await load(state).ConfigureAwait(false);
        LoggedView view = place.View;
        await foreach (StableRecord record in _log.ReadAsync(_from).ConfigureAwait(false))
        {
            if (record.Content.Span[0] == LogFormat.ViewRecord)
            {
                view = LogFormat.DecodeView(record.Content);
            }
            else
            {
                await replay(LogFormat.DecodeMessage(record.Content), view).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Begins anew with a state from elsewhere (null: empty): what was logged before counts no more. On the disk when it completes.</summary>
    public async ValueTask BeginAsync(StatePlace place, ReadOnlyMemory<byte>? state)
    {
        await _checkpointing.ConfigureAwait(false);
        await WhenSyncedAsync().ConfigureAwait(false);
        if (Place is { } old && old.Origin != place.Origin) await ForgetNumberedAsync(_numbered.Count).ConfigureAwait(false);
        await _store.WriteAsync(LogNames.Checkpoint(Group), LogFormat.EncodeState(place, _next, state)).ConfigureAwait(false);
        (Place, _from, BytesSinceCheckpoint) = (place, _next, 0);
        await _log.DiscardBeforeAsync(_next).ConfigureAwait(false);
    }

    /// <summary>Logs a view. On the disk when it completes, with everything before it.</summary>
    public async ValueTask AppendViewAsync(LoggedView view)
    {
        Place = Place! with { View = view, Count = 0 };
        Append(LogFormat.EncodeView(view));
        await WhenSyncedAsync().ConfigureAwait(false);
        Unsynced = 0;
    }

    /// <summary>Logs a message, behind the caller's back.</summary>
    public void AppendMessage(in JournalMessage message)
    {
        byte[] record = LogFormat.EncodeMessage(_writer, message);
        Place = Place! with { Count = Place.Count + 1 };
        BytesSinceCheckpoint += record.Length;
        Unsynced = _lastAppend.IsCompleted ? record.Length : Unsynced + record.Length;
        Append(record);
    }

    /// <summary>Completes when everything that was appended before is on the disk; throws if the disk failed.</summary>
    public Task WhenSyncedAsync() => _lastAppend;

    /// <summary>
    /// Takes a checkpoint of the state that contains everything appended so far. It is written behind the caller's back; the log
    /// before it is freed then.
    /// </summary>
    /// <returns>Ends when it is on the disk.</returns>
    public Task CheckpointAsync(ReadOnlyMemory<byte> state)
    {
        BytesSinceCheckpoint = 0;
        return _checkpointing = WriteAsync(Task.WhenAll(_checkpointing, WhenSyncedAsync()), Place!, _next, state);

        async Task WriteAsync(Task before, StatePlace place, long position, ReadOnlyMemory<byte> state)
        {
            await before.ConfigureAwait(false); // a checkpoint beyond the end of the log would hide what is appended next
            await _store.WriteAsync(LogNames.Checkpoint(Group), LogFormat.EncodeState(place, position, state)).ConfigureAwait(false);
            await _log.DiscardBeforeAsync(position).ConfigureAwait(false);
        }
    }

    /// <summary>Keeps a state under a number, and forgets all but the newest of those that there are. On the disk when it completes.</summary>
    public async ValueTask KeepAsync(long number, ReadOnlyMemory<byte> state, int keep)
    {
        Place = Place! with { LastCheckpoint = number };
        await _store.WriteAsync(LogNames.Checkpoint(Group, number), LogFormat.EncodeState(Place, 0, state)).ConfigureAwait(false);
        _numbered.Remove(number);
        _numbered.Add(number);
        await ForgetNumberedAsync(Math.Max(0, _numbered.Count - keep)).ConfigureAwait(false);
    }

    private async ValueTask ForgetNumberedAsync(int count)
    {
        long[] old = [.. _numbered.Take(count)];
        _numbered.RemoveRange(0, old.Length);
        var index = new BodyWriter();
        foreach (long kept in _numbered) index.Varint(kept);
        await _store.WriteAsync(LogNames.Index(Group), index.ToArray()).ConfigureAwait(false);
        foreach (long gone in old) await _store.DeleteAsync(LogNames.Checkpoint(Group, gone)).ConfigureAwait(false);
    }

    /// <summary>The state of a numbered checkpoint.</summary>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadNumberedAsync(long number) =>
        (await ReadStateAsync(LogNames.Checkpoint(Group, number)).ConfigureAwait(false)).State;

    /// <summary>Waits for what is being written.</summary>
    public async ValueTask DisposeAsync()
    {
        await _checkpointing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _log.DisposeAsync().ConfigureAwait(false);
    }

    private void Append(byte[] record)
    {
        _lastAppend = _log.AppendAsync(record).AsTask(); // appends complete in order
        _next++;
    }

    private async ValueTask ScanAsync(CancellationToken ct)
    {
        await foreach (StableRecord record in _log.ReadAsync(_from, ct).ConfigureAwait(false))
        {
            if (record.Content.IsEmpty || record.Content.Span[0] is not (LogFormat.ViewRecord or LogFormat.MessageRecord))
            {
                throw new FormatException($"record {record.Number} is of no known kind.");
            }

            BytesSinceCheckpoint += record.Content.Length;
            Place = record.Content.Span[0] == LogFormat.ViewRecord
                ? Place! with { View = LogFormat.DecodeView(record.Content), Count = 0 }
                : Place! with { Count = Place.Count + 1 };
        }
    }

    private async ValueTask<(StatePlace Place, long Position, ReadOnlyMemory<byte>? State)> ReadStateAsync(string name) =>
        LogFormat.DecodeState(await _store.ReadAsync(name).ConfigureAwait(false) ?? throw new StableStoreException($"The value '{name}' of the stable store is missing. Restore the store, or remove it."));

    private static List<long> ReadIndex(ReadOnlyMemory<byte>? index)
    {
        var numbers = new List<long>();
        var reader = new BodyReader(index ?? default);
        while (!reader.AtEnd) numbers.Add(reader.Varint());
        return numbers;
    }
}
