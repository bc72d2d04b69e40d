// The objects of a space and what updates do to them. Keeps: what a total update does depends on the total updates before it and
// on what its own bytes say, never on which causal updates have come so far; so all members decide it alike. Of values that
// causal updates may change, the newest version stands (Cell.IsNewerThan), so members that got the same hold the same.
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.ReplicatedData.Space;

/// <summary>What an update did.</summary>
/// <param name="Applied">False: a condition was not met, or there was nothing to take; nothing was changed.</param>
/// <param name="Version">Of the update; if it was not applied, of what is there.</param>
/// <param name="Number">A counter's sum.</param>
/// <param name="Taken">What a queue gave, or a list lost.</param>
internal readonly record struct UpdateResult(bool Applied, long Version, long Number = 0, Cell? Taken = null);

/// <summary>The delivered state of a space, and what this member's own causal updates make of it ahead of their delivery.</summary>
internal sealed class SpaceStore
{
    private const byte Format = 1;

    private readonly Dictionary<ulong, SharedObject> _objects = [];
    private long _totalVersion; // of the last update in the total order
    private long _highestVersion; // of all that was delivered
    private long _ownVersion; // of this member's last causal update

    /// <summary>Removed values of causal objects that are kept because an older update may still come.</summary>
    public int Tombstones { get; private set; }

    public IEnumerable<SharedObject> Objects => _objects.Values;

    public SharedObject? Find(ulong id) => _objects.GetValueOrDefault(id);

    public SharedObject Open(ObjectKind kind, string name, UpdateMode mode)
    {
        ulong id = SharedObject.IdOf(kind, name);
        if (!_objects.TryGetValue(id, out SharedObject? found)) _objects.Add(id, found = new SharedObject(id, kind, name, mode));
        return found;
    }

    public void Clear()
    {
        _objects.Clear();
        _totalVersion = _highestVersion = _ownVersion = 0;
        Tombstones = 0;
    }

    // ---- causal updates

    /// <summary>The version of a causal update of this member: above all that it has seen.</summary>
    public long NextOwnVersion() => _ownVersion = Math.Max(_ownVersion, _highestVersion) + 1;

    /// <summary>An own causal update, before its delivery: the next read here sees it.</summary>
    public void ApplyAhead(in Operation operation, long version, NodeId self)
    {
        SharedObject target = _objects[operation.Object];
        if (operation.Kind == OperationKind.Add)
        {
            target.SumAhead = unchecked(target.SumAhead + operation.Number);
            target.Mirror?.ShowSum(unchecked(target.Sum + target.SumAhead));
            return;
        }

        Slot slot = target.Obtain(operation.Key.Span, out byte[] key);
        slot.Ahead = new Cell(operation.Kind == OperationKind.Set ? operation.Value.ToArray() : null, version, self, false);
        target.Mirror?.Show(key, slot.Ahead);
    }

    /// <summary>A causal update that was delivered.</summary>
    public void ApplyCausal(in Operation operation, long version, NodeId from, bool isOwn)
    {
        if (!_objects.TryGetValue(operation.Object, out SharedObject? target) || target.Mode != UpdateMode.Causal || !operation.Fits(target.Kind)) return;
        _highestVersion = Math.Max(_highestVersion, version);
        if (operation.Kind == OperationKind.Add)
        {
            if (isOwn) target.SumAhead = unchecked(target.SumAhead - operation.Number);
            Add(target, operation.Number, from);
            return;
        }

        Slot slot = target.Obtain(operation.Key.Span, out byte[] key);
        Cell cell = isOwn && slot.Ahead is { } ahead && ahead.Version == version
            ? ahead
            : new Cell(operation.Kind == OperationKind.Set ? operation.Value.ToArray() : null, version, from, false);
        Settle(target, slot, key, cell);
    }

    // ---- updates in the total order

    /// <summary>Whether all operations are known, fit their objects, and find their conditions met.</summary>
    /// <param name="version">Of the first value whose condition is not met.</param>
    /// <exception cref="FormatException">No version wrote this.</exception>
    public bool Check(ReadOnlyMemory<byte> operations, out long version)
    {
        version = 0;
        bool isMet = true;
        var reader = new BodyReader(operations);
        for (int left = reader.Count(); left > 0; left--)
        {
            Operation operation = Operation.Read(ref reader);
            if (!_objects.TryGetValue(operation.Object, out SharedObject? target) || !operation.Fits(target.Kind))
            {
                isMet = false;
            }
            else if (isMet && !IsMet(target, operation, out long found))
            {
                isMet = false;
                version = found;
            }
        }

        if (!reader.AtEnd) throw new FormatException("There is more than the operations.");
        return isMet;
    }

