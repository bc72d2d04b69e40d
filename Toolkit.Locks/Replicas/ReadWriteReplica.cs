// Read/write lock: writers by total order; a reader that finds no writer holds at once, and the others hear of it later.
// Keeps: no writer holds while anyone reads. When a writer's request is delivered, each member closes: from then on it gives no local read
// before that writer is gone, and says so behind what it has to tell of the readers it has (causal order keeps that). The writer holds
// when all members have said so and all readers told of are gone. So a read lock is never broken: not by a writer that did not
// know of it, and by a failure only at the view that shows it, everywhere at the same place.
// Follows: "Exploiting virtual synchrony", 3.3: read locks acquired locally, replicated by asynchronous CBCAST.
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Locks.Replicas;

/// <summary>
/// Why a local reader whose announcement comes late cannot meet a writer: had its member delivered the writer's request before,
/// then it read only after the writer's release, which so comes before the announcement everywhere; had it not, then the announcement
/// comes before its "closed", for which the writer waits.
/// </summary>
/// <remarks>
/// Announcements are coalesced: while one of this member's is on its way, what happens is noted, and what has begun and ended
/// meanwhile is never told.
/// </remarks>
#pragma warning disable CA1852 // tests weaken it, to see that its rules are needed
internal class ReadWriteReplica(Func<long> clock) : QueueReplica(clock)
#pragma warning restore CA1852
{
    private readonly SortedDictionary<NodeId, SortedSet<long>> _readers = []; // the calls that were announced
    private readonly SortedDictionary<NodeId, long> _closed = []; // member: knows of all writers up to this ticket
    private readonly HashSet<long> _localReads = [];
    private readonly HashSet<long> _begun = []; // not announced yet
    private readonly List<long> _ended = []; // announced, and over
    private int _readerCount;
    private int _writers;
    private int _grantedWriters;
    private long _lastWriter;
    private bool _isAnnouncing;

    /// <summary>Reads at once, if no writer is known here.</summary>
    /// <param name="call">Names the hold.</param>
    /// <param name="token">The token of the last writer.</param>
    public bool TryReadLocally(ILockWaiter waiter, out long call, out long token)
    {
        (call, token) = (0, _lastWriter);
        if (_writers > 0) return false;
        call = NewCall(waiter);
        _localReads.Add(call);
        _begun.Add(call);
        AnnounceUnlessOneIsOnItsWay();
        return true;
    }

    public override bool Release(long call)
    {
        if (!_localReads.Remove(call)) return base.Release(call);
        Forget(call);
        if (!_begun.Remove(call)) _ended.Add(call);
        if (_writers > 0)
            Announce(); // somebody waits for it
        else
            AnnounceUnlessOneIsOnItsWay();
        return true;
    }

    /// <inheritdoc/>
    /// <remarks>The readers of other members are those that were announced.</remarks>
    public override QueueState Look()
    {
        QueueState queue = base.Look();
        IEnumerable<Request> elsewhere =
            from member in _readers
            where member.Key != Port.Self
            from call in member.Value
            select Reader(member.Key, call);
        IEnumerable<Request> here = from call in _localReads select Reader(Port.Self, call);
        return queue with { Holders = [.. queue.Holders, .. elsewhere, .. here] };
    }

    protected override void OnMessage(Kind kind, NodeId from, long call, ref BodyReader body)
    {
        switch (kind)
        {
            case Kind.Readers:
                OnReaders(from, ref body);
                break;
            case Kind.Closed:
                long ticket = body.Varint();
                if (_closed.TryGetValue(from, out long before) && before < ticket) _closed[from] = ticket;
                Grant();
                break;
            default:
                base.OnMessage(kind, from, call, ref body);
                break;
        }
    }

    protected override bool Holds(long call) => _localReads.Contains(call) || base.Holds(call);

    protected override void OnEnqueued(Request request)
    {
        request.Token = request.IsShared ? _lastWriter : request.Ticket;
        if (request.IsShared) return;
        _writers++;
        _lastWriter = request.Ticket;
        Announce();
        SayClosed();
    }

    protected override bool CanGrant(LinkedListNode<Request> place)
    {
        if (place.Value.IsShared) return _grantedWriters == 0;
        return place.Previous is null && _readerCount == 0 && HaveClosed(place.Value.Ticket);
    }

    // All must have closed before it is known whether anyone reads.
    protected override bool IsRefused(LinkedListNode<Request> place) =>
        place.Value.IsShared || place.Previous is not null || (_readerCount > 0 && HaveClosed(place.Value.Ticket));

    protected override void OnGranted(Request request) => _grantedWriters += request.IsShared ? 0 : 1;

    protected override void OnRemoved(Request request)
    {
        if (request.IsShared) return;
        _writers--;
        _grantedWriters -= request.IsGranted ? 1 : 0;
    }

    protected override Blockers BlockersOf(LinkedListNode<Request> place)
    {
        // A reader waits for the last writer before it, and so for all that this one waits for.
        LinkedListNode<Request>? writer = place;
        while (writer is { Value.IsShared: true }) writer = writer.Previous;
        if (writer is null) return new Blockers(0, []);
        var before = new List<Request>();
        for (LinkedListNode<Request>? earlier = Queue.First; earlier != writer; earlier = earlier!.Next) before.Add(earlier!.Value);
        if (writer != place) before.Add(writer.Value);
        before.AddRange(_readers.SelectMany(member => member.Value.Select(call => Reader(member.Key, call))));
        return new Blockers(before.Sum(b => (long)b.Weight), [.. before]);
    }

    protected override void OnMembers(View view)
    {
        foreach (NodeId gone in _closed.Keys.Where(n => !view.Contains(n)).ToArray())
        {
            _closed.Remove(gone);
            if (_readers.Remove(gone, out SortedSet<long>? reads)) _readerCount -= reads.Count;
        }

        // Who joins has this state: no local reads, and all writers up to here are known to it.
        foreach (NodeId member in view.Members) _closed.TryAdd(member, LastTicket);
    }

    protected override void OnInitialized() => _lastWriter = LastTicket;

    protected override void SaveMore(BodyWriter state)
    {
        state.Varint(_lastWriter);
        state.Varint(_closed.Count);
        foreach ((NodeId member, long ticket) in _closed)
        {
            state.Node(member);
            state.Varint(ticket);
            SortedSet<long>? reads = _readers.GetValueOrDefault(member);
            state.Varint(reads?.Count ?? 0);
            foreach (long call in reads ?? []) state.Varint(call);
        }
    }

    protected override void LoadMore(ref BodyReader state)
    {
        _lastWriter = state.Varint();
        for (int left = state.Count(); left > 0; left--)
        {
            NodeId member = state.Node();
            _closed[member] = state.Varint();
            for (int reads = state.Count(); reads > 0; reads--) AddReader(member, state.Varint());
        }

        _writers = Queue.Count(r => !r.IsShared);
        // A writer that asked between this member's view and its state waits for its word, too.
        if (_writers > 0 && _closed.TryGetValue(Port.Self, out long told) && told < _lastWriter) SayClosed();
    }

    protected override void OnCleared()
    {
        _readers.Clear();
        _closed.Clear();
        _localReads.Clear();
        _begun.Clear();
        _ended.Clear();
        (_readerCount, _writers, _grantedWriters, _lastWriter, _isAnnouncing) = (0, 0, 0, 0, false);
    }

    private void OnReaders(NodeId from, ref BodyReader body)
    {
        for (int begun = body.Count(); begun > 0; begun--) AddReader(from, body.Varint());
        for (int ended = body.Count(); ended > 0; ended--) RemoveReader(from, body.Varint());
        if (from == Port.Self)
        {
            _isAnnouncing = false;
            AnnounceUnlessOneIsOnItsWay();
        }

        Grant();
    }

    private void AnnounceUnlessOneIsOnItsWay()
    {
        if (!_isAnnouncing) Announce();
    }

    // First the calls that began, then those that ended.
    private void Announce()
    {
        if (_begun.Count + _ended.Count == 0) return;
        BodyWriter body = Body(Kind.Readers, 0);
        body.Varint(_begun.Count);
        foreach (long call in _begun) body.Varint(call);
        body.Varint(_ended.Count);
        foreach (long call in _ended) body.Varint(call);
        _begun.Clear();
        _ended.Clear();
        _isAnnouncing = true;
        Port.Multicast(Order.Causal, body.Written);
    }

    private void SayClosed()
    {
        BodyWriter closed = Body(Kind.Closed, 0);
        closed.Varint(_lastWriter);
        Port.Multicast(Order.Causal, closed.Written);
    }

    /// <summary>Whether no member gives local reads that a writer of this ticket would not hear of.</summary>
    protected virtual bool HaveClosed(long ticket)
    {
        foreach (long closed in _closed.Values)
        {
            if (closed < ticket) return false;
        }

        return true;
    }

    private void AddReader(NodeId member, long call)
    {
        if (!_readers.TryGetValue(member, out SortedSet<long>? reads)) _readers[member] = reads = [];
        if (reads.Add(call)) _readerCount++;
    }

    private void RemoveReader(NodeId member, long call)
    {
        if (!_readers.TryGetValue(member, out SortedSet<long>? reads) || !reads.Remove(call)) return;
        _readerCount--;
        if (reads.Count == 0) _readers.Remove(member);
    }

    private static Request Reader(NodeId node, long call) => new(node, call, 1, isShared: true);
}
