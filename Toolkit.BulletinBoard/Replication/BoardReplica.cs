// A bulletin board at one member.
// Keeps: on a total board all members carry out the same operations in one order, so that a take gives an item to exactly one;
// on a causal board posts come in causal order, and takes and updates of single items, agreed in total order, find them there.
// A guarded operation runs once: where all see the same, all run it at the same place; else its owner says when.
// Follows: "Exploiting virtual synchrony", section 4.3.
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.BulletinBoard.Replication;

/// <summary>One member's copy.</summary>
/// <param name="asked">The consistency, if this member makes the board.</param>
[SuppressMessage("Performance", "CA1852", Justification = "Tests of the checkers derive broken boards.")]
internal class BoardReplica(BoardConsistency asked, IBoardEffects effects) : Replica
{
    public static readonly TimeSpan LongestLifetime = TimeSpan.FromDays(3650);

    // Delivered when all have it: who is told of a take, and is cut off or fails in that moment, is the taker for all others, too.
    private const Order Agreed = Order.Safe;

    private static readonly TimeSpan ExpireAgain = TimeSpan.FromSeconds(5);

    private readonly ItemStore _items = new();
    private readonly WaitingTakes _takes = new();
    private readonly SortedDictionary<long, PendingOperation> _guarded = [];
    private readonly Dictionary<OperationId, BoardItem> _held = [];
    private readonly Dictionary<NodeId, long> _lastSeen = [];
    private readonly PriorityQueue<OperationId, TimeSpan> _due = new();
    private readonly HashSet<long> _calls = [];
    private readonly LocalWaits _local = new();
    private readonly BodyWriter _body = new();
    private long _lastPlace;

    public IBoardEffects Effects => effects;

    public BoardConsistency Consistency { get; private set; }

    public int Count => _items.Count;

    public int Held => _held.Count;

    public bool IsHeld(OperationId hold) => _held.ContainsKey(hold);

    private bool IsTotal => Consistency == BoardConsistency.Total;

    private Order PostOrder => IsTotal ? Agreed : Order.Causal;

    // ---- reads of the local copy

    public BoardItem? Find(Template template) => _items.Find(template);

    public BoardItem? Find(OperationId id) => _items.Find(id);

    public List<BoardItem> List(Template template) => _items.List(template);

    public IEnumerable<BoardItem> InOrder => _items.InOrder;

    // ---- calls of the application. A call's number is the sequence of its operation: it only grows at a node.

    public void Post(long call, ReadOnlySpan<Field> fields, TimeSpan lifetime, Guard? guard)
    {
        BoardFormat.Begin(_body, BoardMessage.Post, call).Varint((long)Math.Ceiling(lifetime.TotalMilliseconds));
        BoardFormat.WriteFields(_body, fields);
        BoardFormat.WriteGuard(_body, guard);
        Send(call, guard is null ? PostOrder : Agreed); // accepted means that it needs this node no more: so all must have it
    }

    /// <summary>Takes the first item that matches.</summary>
    public void Take(long call, Template template, bool waits, bool holds, Guard? guard)
    {
        if (!IsTotal)
        {
            _calls.Add(call);
            _local.Add(new LocalWait(call, template, IsTake: true, waits, holds, guard));
            TryLocal(_local[call]!);
            return;
        }

        BoardFormat.Begin(_body, BoardMessage.Take, call).Flag(waits);
        _body.Flag(holds);
        BoardFormat.WriteTemplate(_body, template);
        BoardFormat.WriteGuard(_body, guard);
        Send(call);
    }

    /// <summary>Takes this item, unless another one has it by then.</summary>
    public void TakeItem(long call, OperationId item, bool holds)
    {
        BoardFormat.Begin(_body, BoardMessage.TakeItem, call).Flag(holds);
        BoardFormat.WriteId(_body, item);
        Send(call);
    }

    /// <summary>Waits for an item that matches; it stays.</summary>
    public void Read(long call, Template template, Guard? guard)
    {
        _calls.Add(call);
        _local.Add(new LocalWait(call, template, IsTake: false, Waits: true, Holds: false, guard));
        TryLocal(_local[call]!);
    }

    public void Update(long call, OperationId item, ReadOnlySpan<Field> fields)
    {
        BoardFormat.WriteId(BoardFormat.Begin(_body, BoardMessage.Update, call), item);
        BoardFormat.WriteFields(_body, fields);
        Send(call);
    }