    /// <summary>The version of an update in the total order.</summary>
    /// <param name="above">What its sender had seen of causal objects; else 0.</param>
    public long NextTotalVersion(long above)
    {
        _totalVersion = Math.Max(_totalVersion, above) + 1;
        _highestVersion = Math.Max(_highestVersion, _totalVersion);
        return _totalVersion;
    }

    /// <summary>Above what a total update of this member must stand, if it touches causal objects.</summary>
    public long SeenVersion => Math.Max(_ownVersion, _highestVersion);

    /// <summary>Makes operations that were checked.</summary>
    public UpdateResult Apply(ReadOnlyMemory<byte> operations, long version, NodeId from)
    {
        var result = new UpdateResult(true, version);
        var reader = new BodyReader(operations);
        int count = reader.Count();
        for (int left = count; left > 0; left--)
        {
            Operation operation = Operation.Read(ref reader);
            UpdateResult? single = ApplyTotal(operation, version, from);
            if (count == 1) result = single ?? result;
        }

        return result;
    }

    // Null: nothing to say but that it was done.
    private UpdateResult? ApplyTotal(in Operation operation, long version, NodeId from)
    {
        SharedObject target = _objects[operation.Object];
        switch (operation.Kind)
        {
            case OperationKind.Set or OperationKind.Remove:
                return ApplySlot(target, operation, version, from);
            case OperationKind.Add:
                Add(target, operation.Number, from);
                return new UpdateResult(true, version, target.Sum);
            default:
                return ApplyItems(target, operation, version, from);
        }
    }

    private UpdateResult? ApplySlot(SharedObject target, in Operation operation, long version, NodeId from)
    {
        bool isSet = operation.Kind == OperationKind.Set;
        if (target.Mode == UpdateMode.Total)
        {
            if (!isSet && target.Find(operation.Key.Span) is not { Delivered.IsPresent: true }) return new UpdateResult(false, 0);
            Slot only = target.Obtain(operation.Key.Span, out byte[] name);
            only.Delivered = new Cell(isSet ? operation.Value.ToArray() : null, version, from, true);
            if (!isSet) target.Slots.Remove(name);
            target.Mirror?.Show(name, only.Delivered);
            target.Mirror?.Changed(name, only.Delivered);
            return null;
        }

        Slot slot = target.Obtain(operation.Key.Span, out byte[] key);
        (slot.TotalVersion, slot.TotalPresent) = (version, isSet);
        Settle(target, slot, key, new Cell(isSet ? operation.Value.ToArray() : null, version, from, true));
        return null;
    }

    private static UpdateResult? ApplyItems(SharedObject target, in Operation operation, long version, NodeId from)
    {
        List<Cell> items = target.Items;
        int index = operation.Number == -1 ? items.Count : (int)Math.Min(operation.Number, int.MaxValue);
        Cell? added = operation.Kind is OperationKind.RemoveAt or OperationKind.Dequeue ? null : new Cell(operation.Value.ToArray(), version, from, true);
        Cell? taken = null;
        switch (operation.Kind)
        {
            case OperationKind.Enqueue or OperationKind.Insert:
                index = operation.Kind == OperationKind.Enqueue ? items.Count : index;
                if (index > items.Count) return new UpdateResult(false, target.ItemsVersion);
                items.Insert(index, added!);
                break;
            case OperationKind.Replace:
                if (index >= items.Count) return new UpdateResult(false, target.ItemsVersion);
                (taken, items[index]) = (items[index], added!);
                break;
            default:
                index = operation.Kind == OperationKind.Dequeue ? 0 : index;
                if (index >= items.Count) return new UpdateResult(false, target.ItemsVersion);
                taken = items[index];
                items.RemoveAt(index);
                break;
        }

        target.ItemsVersion = version;
        target.Mirror?.ItemsChanged(operation.Kind, index, added, from);
        return new UpdateResult(true, version, 0, taken);
    }

    // Decided from the total updates before and from what the sender says it saw: the causal updates in that are in the
    // message's past, so all members have them; others may have come here and not there, and do not count.
    private static bool IsMet(SharedObject target, in Operation operation, out long found)
    {
        found = 0;
        if (operation.Expected == Operation.Any) return true;
        if (operation.Kind is not (OperationKind.Set or OperationKind.Remove))
        {
            found = target.ItemsVersion;
            return found == operation.Expected;
        }

        Slot? slot = target.Find(operation.Key.Span);
        if (target.Mode == UpdateMode.Total)
        {
            found = slot?.Delivered.ShownVersion ?? 0;
        }
        else
        {
            bool sawLess = (slot?.TotalVersion ?? 0) >= operation.SeenVersion;
            found = sawLess ? (slot is { TotalPresent: true } ? slot.TotalVersion : 0) : operation.SeenPresent ? operation.SeenVersion : 0;
        }

        return found == operation.Expected;
    }

