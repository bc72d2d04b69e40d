// Shared and exclusive locks on values, and who waits for whom. Keeps: a queue per value, first come first served; fed by totally
// ordered requests, releases and failures only, so it is the same at all members, and so is the victim of a deadlock.
// Follows: two-phase locking, with the wait-for graph searched when a request has to wait: no other step closes a circle.
using System.Diagnostics.CodeAnalysis;
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.ReplicatedData.Space;

/// <summary>Who holds locks: a transaction of a node (its number is positive), or one update that waits for them (negative).</summary>
internal readonly record struct OwnerId(NodeId Node, long Number);

/// <summary>A value that can be locked.</summary>
internal readonly struct LockKey(ulong target, byte[] key) : IEquatable<LockKey>
{
    public ulong Object { get; } = target;
    public byte[] Key { get; } = key;

    public bool Equals(LockKey other) => Object == other.Object && Key.AsSpan().SequenceEqual(other.Key);
    public override bool Equals([NotNullWhen(true)] object? obj) => obj is LockKey other && Equals(other);
    public override int GetHashCode() => HashCode.Combine(Object, BytesComparer.Instance.GetHashCode(Key));
}

/// <summary>The locks of a space.</summary>
internal sealed class LockTable
{
    private readonly Dictionary<LockKey, List<Request>> _queues = [];
    private readonly Dictionary<OwnerId, Owner> _owners = [];

    public bool IsEmpty => _queues.Count == 0;

    public bool IsFree(LockKey key) => !_queues.ContainsKey(key);

    public bool Knows(OwnerId owner) => _owners.ContainsKey(owner);

    public bool IsWaiting(OwnerId owner) => _owners[owner].Waiting > 0;

    public IEnumerable<OwnerId> Owners => _owners.Keys;

    /// <summary>Asks for a lock, or for more of one that is held. Whether it is granted: <see cref="IsWaiting"/>.</summary>
    /// <param name="born">Orders owners by age.</param>
    public void Ask(OwnerId id, long born, LockKey key, bool exclusive)
    {
        if (!_owners.TryGetValue(id, out Owner? owner)) _owners.Add(id, owner = new Owner(id, born));
        if (!_queues.TryGetValue(key, out List<Request>? queue)) _queues.Add(key, queue = []);
        int held = queue.FindIndex(r => r.Owner == owner);
        if (held < 0)
        {
            owner.Keys.Add(key);
            queue.Add(new Request(owner, exclusive));
            owner.Waiting++;
        }
        else if (exclusive && !queue[held].Exclusive)
        {
            // An upgrade goes before all that wait: behind them it would wait for itself.
            queue.Insert(queue.FindLastIndex(r => r.Granted) + 1, new Request(owner, true) { IsUpgrade = true });
            owner.Waiting++;
        }

        Grant(queue, null);
    }

    /// <summary>Releases all that an owner holds or asked for; tells whose last wait that ended, in order.</summary>
    public void Release(OwnerId id, List<OwnerId> ready)
    {
        if (!_owners.Remove(id, out Owner? owner)) return;
        foreach (LockKey key in owner.Keys)
        {
            List<Request> queue = _queues[key];
            queue.RemoveAll(r => r.Owner == owner);
            if (queue.Count == 0)
                _queues.Remove(key);
            else
                Grant(queue, ready);
        }
    }

    /// <summary>A circle of owners, each waiting for the next, that the owner is in; null: there is none.</summary>
    public List<OwnerId>? FindCircle(OwnerId from)
    {
        var path = new List<Owner>();
        return Reaches(_owners[from], _owners[from], path, []) ? [.. path.Select(o => o.Id)] : null;
    }

    /// <summary>
    /// All that must end before an owner can go on: those in its way, and those in their way. So it does not matter which of them tell of their own waits.
    /// </summary>
    public IReadOnlyCollection<OwnerId> BlockersOf(OwnerId id)
    {
        if (!_owners.TryGetValue(id, out Owner? owner)) return [];
        List<Owner> reached = [owner];
        for (int i = 0; i < reached.Count; i++)
        {
            foreach (Owner before in InTheWayOf(reached[i]))
            {
                if (!reached.Contains(before)) reached.Add(before);
            }
        }

        return [.. reached.Skip(1).Select(o => o.Id)];
    }

    /// <summary>The owner that came last; updates that only wait are no owners to give way.</summary>
    public OwnerId YoungestOf(List<OwnerId> circle) =>
        circle.Where(o => o.Number > 0).MaxBy(o => (_owners[o].Born, o.Node.Name, o.Number));

    private static void Grant(List<Request> queue, List<OwnerId>? ready)
    {
        for (int i = 0; i < queue.Count; i++)
        {
            Request request = queue[i];
            if (request.Granted) continue;
            for (int before = 0; before < i; before++)
            {
                if (queue[before].Owner != request.Owner && (queue[before].Exclusive || request.Exclusive)) return;
            }

            request.Granted = true;
            if (request.IsUpgrade)
            {
                request.IsUpgrade = false;
                i -= queue.RemoveAll(r => r.Owner == request.Owner && r != request);
            }

            if (--request.Owner.Waiting == 0) ready?.Add(request.Owner.Id);
        }
    }

