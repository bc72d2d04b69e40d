// One queue of requests at every member: the machine under all kinds of locks.
// Keeps: requests stand in the total order of their multicasts. Releases travel causally and come to different members at
// different places among the requests of others; so who holds is a function of the set of requests that are there, never of the order
// in which others went: all members that have delivered the same messages agree, and a grant, once true, stays true until its release.
// Follows: "Exploiting virtual synchrony", 3.3.
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Locks.Replicas;

/// <summary>What all kinds share: the queue, the calls of this node, the end of members, the state. Bodies are described in README.md.</summary>
/// <param name="clock">Microseconds of a clock that does not go back. Read where nobody else decides: who makes the object begins its tickets there.</param>
internal abstract class QueueReplica(Func<long> clock) : Replica
{
    /// <summary>
    /// The primitive of all that gives out tickets: a total order, delivered when all members have it. With less, a member that is being cut off
    /// could hold by a ticket, and so a token, that the others give to another.
    /// </summary>
    protected const Order Agreed = Order.Safe;

    private const byte StateVersion = 1;

    private readonly Func<long> _clock = clock;
    private readonly LinkedList<Request> _queue = [];
    private readonly Dictionary<(NodeId Node, long Call), LinkedListNode<Request>> _places = [];
    private readonly Dictionary<long, ILockWaiter> _own = [];
    private readonly List<long> _tries = [];
    private readonly BodyWriter _body = new(64);
    private LinkedListNode<Request>? _nextToGrant;
    private long _lastCall = clock(); // so that a node which leaves and joins again does not use a number twice

    /// <summary>The kinds of multicasts. Numbers are part of the format.</summary>
    protected enum Kind : byte
    {
        Request = 1,
        Release = 2,
        Wait = 3,
        Pulse = 4,
        WaitIsOver = 5,
        Signal = 6,
        Consume = 7,
        Readers = 8,
        Closed = 9,
    }

    /// <summary>The last ticket that was given.</summary>
    protected long LastTicket { get; private set; }

    /// <summary>The requests in order; those that are granted stand first.</summary>
    protected LinkedList<Request> Queue => _queue;

    // ---- calls of this node

    /// <summary>Asks, in the total order.</summary>
    /// <param name="isTry">Withdrawn again if it would have to wait at its place in the order.</param>
    /// <returns>Names the call.</returns>
    public long Ask(ILockWaiter waiter, int weight = 1, bool isShared = false, bool isTry = false)
    {
        long call = NewCall(waiter);
        if (isTry) _tries.Add(call);
        BodyWriter body = Body(Kind.Request, call);
        body.Varint(weight);
        body.Flag(isShared);
        Port.Multicast(Agreed, body.Written);
        return call;
    }

    /// <summary>
    /// Releases what is held, or withdraws what is asked for: the caller makes no use of it from here on. Asynchronous and causal,
    /// so what its node multicast before is delivered before anyone holds next. False: it was not there any more.
    /// </summary>
    public virtual bool Release(long call)
    {
        if (!_own.Remove(call)) return false;
        Port.Multicast(ReleaseOrder(call), Body(Kind.Release, call).Written);
        return true;
    }

    /// <summary>The others may go on without this node soon: what is held here is lost now, before anyone else can hold it.</summary>
    public void GiveUpHolds()
    {
        foreach ((long call, ILockWaiter waiter) in _own.Where(o => Holds(o.Key)).ToArray())
        {
            Release(call);
            waiter.Lost();
        }

        foreach (long call in _tries.Where(IsOwn).ToArray()) Refuse(call); // nothing is to be had at once now
    }

    // ---- what can be seen

    /// <summary>Who holds, with the token of each, and who waits, in order.</summary>
    public virtual QueueState Look() => new([.. _queue.Where(r => r.IsGranted)], [.. _queue.Where(r => !r.IsGranted)], LastTicket);

    /// <summary>Who must release before a call of this node is granted; null if it does not wait.</summary>
    public Blockers? BlockersOf(long call) =>
        _places.TryGetValue((Port.Self, call), out LinkedListNode<Request>? place) && !place.Value.IsGranted ? BlockersOf(place) : null;

