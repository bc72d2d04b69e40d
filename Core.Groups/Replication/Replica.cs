// The deterministic part of a replicated object at one member: deliveries, views and calls in, multicasts out.
// Keeps: what a replica makes of a delivery depends on the deliveries before it and on nothing else, so that replicas that
// saw the same hold the same. The same code runs over real nodes and in a simulator.
// Follows: the state machine approach on virtual synchrony; "Exploiting virtual synchrony", section 3 (the toolkit).
namespace Core.Groups.Replication;

/// <summary>
/// One member's copy of a replicated object. The members of a process group hold one each; all of them are fed the same
/// deliveries in the orders of their primitives. A host calls it from one thread at a time and never from inside a call of
/// its own; a replica has no task, lock, clock or random source. What it learns of time and identity it learns from its
/// <see cref="Port"/>. Calls of the application are methods of the derived class, which the host runs between deliveries.
/// </summary>
/// <remarks>
/// The order of calls in one membership: <see cref="Initialize"/> or <see cref="Load"/>, <see cref="OnView"/>, then
/// deliveries and further views as they come, last <see cref="OnEnded"/>. After an exclusion the node joins again under a
/// new id: the next membership begins with <see cref="Load"/> (or <see cref="Initialize"/>), which replaces all state.
/// What a method above throws is a defect: the host logs it, and the member leaves the group rather than go on with a copy that
/// may differ. What a call of the application throws goes to its caller; so it must not change replicated state: only deliveries may.
/// What a replica tells its face it tells from inside the host's gate: the face ends calls with continuations that run elsewhere.
/// </remarks>
public abstract class Replica
{
    private IReplicaPort? _port;

    /// <summary>The replica's way out. Set before the first call.</summary>
    protected IReplicaPort Port => _port ?? throw new InvalidOperationException("A replica has no port before its host takes it over.");

    internal void Attach(IReplicaPort port) => _port = port;

    /// <summary>This member is the group's first: the state begins empty.</summary>
    protected internal abstract void Initialize();

    /// <summary>
    /// Replaces all state by what another member saved. It holds exactly what was delivered before the view that follows, and what
    /// the donor's <see cref="OnView"/> made of that view: here <see cref="OnView"/> must find its work done.
    /// </summary>
    /// <exception cref="FormatException">The bytes are not what <see cref="Save"/> writes. The join then fails.</exception>
    protected internal abstract void Load(ReadOnlyMemory<byte> state);

    /// <summary>The state, with everything delivered so far and nothing else: what this member has multicast and not yet been delivered itself stays out.</summary>
    protected internal abstract ReadOnlyMemory<byte> Save();

    /// <summary>A view, at its place among the deliveries. The first one of a membership names this member among those that joined, or created the group.</summary>
    protected internal abstract void OnView(View view);

    /// <summary>A multicast of a member (this one included), in the order of its primitive. Bytes that make no sense are ignored alike by all.</summary>
    protected internal abstract void OnMessage(in ReplicaMessage message);

    /// <summary>
    /// A request of a node that need not be a member; every member gets it. Answer with <see cref="IReplicaPort.Reply"/>, now or
    /// later; with <see cref="IReplicaPort.NoReply"/> if this member is not to answer.
    /// </summary>
    /// <param name="message">The request; <see cref="ReplicaMessage.From"/> is the caller.</param>
    /// <param name="token">Names the request at this member, for its answer.</param>
    protected internal virtual void OnRequest(in ReplicaMessage message, long token) => Port.NoReply(token);

    /// <summary>The time asked for by <see cref="IReplicaPort.WakeAt"/> has come.</summary>
    protected internal virtual void OnWake()
    {
    }

    /// <summary>Everything that this node had multicast and delivered when <see cref="IReplicaPort.Flush"/> was called is stable.</summary>
    protected internal virtual void OnFlushed(long call)
    {
    }

    /// <summary>
    /// The membership is over, and nothing that was multicast and not delivered here is known to be, or not to be, delivered
    /// elsewhere. Calls that wait end here; nothing is held any more (protocol, invariant 7).
    /// </summary>
    protected internal abstract void OnEnded(MembershipEnd end);
}
