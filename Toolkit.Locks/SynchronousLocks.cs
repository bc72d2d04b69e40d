namespace Toolkit.Locks;

/// <summary>
/// For code that cannot await: the calling thread waits meanwhile. Not in a handler of a group, whose next delivery would wait too. Times, owners and errors
/// are those of the asynchronous forms.
/// </summary>
public static class SynchronousLocks
{
    /// <summary>As <see cref="DistributedLock.AcquireAsync"/>.</summary>
    public static LockHold Acquire(this DistributedLock mutex, TimeSpan? timeout = null, LockOwner? owner = null, CancellationToken ct = default) =>
        Wait(NotNull(mutex).AcquireAsync(timeout, owner, ct));

    /// <summary>As <see cref="DistributedLock.TryAcquireAsync"/>.</summary>
    public static LockHold? TryAcquire(this DistributedLock mutex, TimeSpan timeout = default, LockOwner? owner = null, CancellationToken ct = default) =>
        Wait(NotNull(mutex).TryAcquireAsync(timeout, owner, ct));

    /// <summary>As <see cref="DistributedSemaphore.AcquireAsync"/>.</summary>
    public static LockHold Acquire(this DistributedSemaphore semaphore, int permits = 1, TimeSpan? timeout = null, LockOwner? owner = null, CancellationToken ct = default) =>
        Wait(NotNull(semaphore).AcquireAsync(permits, timeout, owner, ct));

    /// <summary>As <see cref="DistributedSemaphore.TryAcquireAsync"/>.</summary>
    public static LockHold? TryAcquire(this DistributedSemaphore semaphore, int permits = 1, TimeSpan timeout = default, LockOwner? owner = null, CancellationToken ct = default) =>
        Wait(NotNull(semaphore).TryAcquireAsync(permits, timeout, owner, ct));

    /// <summary>As <see cref="DistributedReaderWriterLock.AcquireReadLockAsync"/>.</summary>
    public static LockHold AcquireReadLock(this DistributedReaderWriterLock shared, TimeSpan? timeout = null, LockOwner? owner = null, CancellationToken ct = default) =>
        Wait(NotNull(shared).AcquireReadLockAsync(timeout, owner, ct));

    /// <summary>As <see cref="DistributedReaderWriterLock.TryAcquireReadLockAsync"/>.</summary>
    public static LockHold? TryAcquireReadLock(this DistributedReaderWriterLock shared, TimeSpan timeout = default, LockOwner? owner = null, CancellationToken ct = default) =>
        Wait(NotNull(shared).TryAcquireReadLockAsync(timeout, owner, ct));

    /// <summary>As <see cref="DistributedReaderWriterLock.AcquireWriteLockAsync"/>.</summary>
    public static LockHold AcquireWriteLock(this DistributedReaderWriterLock shared, TimeSpan? timeout = null, LockOwner? owner = null, CancellationToken ct = default) =>
        Wait(NotNull(shared).AcquireWriteLockAsync(timeout, owner, ct));

    /// <summary>As <see cref="DistributedReaderWriterLock.TryAcquireWriteLockAsync"/>.</summary>
    public static LockHold? TryAcquireWriteLock(this DistributedReaderWriterLock shared, TimeSpan timeout = default, LockOwner? owner = null, CancellationToken ct = default) =>
        Wait(NotNull(shared).TryAcquireWriteLockAsync(timeout, owner, ct));

    private static T Wait<T>(ValueTask<T> call) => call.AsTask().GetAwaiter().GetResult();

    private static T NotNull<T>(T given)
    {
        ArgumentNullException.ThrowIfNull(given);
        return given;
    }
}
