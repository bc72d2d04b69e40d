// The application's calls on a space at one node: each is numbered, passed to the replica, and ended by it.
// Keeps: every call ends: with its result, with its caller's patience, or with the membership.
using Core.Groups.Replication;

namespace Toolkit.ReplicatedData.Space;

/// <summary>A call that has not ended.</summary>
/// <param name="mayHaveEffect">Whether it multicast something that may have its effect, though this member does not see it.</param>
internal class PendingCall(bool mayHaveEffect) : TaskCompletionSource<UpdateResult>(TaskCreationOptions.RunContinuationsAsynchronously)
{
    public bool MayHaveEffect { get; } = mayHaveEffect;

    /// <summary>A linearizable read has its place: the read is made now.</summary>
    public virtual void OnFenced()
    {
    }
}

/// <summary>What all who opened a space at one node share. The table of calls is touched under the replica's gate only.</summary>
internal sealed class SpaceClient(string group) : ISpaceEffects
{
    private readonly Dictionary<long, PendingCall> _calls = [];
    private readonly Dictionary<ulong, IObjectMirror> _mirrors = [];
    private long _lastCall;
    private long _lastTransaction;

    public EventPump Pump { get; } = new();

    /// <summary>One more with every membership that ends.</summary>
    public long Memberships { get; private set; }

    /// <summary>Raised, in the order of the changes, when this member's copy was replaced or the membership has ended.</summary>
    public event Action? Interrupted;

    /// <summary>Under the gate: a transaction's number.</summary>
    public long NextTransaction() => ++_lastTransaction;

    /// <summary>Under the gate: the number of a call.</summary>
    public long Add(PendingCall call, UpdateWait wait)
    {
        _calls.Add(_lastCall += 2, call);
        return wait == UpdateWait.Stable ? _lastCall | 1 : _lastCall;
    }

    /// <summary>Under the gate: the face of an object, made by the first who opens it here.</summary>
    /// <exception cref="InvalidOperationException">It is open here with another type of value.</exception>
    public TMirror Obtain<TMirror>(SpaceReplica replica, ObjectKind kind, string name, Func<TMirror> create) where TMirror : class, IObjectMirror
    {
        ulong id = SharedObject.IdOf(kind, name);
        if (!_mirrors.TryGetValue(id, out IObjectMirror? mirror))
        {
            mirror = create();
            _mirrors.Add(id, mirror);
            replica.Attach(mirror);
        }

        return mirror as TMirror
            ?? throw new InvalidOperationException($"'{name}' is open at this node with another type of value. Open it with the same type everywhere.");
    }

    public void Done(long call, in UpdateResult result)
    {
        if (_calls.Remove(call & ~1L, out PendingCall? pending)) pending.TrySetResult(result);
    }

    public void Fenced(long call)
    {
        if (_calls.TryGetValue(call & ~1L, out PendingCall? pending)) pending.OnFenced();
    }

    public void Failed(long call, Exception error)
    {
        if (_calls.Remove(call & ~1L, out PendingCall? pending)) pending.TrySetException(error);
    }

    public void Ended(MembershipEnd end)
    {
        Memberships++;
        foreach (PendingCall call in _calls.Values) call.TrySetException(end.ToException(group, call.MayHaveEffect));
        _calls.Clear();
        if (Interrupted is not null) Pump.Tell(() => Interrupted?.Invoke());
    }
}
