using System.Diagnostics.CodeAnalysis;
using Core.Groups;
using Toolkit.Locks;
using Toolkit.ReplicatedData.Space;

namespace Toolkit.ReplicatedData;

/// <summary>
/// A dictionary that every member holds. Reads are of the copy here: they never wait. Two keys are the same if their bytes are,
/// as the serializer writes them. Errors of calls that multicast: see <see cref="ReplicatedSpace"/>.
/// </summary>
/// <typeparam name="TKey">The keys' type: equal keys must be written alike.</typeparam>
/// <typeparam name="TValue">The values' type. Values that were read are shared: treat them as immutable.</typeparam>
public sealed class ReplicatedDictionary<TKey, TValue> : ReplicatedObject where TKey : notnull
{
    private readonly MapMirror<TKey, EntryChange<TKey, TValue>> _mirror;

    internal ReplicatedDictionary(ReplicatedSpace space, MapMirror<TKey, EntryChange<TKey, TValue>> mirror) : base(space, mirror.Name) => _mirror = mirror;

    /// <summary>Raised after each update, in the order of their delivery, one at a time, on the thread pool. Must keep up with the updates.</summary>
    public event Action<EntryChange<TKey, TValue>>? Changed
    {
        add => _mirror.OnChange += value;
        remove => _mirror.OnChange -= value;
    }

    /// <summary>How many entries are known here.</summary>
    public int Count => _mirror.Count;

    internal MapMirror<TKey, EntryChange<TKey, TValue>> Mirror => _mirror;
    internal ulong Id => _mirror.Id;
    internal IPayloadSerializer Serializer => _mirror.Serializer;

    /// <summary>Whether there is an entry, as it is known here.</summary>
    public bool ContainsKey(TKey key) => _mirror.TryGet(key, out _);

    /// <summary>An entry's value, as it is known here.</summary>
    public bool TryGetValue(TKey key, [MaybeNullWhen(false)] out TValue value)
    {
        bool found = _mirror.TryGet(key, out Cell cell);
        value = found ? _mirror.Decode<TValue>(cell) : default;
        return found;
    }

    /// <summary>An entry's value with its version, as they are known here.</summary>
    public Versioned<TValue> Get(TKey key) => _mirror.TryGet(key, out Cell cell) ? new(_mirror.Decode<TValue>(cell), cell.Version) : default;

    /// <summary>All entries at one moment. The dictionary goes on changing; what is given does not.</summary>
    public Dictionary<TKey, TValue> Snapshot()
    {
        KeyValuePair<TKey, Cell>[] cells = Space.Snapshot(() => _mirror.Cells.ToArray());
        return cells.ToDictionary(cell => cell.Key, cell => _mirror.Decode<TValue>(cell.Value));
    }

    /// <summary>A linearizable read of one entry: sees all that was answered anywhere before.</summary>
    public ValueTask<Versioned<TValue>> ReadAsync(TKey key, CancellationToken ct = default) => Space.ReadAsync(() => Get(key), ct);

    /// <summary>Sets an entry, in the total order.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <param name="wait">What the answer is to mean.</param>
    /// <param name="owner">Who updates, if it holds locks or a transaction: see <see cref="ReplicatedSpace.UpdateAsync"/>.</param>
    /// <param name="ct">Ends the wait; the update may be made all the same.</param>
    /// <returns>The version.</returns>
    public async ValueTask<long> SetAsync(TKey key, TValue value, UpdateWait wait = UpdateWait.Stable, LockOwner? owner = null, CancellationToken ct = default) =>
        (await Space.UpdateOneAsync(Set(key, value, Operation.Any), wait, owner, ct).ConfigureAwait(false)).Version;

    /// <summary>Sets an entry if it has a version, in the total order.</summary>
    /// <param name="key">The key.</param>
    /// <param name="expected">The version that it must have; 0: there must be none.</param>
    /// <param name="value">The value.</param>
    /// <param name="wait">What the answer is to mean.</param>
    /// <param name="owner">Who updates, if it holds locks or a transaction: see <see cref="ReplicatedSpace.UpdateAsync"/>.</param>
    /// <param name="ct">Ends the wait; the update may be made all the same.</param>
    public async ValueTask<UpdateOutcome> CompareAndSetAsync(TKey key, long expected, TValue value, UpdateWait wait = UpdateWait.Stable, LockOwner? owner = null, CancellationToken ct = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(expected);
        UpdateResult result = await Space.UpdateOneAsync(Set(key, value, expected), wait, owner, ct).ConfigureAwait(false);
        return new UpdateOutcome(result.Applied, result.Version);
    }

    /// <summary>Removes an entry, in the total order.</summary>
    /// <returns>Whether there was one; of a dictionary in causal mode, always true.</returns>
    public async ValueTask<bool> RemoveAsync(TKey key, UpdateWait wait = UpdateWait.Stable, LockOwner? owner = null, CancellationToken ct = default) =>
        (await Space.UpdateOneAsync(Remove(key, Operation.Any), wait, owner, ct).ConfigureAwait(false)).Applied;

    /// <summary>Removes an entry if it has a version, in the total order.</summary>
    /// <inheritdoc cref="CompareAndSetAsync"/>
    public async ValueTask<UpdateOutcome> CompareAndRemoveAsync(TKey key, long expected, UpdateWait wait = UpdateWait.Stable, LockOwner? owner = null, CancellationToken ct = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(expected);
        UpdateResult result = await Space.UpdateOneAsync(Remove(key, expected), wait, owner, ct).ConfigureAwait(false);
        return new UpdateOutcome(result.Applied, result.Version);
    }

    /// <summary>Sets an entry by a causal multicast: the next read here sees it. For a single writer or under a lock, in causal mode.</summary>
    /// <returns>The version.</returns>
    /// <exception cref="InvalidOperationException">The dictionary is in total mode.</exception>
    public ValueTask<long> SetCausalAsync(TKey key, TValue value, CancellationToken ct = default) =>
        Space.UpdateCausallyAsync(Set(key, value, Operation.Any), _mirror.Mode, ct);

    /// <summary>Removes an entry by a causal multicast: the next read here sees it. For a single writer or under a lock, in causal mode.</summary>
    /// <returns>The version.</returns>
    /// <exception cref="InvalidOperationException">The dictionary is in total mode.</exception>
    public ValueTask<long> RemoveCausalAsync(TKey key, CancellationToken ct = default) =>
        Space.UpdateCausallyAsync(Remove(key, Operation.Any), _mirror.Mode, ct);

    // The buffer of a thread holds one thing at a time: the key is copied.
    internal Operation Set(TKey key, TValue value, long expected) => new()
    {
        Kind = OperationKind.Set, Object = Id, Expected = expected,
        Key = Payloads.Encode(Serializer, key).ToArray(), Value = Payloads.Encode(Serializer, value),
    };

    internal Operation Remove(TKey key, long expected) => new()
    {
        Kind = OperationKind.Remove, Object = Id, Expected = expected, Key = Payloads.Encode(Serializer, key),
    };
}
