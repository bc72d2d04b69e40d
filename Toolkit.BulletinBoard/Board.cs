// The bulletin board as the application holds it.
// Follows: "Exploiting virtual synchrony", section 4.3 (bboards, and Linda over them).
using System.Collections.Immutable;
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.BulletinBoard.Replication;

namespace Toolkit.BulletinBoard;

/// <summary>
/// A board shared by the nodes that have opened it: post items, read them, take them. May be used from any thread. Calls end with
/// <see cref="ExcludedException"/> if the others went on without this node (OutcomeUnknown: look, then do it again), with
/// <see cref="NodeStoppedException"/> or <see cref="NotMemberException"/> after the end; a posted item that does not fit in a message
/// is a <see cref="MessageTooLargeException"/>. A cancelled call leaves nothing behind.
/// </summary>
public sealed class Board : IAsyncDisposable
{
    private readonly ReplicaHost<BoardReplica> _host;
    private readonly BoardCalls _calls;

    private Board(ReplicaHost<BoardReplica> host) => (_host, _calls) = (host, (BoardCalls)host.Read(0, static (replica, _) => replica.Effects));

    /// <summary>The nodes that take part.</summary>
    public View View => _host.View;

    /// <summary>What was chosen when the board was made.</summary>
    public BoardConsistency Consistency => _host.Read(0, static (replica, _) => replica.Consistency);

    /// <summary>How many items are on the board.</summary>
    public int Count => _host.Read(0, static (replica, _) => replica.Count);

    /// <summary>How items that are objects are written and read. Chosen before the first of them, the same at all nodes; JSON if nothing is.</summary>
    public IPayloadSerializer Serializer
    {
        get;
        set => field = value ?? throw new ArgumentNullException(nameof(value));
    } = JsonPayloadSerializer.Default;

    /// <summary>Ends when this node takes part no more and will not again.</summary>
    public Task Completion => _host.Completion;

    internal static async ValueTask<Board> OpenAsync(GroupNode node, string name, BoardConsistency consistency, CancellationToken ct)
    {
        string group = name + "#board";
        GroupName.Validate(group);
        return new Board(await ReplicaHost<BoardReplica>.OpenAsync(node, group, () => new BoardReplica(consistency, new BoardCalls(group)), ct).ConfigureAwait(false));
    }

    // ---- posting

    /// <summary>Posts an item. Completes when it is on this node's copy (on a total board: at its place in the order).</summary>
    /// <param name="fields">1 to 64 fields. The first two are indexed: begin with what is looked for.</param>
    /// <param name="lifetime">When nobody takes it, it goes after this time, measured by the oldest member; zero: it stays.</param>
    /// <param name="ct">Ends the wait; the item may be posted.</param>
    /// <exception cref="ArgumentException">There are no fields, or too many.</exception>
    public ValueTask<OperationId> PostAsync(Field[] fields, TimeSpan lifetime = default, CancellationToken ct = default) => PostAsync(fields, lifetime, null, ct);

    /// <summary>
    /// Posts an item as soon as a guard holds. Completes when that is accepted: from then on it happens whether this node lives or not,
    /// so a node posts with <see cref="Guard.Failed"/> of itself what is to be said of it when it is gone.
    /// </summary>
    /// <returns>The operation, and the item's id; for <see cref="Guard.Finished"/> and <see cref="CancelAsync"/>.</returns>
    /// <param name="guard">When it runs.</param>
    /// <param name="fields">The item.</param>
    /// <param name="lifetime">As for <see cref="PostAsync(Field[], TimeSpan, CancellationToken)"/>.</param>
    /// <param name="ct">Ends the wait; it may be accepted.</param>
    public ValueTask<OperationId> PostWhenAsync(Guard guard, Field[] fields, TimeSpan lifetime = default, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(guard);
        return PostAsync(fields, lifetime, guard, ct);
    }

