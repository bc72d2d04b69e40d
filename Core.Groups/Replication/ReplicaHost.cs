// A replica on a real node, as the asynchronous face of a toolkit holds it.
// Follows: the toolkit of Isis ("Exploiting virtual synchrony", section 3), over the state machine approach.
using Microsoft.Extensions.Logging;

namespace Core.Groups.Replication;

/// <summary>
/// Runs a replica on a <see cref="GroupNode"/>: joins the replica's group with state transfer, feeds the replica, sends what it
/// multicasts in the order of the calls, and joins again after an exclusion. All members may be used from any thread. Those who
/// open the same name on one node share one replica; each disposes of its own host.
/// </summary>
/// <remarks>
/// To ask a replica group from a node that is not a member, use <see cref="GroupNode.RequestAsync(string, Order, ReadOnlyMemory{byte}, Replies, TimeSpan?, CancellationToken)"/> with the name of the group:
/// the replicas get it as <see cref="Replica.OnRequest"/>.
/// </remarks>
/// <typeparam name="TReplica">The replica.</typeparam>
public sealed class ReplicaHost<TReplica> : IAsyncDisposable where TReplica : Replica
{
    private static readonly TimeSpan LeavePatience = TimeSpan.FromSeconds(3);

    private readonly ReplicaTable _table;
    private readonly ReplicaEntry _entry;
    private readonly ReplicaMember _member;
    private readonly TReplica _replica;
    private readonly Lock _gate = new();
    private Task? _disposing;

    private ReplicaHost(GroupNode node, ReplicaTable table, ReplicaEntry entry, TReplica replica)
    {
        Node = node;
        _table = table;
        _entry = entry;
        _member = entry.Life.Member;
        _replica = replica;
    }

    /// <summary>The node.</summary>
    public GroupNode Node { get; }

    /// <summary>The node's log, for what a toolkit's own callbacks throw.</summary>
    public ILogger Logger => Node.Host.Logger;

    /// <summary>The name of the replica's group.</summary>
    public string Name => _entry.Name;

    /// <summary>Whether the node is a member and the replica has its state; not while the group is joined again after an exclusion.</summary>
    public bool IsMember => _member.IsMember;

    /// <summary>The view in which the replica's last delivery stood.</summary>
    public View View => _member.View;

    /// <summary>
    /// Ends when the node is no member any more and will not be one again: all hosts of the name are disposed of, the node has
    /// stopped, or the group is gone. Faults with the replica's exception if it threw.
    /// </summary>
    public Task Completion => _entry.Life.Completion;

    /// <summary>Opens a replica. Completes when the node is a member of the group and the replica has its state; while the node is blocked this waits.</summary>
    /// <param name="node">The node.</param>
    /// <param name="name">The name of the group. By convention the object's path and its kind: <c>/locks/book#lock</c>.</param>
    /// <param name="create">Makes the replica if the name is not open at this node yet. Not called otherwise.</param>
    /// <param name="ct">Gives it up; the node leaves again if nobody else opens the name.</param>
    /// <exception cref="InvalidOperationException">The name is open at this node with another type of replica.</exception>
    /// <exception cref="StateTransferException">The replica could not load the state that the group has; the join was undone. (When a donor fails, the join is tried again.)</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public static async ValueTask<ReplicaHost<TReplica>> OpenAsync(GroupNode node, string name, Func<TReplica> create, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(node);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(create);
        ReplicaTable table = ReplicaTable.Of(node);
        ReplicaEntry entry = await table.OpenAsync(name, create, ct).ConfigureAwait(false);
        if (entry.Life.Replica is TReplica replica)
        {
            return new ReplicaHost<TReplica>(node, table, entry, replica);
        }

