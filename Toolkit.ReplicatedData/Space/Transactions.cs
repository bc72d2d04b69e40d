// Transactions under two-phase locks ("Exploiting virtual synchrony", 3.5), and updates that wait for their locks.
// Keeps: locks, commits and aborts are made in the total order, and the failure of an executing member at its view: so a
// transaction takes effect at one place at all members, whole or not at all, and every member knows which (one-copy serializable).
using System.Globalization;
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.ReplicatedData.Space;

/// <summary>The transactions of a space.</summary>
/// <param name="store">What they change.</param>
/// <param name="done">Told of the calls of members that have ended well.</param>
/// <param name="failed">Told of those that have not.</param>
internal sealed class Transactions(SpaceStore store, Action<NodeId, long, UpdateResult> done, Action<NodeId, long, Exception> failed)
{
    private readonly LockTable _locks = new();
    private readonly Dictionary<OwnerId, Transaction> _open = [];
    private readonly Dictionary<OwnerId, WaitingUpdate> _waiting = [];
    private readonly List<OwnerId> _ready = [];
    private long _place; // in the total order

    /// <summary>A request for a lock was delivered.</summary>
    public void Lock(NodeId from, long call, long number, bool exclusive, ulong target, ReadOnlyMemory<byte> key)
    {
        if (store.Find(target) is not { Mode: UpdateMode.Total, Kind: not (ObjectKind.List or ObjectKind.Queue) })
        {
            failed(from, call, new InvalidOperationException(
                "A transaction works on variables, dictionaries, sets and counters in total mode, and the object is none, or was not opened here."));
            return;
        }

        var id = new OwnerId(from, number);
        if (!_open.TryGetValue(id, out Transaction? transaction)) _open.Add(id, transaction = new Transaction());
        (transaction.Call, transaction.Object, transaction.Key) = (call, target, key.ToArray());
        _locks.Ask(id, ++_place, new LockKey(target, transaction.Key), exclusive);
        if (!_locks.IsWaiting(id))
        {
            Granted(id, transaction);
            return;
        }

        BreakCircles(id);
    }

    /// <summary>Updates of a transaction were delivered; they wait for its commit.</summary>
    public void Write(NodeId from, long number, ReadOnlyMemory<byte> operations)
    {
        if (_open.TryGetValue(new OwnerId(from, number), out Transaction? transaction)) transaction.Writes.Add(operations);
    }

    /// <summary>A commit was delivered: the transaction takes effect here.</summary>
    public void Commit(NodeId from, long call, long number)
    {
        var id = new OwnerId(from, number);
        if (!_open.Remove(id, out Transaction? transaction))
        {
            failed(from, call, new InvalidOperationException("The transaction has ended before."));
            return;
        }

        long version = store.NextTotalVersion(0);
        foreach (ReadOnlyMemory<byte> write in transaction.Writes)
        {
            if (store.Check(write, out _)) store.Apply(write, version, from);
        }

        done(from, call, new UpdateResult(true, version));
        Release(id);
    }

    /// <summary>An abort was delivered.</summary>
    public void Abort(NodeId from, long number)
    {
        var id = new OwnerId(from, number);
        if (_open.Remove(id)) Release(id);
    }

    /// <summary>Members are gone: what they had not committed is undone, in the order of their names.</summary>
    public void OnView(View view)
    {
        if (_open.Count == 0) return;
        foreach (OwnerId id in _open.Keys.Where(id => !view.Contains(id.Node)).OrderBy(id => id.Node).ThenBy(id => id.Number).ToList())
            Abort(id.Node, id.Number);
    }

    /// <summary>The transactions that must end before this one gets the lock that it waits for.</summary>
    public IEnumerable<OwnerId> BlockersOf(OwnerId id) => _locks.BlockersOf(id).Where(o => o.Number > 0);

    /// <summary>The update that waits as a call of a member; null: it is on its way, or is made.</summary>
    public OwnerId? FindWaiting(NodeId from, long call)
    {
        foreach ((OwnerId id, WaitingUpdate update) in _waiting)
        {
            if (update.Call == call && id.Node == from) return id;
        }

        return null;
    }

    /// <summary>An update that waits is given up to break a deadlock; if it is made by now, it stands.</summary>
    public void Withdraw(NodeId from, long number, string circle)
    {
        var id = new OwnerId(from, number);
        if (!_waiting.Remove(id, out WaitingUpdate? update)) return;
        failed(from, update.Call, new DeadlockException(circle));
        Release(id);
    }

    /// <summary>An update outside any transaction waits until those that hold what it changes have ended. False: nothing is in its way.</summary>
    public bool MustWait(NodeId from, long call, long above, ReadOnlyMemory<byte> operations)
    {
        if (_locks.IsEmpty) return false;
        List<LockKey> keys = [];
        var reader = new BodyReader(operations);
        for (int left = reader.Count(); left > 0; left--)
        {
            Operation operation = Operation.Read(ref reader);
            var key = new LockKey(operation.Object, operation.Key.ToArray());
            if (!keys.Contains(key)) keys.Add(key);
        }

        if (keys.TrueForAll(_locks.IsFree)) return false;
        var id = new OwnerId(from, -++_place);
        _waiting.Add(id, new WaitingUpdate(call, above, operations));
        foreach (LockKey key in keys) _locks.Ask(id, _place, key, exclusive: true);
        BreakCircles(id);
        return true;
    }