    private async ValueTask<OperationId> PostAsync(Field[] fields, TimeSpan lifetime, Guard? guard, CancellationToken ct)
    {
        Check(fields);
        ArgumentOutOfRangeException.ThrowIfLessThan(lifetime, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lifetime, BoardReplica.LongestLifetime);
        BoardItem? posted = await CallAsync((fields, lifetime, guard), static (replica, call, post) => replica.Post(call, post.fields, post.lifetime, post.guard), ct).ConfigureAwait(false);
        return posted!.Id;
    }

    /// <summary>Puts other fields in an item's place. False: it is not on the board.</summary>
    /// <param name="item">The item.</param>
    /// <param name="fields">What it is from now on.</param>
    /// <param name="ct">Ends the wait.</param>
    public async ValueTask<bool> UpdateAsync(OperationId item, Field[] fields, CancellationToken ct = default)
    {
        Check(fields);
        return await CallAsync((item, fields), static (replica, call, update) => replica.Update(call, update.item, update.fields), ct).ConfigureAwait(false) is not null;
    }

    // ---- reading

    /// <summary>The first item that matches, if there is one (<c>rdp</c>). Of the local copy; allocates nothing.</summary>
    public BoardItem? TryRead(Template template) => _host.Read(template, static (replica, wanted) => replica.Find(wanted));

    /// <summary>An item by its id, if it is on the board. Of the local copy.</summary>
    public BoardItem? TryRead(OperationId item) => _host.Read(item, static (replica, id) => replica.Find(id));

    /// <summary>All items that match, in the order in which they came. Of the local copy.</summary>
    public IReadOnlyList<BoardItem> List(Template template) => _host.Read(template, static (replica, wanted) => replica.List(wanted));

    /// <summary>Waits for an item that matches (<c>rd</c>). It stays on the board.</summary>
    /// <param name="template">What it must be.</param>
    /// <param name="guard">Nothing is read before this holds; null: at once.</param>
    /// <param name="ct">Ends the wait.</param>
    public async ValueTask<BoardItem> ReadAsync(Template template, Guard? guard = null, CancellationToken ct = default) =>
        (await CallAsync((template, guard), static (replica, call, read) => replica.Read(call, read.template, read.guard), ct).ConfigureAwait(false))!;

    // ---- taking

    /// <summary>Takes the first item that matches, if there is one (<c>inp</c>). Nobody else gets it.</summary>
    /// <param name="template">What it must be.</param>
    /// <param name="ct">Ends the wait; nothing is taken then.</param>
    public ValueTask<BoardItem?> TryTakeAsync(Template template, CancellationToken ct = default) => TakeAsync(template, waits: false, holds: false, null, ct);

    /// <summary>Takes an item, if it is still there. Nobody else gets it.</summary>
    /// <param name="item">The item.</param>
    /// <param name="ct">Ends the wait; nothing is taken then.</param>
    public ValueTask<BoardItem?> TryTakeAsync(OperationId item, CancellationToken ct = default) =>
        CallAsync(item, static (replica, call, id) => replica.TakeItem(call, id, holds: false), ct);

    /// <summary>Waits for an item that matches and takes it (<c>in</c>). Nobody else gets it; on a total board those who wait are served in their order.</summary>
    /// <param name="template">What it must be.</param>
    /// <param name="guard">Nothing is taken before this holds; null: at once.</param>
    /// <param name="ct">Ends the wait; nothing is taken then.</param>
    public async ValueTask<BoardItem> TakeAsync(Template template, Guard? guard = null, CancellationToken ct = default) =>
        (await TakeAsync(template, waits: true, holds: false, guard, ct).ConfigureAwait(false))!;

