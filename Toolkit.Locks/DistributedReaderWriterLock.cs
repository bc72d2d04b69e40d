using Core.Groups;
using Toolkit.Locks.Replicas;

namespace Toolkit.Locks;

/// <summary>
/// Many readers or one writer. While no writer is known at its node a reader holds at once, without a message before: the others hear of it
/// later, and no writer holds before it is gone. A reader that meets a writer stands in line with the writers. All members
/// may be used from any thread.
/// </summary>
public sealed class DistributedReaderWriterLock : IAsyncDisposable
{
    private readonly LockFace<ReadWriteReplica> _face;

    internal DistributedReaderWriterLock(LockFace<ReadWriteReplica> face) => _face = face;

    /// <summary>The path.</summary>
    public string Name => _face.Path;

    /// <summary>Waits until it may read. Completes at once if no writer holds or waits.</summary>
    /// <param name="timeout">Null or infinite: as long as it takes.</param>
    /// <param name="owner">For whom; an owner that reads cannot ask to write too.</param>
    /// <param name="ct">Ends the wait and leaves nothing behind.</param>
    /// <remarks>Errors as for <see cref="DistributedLock.AcquireAsync"/>.</remarks>
    public ValueTask<LockHold> AcquireReadLockAsync(TimeSpan? timeout = null, LockOwner? owner = null, CancellationToken ct = default) =>
        TryRead(owner, ct) is { } hold ? ValueTask.FromResult(hold) : _face.AcquireAsync(owner, 1, isShared: true, timeout, ct);

    /// <summary>As <see cref="AcquireReadLockAsync"/>; null if it is not to be had in time.</summary>
    /// <param name="timeout">Zero, the default: only if no writer is in the way.</param>
    /// <param name="owner">For whom.</param>
    /// <param name="ct">Ends the wait.</param>
    public ValueTask<LockHold?> TryAcquireReadLockAsync(TimeSpan timeout = default, LockOwner? owner = null, CancellationToken ct = default) =>
        TryRead(owner, ct) is { } hold ? ValueTask.FromResult<LockHold?>(hold) : _face.AcquireAsync(owner, 1, isShared: true, timeout, ct);

    /// <summary>Waits until it may write.</summary>
    /// <param name="timeout">Null or infinite: as long as it takes.</param>
    /// <param name="owner">For whom; see <see cref="LockOwner"/>.</param>
    /// <param name="ct">Ends the wait and leaves nothing behind.</param>
    /// <remarks>Errors as for <see cref="DistributedLock.AcquireAsync"/>.</remarks>
    public ValueTask<LockHold> AcquireWriteLockAsync(TimeSpan? timeout = null, LockOwner? owner = null, CancellationToken ct = default) =>
        _face.AcquireAsync(owner, 1, isShared: false, timeout, ct);

    /// <summary>As <see cref="AcquireWriteLockAsync"/>; null if it is not to be had in time.</summary>
    /// <param name="timeout">Zero, the default: only if nobody reads or writes.</param>
    /// <param name="owner">For whom.</param>
    /// <param name="ct">Ends the wait.</param>
    public ValueTask<LockHold?> TryAcquireWriteLockAsync(TimeSpan timeout = default, LockOwner? owner = null, CancellationToken ct = default) =>
        _face.AcquireAsync(owner, 1, isShared: false, timeout, ct);

    /// <summary>Who holds and who waits, as this node sees it now: readers elsewhere as far as they were announced.</summary>
    /// <exception cref="GroupException">This node is not a member now.</exception>
    public LockState GetState() => _face.Look();

    /// <summary>Gives the object up at this node.</summary>
    public ValueTask DisposeAsync() => _face.DisposeAsync();

    private LockHold? TryRead(LockOwner? owner, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        LockHold hold = _face.Enter(owner, 1, isShared: true);
        bool isHeld = false;
        try
        {
            isHeld = _face.Host.Run((_face, hold), static (replica, read) => TryRead(replica, read._face, read.hold));
            return isHeld ? hold : null;
        }
        finally
        {
            if (!isHeld) _face.Forget(hold);
        }
    }

    // Under the replica's gate: a node that is blocked from here on finds the hold and gives it up.
    private static bool TryRead(ReadWriteReplica replica, LockFace<ReadWriteReplica> face, LockHold hold)
    {
        if (face.Host.Node.IsBlocked || !replica.TryReadLocally(hold, out long call, out long token)) return false;
        face.Note(hold, call);
        hold.HoldAtOnce(token);
        return true;
    }
}
