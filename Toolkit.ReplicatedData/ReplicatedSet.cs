using Core.Groups;
using Toolkit.Locks;
using Toolkit.ReplicatedData.Space;

namespace Toolkit.ReplicatedData;

/// <summary>
/// A set that every member holds. Reads are of the copy here. Two elements are the same if their bytes are, as the serializer
/// writes them. Errors of calls that multicast: see <see cref="ReplicatedSpace"/>.
/// </summary>
/// <typeparam name="T">The elements' type: equal elements must be written alike.</typeparam>
public sealed class ReplicatedSet<T> : ReplicatedObject where T : notnull
{
    private readonly MapMirror<T, ElementChange<T>> _mirror;

    internal ReplicatedSet(ReplicatedSpace space, MapMirror<T, ElementChange<T>> mirror) : base(space, mirror.Name) => _mirror = mirror;

    /// <summary>Raised after each change, in the order of their delivery, one at a time, on the thread pool. Must keep up with the changes.</summary>
    public event Action<ElementChange<T>>? Changed
    {
        add => _mirror.OnChange += value;
        remove => _mirror.OnChange -= value;
    }

    /// <summary>How many elements are known here.</summary>
    public int Count => _mirror.Count;

    internal MapMirror<T, ElementChange<T>> Mirror => _mirror;
    internal ulong Id => _mirror.Id;
    internal IPayloadSerializer Serializer => _mirror.Serializer;

    /// <summary>Whether an element is in the set, as it is known here.</summary>
    public bool Contains(T element) => _mirror.TryGet(element, out _);

    /// <summary>All elements at one moment.</summary>
    public HashSet<T> Snapshot() => Space.Snapshot(() => _mirror.Cells.Select(cell => cell.Key).ToHashSet());

    /// <summary>A linearizable read: sees all that was answered anywhere before.</summary>
    public ValueTask<bool> ContainsAsync(T element, CancellationToken ct = default) => Space.ReadAsync(() => Contains(element), ct);

    /// <summary>Adds an element if it is not there, in the total order.</summary>
    /// <returns>Whether it was not there before: of several who add it at once, one gets true.</returns>
    public async ValueTask<bool> AddAsync(T element, UpdateWait wait = UpdateWait.Stable, LockOwner? owner = null, CancellationToken ct = default) =>
        (await Space.UpdateOneAsync(Add(element, 0), wait, owner, ct).ConfigureAwait(false)).Applied;

    /// <summary>Removes an element, in the total order.</summary>
    /// <returns>Whether it was there; of a set in causal mode, always true.</returns>
    public async ValueTask<bool> RemoveAsync(T element, UpdateWait wait = UpdateWait.Stable, LockOwner? owner = null, CancellationToken ct = default) =>
        (await Space.UpdateOneAsync(Remove(element), wait, owner, ct).ConfigureAwait(false)).Applied;

    /// <summary>Adds an element by a causal multicast: the next read here sees it. For a single writer or under a lock, in causal mode.</summary>
    /// <exception cref="InvalidOperationException">The set is in total mode.</exception>
    public ValueTask<long> AddCausalAsync(T element, CancellationToken ct = default) => Space.UpdateCausallyAsync(Add(element, Operation.Any), _mirror.Mode, ct);

    /// <summary>Removes an element by a causal multicast: the next read here sees it. For a single writer or under a lock, in causal mode.</summary>
    /// <exception cref="InvalidOperationException">The set is in total mode.</exception>
    public ValueTask<long> RemoveCausalAsync(T element, CancellationToken ct = default) => Space.UpdateCausallyAsync(Remove(element), _mirror.Mode, ct);

    internal Operation Add(T element, long expected) => new()
    {
        Kind = OperationKind.Set, Object = Id, Expected = expected, Key = Payloads.Encode(Serializer, element),
    };

    internal Operation Remove(T element) => new()
    {
        Kind = OperationKind.Remove, Object = Id, Expected = Operation.Any, Key = Payloads.Encode(Serializer, element),
    };
}