    private static void Add(SharedObject target, long delta, NodeId from)
    {
        target.Sum = unchecked(target.Sum + delta);
        target.Mirror?.ShowSum(unchecked(target.Sum + target.SumAhead));
        target.Mirror?.SumChanged(target.Sum, delta, from);
    }

    private void Settle(SharedObject target, Slot slot, byte[] key, Cell cell)
    {
        if (!cell.IsNewerThan(slot.Delivered)) return;
        Tombstones += Buried(cell) - Buried(slot.Delivered);
        slot.Delivered = cell;
        if (slot.Ahead is { } ahead && (ReferenceEquals(ahead, cell) || !ahead.IsNewerThan(cell))) slot.Ahead = null;
        target.Mirror?.Show(key, slot.Visible);
        target.Mirror?.Changed(key, cell);
    }

    private static int Buried(Cell cell) => cell.IsPresent || cell.Version == 0 ? 0 : 1;

    /// <summary>At a place that no message crosses (a view, a GBCAST): nothing older than what was removed can come any more.</summary>
    public void Sweep()
    {
        if (Tombstones == 0) return;
        foreach (SharedObject target in _objects.Values)
        {
            if (target.Mode == UpdateMode.Total) continue;
            foreach ((byte[] key, Slot slot) in target.Slots)
            {
                if (slot.Delivered.IsPresent) continue;
                if (slot.Ahead is null)
                    target.Slots.Remove(key); // removing while enumerating is allowed in a Dictionary
                else
                    (slot.Delivered, slot.TotalVersion) = (Cell.None, 0);
            }
        }

        Tombstones = 0;
    }

    // ---- state transfer: everything delivered, in an order that does not depend on this member

    public void Save(BodyWriter writer)
    {
        writer.Byte(Format);
        writer.Varint(_totalVersion);
        writer.Varint(_highestVersion);
        writer.Varint(_objects.Count);
        foreach (SharedObject target in _objects.Values.OrderBy(o => o.Id))
        {
            writer.Byte((byte)target.Kind);
            writer.Text(target.Name);
            writer.Byte((byte)target.Mode);
            writer.Int64(target.Sum);
            writer.Varint(target.ItemsVersion);
            writer.Varint(target.Items.Count);
            foreach (Cell item in target.Items) SaveCell(writer, item);
            List<KeyValuePair<byte[], Slot>> slots = [.. target.Slots.Where(s => s.Value.Delivered.Version > 0)];
            slots.Sort(static (a, b) => a.Key.AsSpan().SequenceCompareTo(b.Key));
            writer.Varint(slots.Count);
            foreach ((byte[] key, Slot slot) in slots)
            {
                writer.Blob(key);
                SaveCell(writer, slot.Delivered);
                writer.Varint(slot.TotalVersion);
                writer.Flag(slot.TotalPresent);
            }
        }
    }

    /// <exception cref="FormatException">These are not the bytes of <see cref="Save"/>.</exception>
    public void Load(ref BodyReader reader)
    {
        Clear();
        if (reader.Byte() != Format) throw new FormatException("The state was saved by another version of the toolkit.");
        _totalVersion = reader.Varint();
        _highestVersion = reader.Varint();
        for (int left = reader.Count(); left > 0; left--)
        {
            SharedObject target = Open((ObjectKind)reader.Byte(), reader.Text(), (UpdateMode)reader.Byte());
            target.Sum = reader.Int64();
            target.ItemsVersion = reader.Varint();
            for (int items = reader.Count(); items > 0; items--) target.Items.Add(LoadCell(ref reader));
            for (int slots = reader.Count(); slots > 0; slots--)
            {
                Slot slot = target.Obtain(reader.Blob().Span, out _);
                slot.Delivered = LoadCell(ref reader);
                Tombstones += Buried(slot.Delivered);
                (slot.TotalVersion, slot.TotalPresent) = (reader.Varint(), reader.Flag());
            }
        }
    }

    private static void SaveCell(BodyWriter writer, Cell cell)
    {
        writer.Varint(cell.Version);
        writer.Node(cell.Writer);
        writer.Flag(cell.IsTotal);
        writer.Flag(cell.IsPresent);
        if (cell.IsPresent) writer.Blob(cell.Value);
    }

    private static Cell LoadCell(ref BodyReader reader)
    {
        (long version, NodeId writer, bool isTotal) = (reader.Varint(), reader.Node(), reader.Flag());
        return new Cell(reader.Flag() ? reader.Blob().ToArray() : null, version, writer, isTotal);
    }
}
