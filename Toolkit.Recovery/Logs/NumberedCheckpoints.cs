// The checkpoints of a group that have numbers: what all members can be rolled back to.
// Follows: "Exploiting virtual synchrony", section 3.6.
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Recovery.Logs;

/// <summary>The numbered checkpoints of one group in a stable store. One call at a time, but for <see cref="Numbers"/>.</summary>
internal sealed class NumberedCheckpoints(IStableStore store, string group) : IAsyncDisposable
{
    private readonly StateFiles _states = new(store);
    private volatile long[] _numbers = [];
    private Task _keeping = Task.CompletedTask;

    /// <summary>The numbers of those that are on the disk, in order.</summary>
    public IReadOnlyList<long> Numbers => _numbers;

    /// <summary>Reads which there are.</summary>
    /// <exception cref="FormatException">The list is not what was written.</exception>
    public async ValueTask OpenAsync(CancellationToken ct)
    {
        var numbers = new List<long>();
        ReadOnlyMemory<byte>? index = await store.ReadAsync(LogNames.Index(group), ct).ConfigureAwait(false);
        var reader = new BodyReader(index ?? default);
        while (!reader.AtEnd) numbers.Add(reader.Varint());
        _numbers = [.. numbers];
    }

    /// <summary>Keeps a state under the last number of a place, and forgets those that the group does not keep; behind the caller's back, one after the other.</summary>
    /// <returns>Ends when it is on the disk.</returns>
    public Task KeepAsync(StatePlace place, StateSnapshot state)
    {
        return (_keeping = WriteAsync(_keeping)).Own();

        async Task WriteAsync(Task before)
        {
            await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            long number = place.LastCheckpoint;
            await _states.WriteAsync(LogNames.Checkpoint(group, number), new StateHead(place, 0, null), state.Pieces).ConfigureAwait(false);
            await RetainAsync([.. _numbers.Where(n => n != number), number], [.. place.Checkpoints.Select(c => c.Number)]).ConfigureAwait(false);
        }
    }

    /// <summary>Waits for those that are being kept.</summary>
    public Task WhenKeptAsync() => _keeping.Own();

    /// <summary>The state of one of them; null: the application began empty.</summary>
    public ValueTask<IAsyncEnumerable<ReadOnlyMemory<byte>>?> ReadAsync(long number) => _states.ReadAsync(LogNames.Checkpoint(group, number));

    /// <summary>Whether one of them is here.</summary>
    public async ValueTask<bool> HasAsync(KeptCheckpoint wanted) =>
        _numbers.Contains(wanted.Number) && await _states.ReadHeadAsync(LogNames.Checkpoint(group, wanted.Number)).ConfigureAwait(false) is var (head, _)
        && head.Place.Checkpoints.Contains(wanted);

    /// <summary>Forgets all but these.</summary>
    public async ValueTask RetainAsync(IReadOnlyCollection<long> kept)
    {
        await WhenKeptAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_numbers.Any(n => !kept.Contains(n))) await RetainAsync(_numbers, kept).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await _keeping.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _states.DisposeAsync().ConfigureAwait(false);
    }

    // First the list, then what it does not name any more.
    private async ValueTask RetainAsync(long[] all, IReadOnlyCollection<long> kept)
    {
        long[] left = [.. all.Where(kept.Contains)];
        var index = new BodyWriter();
        foreach (long number in left) index.Varint(number);
        await store.WriteAsync(LogNames.Index(group), index.ToArray()).ConfigureAwait(false);
        _numbers = left;
        foreach (long gone in all.Except(left)) await _states.DeleteAsync(LogNames.Checkpoint(group, gone)).ConfigureAwait(false);
    }
}
