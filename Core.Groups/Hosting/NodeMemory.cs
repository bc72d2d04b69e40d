// What a node keeps in its stable store of its own accord: its name, its incarnations, and the votes of its machines.
// Keeps: one write at a time, the newest record in place of all that wait; an incarnation is never used twice, whatever the
// clock does. Follows: protocol, section 6.
using System.Buffers.Binary;
using System.Text;

namespace Core.Groups.Hosting;

/// <summary>A node's own part of a stable store. <see cref="Keep"/> is called by the event loop, the rest by the host's start and end.</summary>
internal sealed class NodeMemory : IAsyncDisposable
{
    private const string OwnerValue = "node", VotesValue = "votes";
    private const int IncarnationSize = sizeof(long);

    private readonly Lock _gate = new();
    private readonly bool _ownsStore;
    private (ReadOnlyMemory<byte> Value, Action Stored)? _waiting;
    private Task _writing = Task.CompletedTask;
    private ReadOnlyMemory<byte> _latest;
    private bool _isWriting;

    private NodeMemory(IStableStore store, bool ownsStore) => (Store, _ownsStore) = (store, ownsStore);

    public IStableStore Store { get; }

    /// <summary>The last record that a machine gave.</summary>
    public ReadOnlyMemory<byte> Remembered => _latest.IsEmpty ? _latest : _latest[IncarnationSize..];

    /// <summary>Called once, on any thread, when the store has failed.</summary>
    public Action<StableStoreException> OnFailed { get; set; } = static _ => { };

    /// <summary>Null: the options name no store.</summary>
    /// <exception cref="StableStoreException">The store cannot be used, or belongs to another node.</exception>
    public static async ValueTask<NodeMemory?> OpenAsync(GroupNodeOptions options, CancellationToken ct)
    {
        if (options.StableStore is null && options.DataDirectory is null) return null;
        IStableStore store = options.StableStore ?? await FileStableStore.OpenAsync(options.DataDirectory!, ct).ConfigureAwait(false);
        var memory = new NodeMemory(store, ownsStore: options.StableStore is null);
        try
        {
            await memory.TakeAsync(options.Name, ct).ConfigureAwait(false);
            return memory;
        }
        catch
        {
            await memory.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>The next incarnation: above every earlier one, and on disk before anybody is told of it.</summary>
    public async ValueTask<long> BeginAsync(long now, CancellationToken ct)
    {
        long last = _latest.IsEmpty ? 0 : BinaryPrimitives.ReadInt64LittleEndian(_latest.Span);
        long next = Math.Max(now, last + 1);
        _latest = Encode(next, Remembered);
        await Store.WriteAsync(VotesValue, _latest, ct).ConfigureAwait(false);
        return next;
    }

    /// <summary>Stores a record of a machine.</summary>
    /// <param name="stored">Called on any thread when it is on the disk; not when a later record has overtaken it.</param>
    public void Keep(long incarnation, ReadOnlyMemory<byte> record, Action stored)
    {
        _latest = Encode(incarnation, record);
        lock (_gate)
        {
            _waiting = (_latest, stored);
            if (_isWriting) return;
            _isWriting = true;
            _writing = Task.Run(WriteAllAsync);
        }
    }

    /// <summary>Waits for what is being written.</summary>
    public async ValueTask DisposeAsync()
    {
        Task writing;
        lock (_gate)
        {
            writing = _writing;
        }

        await writing.ConfigureAwait(false);
        if (_ownsStore)
        {
            await Store.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async ValueTask TakeAsync(string name, CancellationToken ct)
    {
        ReadOnlyMemory<byte>? owner = await Store.ReadAsync(OwnerValue, ct).ConfigureAwait(false);
        if (owner is { } bytes && Encoding.UTF8.GetString(bytes.Span) is var other && other != name)
        {
            throw new StableStoreException($"The stable store belongs to node '{other}', not to '{name}'. Give each node a directory of its own.");
        }

        ReadOnlyMemory<byte> votes = await Store.ReadAsync(VotesValue, ct).ConfigureAwait(false) ?? default;
        if (votes.Length is > 0 and < IncarnationSize)
        {
            throw new StableStoreException("The votes in the stable store are not what a node writes. Delete the store: then this node has forgotten everything, as one that is new.");
        }

        _latest = votes;
        if (owner is null)
        {
            await Store.WriteAsync(OwnerValue, Encoding.UTF8.GetBytes(name), ct).ConfigureAwait(false);
        }
    }

    private async Task WriteAllAsync()
    {
        while (true)
        {
            (ReadOnlyMemory<byte> Value, Action Stored) next;
            lock (_gate)
            {
                if (_waiting is not { } waiting)
                {
                    _isWriting = false;
                    return;
                }

                (next, _waiting) = (waiting, null);
            }

            try
            {
                await Store.WriteAsync(VotesValue, next.Value).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                OnFailed(e as StableStoreException ?? new StableStoreException($"The stable store failed: {e.Message}", e));
                return; // what is not stored is never told
            }

            next.Stored();
        }
    }

    private static byte[] Encode(long incarnation, ReadOnlyMemory<byte> record)
    {
        byte[] value = new byte[IncarnationSize + record.Length];
        BinaryPrimitives.WriteInt64LittleEndian(value, incarnation);
        record.CopyTo(value.AsMemory(IncarnationSize));
        return value;
    }
}