    // ---- deliveries

    protected sealed override void Initialize()
    {
        Clear();
        LastTicket = Math.Max(LastTicket, _clock());
        OnInitialized();
    }

    protected sealed override void OnMessage(in ReplicaMessage message)
    {
        try
        {
            var body = new BodyReader(message.Body);
            var kind = (Kind)body.Byte();
            long call = body.Varint();
            OnMessage(kind, message.From, call, ref body);
            if (_tries.Count > 0) RefuseTries();
        }
        catch (FormatException)
        {
            // Of no version that is known here: all members ignore it alike.
        }
    }

    protected sealed override void OnView(View view)
    {
        LinkedListNode<Request>[] gone = [.. _places.Values.Where(p => !view.Contains(p.Value.Node))];
        if (gone.Any(p => p.Value is { IsGranted: true, IsShared: false })) TellWaiters();
        foreach (LinkedListNode<Request> place in gone) Remove(place);
        OnMembers(view);
        Grant();
        if (_tries.Count > 0) RefuseTries();
    }

    protected sealed override void OnEnded(MembershipEnd end)
    {
        ILockWaiter[] ended = [.. _own.Values];
        Clear();
        foreach (ILockWaiter waiter in ended) waiter.Ended(end);
    }

    protected sealed override ReadOnlyMemory<byte> Save()
    {
        var state = new BodyWriter();
        state.Byte(StateVersion);
        state.Varint(LastTicket);
        state.Varint(_queue.Count);
        foreach (Request request in _queue) Write(state, request);
        SaveMore(state);
        return state.ToArray();
    }

    protected sealed override void Load(ReadOnlyMemory<byte> state)
    {
        Clear();
        var reader = new BodyReader(state);
        if (reader.Byte() != StateVersion) throw new FormatException("The state of a lock is of a version that is not known here.");
        LastTicket = reader.Varint();
        for (int left = reader.Count(); left > 0; left--) Append(ReadRequest(ref reader));
        LoadMore(ref reader);
        Grant();
    }

    /// <summary>A message of this kind, after its call. The base takes requests and releases.</summary>
    protected virtual void OnMessage(Kind kind, NodeId from, long call, ref BodyReader body)
    {
        switch (kind)
        {
            case Kind.Request:
                (int weight, bool isShared) = (Weight(body.Varint()), body.Flag());
                if (!_places.ContainsKey((from, call))) Enqueue(new Request(from, call, weight, isShared));
                break;
            case Kind.Release:
                if (_places.TryGetValue((from, call), out LinkedListNode<Request>? place)) Remove(place);
                Grant();
                break;
            default:
                throw new FormatException("A kind of message that this kind of lock does not have.");
        }
    }

    // ---- what the kinds of locks say

    /// <summary>Whether a request can be granted, when all before it are. Once true it stays true until the request goes.</summary>
    protected abstract bool CanGrant(LinkedListNode<Request> place);

    /// <summary>Whether a try that is not granted would have to wait for others.</summary>
    protected virtual bool IsRefused(LinkedListNode<Request> place) => true;

    /// <summary>How what becomes of a call of this node is told.</summary>
    protected virtual Order ReleaseOrder(long call) => Order.Causal;

    protected abstract Blockers BlockersOf(LinkedListNode<Request> place);
    protected abstract void OnInitialized();
    protected abstract void SaveMore(BodyWriter state);
    protected abstract void LoadMore(ref BodyReader state);
    protected virtual void OnEnqueued(Request request) { }
    protected virtual void OnGranted(Request request) => request.Token = request.Ticket;
    protected virtual void OnRemoved(Request request) { }
    protected virtual void OnMembers(View view) { }
    protected virtual void OnCleared() { }

    // ---- for them

    protected long NewCall(ILockWaiter waiter)
    {
        _own.Add(++_lastCall, waiter);
        return _lastCall;
    }

