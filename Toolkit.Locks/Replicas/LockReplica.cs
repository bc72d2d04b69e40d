// Mutex, counting semaphore and monitor: one queue with a number of permits, and conditions beside it.
// Keeps: the permits of those who hold are never more than there are. Requests are served in their total order, without overtaking.
// Follows: "Exploiting virtual synchrony", 3.3: P by ABCAST, V by an asynchronous CBCAST.
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Locks.Replicas;

/// <summary>
/// A request holds when the permits asked for by it and all before it do not exceed the permits. What goes makes this sum smaller
/// for all behind it and changes nothing for those before, whatever the order in which members hear of it.
/// </summary>
/// <remarks>
/// All that is done to a monitor's conditions while holding it is ordered by causality: the next holder's node has delivered
/// the release before, so all members have what came before that. Only the end of a wait, or its withdrawal, comes from one who does not
/// hold; they and the pulse travel in total and causal order, so all members see alike which was first.
/// </remarks>
/// <param name="permits">If this member is the object's first: 1 makes a mutex.</param>
/// <param name="clock">See <see cref="QueueReplica"/>.</param>
#pragma warning disable CA1852 // tests weaken it, to see that its rules are needed
internal class LockReplica(int permits, Func<long> clock) : QueueReplica(clock)
#pragma warning restore CA1852
{
    private readonly SortedDictionary<string, LinkedList<Request>> _conditions = new(StringComparer.Ordinal);
    private readonly HashSet<long> _awaiting = []; // own calls that were last told to wait for a condition
    private long _permits;
    private long _held;

    /// <summary>How many permits there are now, held or not.</summary>
    public long Permits => _permits;

    /// <summary>V without a hold: more permits, for ever. Asynchronous and causal.</summary>
    public void Signal(int more)
    {
        BodyWriter body = Body(Kind.Signal, 0);
        body.Varint(more);
        Port.Multicast(Order.Causal, body.Written);
    }

    /// <summary>The permits of a hold do not come back, also if this node fails. False: it was not held any more.</summary>
    public bool Consume(long call)
    {
        if (!Forget(call)) return false;
        Port.Multicast(Order.Causal, Body(Kind.Consume, call).Written);
        return true;
    }

    /// <summary>Releases the monitor and waits for a condition; the waiter is told when it holds again.</summary>
    public bool Wait(long call, string condition)
    {
        if (!Holds(call)) return false;
        BodyWriter body = Body(Kind.Wait, call);
        body.Text(condition);
        Port.Multicast(Order.Causal, body.Written);
        _awaiting.Add(call);
        return true;
    }

    /// <summary>Ends a wait for a condition, unless it was pulsed before: the waiter asks for the monitor again.</summary>
    public void EndWait(long call)
    {
        if (IsOwn(call)) Port.Multicast(Agreed, Body(Kind.WaitIsOver, call).Written);
    }

    /// <summary>Makes waiters of a condition ask for the monitor again, the longest waiting first.</summary>
    public bool Pulse(long call, string condition, int count)
    {
        if (!Holds(call)) return false;
        BodyWriter body = Body(Kind.Pulse, call);
        body.Text(condition);
        body.Varint(count);
        Port.Multicast(Agreed, body.Written);
        return true;
    }

    protected override void OnMessage(Kind kind, NodeId from, long call, ref BodyReader body)
    {
        switch (kind)
        {
            case Kind.Wait:
                string awaited = body.Text();
                if (Find(from, call) is { Value.IsGranted: true } place) MoveToCondition(place, awaited);
                break;
            case Kind.Pulse:
                (string pulsed, long count) = (body.Text(), body.Varint());
                if (Find(from, call) is { Value.IsGranted: true }) PulseWaiters(pulsed, count);
                break;
            case Kind.WaitIsOver:
                if (TakeFromCondition(from, call) is { } tired) Enqueue(tired);
                break;
            case Kind.Signal:
                _permits += Weight(body.Varint());
                Grant();
                break;
            case Kind.Consume:
                if (Find(from, call) is { Value.IsGranted: true } consumed)
                {
                    _permits -= consumed.Value.Weight;
                    Remove(consumed);
                }

                break;
            case Kind.Release when TakeFromCondition(from, call) is not null:
                break;
            default:
                base.OnMessage(kind, from, call, ref body);
                break;
        }
    }

    protected override bool CanGrant(LinkedListNode<Request> place) => _held + place.Value.Weight <= _permits;

    // Whether a pulse finds it or not, all must see alike: it would give out a ticket.
    protected override Order ReleaseOrder(long call) => _awaiting.Remove(call) ? Agreed : Order.Causal;

    protected override void OnGranted(Request request)
    {
        base.OnGranted(request);
        if (request.Node == Port.Self) _awaiting.Remove(request.Call);
        _held += request.Weight;
    }

    protected override void OnRemoved(Request request) => _held -= request.IsGranted ? request.Weight : 0;

    protected override Blockers BlockersOf(LinkedListNode<Request> place)
    {
        var before = new List<Request>();
        long need = place.Value.Weight - _permits;
        for (LinkedListNode<Request>? earlier = Queue.First; earlier != place; earlier = earlier!.Next)
        {
            before.Add(earlier!.Value);
            need += earlier.Value.Weight;
        }

        return new Blockers(need, [.. before]);
    }

    protected override void OnInitialized() => _permits = permits;

    protected override void OnMembers(View view)
    {
        foreach (LinkedList<Request> waiters in _conditions.Values)
        {
            foreach (Request gone in waiters.Where(w => !view.Contains(w.Node)).ToArray()) waiters.Remove(gone);
        }

        DropEmptyConditions();
    }

    protected override void SaveMore(BodyWriter state)
    {
        state.Varint(_permits);
        state.Varint(_conditions.Count);
        foreach ((string name, LinkedList<Request> waiters) in _conditions)
        {
            state.Text(name);
            state.Varint(waiters.Count);
            foreach (Request waiter in waiters) Write(state, waiter);
        }
    }

    protected override void LoadMore(ref BodyReader state)
    {
        _permits = state.Varint();
        for (int left = state.Count(); left > 0; left--)
        {
            LinkedList<Request> waiters = WaitersOf(state.Text());
            for (int more = state.Count(); more > 0; more--) waiters.AddLast(ReadRequest(ref state));
        }
    }

    protected override void OnCleared()
    {
        _conditions.Clear();
        _awaiting.Clear();
        _held = 0;
    }

    private void MoveToCondition(LinkedListNode<Request> place, string condition)
    {
        Remove(place);
        place.Value.IsPulsed = false;
        WaitersOf(condition).AddLast(place.Value);
        Grant();
    }

    private void PulseWaiters(string condition, long count)
    {
        if (!_conditions.TryGetValue(condition, out LinkedList<Request>? waiters)) return;
        for (; count > 0 && waiters.First is { } first; count--)
        {
            waiters.RemoveFirst();
            first.Value.IsPulsed = true;
            Enqueue(first.Value);
        }

        DropEmptyConditions();
    }

    private Request? TakeFromCondition(NodeId node, long call)
    {
        foreach (LinkedList<Request> waiters in _conditions.Values)
        {
            if (waiters.FirstOrDefault(w => w.Node == node && w.Call == call) is { } found)
            {
                waiters.Remove(found);
                DropEmptyConditions();
                return found;
            }
        }

        return null;
    }

    private LinkedList<Request> WaitersOf(string condition) =>
        _conditions.TryGetValue(condition, out LinkedList<Request>? waiters) ? waiters : _conditions[condition] = [];

    // A condition without waiters is as if it had never been: states of members stay equal, and nothing grows.
    private void DropEmptyConditions()
    {
        foreach (string name in _conditions.Where(c => c.Value.Count == 0).Select(c => c.Key).ToArray()) _conditions.Remove(name);
    }
}
