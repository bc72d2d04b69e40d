using Core.Groups;
using Toolkit.Locks.Replicas;

namespace Toolkit.Locks;

/// <summary>
/// A counting semaphore between nodes. Requests are served in their total order, without overtaking: one for many permits is not
/// starved by those for few. Permits that a failed node held come back. All members may be used from any thread.
/// </summary>
public sealed class DistributedSemaphore : IAsyncDisposable
{
    private readonly LockFace<LockReplica> _face;

    internal DistributedSemaphore(LockFace<LockReplica> face) => _face = face;

    /// <summary>The path.</summary>
    public string Name => _face.Path;

    /// <summary>How many permits there are, held or not, as this node sees it now.</summary>
    /// <exception cref="GroupException">This node is not a member now.</exception>
    public long Permits => _face.Host.Read(0, static (replica, _) => replica.Permits);

    /// <summary>P: waits for permits. An owner may hold several times.</summary>
    /// <param name="count">How many, at least 1. More than there are waits until there are more.</param>
    /// <param name="timeout">Null or infinite: as long as it takes.</param>
    /// <param name="owner">For whom; see <see cref="LockOwner"/>.</param>
    /// <param name="ct">Ends the wait and leaves nothing behind.</param>
    /// <remarks>Errors as for <see cref="DistributedLock.AcquireAsync"/>.</remarks>
    public ValueTask<LockHold> AcquireAsync(int count = 1, TimeSpan? timeout = null, LockOwner? owner = null, CancellationToken ct = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        return _face.AcquireAsync(owner, count, isShared: false, timeout, ct);
    }

    /// <summary>As <see cref="AcquireAsync"/>; null if they are not to be had in time.</summary>
    /// <param name="count">How many, at least 1.</param>
    /// <param name="timeout">Zero, the default: only if they are free.</param>
    /// <param name="owner">For whom; see <see cref="LockOwner"/>.</param>
    /// <param name="ct">Ends the wait.</param>
    public ValueTask<LockHold?> TryAcquireAsync(int count = 1, TimeSpan timeout = default, LockOwner? owner = null, CancellationToken ct = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        return _face.AcquireAsync(owner, count, isShared: false, timeout, ct);
    }

    /// <summary>V without a hold: makes more permits, for ever. Asynchronous; follows in causal order what this node multicast before.</summary>
    /// <param name="count">How many, at least 1.</param>
    /// <exception cref="GroupException">This node is not a member now.</exception>
    public void Signal(int count = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        _face.Host.Run(count, static (replica, count) => replica.Signal(count));
    }

    /// <summary>
    /// Ends a hold without giving its permits back, also if this node fails: for permits that count things that are consumed, and that
    /// <see cref="Signal"/> makes.
    /// </summary>
    /// <param name="hold">A hold of this semaphore.</param>
    /// <exception cref="SynchronizationLockException">It is not held (any more).</exception>
    public void Consume(LockHold hold)
    {
        ArgumentNullException.ThrowIfNull(hold);
        if (!_face.Owns(hold) || !hold.TryEnd()) throw new SynchronizationLockException($"These permits of '{Name}' are not held (any more).");
        _face.Forget(hold);
        _face.Host.Run(hold.Call, static (replica, call) => replica.Consume(call));
    }

    /// <summary>Who holds and who waits, as this node sees it now.</summary>
    /// <exception cref="GroupException">This node is not a member now.</exception>
    public LockState GetState() => _face.Look();

    /// <summary>Gives the object up at this node; what it holds comes back.</summary>
    public ValueTask DisposeAsync() => _face.DisposeAsync();
}
