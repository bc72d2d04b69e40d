// The typed faces of objects at one node: written by the replica between deliveries, read by any thread without waiting for it.
using System.Collections.Concurrent;
using Core.Groups;

namespace Toolkit.ReplicatedData.Space;

/// <summary>What all have in common.</summary>
/// <typeparam name="TChange">What is told of a change.</typeparam>
internal abstract class Mirror<TChange>(ObjectKind kind, string name, UpdateMode mode, IPayloadSerializer serializer, EventPump pump) : IObjectMirror
{
    public ObjectKind Kind { get; } = kind;
    public string Name { get; } = name;
    public UpdateMode Mode { get; } = mode;
    public ulong Id { get; } = SharedObject.IdOf(kind, name);
    public IPayloadSerializer Serializer { get; } = serializer;

    public event Action<TChange>? OnChange;

    /// <summary>Whether anybody listens; if not, a change costs nothing.</summary>
    protected bool HasListeners => OnChange is not null;

    public abstract void Reset(SharedObject? content);
    public virtual void Show(byte[] key, Cell cell) { }
    public virtual void Changed(byte[] key, Cell cell) { }
    public virtual void ShowSum(long sum) { }
    public virtual void SumChanged(long sum, long delta, NodeId by) { }
    public virtual void ItemsChanged(OperationKind change, int index, Cell? item, NodeId by) { }

    /// <summary>Tells of a change. It is decoded by the thread that tells, so what the serializer throws is logged there.</summary>
    protected void Tell(Func<TChange> change) => pump.Tell(() => OnChange?.Invoke(change()));

    public T Decode<T>(Cell cell) => Payloads.Decode<T>(Serializer, cell);
}

internal sealed class VariableMirror<T>(string name, UpdateMode mode, IPayloadSerializer serializer, EventPump pump)
    : Mirror<VariableChange<T>>(ObjectKind.Variable, name, mode, serializer, pump)
{
    private volatile Cell _cell = Cell.None;

    public Cell Cell => _cell;

    public override void Reset(SharedObject? content) => _cell = content?.Find([])?.Visible ?? Cell.None;

    public override void Show(byte[] key, Cell cell) => _cell = cell;

    public override void Changed(byte[] key, Cell cell)
    {
        if (HasListeners)
            Tell(() => new VariableChange<T>(cell.IsPresent ? Decode<T>(cell) : default, cell.IsPresent, cell.ShownVersion, cell.Writer));
    }
}

/// <summary>Dictionaries and sets.</summary>
internal sealed class MapMirror<TKey, TChange>(
    ObjectKind kind, string name, UpdateMode mode, IPayloadSerializer serializer, EventPump pump, Func<MapMirror<TKey, TChange>, TKey, Cell, TChange> describe)
    : Mirror<TChange>(kind, name, mode, serializer, pump) where TKey : notnull
{
    private readonly ConcurrentDictionary<TKey, Cell> _cells = new();

    public int Count => _cells.Count;

    public bool TryGet(TKey key, out Cell cell) => _cells.TryGetValue(key, out cell!);

    /// <summary>Whatever is there, while it changes.</summary>
    public IEnumerable<KeyValuePair<TKey, Cell>> Cells => _cells;

    public override void Reset(SharedObject? content)
    {
        _cells.Clear();
        if (content is null) return;
        foreach ((byte[] key, Slot slot) in content.Slots) Show(key, slot.Visible);
    }

    public override void Show(byte[] key, Cell cell)
    {
        if (!TryDecode(key, out TKey? typed)) return;
        if (cell.IsPresent)
            _cells[typed] = cell;
        else
            _cells.TryRemove(typed, out _);
    }

    public override void Changed(byte[] key, Cell cell)
    {
        if (HasListeners && TryDecode(key, out TKey? typed)) Tell(() => describe(this, typed, cell));
    }

    // Bytes that this program's serializer does not know are another program's entry: it is kept and passed on, and not shown.
    private bool TryDecode(byte[] key, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out TKey? typed)
    {
        try
        {
            typed = Serializer.Deserialize<TKey>(key);
            return typed is not null;
        }
        catch (Exception)
        {
            typed = default;
            return false;
        }
    }
}

internal sealed class CounterMirror(string name, UpdateMode mode, EventPump pump)
    : Mirror<CounterChange>(ObjectKind.Counter, name, mode, DefaultSerializer.Instance, pump)
{
    private long _sum;

    public long Sum => Interlocked.Read(ref _sum);

    public override void Reset(SharedObject? content) => ShowSum(content is null ? 0 : unchecked(content.Sum + content.SumAhead));

    public override void ShowSum(long sum) => Interlocked.Exchange(ref _sum, sum);

    public override void SumChanged(long sum, long delta, NodeId by)
    {
        if (HasListeners) Tell(() => new CounterChange(sum, delta, by));
    }
}

/// <summary>Lists and queues.</summary>
internal sealed class ItemsMirror<T>(ObjectKind kind, string name, IPayloadSerializer serializer, EventPump pump)
    : Mirror<ItemChange<T>>(kind, name, UpdateMode.Total, serializer, pump)
{
    private readonly Lock _gate = new();
    private readonly List<Cell> _items = [];
    private long _version;
    private SharedObject? _content;
    private TaskCompletionSource? _changed;

    public int Count
    {
        get
        {
            lock (_gate) return _items.Count;
        }
    }

    public long Version
    {
        get
        {
            lock (_gate) return _version;
        }
    }

    /// <exception cref="ArgumentOutOfRangeException">There is no such item.</exception>
    public T At(int index)
    {
        Cell cell;
        lock (_gate) cell = _items[index];
        return Decode<T>(cell);
    }

    public bool TryPeek([System.Diagnostics.CodeAnalysis.MaybeNullWhen(false)] out T value)
    {
        Cell? cell;
        lock (_gate) cell = _items.Count > 0 ? _items[0] : null;
        value = cell is null ? default : Decode<T>(cell);
        return cell is not null;
    }

    /// <summary>All items at one moment, and their version.</summary>
    public (Cell[] Items, long Version) Copy()
    {
        lock (_gate) return ([.. _items], _version);
    }

    /// <summary>Completes at the next change, if there is nothing now; at once if there is something.</summary>
    public Task WhenNotEmpty()
    {
        lock (_gate)
        {
            if (_items.Count > 0) return Task.CompletedTask;
            return (_changed ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    public override void Reset(SharedObject? content)
    {
        lock (_gate)
        {
            _content = content;
            _items.Clear();
            _items.AddRange(content?.Items ?? []);
            _version = content?.ItemsVersion ?? 0;
            Wake();
        }
    }

    public override void ItemsChanged(OperationKind change, int index, Cell? item, NodeId by)
    {
        lock (_gate)
        {
            switch (change)
            {
                case OperationKind.Insert or OperationKind.Enqueue: _items.Insert(index, item!); break;
                case OperationKind.Replace: _items[index] = item!; break;
                default: _items.RemoveAt(index); break;
            }

            _version = _content!.ItemsVersion;
            Wake();
        }

        if (!HasListeners) return;
        ItemChangeKind kind = change switch
        {
            OperationKind.Insert or OperationKind.Enqueue => ItemChangeKind.Added,
            OperationKind.Replace => ItemChangeKind.Replaced,
            _ => ItemChangeKind.Removed,
        };
        Tell(() => new ItemChange<T>(kind, index, item is null ? default : Decode<T>(item), by));
    }

    private void Wake()
    {
        _changed?.TrySetResult();
        _changed = null;
    }
}
