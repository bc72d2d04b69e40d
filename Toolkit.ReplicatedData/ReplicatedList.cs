using Core.Groups;
using Toolkit.ReplicatedData.Space;

namespace Toolkit.ReplicatedData;

/// <summary>
/// A list that every member holds; updates in the total order. Between reading an index here and updating it, others may have
/// changed the list: give the version that was read, and the update is made on that list or not at all. Errors of calls that
/// multicast: see <see cref="ReplicatedSpace"/>.
/// </summary>
/// <typeparam name="T">The items' type. Items that were read are shared: treat them as immutable.</typeparam>
public sealed class ReplicatedList<T> : ReplicatedObject
{
    private readonly ItemsMirror<T> _mirror;

    internal ReplicatedList(ReplicatedSpace space, ItemsMirror<T> mirror) : base(space, mirror.Name) => _mirror = mirror;

    /// <summary>Raised after each change, in the order of their delivery, one at a time, on the thread pool. Must keep up with the changes.</summary>
    public event Action<ItemChange<T>>? Changed
    {
        add => _mirror.OnChange += value;
        remove => _mirror.OnChange -= value;
    }

    /// <summary>How many items are known here.</summary>
    public int Count => _mirror.Count;

    /// <summary>The version of the last change.</summary>
    public long Version => _mirror.Version;

    /// <summary>An item, as it is known here.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is none.</exception>
    public T this[int index] => _mirror.At(index);

    internal ItemsMirror<T> Mirror => _mirror;
    internal ulong Id => _mirror.Id;
    internal IPayloadSerializer Serializer => _mirror.Serializer;

    /// <summary>All items at one moment, with the version of the list.</summary>
    public Versioned<IReadOnlyList<T>> Snapshot()
    {
        (Cell[] items, long version) = _mirror.Copy();
        return new([.. items.Select(_mirror.Decode<T>)], version);
    }

    /// <summary>A linearizable read: sees all that was answered anywhere before.</summary>
    public ValueTask<Versioned<IReadOnlyList<T>>> ReadAsync(CancellationToken ct = default) => Space.ReadAsync(Snapshot, ct);

    /// <summary>Adds an item at the end.</summary>
    /// <returns>The version.</returns>
    public async ValueTask<long> AddAsync(T item, UpdateWait wait = UpdateWait.Stable, CancellationToken ct = default) =>
        (await UpdateAsync(OperationKind.Insert, -1, item, Operation.Any, wait, ct).ConfigureAwait(false)).Version;

    /// <summary>Inserts an item before an index; at the count, it is added at the end.</summary>
    /// <param name="index">Where, in the list as it is when the update is made.</param>
    /// <param name="item">The item.</param>
    /// <param name="expected">The version that the list must have; null: any.</param>
    /// <param name="wait">What the answer is to mean.</param>
    /// <param name="ct">Ends the wait; the update may be made all the same.</param>
    /// <returns>Not applied: the list had another version, or is too short.</returns>
    public ValueTask<UpdateOutcome> InsertAsync(int index, T item, long? expected = null, UpdateWait wait = UpdateWait.Stable, CancellationToken ct = default) =>
        UpdateAsync(OperationKind.Insert, Checked(index), item, expected ?? Operation.Any, wait, ct);

    /// <summary>Replaces an item.</summary>
    /// <inheritdoc cref="InsertAsync"/>
    public ValueTask<UpdateOutcome> ReplaceAsync(int index, T item, long? expected = null, UpdateWait wait = UpdateWait.Stable, CancellationToken ct = default) =>
        UpdateAsync(OperationKind.Replace, Checked(index), item, expected ?? Operation.Any, wait, ct);

    /// <summary>Removes an item.</summary>
    /// <param name="index">Where, in the list as it is when the update is made.</param>
    /// <param name="expected">The version that the list must have; null: any.</param>
    /// <param name="wait">What the answer is to mean.</param>
    /// <param name="ct">Ends the wait; the update may be made all the same.</param>
    /// <returns>Not applied: the list had another version, or is too short.</returns>
    public async ValueTask<UpdateOutcome> RemoveAtAsync(int index, long? expected = null, UpdateWait wait = UpdateWait.Stable, CancellationToken ct = default)
    {
        var operation = new Operation { Kind = OperationKind.RemoveAt, Object = Id, Expected = expected ?? Operation.Any, Number = Checked(index) };
        UpdateResult result = await Space.UpdateOneAsync(operation, wait, owner: null, ct).ConfigureAwait(false);
        return new UpdateOutcome(result.Applied, result.Version);
    }

    internal Operation Add(T item) => new()
    {
        Kind = OperationKind.Insert, Object = Id, Expected = Operation.Any, Number = -1, Value = Payloads.Encode(Serializer, item),
    };

    private async ValueTask<UpdateOutcome> UpdateAsync(OperationKind kind, int index, T item, long expected, UpdateWait wait, CancellationToken ct)
    {
        var operation = new Operation { Kind = kind, Object = Id, Expected = expected, Number = index, Value = Payloads.Encode(Serializer, item) };
        UpdateResult result = await Space.UpdateOneAsync(operation, wait, owner: null, ct).ConfigureAwait(false);
        return new UpdateOutcome(result.Applied, result.Version);
    }

    private static int Checked(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        return index;
    }
}