    /// <summary>Removes all that match.</summary>
    public void Clear(long call, Template template, Guard? guard)
    {
        if (!IsTotal && guard is null)
        {
            BoardFormat.WriteIds(BoardFormat.Begin(_body, BoardMessage.Remove, call), Matching(template));
        }
        else
        {
            BoardFormat.WriteTemplate(BoardFormat.Begin(_body, BoardMessage.Clear, call), template);
            BoardFormat.WriteGuard(_body, guard);
        }

        Send(call);
    }

    /// <summary>What was held is done: it does not come back, and these items are posted in its place, in one step.</summary>
    public void Complete(long call, long hold, IReadOnlyList<ImmutableArray<Field>> posts)
    {
        BoardFormat.Begin(_body, BoardMessage.Complete, call).Varint(hold);
        _body.Varint(posts.Count);
        foreach (ImmutableArray<Field> post in posts)
            BoardFormat.WriteFields(_body, post.AsSpan());
        Send(call);
    }

    /// <summary>What was held is on the board again.</summary>
    public void Release(long call, long hold)
    {
        BoardFormat.Begin(_body, BoardMessage.Release, call).Varint(hold);
        Send(call);
    }

    /// <summary>An accepted operation of this node is not to run any more, if it has not.</summary>
    public void Cancel(long call, long operation)
    {
        BoardFormat.Begin(_body, BoardMessage.Withdraw, operation).Varint(call);
        Send(call);
    }

    /// <summary>The caller waits no longer: what comes to it all the same goes back. False: the call has ended.</summary>
    public bool Withdraw(long call)
    {
        if (!_calls.Remove(call))
            return false;
        LocalWait? local = _local[call];
        if (local is { IsUnderWay: false })
            _local.Remove(call);
        if (local is null)
        {
            BoardFormat.Begin(_body, BoardMessage.Withdraw, call).Varint(call);
            Port.Multicast(Agreed, _body.Written);
        }

        return true;
    }

    private void Send(long call, Order order = Agreed)
    {
        Port.Multicast(order, _body.Written);
        _calls.Add(call);
    }

    // ---- deliveries

    protected override void OnMessage(in ReplicaMessage message)
    {
        if (!Port.View.Contains(message.From))
            return; // only members write on a board
        try
        {
            var reader = new BodyReader(message.Body);
            var kind = (BoardMessage)reader.Byte();
            var id = new OperationId(message.From, reader.Varint());
            if (Carry(kind, id, ref reader))
                RunGuards();
        }
        catch (FormatException)
        {
            // Nobody of this library wrote it, and all members pass it over alike: parsing comes before any change.
        }
    }

    // Whether something may have changed.
    private bool Carry(BoardMessage kind, OperationId id, ref BodyReader reader)
    {
        switch (kind)
        {
            case BoardMessage.Post:
                TimeSpan lifetime = BoardFormat.ReadLifetime(ref reader);
                var item = new BoardItem(id, BoardFormat.ReadFields(ref reader), lifetime);
                Begin(new PendingOperation(id, _lastPlace + 1, kind, item, null, Waits: false, Holds: false, BoardFormat.ReadGuard(ref reader)));
                return true;
            case BoardMessage.Take when IsTotal:
                (bool waits, bool holds) = (reader.Flag(), reader.Flag());
                Template wanted = BoardFormat.ReadTemplate(ref reader);
                Begin(new PendingOperation(id, _lastPlace + 1, kind, null, wanted, waits, holds, BoardFormat.ReadGuard(ref reader)));
                return true;
            case BoardMessage.Clear:
                Template cleared = BoardFormat.ReadTemplate(ref reader);
                Begin(new PendingOperation(id, _lastPlace + 1, kind, null, cleared, Waits: false, Holds: false, BoardFormat.ReadGuard(ref reader)));
                return true;
            case BoardMessage.TakeItem:
                bool holdsItem = reader.Flag();
                OnTakeItem(id, BoardFormat.ReadId(ref reader), holdsItem);
                return true;
            case BoardMessage.Update:
                OperationId updated = BoardFormat.ReadId(ref reader);
                OnUpdate(id, updated, BoardFormat.ReadFields(ref reader));
                return true;
            case BoardMessage.Remove or BoardMessage.Expire:
                OnRemove(id, BoardFormat.ReadIds(ref reader));
                return true;
            case BoardMessage.Complete:
                OnComplete(id, ref reader);
                return true;
            case BoardMessage.Release:
                OnRelease(id, new OperationId(id.Node, reader.Varint()));
                return true;
            case BoardMessage.Withdraw:
                long call = reader.Varint();
                _takes.Remove(id);
                Drop(id);
                Finish(id with { Sequence = call }, null);
                return true;
            case BoardMessage.Fire when !IsTotal:
                OnFire(BoardFormat.ReadId(ref reader), BoardFormat.ReadIds(ref reader));
                return true;
            case BoardMessage.PutBack:
                Add(BoardFormat.ReadItem(ref reader));
                return true;
            default:
                return false;
        }
    }