    /// <summary>Takes an item and holds it: it comes back if this node fails, or lets it go, before it completes it.</summary>
    /// <param name="template">What it must be.</param>
    /// <param name="ct">Ends the wait; nothing is held then.</param>
    public async ValueTask<BoardHold> HoldAsync(Template template, CancellationToken ct = default)
    {
        long hold = 0;
        CancellationToken lost = default;
        ArgumentNullException.ThrowIfNull(template);
        BoardItem? item = await CallAsync(template, (replica, call, wanted) =>
        {
            (hold, lost) = (call, _calls.HoldsAreLost);
            replica.Take(call, wanted, waits: true, holds: true, null);
        }, ct).ConfigureAwait(false);
        return new BoardHold(this, hold, item!, lost);
    }

    private ValueTask<BoardItem?> TakeAsync(Template template, bool waits, bool holds, Guard? guard, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(template);
        return CallAsync((template, waits, holds, guard), static (replica, call, take) => replica.Take(call, take.template, take.waits, take.holds, take.guard), ct);
    }

    /// <summary>Removes all items that match.</summary>
    /// <param name="template">What they are.</param>
    /// <param name="ct">Ends the wait.</param>
    public async ValueTask ClearAsync(Template template, CancellationToken ct = default) => await ClearAsync(template, null, ct).ConfigureAwait(false);

    /// <summary>Removes all items that match as soon as a guard holds. Completes when that is accepted, as <see cref="PostWhenAsync"/>.</summary>
    /// <param name="guard">When it runs.</param>
    /// <param name="template">What is removed.</param>
    /// <param name="ct">Ends the wait; it may be accepted.</param>
    public ValueTask<OperationId> ClearWhenAsync(Guard guard, Template template, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(guard);
        return ClearAsync(template, guard, ct);
    }

    /// <summary>A guarded operation of this node is not to run any more. Nothing happens if it has run.</summary>
    /// <param name="operation">From <see cref="PostWhenAsync"/> or <see cref="ClearWhenAsync"/>.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="ArgumentException">It is of another node, or of an earlier incarnation of this one.</exception>
    public async ValueTask CancelAsync(OperationId operation, CancellationToken ct = default)
    {
        if (operation.Node != _host.Node.Id)
            throw new ArgumentException($"{operation} is no operation of this node.", nameof(operation));
        await CallAsync(operation.Sequence, static (replica, call, sequence) => replica.Cancel(call, sequence), ct).ConfigureAwait(false);
    }

    private async ValueTask<OperationId> ClearAsync(Template template, Guard? guard, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(template);
        OperationId id = default;
        await CallAsync((template, guard), (replica, call, clear) =>
        {
            id = new OperationId(_host.Node.Id, call);
            replica.Clear(call, clear.template, clear.guard);
        }, ct).ConfigureAwait(false);
        return id;
    }

    /// <summary>
    /// Gives the board up. The last node that does so takes the board with it. What this node holds comes back. A node that is blocked leaves
    /// when it is not any more; that is not waited for longer than a few seconds.
    /// </summary>
    public ValueTask DisposeAsync() => _host.DisposeAsync();

    internal Task WhenAppeared() => _host.Read(_calls, static (_, calls) => calls.WhenAppeared());

    internal async ValueTask<bool> CompleteAsync(long hold, Field[][] posts, CancellationToken ct)
    {
        foreach (Field[] post in posts)
            Check(post);
        ImmutableArray<Field>[] items = [.. posts.Select(p => ImmutableArray.Create(p))];
        return await CallAsync((hold, items), static (replica, call, complete) => replica.Complete(call, complete.hold, complete.items), ct, Math.Max(1, posts.Length)).ConfigureAwait(false) is not null;
    }

    internal async ValueTask ReleaseAsync(long hold) =>
        await _host.WaitUnlessBlockedAsync(CallAsync(hold, static (replica, call, held) => replica.Release(call, held), CancellationToken.None).AsTask()).ConfigureAwait(false);

