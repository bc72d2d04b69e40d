// One member's copy of a space of shared objects: routes deliveries, views and calls.
// Keeps: what is delivered is decided from the deliveries alone; a call that ends "stable" can no longer be lost.
// Follows: the replicated data of Isis ("Exploiting virtual synchrony", 3.3 and 3.5; "The history of virtual synchrony", local reads
// and fast updates). Deviation: locks of transactions are asked for in the total order, read locks too, so that all know of them alike.
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.ReplicatedData.Space;

/// <summary>The replica. Calls have even numbers; one more than that says that the caller waits until it is stable.</summary>
internal sealed class SpaceReplica : Replica
{
    private const int MostTombstones = 1024;

    private readonly ISpaceEffects _effects;
    private readonly SpaceStore _store = new();
    private readonly Transactions _transactions;
    private readonly Dictionary<ulong, IObjectMirror> _mirrors = [];
    private readonly BodyWriter _writer = new();
    private List<(long Call, UpdateResult Result)> _unstable = []; // ended, but for their stability
    private List<(long Call, UpdateResult Result)> _flushing = []; // those that the present flush is for
    private long _flush;
    private bool _sweepAsked;

    public SpaceReplica(ISpaceEffects effects)
    {
        _effects = effects;
        _transactions = new Transactions(
            _store,
            (node, call, result) =>
            {
                if (call > 0 && node == Port.Self) Complete(call, result);
            },
            (node, call, error) =>
            {
                if (call > 0 && node == Port.Self) _effects.Failed(call, error);
            });
    }

    /// <summary>The group, which is another one after all who held the space were gone.</summary>
    public GroupId Group => Port.View.Group;

    /// <summary>The application's side.</summary>
    public ISpaceEffects Effects => _effects;

    // ---- calls

    /// <summary>Opens an object, and makes it if it is not there.</summary>
    public void Open(long call, ObjectKind kind, string name, UpdateMode mode)
    {
        if (_store.Find(SharedObject.IdOf(kind, name)) is { } found)
            EndOpen(call, found, kind, name, mode);
        else
            MulticastOpen(call, kind, name, mode);
    }

    /// <summary>From now on the object's face is told of what is there.</summary>
    public void Attach(IObjectMirror mirror)
    {
        _mirrors[SharedObject.IdOf(mirror.Kind, mirror.Name)] = mirror;
        Show(mirror);
    }

    /// <summary>One operation in the total order.</summary>
    public void Update(long call, in Operation operation)
    {
        BodyWriter body = Begin(SpaceMessage.Update);
        body.Varint(call);
        body.Varint(IsCausal(operation) ? _store.SeenVersion : 0);
        body.Varint(1);
        WithSeen(operation).Write(body);
        Port.Multicast(Order.CausalTotal, body.Written);
    }

    /// <summary>Several operations at once, all or none.</summary>
    public void UpdateAll(long call, IReadOnlyList<Operation> operations)
    {
        BodyWriter body = Begin(SpaceMessage.Update);
        body.Varint(call);
        body.Varint(operations.Any(o => IsCausal(o)) ? _store.SeenVersion : 0);
        body.Varint(operations.Count);
        foreach (Operation operation in operations) WithSeen(operation).Write(body);
        Port.Multicast(Order.CausalTotal, body.Written);
    }

    /// <summary>Causal updates: made here at once. The objects are there and in causal mode.</summary>
    /// <returns>Their version.</returns>
    public long UpdateCausally(in Operation operation)
    {
        long version = _store.NextOwnVersion();
        BodyWriter body = Begin(SpaceMessage.Causal);
        body.Varint(version);
        body.Varint(1);
        operation.Write(body);
        if (_store.Find(operation.Object) is null) throw new InvalidOperationException("The object is not there yet. Wait until the group is joined again.");
        _store.ApplyAhead(operation, version, Port.Self);
        Port.Multicast(Order.Causal, body.Written);
        return version;
    }

    /// <summary>A linearizable read: its place in the order is asked for.</summary>
    public void Fence(long call) => MulticastNumber(SpaceMessage.Fence, call);

    /// <summary>
    /// Ends when all that this member has updated is made here, and that and all that it has seen is stable. Behind a fence:
    /// an update that leaves no more, because the membership ends, is not taken for stable.
    /// </summary>
    public void Flush(long call) => Fence(call | 1);

    /// <summary>A transaction asks for a lock.</summary>
    public void Lock(long call, long transaction, bool exclusive, ulong target, ReadOnlySpan<byte> key)
    {
        BodyWriter body = Begin(SpaceMessage.Lock);
        body.Varint(call);
        body.Varint(transaction);
        body.Flag(exclusive);
        body.Int64((long)target);
        body.Blob(key);
        Port.Multicast(Order.CausalTotal, body.Written);
    }

