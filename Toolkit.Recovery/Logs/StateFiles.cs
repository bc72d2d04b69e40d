// States on the disk, of any size: a small one in its value, a large one in a log of its own, piece by piece.
// Keeps: a state is replaced in one step, by the value that says where it is; about a window of it is in memory.
using System.Buffers;
using Core.Groups;

namespace Toolkit.Recovery.Logs;

/// <summary>Writes and reads the states of one group. One call at a time.</summary>
internal sealed class StateFiles(IStableStore store) : IAsyncDisposable
{
    /// <summary>A state of so many bytes stands in its value.</summary>
    public const int MostInline = 64 << 10;

    private const int PieceSize = 1 << 20;
    private const int Window = 8; // pieces

    private readonly Dictionary<string, IStableLog> _open = [];

    /// <summary>Puts a state in the place of the one before. On the disk when it completes.</summary>
    /// <param name="name">What the state is called.</param>
    /// <param name="head">Goes with it.</param>
    /// <param name="pieces">The state; null: the application begins empty.</param>
    /// <returns>Its length in bytes.</returns>
    public async ValueTask<long> WriteAsync(string name, StateHead head, IAsyncEnumerable<ReadOnlyMemory<byte>>? pieces)
    {
        var buffer = new ArrayBufferWriter<byte>();
        StateBody body = StateBody.Empty;
        IStableLog? log = null;
        var pending = new Queue<Task>();
        await foreach (ReadOnlyMemory<byte> piece in (pieces ?? AsyncEnumerable.Empty<ReadOnlyMemory<byte>>()).ConfigureAwait(false))
        {
            for (ReadOnlyMemory<byte> rest = piece; !rest.IsEmpty;)
            {
                ReadOnlyMemory<byte> part = rest[..Math.Min(rest.Length, PieceSize - buffer.WrittenCount)];
                buffer.Write(part.Span);
                rest = rest[part.Length..];
                if (buffer.WrittenCount == PieceSize) await FlushAsync().ConfigureAwait(false);
            }
        }

        if (log is not null || buffer.WrittenCount > MostInline) await FlushAsync().ConfigureAwait(false);
        await Task.WhenAll(pending).ConfigureAwait(false);
        if (log is not null) body = body with { To = log.Next };
        else if (pieces is not null) body = StateBody.Of(buffer.WrittenMemory);
        await store.WriteAsync(name, LogFormat.EncodeHead(head, body)).ConfigureAwait(false);
        if (log is null) _open.TryGetValue(name, out log);
        if (log is not null) await log.DiscardBeforeAsync(body.IsStored ? body.From : log.Next).ConfigureAwait(false);
        return body.Length;

        async ValueTask FlushAsync()
        {
            if (log is null)
            {
                log = await OpenAsync(name).ConfigureAwait(false);
                body = StateBody.Stored(log.Next);
            }

            body = body with { Length = body.Length + buffer.WrittenCount };
            pending.Enqueue(log.AppendAsync(buffer.WrittenMemory).AsTask());
            buffer = new ArrayBufferWriter<byte>(PieceSize);
            if (pending.Count > Window) await pending.Dequeue().ConfigureAwait(false);
        }
    }

    /// <summary>What goes with a state, and the state; null: there is no such one.</summary>
    /// <exception cref="FormatException">It is not what was written.</exception>
    public async ValueTask<(StateHead Head, StateBody Body)?> ReadHeadAsync(string name, CancellationToken ct = default) =>
        await store.ReadAsync(name, ct).ConfigureAwait(false) is { } value ? LogFormat.DecodeHead(value) : null;

    /// <summary>A state; null: the application begins empty.</summary>
    public async ValueTask<IAsyncEnumerable<ReadOnlyMemory<byte>>?> ReadAsync(string name)
    {
        (_, StateBody body) = await ReadHeadAsync(name).ConfigureAwait(false)
            ?? throw new StableStoreException($"The value '{name}' of the stable store is missing. Restore the store, or remove it.");
        if (body.IsStored) return ReadAsync(name, await OpenAsync(name).ConfigureAwait(false), body);
        return body.Inline is { } whole ? new[] { whole }.ToAsyncEnumerable() : null;
    }

    /// <summary>Removes a state.</summary>
    public async ValueTask DeleteAsync(string name)
    {
        await store.DeleteAsync(name).ConfigureAwait(false);
        if (_open.Remove(name, out IStableLog? log)) await log.DisposeAsync().ConfigureAwait(false);
        await store.DeleteLogAsync(name).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (IStableLog log in _open.Values) await log.DisposeAsync().ConfigureAwait(false);
        _open.Clear();
    }

    private static async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(string name, IStableLog log, StateBody body)
    {
        long next = body.From, length = 0;
        await foreach (StableRecord record in log.ReadAsync(body.From).ConfigureAwait(false))
        {
            if (record.Number != next || next == body.To) break;
            (next, length) = (next + 1, length + record.Content.Length);
            yield return record.Content;
        }

        if (next != body.To || length != body.Length)
            throw new StableStoreException($"The state '{name}' of the stable store is not whole: {length} of {body.Length} bytes are there. Restore the store, or remove it.");
    }

    private async ValueTask<IStableLog> OpenAsync(string name)
    {
        if (!_open.TryGetValue(name, out IStableLog? log)) _open[name] = log = await store.OpenLogAsync(name).ConfigureAwait(false);
        return log;
    }
}