        _ = table.ReleaseAsync(entry);
        throw new InvalidOperationException($"'{name}' is open at this node as {entry.Life.Replica.GetType()}, not as {typeof(TReplica)}. Give objects of different kinds different names.");
    }

    /// <summary>
    /// Runs a call of the replica between its deliveries. What it multicasts has been handed to the node when this returns, or
    /// waits for credit (see <see cref="WhenWritable"/>). What it throws, this throws.
    /// </summary>
    /// <param name="state">Given to the call, so that a static lambda does and nothing is allocated.</param>
    /// <param name="call">The call; it must not block.</param>
    /// <exception cref="ExcludedException">The group is being joined again after an exclusion: see <see cref="WhenJoinedAsync"/>.</exception>
    /// <exception cref="NotMemberException">The membership is over.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    /// <exception cref="InvalidOperationException">Called from inside the replica, or the replica threw and has left its group.</exception>
    /// <exception cref="ObjectDisposedException">This host was disposed of.</exception>
    public void Run<TState>(TState state, Action<TReplica, TState> call) where TState : allows ref struct
    {
        ArgumentNullException.ThrowIfNull(call);
        ObjectDisposedException.ThrowIf(_disposing is not null, this);
        _member.Enter();
        try
        {
            call(_replica, state);
        }
        finally
        {
            _member.Exit();
        }
    }

    /// <summary>As <see cref="Run{TState}"/>, with a result.</summary>
    public TResult Run<TState, TResult>(TState state, Func<TReplica, TState, TResult> call) where TState : allows ref struct
    {
        ArgumentNullException.ThrowIfNull(call);
        ObjectDisposedException.ThrowIf(_disposing is not null, this);
        _member.Enter();
        try
        {
            return call(_replica, state);
        }
        finally
        {
            _member.Exit();
        }
    }

    /// <summary>Reads the local copy, between deliveries. Takes a lock that is free but for the replica's own work; allocates nothing.</summary>
    /// <remarks>Errors as for <see cref="Run{TState}"/>.</remarks>
    public TResult Read<TState, TResult>(TState state, Func<TReplica, TState, TResult> read) where TState : allows ref struct => Run(state, read);

    /// <summary>
    /// Completes when more may be multicast: at once as long as the members keep up. Callers that wait for it before each call keep
    /// what waits here bounded; after the end of a membership it completes, and the call gets the error.
    /// </summary>
    /// <param name="ct">Ends the wait.</param>
    public ValueTask WhenWritable(CancellationToken ct = default) => _member.Outbox.WhenWritable(ct);

    /// <summary>Completes when the node is a member again after an exclusion; at once while it is one.</summary>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="NotMemberException">The membership is over for good.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public Task WhenJoinedAsync(CancellationToken ct = default) => _member.WhenJoined(ct);

    /// <summary>
    /// Gives the replica up. The node leaves the group when all who opened the name have; then this completes when the replica
    /// has been told (<see cref="Replica.OnEnded"/>). While the node is blocked it can leave nothing: then this completes after three
    /// seconds, and the node leaves when it is a primary again, or is excluded. Disposing twice is disposing once.
    /// </summary>
    public ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            _disposing ??= WaitUnlessBlockedAsync(_table.ReleaseAsync(_entry));
        }

        return new ValueTask(_disposing);
    }

    /// <summary>
    /// For what a disposal has begun and cannot end while the node is blocked: completes as it does, or three seconds after the node was found
    /// blocked. Then it goes on alone, and what it throws is not seen.
    /// </summary>
    /// <param name="ending">What was begun.</param>
    public async Task WaitUnlessBlockedAsync(Task ending)
    {
        ArgumentNullException.ThrowIfNull(ending);
        using var over = new CancellationTokenSource();
        await Task.WhenAny(ending, BlockedForLongAsync(ending, over.Token)).ConfigureAwait(false);
        await over.CancelAsync().ConfigureAwait(false);
        if (ending.IsCompleted)
        {
            await ending.ConfigureAwait(false);
        }
        else
        {
            _ = ending.ContinueWith(static t => t.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }
    }

    private async Task BlockedForLongAsync(Task ending, CancellationToken over)
    {
        try
        {
            await Node.WaitForBlockedAsync(over).ConfigureAwait(false);
            await Task.Delay(LeavePatience, over).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or GroupException)
        {
            await ending.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // the node has stopped, and all that waits is about to end
        }
    }
}
