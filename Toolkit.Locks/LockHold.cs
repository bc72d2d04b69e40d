// One call on a lock, from the request to the release: at first a wait, then a hold, at last nothing.
// Keeps: whatever ends it, the request is withdrawn or released exactly once, and a hold that is lost says so at once.
using Core.Groups.Replication;
using Toolkit.Locks.Replicas;

namespace Toolkit.Locks;

/// <summary>
/// A lock, some permits of a semaphore or a monitor that is held. Disposing of it releases it, asynchronously: what this node
/// multicast before is delivered everywhere before the next holder holds. A hold can be <i>lost</i>: see <see cref="HandleLostToken"/>.
/// Safe for any thread.
/// </summary>
public sealed class LockHold : ILockWaiter, IDisposable, IAsyncDisposable
{
    private readonly LockFace _face;
    private readonly Lock _gate = new();
    private TaskCompletionSource<bool>? _granted;
    private CancellationTokenSource? _lostSource;
    private Phase _phase = Phase.Waits;

    internal LockHold(LockFace face, LockOwner? owner, int weight, bool isShared)
    {
        (_face, Owner, Weight, IsShared) = (face, owner, weight, isShared);
    }

    private enum Phase : byte
    {
        Waits,
        Holds,
        Lost,
        Over,
    }

    /// <summary>The path of what is held.</summary>
    public string Name => _face.Path;

    /// <summary>
    /// Grows with every hold of the name, also after the failure of a holder and after all nodes have stopped (as long as the clock of the
    /// node that makes the object anew has not gone back). Let what the lock protects refuse a token that is lower than one it has
    /// seen, and even a holder that was stopped for an hour can do no harm. Of a reader: the token of the last writer.
    /// </summary>
    public long FencingToken { get; private set; }

    /// <summary>
    /// Cancelled as soon as this node knows that the hold is over without having been released: the others went on without this node, or
    /// may do so because it has lost them; the node has stopped; the lock object was disposed of. Stop what the lock protects at once.
    /// </summary>
    public CancellationToken HandleLostToken
    {
        get
        {
            lock (_gate)
            {
                if (_lostSource is null)
                {
                    _lostSource = new CancellationTokenSource();
                    if (_phase == Phase.Lost) _lostSource.Cancel();
                }

                return _lostSource.Token;
            }
        }
    }

    /// <summary>Whether it is held and not lost, as far as this node knows.</summary>
    public bool IsHeld => _phase == Phase.Holds;

    /// <summary>
    /// Whether a holder (of a read/write lock: a writer) failed, or left, while this call waited: it has not released what it held, so what the lock protects may be half done. Look
    /// at it before you go on. Those who ask later are not told.
    /// </summary>
    public bool IsAfterFailure { get; private set; }

    internal long Call { get; set; }
    internal LockOwner? Owner { get; }
    internal int Weight { get; }
    internal bool IsShared { get; }
    internal bool IsWaiting => _phase == Phase.Waits;
    internal Ticket Ticket { get; set; }
    internal bool IsPulsed { get; private set; }

    /// <summary>Ends with whether it was had (false: a try that found it taken), or with the reason why it never will be.</summary>
    internal Task<bool> Granted
    {
        get
        {
            lock (_gate)
            {
                return (_granted ??= NewSource()).Task;
            }
        }
    }

    /// <summary>Releases it. False: it was lost or released before.</summary>
    public bool Release()
    {
        Phase before;
        lock (_gate)
        {
            before = _phase;
            _phase = before == Phase.Lost ? Phase.Lost : Phase.Over;
        }

        if (before is Phase.Over or Phase.Lost) return false;
        _face.Release(this);
        return before == Phase.Holds;
    }

    /// <summary>Releases it, unless that was done before or it is lost. Never throws.</summary>
    public void Dispose() => Release();

    /// <summary>As <see cref="Dispose"/>; completes at once.</summary>
    public ValueTask DisposeAsync()
    {
        Release();
        return default;
    }

    internal bool IsOf(LockFace face) => ReferenceEquals(_face, face);

    /// <summary>Held from the start: a reader that found no writer.</summary>
    internal void HoldAtOnce(long token) => (FencingToken, _phase) = (token, Phase.Holds);

    /// <summary>Gives the hold of a monitor up for a wait; false if it is not held.</summary>
    internal bool TryBeginWait()
    {
        lock (_gate)
        {
            if (_phase != Phase.Holds) return false;
            (_phase, _granted) = (Phase.Waits, NewSource());
            return true;
        }
    }

    /// <summary>It is over, and nothing is released; false if it was not held.</summary>
    internal bool TryEnd()
    {
        lock (_gate)
        {
            if (_phase != Phase.Holds) return false;
            _phase = Phase.Over;
            return true;
        }
    }

    /// <summary>The wait is to end with an error: a deadlock, of which this one is the victim.</summary>
    internal void Fail(Exception error)
    {
        lock (_gate)
        {
            if (_phase == Phase.Waits) (_granted ??= NewSource()).TrySetException(error);
        }
    }

    void ILockWaiter.Granted(long token, bool pulsed)
    {
        lock (_gate)
        {
            if (_phase != Phase.Waits) return;
            FencingToken = token;
            _phase = Phase.Holds;
            IsPulsed = pulsed;
            (_granted ??= NewSource()).TrySetResult(true);
        }
    }

    void ILockWaiter.Refused()
    {
        lock (_gate)
        {
            _phase = Phase.Over;
            (_granted ??= NewSource()).TrySetResult(false);
        }
    }

    void ILockWaiter.HolderFailed()
    {
        lock (_gate)
        {
            if (_phase == Phase.Waits) IsAfterFailure = true;
        }
    }

    void ILockWaiter.Lost() => Lose(null);

    void ILockWaiter.Ended(MembershipEnd end) => Lose(end.ToException(_face.GroupName, outcomeUnknown: false));

    private void Lose(Exception? error)
    {
        lock (_gate)
        {
            if (_phase is Phase.Over or Phase.Lost) return;
            if (_phase == Phase.Waits && error is not null) (_granted ??= NewSource()).TrySetException(error);
            _phase = Phase.Lost;
            _ = _lostSource?.CancelAsync(); // callbacks run elsewhere
        }

        _face.Forget(this);
    }

    private static TaskCompletionSource<bool> NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