    /// <summary>A transaction's update goes ahead of its commit, in the background.</summary>
    public void Write(long transaction, in Operation operation)
    {
        BodyWriter body = Begin(SpaceMessage.Write);
        body.Varint(transaction);
        body.Varint(1);
        operation.Write(body);
        Port.Multicast(Order.Causal, body.Written);
    }

    /// <summary>Ends a transaction: everything that it wrote is before this in the causal order.</summary>
    public void Commit(long call, long transaction)
    {
        BodyWriter body = Begin(SpaceMessage.Commit);
        body.Varint(call);
        body.Varint(transaction);
        Port.Multicast(Order.CausalTotal, body.Written);
    }

    /// <summary>Gives a transaction up.</summary>
    public void Abort(long transaction) => MulticastNumber(SpaceMessage.Abort, transaction);

    /// <summary>This member, as it is known to the others in this membership.</summary>
    public NodeId Self => Port.Self;

    /// <summary>The transactions that must end before one of this member gets the lock that it waits for.</summary>
    public OwnerId[] BlockersOf(long transaction) => [.. _transactions.BlockersOf(new OwnerId(Port.Self, transaction))];

    /// <summary>The transactions that must end before an update of this member is made.</summary>
    public OwnerId[] BlockersOfUpdate(long call) =>
        _transactions.FindWaiting(Port.Self, call) is { } waiting ? [.. _transactions.BlockersOf(waiting)] : [];

    /// <summary>An update of this member is to break a deadlock: it is given up if it still waits when this is delivered.</summary>
    public void Withdraw(long call, string circle)
    {
        if (_transactions.FindWaiting(Port.Self, call) is not { } waiting) return;
        BodyWriter body = Begin(SpaceMessage.Withdraw);
        body.Varint(-waiting.Number);
        body.Text(circle);
        Port.Multicast(Order.CausalTotal, body.Written);
    }

    /// <summary>An object's present content; for reads between deliveries.</summary>
    public SharedObject? Find(ulong id) => _store.Find(id);

    // ---- the life of the copy

    /// <inheritdoc/>
    protected override void Initialize()
    {
        _store.Clear();
        _transactions.Clear();
        ShowAll();
    }

    /// <inheritdoc/>
    protected override void Load(ReadOnlyMemory<byte> state)
    {
        var reader = new BodyReader(state);
        _store.Load(ref reader);
        _transactions.Load(ref reader);
        if (!reader.AtEnd) throw new FormatException("There is more than the state.");
        ShowAll();
    }

    /// <inheritdoc/>
    protected override ReadOnlyMemory<byte> Save()
    {
        var writer = new BodyWriter(4096);
        _store.Save(writer);
        _transactions.Save(writer);
        return writer.ToArray();
    }

    /// <inheritdoc/>
    protected override void OnView(View view)
    {
        _store.Sweep();
        _sweepAsked = false;
        _transactions.OnView(view);
        if (!view.Joined.Contains(Port.Self)) return;
        foreach (IObjectMirror mirror in _mirrors.Values) // what all others lost is made again, empty
        {
            if (_store.Find(SharedObject.IdOf(mirror.Kind, mirror.Name)) is null) MulticastOpen(0, mirror.Kind, mirror.Name, mirror.Mode);
        }
    }

    /// <inheritdoc/>
    protected override void OnFlushed(long call)
    {
        if (call != _flush) return;
        foreach ((long done, UpdateResult result) in _flushing) _effects.Done(done, result);
        _flushing.Clear();
        BeginFlush();
    }

    /// <inheritdoc/>
    protected override void OnEnded(MembershipEnd end)
    {
        _unstable.Clear();
        _flushing.Clear();
        _sweepAsked = false;
        _effects.Ended(end);
    }

    // ---- deliveries

    /// <inheritdoc/>
    protected override void OnMessage(in ReplicaMessage message)
    {
        try
        {
            Deliver(message);
        }
        catch (FormatException)
        {
            // All members read the same bytes, and none has done anything yet.
        }
    }

    private void Deliver(in ReplicaMessage message)
    {
        NodeId from = message.From;
        bool isOwn = from == Port.Self;
        var reader = new BodyReader(message.Body);
        switch ((SpaceMessage)reader.Byte())
        {
            case SpaceMessage.Update:
                (long call, long above) = (reader.Varint(), reader.Varint());
                OnUpdate(from, isOwn ? call : 0, above, reader.Rest());
                break;
            case SpaceMessage.Causal:
                OnCausal(from, isOwn, reader.Varint(), reader.Rest());
                break;
            case SpaceMessage.Open:
                OnOpen(isOwn, reader.Varint(), (ObjectKind)reader.Byte(), (UpdateMode)reader.Byte(), reader.Text());
                break;
            case SpaceMessage.Fence when isOwn:
                call = reader.Varint();
                _effects.Fenced(call);
                Complete(call, default);
                break;
            case SpaceMessage.Lock:
                _transactions.Lock(from, reader.Varint(), reader.Varint(), reader.Flag(), (ulong)reader.Int64(), reader.Blob());
                break;
            case SpaceMessage.Write:
                (long transaction, ReadOnlyMemory<byte> operations) = (reader.Varint(), reader.Rest());
                _store.Check(operations, out _);
                _transactions.Write(from, transaction, operations);
                break;
            case SpaceMessage.Commit:
                _transactions.Commit(from, reader.Varint(), reader.Varint());
                break;
            case SpaceMessage.Abort:
                _transactions.Abort(from, reader.Varint());
                break;
            case SpaceMessage.Withdraw:
                _transactions.Withdraw(from, -reader.Varint(), reader.Text());
                break;
            case SpaceMessage.Sweep when message.Order == Order.Group:
                _store.Sweep();
                _sweepAsked = false;
                break;
        }
    }