    private bool Reaches(Owner from, Owner goal, List<Owner> path, HashSet<Owner> tried)
    {
        if (from.Waiting == 0 || !tried.Add(from)) return false;
        path.Add(from);
        foreach (Owner before in InTheWayOf(from))
        {
            if (before == goal || Reaches(before, goal, path, tried)) return true;
        }

        path.RemoveAt(path.Count - 1);
        return false;
    }

    // Whose requests stand before what it waits for, and do not go together with it.
    private IEnumerable<Owner> InTheWayOf(Owner waiter)
    {
        foreach (LockKey key in waiter.Keys)
        {
            List<Request> queue = _queues[key];
            int waiting = queue.FindIndex(r => r.Owner == waiter && !r.Granted);
            for (int i = 0; i < waiting; i++)
            {
                if (queue[i].Owner != waiter && (queue[i].Exclusive || queue[waiting].Exclusive)) yield return queue[i].Owner;
            }
        }
    }

    public void Clear()
    {
        _queues.Clear();
        _owners.Clear();
    }

    /// <summary>Owners by age, with what each asked for; queues follow from the requests in them.</summary>
    public void Save(BodyWriter writer)
    {
        List<Owner> owners = [.. _owners.Values.OrderBy(o => o.Born).ThenBy(o => o.Id.Node).ThenBy(o => o.Id.Number)];
        var numbers = new Dictionary<Owner, int>();
        writer.Varint(owners.Count);
        foreach (Owner owner in owners)
        {
            numbers.Add(owner, numbers.Count);
            writer.Node(owner.Id.Node);
            writer.Int64(owner.Id.Number);
            writer.Varint(owner.Born);
            writer.Varint(owner.Keys.Count);
            foreach (LockKey key in owner.Keys) SaveKey(writer, key);
        }

        writer.Varint(_queues.Count);
        foreach ((LockKey key, List<Request> queue) in _queues.OrderBy(q => q.Key.Object).ThenBy(q => q.Key.Key, Comparer<byte[]>.Create((a, b) => a.AsSpan().SequenceCompareTo(b))))
        {
            SaveKey(writer, key);
            writer.Varint(queue.Count);
            foreach (Request request in queue)
            {
                writer.Varint(numbers[request.Owner]);
                writer.Byte((byte)((request.Exclusive ? 1 : 0) | (request.Granted ? 2 : 0) | (request.IsUpgrade ? 4 : 0)));
            }
        }
    }

    /// <exception cref="FormatException">These are not the bytes of <see cref="Save"/>.</exception>
    public void Load(ref BodyReader reader)
    {
        Clear();
        var owners = new List<Owner>();
        for (int left = reader.Count(); left > 0; left--)
        {
            var owner = new Owner(new OwnerId(reader.Node(), reader.Int64()), reader.Varint());
            for (int keys = reader.Count(); keys > 0; keys--) owner.Keys.Add(LoadKey(ref reader));
            owners.Add(owner);
            if (!_owners.TryAdd(owner.Id, owner)) throw new FormatException("An owner is there twice.");
        }

        for (int left = reader.Count(); left > 0; left--)
        {
            LockKey key = LoadKey(ref reader);
            var queue = new List<Request>();
            for (int requests = reader.Count(); requests > 0; requests--)
            {
                long number = reader.Varint();
                byte flags = reader.Byte();
                if (number >= owners.Count) throw new FormatException("A request has no owner.");
                Owner owner = owners[(int)number];
                queue.Add(new Request(owner, (flags & 1) != 0) { Granted = (flags & 2) != 0, IsUpgrade = (flags & 4) != 0 });
                if ((flags & 2) == 0) owner.Waiting++;
            }

            if (!_queues.TryAdd(key, queue)) throw new FormatException("A queue is there twice.");
        }

        if (owners.Any(o => o.Keys.Any(k => !_queues.TryGetValue(k, out List<Request>? q) || !q.Exists(r => r.Owner == o))))
            throw new FormatException("An owner asked for what has no queue.");
    }

    private static void SaveKey(BodyWriter writer, LockKey key)
    {
        writer.Int64((long)key.Object);
        writer.Blob(key.Key);
    }

    private static LockKey LoadKey(ref BodyReader reader) => new((ulong)reader.Int64(), reader.Blob().ToArray());

    private sealed class Owner(OwnerId id, long born)
    {
        public readonly OwnerId Id = id;
        public readonly long Born = born;
        public readonly List<LockKey> Keys = [];
        public int Waiting;
    }

    private sealed class Request(Owner owner, bool exclusive)
    {
        public readonly Owner Owner = owner;
        public readonly bool Exclusive = exclusive;
        public bool Granted;
        public bool IsUpgrade;
    }
}