    private void Begin(PendingOperation operation)
    {
        _lastPlace++;
        _lastSeen[operation.Id.Node] = Math.Max(operation.Id.Sequence, _lastSeen.GetValueOrDefault(operation.Id.Node));
        if (operation.Guard is null)
        {
            Run(operation);
            return;
        }

        _guarded.Add(operation.Place, operation);
        if (operation.Kind != BoardMessage.Take)
            Finish(operation.Id, operation.Post); // accepted: it outlives its caller
    }

    private void Run(PendingOperation operation)
    {
        switch (operation.Kind)
        {
            case BoardMessage.Post:
                Finish(operation.Id, operation.Post);
                Add(operation.Post!);
                break;
            case BoardMessage.Clear:
                RemoveAll(Matching(operation.Template!));
                Finish(operation.Id, null);
                break;
            default:
                if (_items.Find(operation.Template!) is { } item)
                    Give(operation.Id, item, operation.Holds);
                else if (operation.Waits)
                    _takes.Add(operation);
                else
                    Finish(operation.Id, null);
                break;
        }
    }

    private void OnTakeItem(OperationId taker, OperationId wanted, bool holds)
    {
        if (_items.Find(wanted) is { } item)
        {
            Give(taker, item, holds);
            if (taker.Node == Port.Self)
                _local.Remove(taker.Sequence);
        }
        else if (taker.Node == Port.Self)
        {
            if (_local[taker.Sequence] is { } local)
                Again(local); // another one was faster
            else
                Finish(taker, null);
        }
    }

    private void OnUpdate(OperationId by, OperationId id, ImmutableArray<Field> fields)
    {
        BoardItem? old = _items.Remove(id);
        BoardItem? changed = old is null ? null : old with { Fields = fields };
        Finish(by, changed);
        if (changed is not null)
            Add(changed);
    }

    private void OnRemove(OperationId by, OperationId[] ids)
    {
        RemoveAll(ids);
        Finish(by, null);
    }

    private void OnComplete(OperationId id, ref BodyReader reader)
    {
        var hold = new OperationId(id.Node, reader.Varint());
        var posts = new ImmutableArray<Field>[reader.Count()];
        for (int i = 0; i < posts.Length; i++)
            posts[i] = BoardFormat.ReadFields(ref reader);
        if (!_held.Remove(hold, out BoardItem? item))
        {
            Finish(id, null);
            return;
        }

        Finish(id, item);
        for (int i = 0; i < posts.Length; i++)
            Add(new BoardItem(new OperationId(id.Node, id.Sequence + i), posts[i], TimeSpan.Zero));
    }

    private void OnRelease(OperationId id, OperationId hold)
    {
        _held.Remove(hold, out BoardItem? item);
        Finish(id, item);
        if (item is not null)
            Add(item);
    }

    // ---- items

    private void Add(BoardItem item)
    {
        if (!_items.Add(item))
            return;
        if (item.Lifetime > TimeSpan.Zero)
        {
            _due.Enqueue(item.Id, Port.Now + item.Lifetime);
            ArmExpiry();
        }

        effects.Appeared(item);
        _local.Serve(item, TryLocal); // who reads sees it before it is taken
        if (_takes.For(item) is not { } take)
            return;
        _takes.Remove(take.Id);
        Give(take.Id, item, take.Holds);
    }

    private void Give(OperationId taker, BoardItem item, bool holds)
    {
        _items.Remove(item.Id);
        if (holds)
            _held[taker] = item;
        if (taker.Node == Port.Self && !_calls.Contains(taker.Sequence))
            GiveBack(taker, item, holds); // its caller had stopped waiting
        Finish(taker, item);
    }

    private void GiveBack(OperationId taker, BoardItem item, bool holds)
    {
        if (holds)
        {
            Port.Multicast(Agreed, Release(taker.Sequence));
            return;
        }

        BoardFormat.WriteItem(BoardFormat.Begin(_body, BoardMessage.PutBack, taker.Sequence), item);
        Port.Multicast(Agreed, _body.Written);
    }

