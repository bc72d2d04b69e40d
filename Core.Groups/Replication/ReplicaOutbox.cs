// What one replica has multicast and answered, on its way out: filled under the replica's gate, emptied by one pump.
// Keeps: things leave in the order of the calls; nothing is sent while the gate is held; what belongs to a membership that is
// over does not reach the next. As long as there is credit, the thread that filled it empties it: no hand-over, no wait.
using Core.Groups.Hosting;

namespace Core.Groups.Replication;

/// <summary>One membership of a replica's group.</summary>
internal sealed record ReplicaMembership(GroupMembership Group, NodeId Self, int Generation);

internal enum OutboxKind : byte { Multicast, Reply, ErrorReply, NoReply, Flush }

/// <summary>Something that is to leave.</summary>
/// <param name="Number">The token of a request, or the call of a flush.</param>
internal readonly record struct OutboxItem(
    OutboxKind Kind, ReplicaMembership Membership, long Number = 0, Order Order = default, ReadOnlyMemory<byte> Body = default);

/// <summary>The outbox of one replica. Where a method says so, its caller holds the gate.</summary>
/// <param name="flush">Begins a flush; not under the gate.</param>
internal sealed class ReplicaOutbox(Lock gate, IInputs<NodeInput> inputs, Action<ReplicaMembership, long> flush)
{
    /// <summary>From so many bytes in the queue on, callers are asked to wait.</summary>
    public const int Limit = 64 << 10;

    private PooledList<OutboxItem> _queue = new();
    private PooledList<OutboxItem> _batch = new(); // the pump's
    private int _queuedBytes;
    private bool _pumping;
    private TaskCompletionSource? _writable;

    /// <summary>Under the gate.</summary>
    public void Add(in OutboxItem item)
    {
        _queue.Add(item);
        Volatile.Write(ref _queuedBytes, _queuedBytes + item.Body.Length + CreditGate<NodeInput>.MessageOverhead);
    }

    /// <summary>Under the gate. True: the caller runs <see cref="Pump"/> as soon as it has left the gate.</summary>
    public bool TryBecomePump() => !_pumping && _queue.Count > 0 && (_pumping = true);

    /// <summary>Sends what is there, and goes on elsewhere when credit is missing. Not under the gate.</summary>
    public void Pump() => _ = PumpAsync();

    /// <summary>Under the gate: what belongs to a membership that is over does not leave.</summary>
    public void Clear()
    {
        _queue.Clear();
        MadeRoom();
    }

    /// <summary>Completes when the queue is short; at once as long as there is credit.</summary>
    public ValueTask WhenWritable(CancellationToken ct)
    {
        if (Volatile.Read(ref _queuedBytes) < Limit)
        {
            return default;
        }

        lock (gate)
        {
            if (_queuedBytes < Limit)
            {
                return default;
            }

            _writable ??= new(TaskCreationOptions.RunContinuationsAsynchronously);
            return new ValueTask(_writable.Task.WaitAsync(ct));
        }
    }

    private async Task PumpAsync()
    {
        while (TryTakeBatch())
        {
            for (int i = 0; i < _batch.Count; i++)
            {
                ValueTask leaving = Send(_batch[i]);
                if (leaving.IsCompletedSuccessfully)
                {
                    continue;
                }

                try
                {
                    await leaving.ConfigureAwait(false);
                }
                catch (GroupException)
                {
                    // The membership is over: the replica hears of that by OnEnded.
                }
            }
        }
    }

    private bool TryTakeBatch()
    {
        lock (gate)
        {
            _batch.Clear();
            (_batch, _queue) = (_queue, _batch);
            MadeRoom();
            return _pumping = _batch.Count > 0;
        }
    }

    private void MadeRoom()
    {
        Volatile.Write(ref _queuedBytes, 0);
        _writable?.TrySetResult();
        _writable = null;
    }

    private ValueTask Send(in OutboxItem item)
    {
        switch (item.Kind)
        {
            case OutboxKind.Multicast:
                return item.Membership.Group.PostAsync(item.Membership.Generation, item.Order, item.Body);
            case OutboxKind.Flush:
                flush(item.Membership, item.Number);
                break;
            default:
                inputs.Post(new NodeInput
                {
                    Kind = item.Kind == OutboxKind.NoReply ? InputKind.NoReply : InputKind.Reply, Flag = item.Kind == OutboxKind.ErrorReply,
                    Token = item.Number, Body = item.Body, Generation = item.Membership.Generation,
                });
                break;
        }

        return default;
    }
}