    private async ValueTask<BoardItem?> CallAsync<TState>(TState state, Action<BoardReplica, long, TState> begin, CancellationToken ct, int numbers = 1)
    {
        ct.ThrowIfCancellationRequested();
        await _host.WhenWritable(ct).ConfigureAwait(false);
        var ended = new TaskCompletionSource<BoardItem?>(TaskCreationOptions.RunContinuationsAsynchronously);
        long call = _host.Run((calls: _calls, ended, state, begin, numbers), static (replica, asked) =>
        {
            long call = asked.calls.Begin(asked.ended, asked.numbers);
            try
            {
                asked.begin(replica, call, asked.state);
            }
            catch
            {
                asked.calls.Forget(call);
                throw;
            }

            return call;
        });
        try
        {
            return await ended.Task.WaitAsync(ct).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!IsOver(call))
        {
            _calls.Forget(call);
            throw;
        }
        catch (OperationCanceledException)
        {
            return await ended.Task.ConfigureAwait(false); // it came just then
        }
    }

    // Whether a call had ended before it could be withdrawn.
    private bool IsOver(long call)
    {
        try
        {
            return !_host.Run(call, static (replica, number) => replica.Withdraw(number));
        }
        catch (Exception e) when (e is GroupException or InvalidOperationException)
        {
            return false; // the membership is over, and all it waited for
        }
    }

    private static void Check(Field[] fields)
    {
        ArgumentNullException.ThrowIfNull(fields);
        if (fields.Length is 0 or > BoardItem.MaximumFields)
            throw new ArgumentException($"An item has 1 to {BoardItem.MaximumFields} fields.", nameof(fields));
    }
}

/// <summary>An item that this node has taken and not finished with. Disposing of it lets it go, unless it was completed.</summary>
public sealed class BoardHold : IAsyncDisposable
{
    private readonly Board _board;
    private readonly long _hold;
    private int _isOver;

    internal BoardHold(Board board, long hold, BoardItem item, CancellationToken lost) => (_board, _hold, Item, Lost) = (board, hold, item, lost);

    /// <summary>The item.</summary>
    public BoardItem Item { get; }

    /// <summary>Fires when the item is back on the board because this node was excluded: somebody else may hold it.</summary>
    public CancellationToken Lost { get; }

    /// <summary>
    /// The item is done with: it does not come back, and these items are posted in its place, all in one step. While the node is blocked this waits,
    /// until the node goes on or is excluded.
    /// </summary>
    /// <returns>False: it was not held any more, and nothing is posted.</returns>
    /// <param name="posts">What is posted.</param>
    /// <exception cref="ExcludedException">The hold was lost; OutcomeUnknown: the items may be posted.</exception>
    public async ValueTask<bool> CompleteAsync(params Field[][] posts)
    {
        if (Lost.IsCancellationRequested)
            throw new ExcludedException("the item is back on the board", outcomeUnknown: false);
        Interlocked.Exchange(ref _isOver, 1);
        return await _board.CompleteAsync(_hold, posts, CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Lets the item go: it is on the board again. While the node is blocked that is not waited for longer than a few seconds.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isOver, 1) != 0 || Lost.IsCancellationRequested)
            return;
        try
        {
            await _board.ReleaseAsync(_hold).ConfigureAwait(false);
        }
        catch (Exception e) when (e is GroupException or ObjectDisposedException)
        {
            // This node is out: the item comes back by itself.
        }
    }
}

/// <summary>The way to boards.</summary>
public static class BoardNodes
{
    /// <summary>Opens a board; it is made if it is not there. Completes when this node has its items.</summary>
    /// <param name="node">The node.</param>
    /// <param name="name">The board's path, such as <c>/jobs</c>.</param>
    /// <param name="consistency">What the operations agree on, if this makes the board; one that is there keeps its own.</param>
    /// <param name="ct">Gives it up.</param>
    /// <exception cref="ArgumentException">The name is none.</exception>
    /// <exception cref="ExcludedException">The incarnation ended during the join.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public static ValueTask<Board> OpenBoardAsync(this GroupNode node, string name, BoardConsistency consistency = BoardConsistency.Total, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(node);
        ArgumentNullException.ThrowIfNull(name);
        return Board.OpenAsync(node, name, consistency, ct);
    }
}