    private ReadOnlySpan<byte> Release(long hold)
    {
        BoardFormat.Begin(_body, BoardMessage.Release, hold).Varint(hold);
        return _body.Written;
    }

    private OperationId[] Matching(Template template) => [.. _items.List(template).Select(i => i.Id)];

    private void RemoveAll(IEnumerable<OperationId> ids)
    {
        foreach (OperationId id in ids)
            _items.Remove(id);
    }

    private void Finish(OperationId id, BoardItem? item)
    {
        if (id.Node == Port.Self && _calls.Remove(id.Sequence))
            effects.Done(id.Sequence, item);
    }

    // ---- guards

    private bool Holds(Guard guard) => guard.Kind switch
    {
        GuardKind.Present => _items.Has(guard.Template!, guard.Count),
        GuardKind.Failed => !Port.View.Contains(guard.Node),
        GuardKind.Finished => IsFinished(guard.Operation),
        GuardKind.All => guard.Parts.All(Holds),
        _ => guard.Parts.Any(Holds),
    };

    private bool IsFinished(OperationId id) => !Port.View.Contains(id.Node)
        || (_lastSeen.GetValueOrDefault(id.Node) >= id.Sequence && !_takes.Contains(id) && _guarded.Values.All(g => g.Id != id));

    // Each may make the next one's condition true, or untrue.
    private void RunGuards()
    {
        while (_guarded.Count > 0 && _guarded.Values.FirstOrDefault(g => !g.IsFired && (IsTotal || IsOwner(g)) && Holds(g.Guard!)) is { } ready)
        {
            if (IsTotal)
            {
                _guarded.Remove(ready.Place);
                Run(ready);
                continue;
            }

            ready.IsFired = true;
            BoardFormat.WriteId(BoardFormat.Begin(_body, BoardMessage.Fire, ready.Id.Sequence), ready.Id);
            bool clears = ready.Kind == BoardMessage.Clear;
            BoardFormat.WriteIds(_body, clears ? Matching(ready.Template!) : []);
            Port.Multicast(clears ? Agreed : Order.Causal, _body.Written); // what is removed may be taken at the same time
        }

        _local.ServeGuarded(TryLocal);
    }

    private bool IsOwner(PendingOperation operation) =>
        Port.Self == (Port.View.Contains(operation.Id.Node) ? operation.Id.Node : Port.View.Members[0]);

    private void OnFire(OperationId id, OperationId[] removed)
    {
        if (_guarded.Values.FirstOrDefault(g => g.Id == id) is not { } operation)
            return;
        _guarded.Remove(operation.Place);
        if (operation.Kind == BoardMessage.Clear)
            OnRemove(id, removed);
        else
            Run(operation);
    }

    private void Drop(OperationId id)
    {
        if (_guarded.Values.FirstOrDefault(g => g.Id == id) is { } operation)
            _guarded.Remove(operation.Place);
    }

    // ---- what waits at this member alone

    private void TryLocal(LocalWait wait)
    {
        if (wait.IsUnderWay)
            return;
        BoardItem? item = wait.Guard is null || Holds(wait.Guard) ? _items.Find(wait.Template) : null;
        if (item is null)
        {
            if (wait.Waits)
                return;
            _local.Remove(wait.Call);
            Finish(new OperationId(Port.Self, wait.Call), null);
        }
        else if (wait.IsTake)
        {
            wait.IsUnderWay = true;
            BoardFormat.Begin(_body, BoardMessage.TakeItem, wait.Call).Flag(wait.Holds);
            BoardFormat.WriteId(_body, item.Id);
            Port.Multicast(Agreed, _body.Written);
        }
        else
        {
            _local.Remove(wait.Call);
            Finish(new OperationId(Port.Self, wait.Call), item);
        }
    }

    private void Again(LocalWait wait)
    {
        wait.IsUnderWay = false;
        if (_calls.Contains(wait.Call))
            TryLocal(wait);
        else
            _local.Remove(wait.Call);
    }

    // ---- lifetimes: the oldest member measures, all remove alike

    protected override void OnWake() => ArmExpiry();

