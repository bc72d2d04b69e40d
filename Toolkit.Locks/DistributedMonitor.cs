using Core.Groups;
using Toolkit.Locks.Replicas;

namespace Toolkit.Locks;

/// <summary>
/// A mutex between nodes with conditions to wait for, as <see cref="Monitor"/> is between threads: waiting releases it, and whoever is pulsed
/// stands in line for it again (so look at what you waited for once more). Conditions have names. All members may be used from any thread.
/// </summary>
public sealed class DistributedMonitor : IAsyncDisposable
{
    private readonly LockFace<LockReplica> _face;

    internal DistributedMonitor(LockFace<LockReplica> face) => _face = face;

    /// <summary>The path.</summary>
    public string Name => _face.Path;

    /// <summary>Waits until it is held. Not re-entrant.</summary>
    /// <param name="timeout">Null or infinite: as long as it takes.</param>
    /// <param name="owner">For whom; see <see cref="LockOwner"/>.</param>
    /// <param name="ct">Ends the wait and leaves nothing behind.</param>
    /// <remarks>Errors as for <see cref="DistributedLock.AcquireAsync"/>.</remarks>
    public ValueTask<LockHold> EnterAsync(TimeSpan? timeout = null, LockOwner? owner = null, CancellationToken ct = default) =>
        _face.AcquireAsync(owner, 1, isShared: false, timeout, ct);

    /// <summary>As <see cref="EnterAsync"/>; null if it is not to be had in time.</summary>
    /// <param name="timeout">Zero, the default: only if it is free.</param>
    /// <param name="owner">For whom; see <see cref="LockOwner"/>.</param>
    /// <param name="ct">Ends the wait.</param>
    public ValueTask<LockHold?> TryEnterAsync(TimeSpan timeout = default, LockOwner? owner = null, CancellationToken ct = default) =>
        _face.AcquireAsync(owner, 1, isShared: false, timeout, ct);

    /// <summary>
    /// Releases the monitor, waits until the condition is pulsed, and holds the monitor again (with a new, higher token) when it completes.
    /// </summary>
    /// <param name="hold">Held before and after.</param>
    /// <param name="condition">Its name.</param>
    /// <param name="timeout">Null or infinite: as long as it takes. The time to get the monitor back comes on top.</param>
    /// <param name="ct">Ends the wait; the monitor is held again when this throws.</param>
    /// <returns>Whether it was pulsed; false: the time was over.</returns>
    /// <exception cref="SynchronizationLockException">The monitor is not held (any more).</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; the monitor is held, unless <see cref="LockHold.IsHeld"/> denies it.</exception>
    /// <exception cref="DeadlockException">Getting the monitor back would be part of a deadlock; it is not held.</exception>
    /// <exception cref="ExcludedException">The others went on without this node; it holds nothing.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public async ValueTask<bool> WaitAsync(LockHold hold, string condition = "", TimeSpan? timeout = null, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(hold);
        ArgumentNullException.ThrowIfNull(condition);
        LockFace<LockReplica>.CheckTimeout(timeout ?? Timeout.InfiniteTimeSpan);
        if (!_face.Owns(hold) || !hold.TryBeginWait()) throw NotHeld();
        try
        {
            if (!_face.Host.Run((hold, condition), static (replica, w) => replica.Wait(w.hold.Call, w.condition))) throw NotHeld();
            OperationCanceledException? cancelled = null;
            try
            {
                await _face.WaitAsync(hold, timeout ?? Timeout.InfiniteTimeSpan, ct).ConfigureAwait(false);
            }
            catch (Exception e) when (e is TimeoutException or OperationCanceledException)
            {
                cancelled = e as OperationCanceledException;
                _face.Host.Run(hold.Call, static (replica, call) => replica.EndWait(call));
                await _face.WaitAsync(hold, Timeout.InfiniteTimeSpan, CancellationToken.None).ConfigureAwait(false);
            }

            return cancelled is null ? hold.IsPulsed : throw cancelled;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            hold.Release();
            throw;
        }
    }

    /// <summary>Lets the one that waits longest for the condition stand in line for the monitor again. Nobody waits: nothing happens.</summary>
    /// <param name="hold">The monitor, held.</param>
    /// <param name="condition">Its name.</param>
    /// <exception cref="SynchronizationLockException">The monitor is not held (any more).</exception>
    public void Pulse(LockHold hold, string condition = "") => Pulse(hold, condition, 1);

    /// <summary>As <see cref="Pulse(LockHold, string)"/>, for all that wait.</summary>
    /// <param name="hold">The monitor, held.</param>
    /// <param name="condition">Its name.</param>
    /// <exception cref="SynchronizationLockException">The monitor is not held (any more).</exception>
    public void PulseAll(LockHold hold, string condition = "") => Pulse(hold, condition, int.MaxValue);

    /// <summary>Who holds and who waits for the monitor (not for conditions), as this node sees it now.</summary>
    /// <exception cref="GroupException">This node is not a member now.</exception>
    public LockState GetState() => _face.Look();

    /// <summary>Gives the object up at this node.</summary>
    public ValueTask DisposeAsync() => _face.DisposeAsync();

    private void Pulse(LockHold hold, string condition, int count)
    {
        ArgumentNullException.ThrowIfNull(hold);
        ArgumentNullException.ThrowIfNull(condition);
        if (!_face.Owns(hold) || !hold.IsHeld
            || !_face.Host.Run((hold, condition, count), static (replica, p) => replica.Pulse(p.hold.Call, p.condition, p.count))) throw NotHeld();
    }

    private SynchronizationLockException NotHeld() => new($"The monitor '{Name}' is not held (any more). Enter it first, and use one hold at a time.");
}
