// Large states between the protocol and the application: a snapshot is read piece by piece while the group goes on, and
// taken piece by piece at the joiner.
// Keeps: one piece of a snapshot is read at a time; what is void or over is read no further, and disposed; nobody waits for what will not come.
using System.Collections.Concurrent;
using Core.Groups.Protocol;
using Core.Groups.Protocol.Groups;

namespace Core.Groups.Hosting;

/// <summary>The streams of one group. <see cref="Open"/> is the pump's, the rest the event loop's.</summary>
internal sealed class StateFlow(NodeHost host, GroupMembership membership, StateTransfer? transfer)
{
    private ConcurrentDictionary<long, SnapshotReader>? _snapshots; // null until a snapshot is opened: a node may be in thousands of groups
    private volatile StateReader? _incoming;

    /// <summary>The application has given a snapshot.</summary>
    /// <param name="kind">Goes before it, for <see cref="StateReader.ReadKindAsync"/>.</param>
    public void Open(long token, byte kind, StateSnapshot snapshot, int generation)
    {
        var reader = new SnapshotReader(host, membership.Name, transfer!, kind, snapshot, token, generation);
        LazyInitializer.EnsureInitialized(ref _snapshots, static () => new())[token] = reader;
        host.Loop.Post(
            new NodeInput { Kind = InputKind.StateOpened, Group = membership.Id, Token = token, Call = snapshot.Length ?? -1, Generation = generation }, schedule: false);
        if (!membership.IsPresent(generation))
        {
            End(token); // the membership was cut off meanwhile: nobody asks for it
        }
    }

    public void Read(long token)
    {
        if (_snapshots is { } snapshots && snapshots.TryGetValue(token, out SnapshotReader? reader))
        {
            reader.Read(last => Forget(token, last));
        }
    }

    public void End(long token)
    {
        if (_snapshots is { } snapshots && snapshots.TryRemove(token, out SnapshotReader? reader))
        {
            reader.End();
        }
    }

    public StateReader Begin(long expected, int generation) =>
        _incoming = new StateReader(host, membership, transfer, expected < 0 ? null : expected, generation);

    public void OnStep(StateStep step, ReadOnlyMemory<byte> piece)
    {
        switch (step)
        {
            case StateStep.Piece: _incoming?.Add(piece); break;
            case StateStep.End: _incoming?.Complete(); break;
            default: _incoming?.Break(); break;
        }
    }

    /// <summary>The membership is cut off.</summary>
    public void Drop()
    {
        _incoming?.Break();
        foreach (long token in _snapshots?.Keys ?? [])
        {
            End(token);
        }
    }

    private void Forget(long token, bool isLast)
    {
        if (isLast)
        {
            End(token);
        }
    }
}

/// <summary>The donor's side of one snapshot.</summary>
internal sealed class SnapshotReader(NodeHost host, string group, StateTransfer transfer, byte kind, StateSnapshot snapshot, long token, int generation)
{
    private readonly Lock _gate = new();
    private IAsyncEnumerator<ReadOnlyMemory<byte>>? _pieces;
    private ReadOnlyMemory<byte> _rest;
    private Task _reading = Task.CompletedTask;
    private long _bytes;
    private bool _isOver;

    /// <summary>Reads the next piece and gives it to the protocol.</summary>
    public void Read(Action<bool> onRead)
    {
        lock (_gate)
        {
            if (!_isOver)
            {
                _reading = Task.Run(() => ReadAsync(onRead));
            }
        }
    }

    /// <summary>No more is read; what the application gave is disposed.</summary>
    public void End()
    {
        lock (_gate)
        {
            if (_isOver)
            {
                return;
            }

            _isOver = true;
            _reading = _reading.ContinueWith(_ => DisposeAsync(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default).Unwrap();
        }
    }

    private async Task ReadAsync(Action<bool> onRead)
    {
        ReadOnlyMemory<byte> piece = default;
        bool isLast = true, isRead = false;
        try
        {
            if (_pieces is null)
            {
                _pieces = snapshot.Pieces.GetAsyncEnumerator();
                Give(new[] { kind }, isRead: true, isLast: false, onRead);
                return;
            }

            while (_rest.IsEmpty && await _pieces.MoveNextAsync().ConfigureAwait(false))
            {
                _rest = _pieces.Current;
            }

            isLast = _rest.IsEmpty;
            piece = _rest[..Math.Min(_rest.Length, StateStreams.PieceSize)];
            _rest = _rest[piece.Length..];
            isRead = true;
        }
        catch (Exception e)
        {
            host.Counters.HandlerFailed();
            HostLog.CallbackFailed(host.Logger, e, "Save", group);
        }

        _bytes += piece.Length;
        transfer.Report(host, new StateProgress(group, IsDonor: true, _bytes, snapshot.Length, isLast && isRead));
        Give(piece, isRead, isLast, onRead);
    }

    private void Give(ReadOnlyMemory<byte> piece, bool isRead, bool isLast, Action<bool> onRead)
    {
        host.Loop.Post(new NodeInput { Kind = InputKind.StateRead, Token = token, Flag = isRead, Body = piece, Number = isLast ? 1 : 0, Generation = generation });
        onRead(isLast);
    }

    private async Task DisposeAsync()
    {
        try
        {
            if (_pieces is { } pieces)
            {
                await pieces.DisposeAsync().ConfigureAwait(false);
            }
        }
        catch (Exception e)
        {
            HostLog.CallbackFailed(host.Logger, e, "Save", group);
        }
    }
}
