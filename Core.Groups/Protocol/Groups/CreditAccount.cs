// Credit of one group: how many bytes of this node's messages each member has consumed, and the other way round.
// Keeps: totals only grow and are told as totals, so that a lost record is made good by the next; memory is bounded by the
// window that the host keeps.
// Follows: protocol.md section 2, credit per group.
namespace Core.Groups.Protocol.Groups;

internal sealed class CreditAccount
{
    /// <summary>What a message costs beside its body, in bytes.</summary>
    public const int MessageOverhead = 64;

    /// <summary>Null until this node sends: in most of thousands of groups a node only listens.</summary>
    private Dictionary<NodeId, Consumer>? _consumers;
    private View? _view;
    private Dictionary<NodeId, Producer>? _producers;
    private Producer? _lastProducer;
    private Queue<(Producer From, int Bytes)>? _unconsumed;
    /// <summary>Where among the bytes sent those stand that were sent for callers that are not members: theirs to use again.</summary>
    private Queue<(long Start, long End, NodeId Caller, long Call)>? _forCallers;
    private long _sent, _released, _paidAhead;

    private sealed class Consumer
    {
        public long Base, Consumed;
    }

    /// <summary>What this node has consumed of one sender.</summary>
    internal sealed class Producer(NodeId id)
    {
        public NodeId Id => id;
        public long Consumed, Told;
        /// <summary>Of the consumed bytes those whose messages are still to be handed over.</summary>
        public long Ahead;

        public int TakeAhead(int bytes)
        {
            int taken = (int)Math.Min(Ahead, bytes);
            Ahead -= taken;
            return taken;
        }
    }

    /// <summary>How many bytes a joiner that waits for the state takes in, beside what the window allows, so that the group goes on.</summary>
    private const long MaximumAhead = 64 << 20;

    public IReadOnlyCollection<Producer> Producers => _producers is null ? [] : _producers.Values;
    public TimeSpan? OwesSince { get; set; }

    public void OnSent(int bytes, (NodeId Caller, long Call)? by = null)
    {
        _consumers ??= _view!.Members.ToDictionary(static member => member, static _ => new Consumer());
        if (by is var (caller, call)) (_forCallers ??= new()).Enqueue((_sent, _sent + bytes, caller, call));
        _sent += bytes;
    }

    public void SetMembers(View view)
    {
        _view = view;
        if (_consumers is not null)
        {
            foreach (NodeId gone in _consumers.Keys.Where(n => !view.Contains(n)).ToArray()) _consumers.Remove(gone);
            foreach (NodeId member in view.Members)
            {
                if (!_consumers.ContainsKey(member)) _consumers.Add(member, new Consumer { Base = _sent });
            }
        }
        if (_producers is null) return;
        _lastProducer = null;
        foreach (NodeId gone in _producers.Keys.Where(n => !view.Contains(n)).ToArray()) _producers.Remove(gone);
    }

    public void OnDelivered(NodeId sender, int bytes)
    {
        Producer from = ProducerOf(sender);
        (_unconsumed ??= new()).Enqueue((from, bytes - TakeAhead(from, bytes)));
    }

    /// <summary>The application has handled so many deliveries.</summary>
    public void OnConsumed(int deliveries)
    {
        for (; deliveries > 0 && _unconsumed is not null && _unconsumed.TryDequeue(out var item); deliveries--) item.From.Consumed += item.Bytes;
    }

    /// <summary>A delivery that is never handed over: a later snapshot covers it, or it is a message sent again.</summary>
    /// <returns>The bytes of this sender that are consumed.</returns>
    public long OnDropped(NodeId sender, int bytes)
    {
        Producer from = ProducerOf(sender);
        return from.Consumed += bytes - TakeAhead(from, bytes);
    }

    /// <summary>A message is held until the state is here: its sender need not wait for that. False: too much is held already.</summary>
    public bool TryPayAhead(NodeId sender, int bytes)
    {
        if (_paidAhead + bytes > MaximumAhead) return false;
        Producer from = ProducerOf(sender);
        from.Consumed += bytes;
        from.Ahead += bytes;
        _paidAhead += bytes;
        return true;
    }

    private int TakeAhead(Producer from, int bytes)
    {
        if (_paidAhead == 0) return 0;
        int taken = from.TakeAhead(bytes);
        _paidAhead -= taken;
        return taken;
    }

    // Messages of one sender come in runs.
    private Producer ProducerOf(NodeId sender)
    {
        if (_lastProducer is { } last && last.Id == sender) return last;
        _producers ??= [];
        if (!_producers.TryGetValue(sender, out Producer? producer)) _producers.Add(sender, producer = new Producer(sender));
        return _lastProducer = producer;
    }

    public void OnTold(NodeId member, long consumed)
    {
        if (_consumers is not null && _consumers.TryGetValue(member, out Consumer? consumer)) consumer.Consumed = Math.Max(consumer.Consumed, consumed);
    }

    /// <summary>The bytes of this node's own messages that all members have consumed since the last call.</summary>
    /// <param name="onCaller">Told of each call of a caller that all have consumed.</param>
    public long Release(Action<NodeId, long> onCaller)
    {
        if (_consumers is null) return 0;
        long all = _sent;
        foreach (Consumer consumer in _consumers.Values) all = Math.Min(all, consumer.Base + consumer.Consumed);
        long before = _released, own = Math.Max(0, all - before);
        _released += own;
        while (_forCallers is not null && _forCallers.TryPeek(out var part) && part.Start < _released)
        {
            own -= Math.Min(part.End, _released) - Math.Max(part.Start, before);
            if (part.End > _released) break;
            _forCallers.Dequeue();
            onCaller(part.Caller, part.Call);
        }
        return own;
    }

    /// <summary>This node is no member any more: nobody tells what is consumed.</summary>
    public void End(Action<NodeId, long> onCaller)
    {
        while (_forCallers is not null && _forCallers.TryDequeue(out var part)) onCaller(part.Caller, part.Call);
    }
}