    public void Clear()
    {
        _locks.Clear();
        _open.Clear();
        _waiting.Clear();
        _place = 0;
    }

    public void Save(BodyWriter writer)
    {
        writer.Varint(_place);
        _locks.Save(writer);
        writer.Varint(_open.Count);
        foreach ((OwnerId id, Transaction transaction) in _open.OrderBy(t => t.Key.Node).ThenBy(t => t.Key.Number))
        {
            SaveId(writer, id);
            writer.Varint(transaction.Writes.Count);
            foreach (ReadOnlyMemory<byte> write in transaction.Writes) writer.Blob(write.Span);
        }

        writer.Varint(_waiting.Count);
        foreach ((OwnerId id, WaitingUpdate update) in _waiting.OrderBy(u => u.Key.Node).ThenBy(u => u.Key.Number))
        {
            SaveId(writer, id);
            writer.Varint(update.Above);
            writer.Blob(update.Operations.Span);
        }
    }

    /// <exception cref="FormatException">These are not the bytes of <see cref="Save"/>.</exception>
    public void Load(ref BodyReader reader)
    {
        Clear();
        _place = reader.Varint();
        _locks.Load(ref reader);
        for (int left = reader.Count(); left > 0; left--)
        {
            var transaction = new Transaction();
            OwnerId id = LoadId(ref reader);
            for (int writes = reader.Count(); writes > 0; writes--) transaction.Writes.Add(reader.Blob());
            if (!_locks.Knows(id) || !_open.TryAdd(id, transaction)) throw new FormatException("A transaction has no locks, or is there twice.");
        }

        for (int left = reader.Count(); left > 0; left--)
        {
            OwnerId id = LoadId(ref reader);
            var update = new WaitingUpdate(0, reader.Varint(), reader.Blob());
            store.Check(update.Operations, out _);
            if (!_locks.Knows(id) || !_waiting.TryAdd(id, update)) throw new FormatException("An update waits for nothing, or is there twice.");
        }

        if (_locks.Owners.Any(o => !_open.ContainsKey(o) && !_waiting.ContainsKey(o))) throw new FormatException("Locks have an unknown owner.");
    }

    private static void SaveId(BodyWriter writer, OwnerId id)
    {
        writer.Node(id.Node);
        writer.Int64(id.Number);
    }

    private static OwnerId LoadId(ref BodyReader reader) => new(reader.Node(), reader.Int64());

    private void Granted(OwnerId id, Transaction transaction)
    {
        if (transaction.Call == 0) return; // it came with the state: its caller is another member
        SharedObject target = store.Find(transaction.Object)!;
        Cell cell = target.Find(transaction.Key)?.Delivered ?? Cell.None;
        done(id.Node, transaction.Call, new UpdateResult(true, cell.ShownVersion, target.Sum, cell));
    }

    private void BreakCircles(OwnerId id)
    {
        while (_locks.Knows(id) && _locks.FindCircle(id) is { } circle)
        {
            OwnerId victim = _locks.YoungestOf(circle);
            int first = circle.IndexOf(victim);
            string text = string.Join(" waits for ", circle.Skip(first).Concat(circle.Take(first)).Append(victim).Select(Describe));
            _open.Remove(victim, out Transaction? transaction);
            failed(victim.Node, transaction!.Call, new DeadlockException(text));
            Release(victim);
        }
    }

    private static string Describe(OwnerId id) => id.Number > 0
        ? string.Create(CultureInfo.InvariantCulture, $"transaction {id.Number} of {id.Node.Name}")
        : $"an update of {id.Node.Name}";

    // What is released lets others go on; an update that does releases in its turn.
    private void Release(OwnerId id)
    {
        _locks.Release(id, _ready);
        for (int i = 0; i < _ready.Count; i++)
        {
            OwnerId next = _ready[i];
            if (_open.TryGetValue(next, out Transaction? transaction))
            {
                Granted(next, transaction);
                continue;
            }

            _waiting.Remove(next, out WaitingUpdate? update);
            done(next.Node, update!.Call, Make(next.Node, update.Above, update.Operations));
            _locks.Release(next, _ready);
        }

        _ready.Clear();
    }

    /// <summary>Makes an update whose time has come.</summary>
    public UpdateResult Make(NodeId from, long above, ReadOnlyMemory<byte> operations) =>
        store.Check(operations, out long found)
            ? store.Apply(operations, store.NextTotalVersion(above), from)
            : new UpdateResult(false, found);

    private sealed class Transaction
    {
        /// <summary>The last request for a lock, and what for.</summary>
        public long Call;
        public ulong Object;
        public byte[] Key = [];
        public readonly List<ReadOnlyMemory<byte>> Writes = [];
    }

    private sealed record WaitingUpdate(long Call, long Above, ReadOnlyMemory<byte> Operations);
}
