using Core.Groups;

namespace Toolkit.ReplicatedData.Space;

/// <summary>What an object is. The numbers are part of the format.</summary>
internal enum ObjectKind : byte { Variable = 1, Dictionary = 2, Set = 3, Counter = 4, List = 5, Queue = 6 }

/// <summary>Who is told what an object holds: the typed face of it. Called between deliveries, one call at a time.</summary>
internal interface IObjectMirror
{
    ObjectKind Kind { get; }

    string Name { get; }

    UpdateMode Mode { get; }

    /// <summary>All is new: the object was opened, or this member's copy was replaced. Null: it is not there (yet).</summary>
    void Reset(SharedObject? content);

    /// <summary>What a read sees from now on.</summary>
    void Show(byte[] key, Cell cell);

    /// <summary>An update was delivered and stands.</summary>
    void Changed(byte[] key, Cell cell);

    /// <summary>A counter's sum, as a read sees it.</summary>
    void ShowSum(long sum);

    /// <summary>A counter was changed by a delivery.</summary>
    void SumChanged(long sum, long delta, NodeId by);

    /// <summary>A list or queue was changed by a delivery.</summary>
    void ItemsChanged(OperationKind change, int index, Cell? item, NodeId by);
}

/// <summary>One object of a space, at one member.</summary>
internal sealed class SharedObject(ulong id, ObjectKind kind, string name, UpdateMode mode)
{
    private static readonly byte[] NoKey = [];

    public ulong Id { get; } = id;
    public ObjectKind Kind { get; } = kind;
    public string Name { get; } = name;
    public UpdateMode Mode { get; } = mode;

    /// <summary>Variables (the empty key), dictionaries, sets.</summary>
    public Dictionary<byte[], Slot> Slots { get; } = new(BytesComparer.Instance);

    /// <summary>Lists and queues.</summary>
    public List<Cell> Items { get; } = [];

    /// <summary>Lists and queues: the version of the last change.</summary>
    public long ItemsVersion { get; set; }

    /// <summary>A counter: what was delivered.</summary>
    public long Sum { get; set; }

    /// <summary>A counter: this member's causal additions that are not delivered yet.</summary>
    public long SumAhead { get; set; }

    public IObjectMirror? Mirror { get; set; }

    /// <summary>Names an object in messages: 64 bits (FNV-1a) of its kind and name.</summary>
    public static ulong IdOf(ObjectKind kind, string name)
    {
        const ulong Offset = 14695981039346656037, Prime = 1099511628211;
        ulong hash = (Offset ^ (byte)kind) * Prime;
        foreach (char c in name) hash = (((hash ^ (byte)c) * Prime) ^ (byte)(c >> 8)) * Prime;
        return hash;
    }

    public Slot? Find(ReadOnlySpan<byte> key) =>
        Slots.GetAlternateLookup<ReadOnlySpan<byte>>().TryGetValue(key, out Slot? slot) ? slot : null;

    /// <summary>The slot of a key and the key as it is kept.</summary>
    public Slot Obtain(ReadOnlySpan<byte> key, out byte[] kept)
    {
        var lookup = Slots.GetAlternateLookup<ReadOnlySpan<byte>>();
        if (lookup.TryGetValue(key, out byte[]? found, out Slot? slot))
        {
            kept = found;
            return slot;
        }

        kept = key.IsEmpty ? NoKey : key.ToArray();
        Slots.Add(kept, slot = new Slot());
        return slot;
    }
}
