using Core.Groups;
using Toolkit.Locks.Replicas;

namespace Toolkit.Locks;

/// <summary>
/// A mutex between nodes: at most one holder in the primary configuration, in the order in which the requests stand in the group's total
/// order. All members may be used from any thread. Dispose of it when this node needs it no more: what it holds by then is lost.
/// </summary>
public sealed class DistributedLock : IAsyncDisposable
{
    private readonly LockFace<LockReplica> _face;

    internal DistributedLock(LockFace<LockReplica> face) => _face = face;

    /// <summary>The path.</summary>
    public string Name => _face.Path;

    /// <summary>Waits until it is held. Not re-entrant.</summary>
    /// <param name="timeout">Null or <see cref="Timeout.InfiniteTimeSpan"/>: as long as it takes.</param>
    /// <param name="owner">For whom; null: for nobody in particular, so that neither re-entrance nor a deadlock can be seen.</param>
    /// <param name="ct">Ends the wait. As after a time-out, nothing is left behind.</param>
    /// <exception cref="TimeoutException">It was not to be had in time.</exception>
    /// <exception cref="LockRecursionException">The owner has it, or waits for it.</exception>
    /// <exception cref="DeadlockException">This one was chosen to give way.</exception>
    /// <exception cref="ExcludedException">The others went on without this node; it holds nothing.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public ValueTask<LockHold> AcquireAsync(TimeSpan? timeout = null, LockOwner? owner = null, CancellationToken ct = default) =>
        _face.AcquireAsync(owner, 1, isShared: false, timeout, ct);

    /// <summary>As <see cref="AcquireAsync"/>; null if it is not to be had in time.</summary>
    /// <param name="timeout">Zero, the default: only if it is free. While others try at the same moment a free lock may be refused.</param>
    /// <param name="owner">As for <see cref="AcquireAsync"/>.</param>
    /// <param name="ct">Ends the wait.</param>
    public ValueTask<LockHold?> TryAcquireAsync(TimeSpan timeout = default, LockOwner? owner = null, CancellationToken ct = default) =>
        _face.AcquireAsync(owner, 1, isShared: false, timeout, ct);

    /// <summary>Who holds and who waits, as this node sees it now.</summary>
    /// <exception cref="GroupException">This node is not a member now.</exception>
    public LockState GetState() => _face.Look();

    /// <summary>Gives the object up at this node.</summary>
    public ValueTask DisposeAsync() => _face.DisposeAsync();
}