    protected bool IsOwn(long call) => _own.ContainsKey(call);
    protected bool Forget(long call) => _own.Remove(call);

    protected BodyWriter Body(Kind kind, long call)
    {
        _body.Reset();
        _body.Byte((byte)kind);
        _body.Varint(call);
        return _body;
    }

    /// <summary>Whether a call of this node holds.</summary>
    protected virtual bool Holds(long call) => IsOwn(call) && Find(Port.Self, call) is { Value.IsGranted: true };

    /// <summary>The request, while it is in the queue.</summary>
    protected LinkedListNode<Request>? Find(NodeId node, long call) => _places.GetValueOrDefault((node, call));

    /// <summary>Gives a request the next ticket. At deliveries of the total order only.</summary>
    protected void Enqueue(Request request)
    {
        request.Ticket = ++LastTicket;
        Append(request);
        OnEnqueued(request);
        Grant();
    }

    protected void Remove(LinkedListNode<Request> place)
    {
        if (place == _nextToGrant) _nextToGrant = place.Next;
        _queue.Remove(place);
        _places.Remove((place.Value.Node, place.Value.Call));
        OnRemoved(place.Value);
        place.Value.IsGranted = false;
    }

    /// <summary>Grants what can be granted: the requests in their order, up to the first that cannot.</summary>
    protected void Grant()
    {
        while (_nextToGrant is { } place && CanGrant(place))
        {
            Request request = place.Value;
            _nextToGrant = place.Next;
            request.IsGranted = true;
            OnGranted(request);
            if (request.Node == Port.Self && _own.TryGetValue(request.Call, out ILockWaiter? waiter)) waiter.Granted(request.Token, request.IsPulsed);
        }
    }

    protected static void Write(BodyWriter state, Request request)
    {
        state.Node(request.Node);
        state.Varint(request.Call);
        state.Varint(request.Weight);
        state.Flag(request.IsShared);
        state.Flag(request.IsPulsed);
        state.Varint(request.Ticket);
        state.Varint(request.Token);
    }

    protected static Request ReadRequest(ref BodyReader reader) =>
        new(reader.Node(), reader.Varint(), Weight(reader.Varint()), reader.Flag())
        {
            IsPulsed = reader.Flag(), Ticket = reader.Varint(), Token = reader.Varint(),
        };

    protected static int Weight(long weight) => weight is > 0 and <= int.MaxValue ? (int)weight : throw new FormatException("A number of permits is none.");

    private void TellWaiters()
    {
        foreach ((long call, ILockWaiter waiter) in _own)
        {
            if (!Holds(call)) waiter.HolderFailed();
        }
    }

    private void RefuseTries()
    {
        for (int i = _tries.Count - 1; i >= 0; i--)
        {
            long call = _tries[i];
            LinkedListNode<Request>? place = Find(Port.Self, call);
            bool isRefused = place is { Value.IsGranted: false } && IsRefused(place);
            if (isRefused) Refuse(call);
            if (isRefused || place is { Value.IsGranted: true } || !IsOwn(call)) _tries.RemoveAt(i);
        }
    }

    private void Refuse(long call)
    {
        if (!_own.TryGetValue(call, out ILockWaiter? waiter)) return;
        Release(call);
        waiter.Refused();
    }

    private void Append(Request request)
    {
        LinkedListNode<Request> place = _queue.AddLast(request);
        if (!_places.TryAdd((request.Node, request.Call), place)) throw new FormatException("A request stands twice in the queue.");
        _nextToGrant ??= place;
    }

    private void Clear()
    {
        _queue.Clear();
        _places.Clear();
        _own.Clear();
        _tries.Clear();
        _nextToGrant = null;
        OnCleared();
    }
}

/// <summary>What a queue looks like at one member.</summary>
/// <param name="LastTicket">The last ticket that was given.</param>
internal readonly record struct QueueState(Request[] Holders, Request[] Waiting, long LastTicket);

/// <summary>What a waiting request waits for: that <paramref name="Need"/> permits of these requests are released.</summary>
internal readonly record struct Blockers(long Need, Request[] Requests);
