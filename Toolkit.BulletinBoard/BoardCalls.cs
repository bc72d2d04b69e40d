// The calls of one node on one board: shared by all who open it there.
// Keeps: calls are numbered in the order in which they are multicast, under the replica's gate.
using System.Collections.Concurrent;
using Core.Groups.Replication;
using Toolkit.BulletinBoard.Replication;

namespace Toolkit.BulletinBoard;

/// <summary>Ends calls as the replica tells. Its methods run under the replica's gate.</summary>
internal sealed class BoardCalls(string group) : IBoardEffects
{
    private readonly ConcurrentDictionary<long, TaskCompletionSource<BoardItem?>> _waiting = [];
    private long _lastCall;
    private TaskCompletionSource? _appeared;
    private CancellationTokenSource _holds = new();

    /// <summary>Fires when what this node holds now is lost.</summary>
    public CancellationToken HoldsAreLost => _holds.Token;

    /// <summary>Begins a call that takes so many numbers.</summary>
    public long Begin(TaskCompletionSource<BoardItem?> ended, int numbers)
    {
        long call = _lastCall + 1;
        _lastCall += numbers;
        _waiting[call] = ended;
        return call;
    }

    /// <summary>A call that never began.</summary>
    public void Forget(long call) => _waiting.TryRemove(call, out _);

    /// <summary>Ends when the next item appears.</summary>
    public Task WhenAppeared() => (_appeared ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    public void Done(long call, BoardItem? item)
    {
        if (_waiting.TryRemove(call, out TaskCompletionSource<BoardItem?>? ended))
            ended.TrySetResult(item);
    }

    public void Appeared(BoardItem item) => WakeAll();

    public void Ended(long call, MembershipEnd end)
    {
        if (_waiting.TryRemove(call, out TaskCompletionSource<BoardItem?>? ended))
            ended.TrySetException(end.ToException(group, outcomeUnknown: true));
    }

    public void HoldsLost()
    {
        CancellationTokenSource lost = _holds;
        _holds = new CancellationTokenSource();
        _ = Task.Run(lost.Cancel); // callbacks run outside the gate
        WakeAll(); // who waits for items looks again, and gets the error
    }

    private void WakeAll()
    {
        _appeared?.TrySetResult();
        _appeared = null;
    }
}