    private void ArmExpiry()
    {
        while (_due.TryPeek(out OperationId id, out _) && _items.Find(id) is null)
            _due.Dequeue();
        if (Port.View.RankOf(Port.Self) != 0)
            return;
        List<OperationId> expired = [];
        while (_due.TryPeek(out OperationId id, out TimeSpan due) && due <= Port.Now)
        {
            _due.Dequeue();
            if (_items.Find(id) is null)
                continue;
            expired.Add(id);
            _due.Enqueue(id, Port.Now + ExpireAgain); // until it is gone, whoever is the oldest then
        }

        if (expired.Count > 0)
        {
            BoardFormat.WriteIds(BoardFormat.Begin(_body, BoardMessage.Expire, 0), expired);
            Port.Multicast(Agreed, _body.Written);
        }

        Port.WakeAt(_due.TryPeek(out _, out TimeSpan next) ? next : TimeSpan.MaxValue);
    }

    // ---- memberships

    protected override void OnView(View view)
    {
        _takes.DropOf(node => !view.Contains(node));
        foreach (PendingOperation take in _guarded.Values.Where(g => g.Kind == BoardMessage.Take && !view.Contains(g.Id.Node)).ToArray())
            _guarded.Remove(take.Place); // posts and clears stand: they may be what cleans up after their node
        foreach (NodeId gone in _lastSeen.Keys.Where(n => !view.Contains(n)).ToArray())
            _lastSeen.Remove(gone);
        foreach (OperationId hold in _held.Keys.Where(h => !view.Contains(h.Node)).Order(HoldOrder).ToArray())
        {
            _held.Remove(hold, out BoardItem? item);
            Add(item!);
        }

        RunGuards();
        ArmExpiry();
    }

    private static readonly Comparer<OperationId> HoldOrder = Comparer<OperationId>.Create(
        static (a, b) => a.Node.CompareTo(b.Node) is not 0 and int byNode ? byNode : a.Sequence.CompareTo(b.Sequence));

    protected override void Initialize()
    {
        Reset();
        Consistency = asked;
    }

    protected override void Load(ReadOnlyMemory<byte> state)
    {
        Reset();
        var reader = new BodyReader(state);
        Consistency = reader.Flag() ? BoardConsistency.Causal : BoardConsistency.Total;
        _lastPlace = reader.Varint();
        for (int left = reader.Count(); left > 0; left--)
        {
            BoardItem item = BoardFormat.ReadItem(ref reader);
            _items.Add(item);
            if (item.Lifetime > TimeSpan.Zero)
                _due.Enqueue(item.Id, Port.Now + item.Lifetime);
        }

        for (int left = reader.Count(); left > 0; left--)
            _takes.Add(PendingOperation.Read(ref reader));
        for (int left = reader.Count(); left > 0; left--)
        {
            PendingOperation operation = PendingOperation.Read(ref reader);
            _guarded[operation.Place] = operation;
        }

        for (int left = reader.Count(); left > 0; left--)
            _held[BoardFormat.ReadId(ref reader)] = BoardFormat.ReadItem(ref reader);
        for (int left = reader.Count(); left > 0; left--)
            _lastSeen[reader.Node()] = reader.Varint();
    }

    protected override ReadOnlyMemory<byte> Save()
    {
        var body = new BodyWriter(4096);
        body.Flag(Consistency == BoardConsistency.Causal);
        body.Varint(_lastPlace);
        body.Varint(_items.Count);
        foreach (BoardItem item in _items.InOrder)
            BoardFormat.WriteItem(body, item);
        body.Varint(_takes.Count);
        foreach (PendingOperation take in _takes.InOrder)
            take.Write(body);
        body.Varint(_guarded.Count);
        foreach (PendingOperation operation in _guarded.Values)
            operation.Write(body);
        body.Varint(_held.Count);
        foreach ((OperationId hold, BoardItem item) in _held.OrderBy(h => h.Key, HoldOrder))
        {
            BoardFormat.WriteId(body, hold);
            BoardFormat.WriteItem(body, item);
        }

        body.Varint(_lastSeen.Count);
        foreach ((NodeId node, long sequence) in _lastSeen.OrderBy(l => l.Key))
        {
            body.Node(node);
            body.Varint(sequence);
        }

        return body.ToArray();
    }

    protected override void OnEnded(MembershipEnd end)
    {
        long[] calls = [.. _calls.Order()];
        _calls.Clear();
        _local.Clear();
        foreach (long call in calls)
            effects.Ended(call, end);
        effects.HoldsLost();
    }

    private void Reset()
    {
        _items.Clear();
        _takes.Clear();
        _guarded.Clear();
        _held.Clear();
        _lastSeen.Clear();
        _due.Clear();
        _local.Clear();
        _lastPlace = 0;
    }
}
