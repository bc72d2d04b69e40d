// The asynchronous face that all kinds of locks share: asks, waits within the time given, withdraws, releases.
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.Locks.Replicas;
using Toolkit.Locks.Waits;

namespace Toolkit.Locks;

/// <summary>What a hold needs of its lock.</summary>
internal abstract class LockFace
{
    public abstract string Path { get; }
    public abstract string GroupName { get; }

    /// <summary>Releases or withdraws; never throws.</summary>
    public abstract void Release(LockHold hold);

    /// <summary>The hold is over without a release.</summary>
    public void Forget(LockHold hold)
    {
        hold.Owner?.Remove(hold.Ticket);
        hold.Owner?.Exit(GroupName);
    }
}

/// <summary>The face of one kind.</summary>
internal sealed class LockFace<TReplica> : LockFace, IAsyncDisposable where TReplica : QueueReplica
{
    private readonly CancellationTokenSource _closed = new();
    private readonly bool _isReentrant;

    private LockFace(ReplicaHost<TReplica> host, string path, bool isReentrant)
    {
        (Host, Path, _isReentrant) = (host, path, isReentrant);
        _ = WatchAsync(_closed.Token);
    }

    public ReplicaHost<TReplica> Host { get; }
    public override string Path { get; }
    public override string GroupName => Host.Name;

    /// <param name="kind">What stands behind '#' in the name of the group.</param>
    /// <param name="isReentrant">An owner may hold several times: the permits of a semaphore.</param>
    public static async ValueTask<LockFace<TReplica>> OpenAsync(GroupNode node, string path, string kind, Func<TReplica> create, bool isReentrant, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(node);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        return new(await ReplicaHost<TReplica>.OpenAsync(node, $"{path}#{kind}", create, ct).ConfigureAwait(false), path, isReentrant);
    }

    /// <exception cref="TimeoutException">Not within the time.</exception>
    /// <param name="timeout">Null: as long as it takes.</param>
    public async ValueTask<LockHold> AcquireAsync(LockOwner? owner, int weight, bool isShared, TimeSpan? timeout, CancellationToken ct) =>
        await AcquireAsync(owner, weight, isShared, timeout ?? Timeout.InfiniteTimeSpan, ct).ConfigureAwait(false)
        ?? throw new TimeoutException($"'{Path}' was not to be had within {timeout}. Nothing is left behind.");

    /// <summary>Null: not within the time.</summary>
    /// <param name="timeout">Zero: only if it is to be had at once. Infinite is allowed.</param>
    public async ValueTask<LockHold?> AcquireAsync(LockOwner? owner, int weight, bool isShared, TimeSpan timeout, CancellationToken ct)
    {
        CheckTimeout(timeout);
        LockHold hold = Enter(owner, weight, isShared);
        try
        {
            ct.ThrowIfCancellationRequested();
            if (timeout == TimeSpan.Zero && Host.Node.IsBlocked) throw new TimeoutException();
            await Host.WhenWritable(ct).AsTask().WaitAsync(timeout, ct).ConfigureAwait(false);
            Host.Run((this, hold, timeout), static (replica, ask) => ask.Item1.Note(
                ask.hold, replica.Ask(ask.hold, ask.hold.Weight, ask.hold.IsShared, isTry: ask.timeout == TimeSpan.Zero)));
            if (await WaitAsync(hold, timeout == TimeSpan.Zero ? Timeout.InfiniteTimeSpan : timeout, ct).ConfigureAwait(false))
            {
                if (Host.Node.IsBlocked) GiveUpHolds(); // granted by a message that waited here for its turn
                return hold;
            }

            Forget(hold);
            return null;
        }
        catch (Exception e)
        {
            hold.Release();
            if (e is TimeoutException) return null;
            throw;
        }
    }

    /// <summary>Waits for the grant of what was asked for. An owner that has more than this is watched for deadlocks.</summary>
    public async ValueTask<bool> WaitAsync(LockHold hold, TimeSpan timeout, CancellationToken ct)
    {
        Task<bool> granted = hold.Granted;
        if (hold.Owner is not { } owner || granted.IsCompleted || owner.Tickets.Count < 2) return await granted.WaitAsync(timeout, ct).ConfigureAwait(false);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(ct);
        _ = WaitReporter.RunAsync(Host.Node, hold, () => Host.Read(hold.Call, static (replica, call) => replica.BlockersOf(call)), over.Token);
        try
        {
            return await granted.WaitAsync(timeout, ct).ConfigureAwait(false);
        }
        finally
        {
            await over.CancelAsync().ConfigureAwait(false);
        }
    }

    public override void Release(LockHold hold)
    {
        Forget(hold);
        try
        {
            Host.Run(hold.Call, static (replica, call) => replica.Release(call));
        }
        catch (Exception e) when (e is GroupException or ObjectDisposedException or InvalidOperationException)
        {
            // The membership is over, and with it everything that was held.
        }
    }

    /// <exception cref="LockRecursionException">The owner has it already.</exception>
    public LockHold Enter(LockOwner? owner, int weight, bool isShared)
    {
        if (!_isReentrant) owner?.Enter(GroupName);
        return new LockHold(this, owner, weight, isShared);
    }

    /// <summary>The call has its number: what it waits for or holds can be named.</summary>
    public void Note(LockHold hold, long call)
    {
        hold.Call = call;
        if (hold.Owner is null) return;
        hold.Ticket = new Ticket(GroupName, Host.Node.Id, call);
        hold.Owner.Add(hold.Ticket);
    }

    /// <summary>Who holds and who waits, as this node sees it now. Those who are on their way are not seen.</summary>
    public LockState Look()
    {
        QueueState state = Host.Read(0, static (replica, _) => replica.Look());
        return new LockState(
            [.. state.Holders.Select(h => new LockHolder(h.Node, h.Token))], [.. state.Waiting.Select(w => w.Node)], state.LastTicket);
    }

    public async ValueTask DisposeAsync()
    {
        await _closed.CancelAsync().ConfigureAwait(false);
        await Host.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Whether it is a hold of this object.</summary>
    public bool Owns(LockHold hold) => hold.IsOf(this);

    public static void CheckTimeout(TimeSpan timeout)
    {
        if (timeout != Timeout.InfiniteTimeSpan) ArgumentOutOfRangeException.ThrowIfLessThan(timeout, TimeSpan.Zero);
    }

    private void GiveUpHolds()
    {
        try
        {
            Host.Run(0, static (replica, _) => replica.GiveUpHolds());
        }
        catch (GroupException)
        {
            // The end of the membership has told them.
        }
    }

    // A node that has lost the others gives up what it holds before they can know that they may go on.
    private async Task WatchAsync(CancellationToken closed)
    {
        try
        {
            while (true)
            {
                await Host.Node.WaitForBlockedAsync(closed).ConfigureAwait(false);
                GiveUpHolds();
                await Host.Node.WaitForPrimaryAsync(closed).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or GroupException or ObjectDisposedException or InvalidOperationException)
        {
            // Closed, stopped, or the replica threw: its end has told those who held.
        }
    }
}