    private void OnUpdate(NodeId from, long call, long above, ReadOnlyMemory<byte> operations)
    {
        if (_transactions.MustWait(from, call, above, operations)) return;
        UpdateResult result = _transactions.Make(from, above, operations);
        if (call > 0) Complete(call, result);
    }

    private void OnCausal(NodeId from, bool isOwn, long version, ReadOnlyMemory<byte> operations)
    {
        var reader = new BodyReader(operations);
        if (reader.Count() != 1) throw new FormatException("A causal update is one operation.");
        Operation operation = Operation.Read(ref reader);
        _store.ApplyCausal(operation, version, from, isOwn);
        if (_store.Tombstones <= MostTombstones || _sweepAsked || Port.View.RankOf(Port.Self) != 0) return;
        _sweepAsked = true;
        Port.Multicast(Order.Group, [(byte)SpaceMessage.Sweep]);
    }

    private void OnOpen(bool isOwn, long call, ObjectKind kind, UpdateMode mode, string name)
    {
        if (!Enum.IsDefined(kind) || !Enum.IsDefined(mode)) throw new FormatException("An object of unknown kind or mode.");
        SharedObject target = _store.Open(kind, name, mode);
        if (target.Mirror is null && _mirrors.TryGetValue(target.Id, out IObjectMirror? mirror))
        {
            target.Mirror = mirror;
            mirror.Reset(target);
        }

        if (isOwn && call > 0) EndOpen(call, target, kind, name, mode);
    }

    private void EndOpen(long call, SharedObject found, ObjectKind kind, string name, UpdateMode mode)
    {
        if (found.Kind != kind || found.Name != name)
            _effects.Failed(call, new InvalidOperationException($"The names '{found.Name}' and '{name}' cannot both be used in one space. Choose another."));
        else if (found.Mode != mode)
            _effects.Failed(call, new InvalidOperationException($"'{name}' was made in {found.Mode} mode, and is opened in {mode} mode. Open it as it was made."));
        else
            Complete(call, new UpdateResult(true, 0));
    }

    private void Complete(long call, in UpdateResult result)
    {
        if ((call & 1) == 0)
        {
            _effects.Done(call, result);
            return;
        }

        _unstable.Add((call, result));
        if (_flushing.Count == 0) BeginFlush();
    }

    // One flush at a time: all that ended meanwhile shares the next.
    private void BeginFlush()
    {
        if (_unstable.Count == 0) return;
        (_flushing, _unstable) = (_unstable, _flushing);
        Port.Flush(++_flush);
    }

    private void ShowAll()
    {
        foreach (IObjectMirror mirror in _mirrors.Values) Show(mirror);
    }

    private void Show(IObjectMirror mirror)
    {
        SharedObject? target = _store.Find(SharedObject.IdOf(mirror.Kind, mirror.Name));
        if (target is not null) target.Mirror = mirror;
        mirror.Reset(target);
    }

    private void MulticastOpen(long call, ObjectKind kind, string name, UpdateMode mode)
    {
        BodyWriter body = Begin(SpaceMessage.Open);
        body.Varint(call);
        body.Byte((byte)kind);
        body.Byte((byte)mode);
        body.Text(name);
        Port.Multicast(Order.CausalTotal, body.Written);
    }

    private void MulticastNumber(SpaceMessage message, long number)
    {
        BodyWriter body = Begin(message);
        body.Varint(number);
        Port.Multicast(Order.CausalTotal, body.Written);
    }

    private bool IsCausal(in Operation operation) => _store.Find(operation.Object)?.Mode == UpdateMode.Causal;

    // A condition on what causal updates may change is judged from what this member sees now.
    private Operation WithSeen(in Operation operation)
    {
        if (operation.Expected == Operation.Any || _store.Find(operation.Object) is not { Mode: UpdateMode.Causal } target) return operation;
        Cell seen = target.Find(operation.Key.Span)?.Visible ?? Cell.None;
        return operation with { SeenVersion = seen.Version, SeenPresent = seen.IsPresent };
    }

    private BodyWriter Begin(SpaceMessage message)
    {
        _writer.Reset().Byte((byte)message);
        return _writer;
    }
}
