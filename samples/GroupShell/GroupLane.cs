// The operations on one group: they start in the order given (a send behind a join waits for it), and then run on their own.
// Keeps: an operation that is withdrawn while it waits leaves its place to the next; what is under way is bounded.
using System.Collections.Concurrent;
using Core.Groups;
using Toolkit.Recovery;

namespace GroupShell;

/// <summary>One group as the shell's client sees it. Turns are asked for by one thread.</summary>
internal sealed class GroupLane(string name)
{
    private Task _lastTurn = Task.CompletedTask;

    public string Name { get; } = name;

    /// <summary>The membership; null: this node is a caller from outside. Changed by the operation whose turn it is.</summary>
    public ProcessGroup? Group
    {
        get => (Logged?.Group ?? field) is { Completion.IsCompleted: false } group ? group : null;
        set;
    }

    /// <summary>The membership, if the group is logged.</summary>
    public LoggedGroup? Logged
    {
        get => field is { Completion.IsCompleted: false } ? field : null;
        set;
    }

    /// <summary>What a logged group has delivered.</summary>
    public GroupTexts? Texts { get; set; }

    /// <summary>The state of a chosen size that this membership began with; null: none.</summary>
    public SizedState? State { get; set; }

    public SendWindow Window { get; } = new();

    /// <summary>Waits until every operation before has started. The turn is to be disposed when this one has.</summary>
    public async ValueTask<Turn> TakeTurnAsync(CancellationToken ct)
    {
        Task before = _lastTurn;
        var turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _lastTurn = turn.Task;
        try
        {
            await before.WaitAsync(ct).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            _ = before.ContinueWith(_ => turn.SetResult(), TaskScheduler.Default);
            throw;
        }

        return new Turn(turn);
    }

    /// <summary>The right to start the next operation.</summary>
    public readonly struct Turn(TaskCompletionSource turn) : IDisposable
    {
        public void Dispose() => turn.TrySetResult();
    }
}

/// <summary>The turns of several lanes, all taken.</summary>
internal sealed class LaneTurns : IDisposable
{
    private readonly GroupLane[] _lanes;
    private readonly Task<GroupLane.Turn>[] _turns;

    private LaneTurns(GroupLane[] lanes, Task<GroupLane.Turn>[] turns) => (_lanes, _turns) = (lanes, turns);

    public static async ValueTask<LaneTurns> TakeAsync(GroupLane[] lanes, CancellationToken ct)
    {
        var all = new LaneTurns(lanes, [.. lanes.Select(lane => lane.TakeTurnAsync(ct).AsTask())]);
        try
        {
            await Task.WhenAll(all._turns).ConfigureAwait(false);
            return all;
        }
        catch
        {
            all.Dispose();
            throw;
        }
    }

    /// <summary>The memberships.</summary>
    /// <exception cref="NotMemberException">One of them is none.</exception>
    public ProcessGroup[] Groups() => [.. _lanes.Select(lane => lane.Group ?? throw new NotMemberException(lane.Name))];

    public void Dispose()
    {
        foreach (Task<GroupLane.Turn> turn in _turns.Where(t => t.IsCompletedSuccessfully))
            turn.Result.Dispose();
    }
}

/// <summary>The lanes of all groups that were named. Asked by the thread that reads the commands; looked at by any.</summary>
internal sealed class GroupLanes
{
    private readonly ConcurrentDictionary<string, GroupLane> _lanes = [];

    public GroupLane Of(string name) => _lanes.GetOrAdd(name, static n => new GroupLane(n));

    public GroupLane? Find(string name) => _lanes.GetValueOrDefault(name);

    public LoggedGroup? FindLogged(string name) => Find(name)?.Logged;
}

/// <summary>Bounds the messages of a group that were given to the node and are not numbered yet.</summary>
internal sealed class SendWindow
{
    private const long MostBytes = 4 << 20;
    private const int MostMessages = 1024;

    private readonly Lock _gate = new();
    private long _bytes;
    private int _messages;
    private TaskCompletionSource? _room;

    /// <summary>Waits for room. One caller at a time: the one whose turn it is. A message larger than the window goes alone.</summary>
    public async ValueTask EnterAsync(int bytes, CancellationToken ct)
    {
        while (true)
        {
            Task room;
            lock (_gate)
            {
                if (_messages == 0 || (_messages < MostMessages && _bytes + bytes <= MostBytes))
                {
                    _messages++;
                    _bytes += bytes;
                    return;
                }

                room = (_room ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            }

            await room.WaitAsync(ct).ConfigureAwait(false);
        }
    }

    public void Leave(int bytes)
    {
        lock (_gate)
        {
            _messages--;
            _bytes -= bytes;
            _room?.TrySetResult();
            _room = null;
        }
    }
}
