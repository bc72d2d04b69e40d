using Core.Groups;
using Toolkit.Locks;
using Toolkit.ReplicatedData.Space;

namespace Toolkit.ReplicatedData;

/// <summary>
/// A value that every member holds. <see cref="Value"/> reads the copy here: it never waits, and never goes back while this
/// node is a member. Errors of calls that multicast: see <see cref="ReplicatedSpace"/>.
/// </summary>
/// <typeparam name="T">The value's type. Values that were read are shared: treat them as immutable.</typeparam>
public sealed class ReplicatedVariable<T> : ReplicatedObject
{
    private readonly VariableMirror<T> _mirror;

    internal ReplicatedVariable(ReplicatedSpace space, VariableMirror<T> mirror) : base(space, mirror.Name) => _mirror = mirror;

    /// <summary>Raised after each update, in the order of their delivery, one at a time, on the thread pool. Must keep up with the updates.</summary>
    public event Action<VariableChange<T>>? Changed
    {
        add => _mirror.OnChange += value;
        remove => _mirror.OnChange -= value;
    }

    /// <summary>The value, as it is known here; the default if there is none. What the serializer throws comes out here.</summary>
    public T? Value => Get().Value;

    /// <summary>The version of the value; 0: there is none.</summary>
    public long Version => _mirror.Cell.ShownVersion;

    internal VariableMirror<T> Mirror => _mirror;
    internal ulong Id => _mirror.Id;
    internal IPayloadSerializer Serializer => _mirror.Serializer;

    /// <summary>The value with its version, as they are known here.</summary>
    public Versioned<T> Get()
    {
        Cell cell = _mirror.Cell;
        return cell.IsPresent ? new(_mirror.Decode<T>(cell), cell.Version) : default;
    }

    /// <summary>A linearizable read: sees all that was answered anywhere before.</summary>
    public ValueTask<Versioned<T>> ReadAsync(CancellationToken ct = default) => Space.ReadAsync(Get, ct);

    /// <summary>Sets the value, in the total order.</summary>
    /// <param name="value">The value.</param>
    /// <param name="wait">What the answer is to mean.</param>
    /// <param name="owner">Who updates, if it holds locks or a transaction: see <see cref="ReplicatedSpace.UpdateAsync"/>.</param>
    /// <param name="ct">Ends the wait; the update may be made all the same.</param>
    /// <returns>The version.</returns>
    public async ValueTask<long> SetAsync(T value, UpdateWait wait = UpdateWait.Stable, LockOwner? owner = null, CancellationToken ct = default) =>
        (await Space.UpdateOneAsync(Set(value, Operation.Any), wait, owner, ct).ConfigureAwait(false)).Version;

    /// <summary>Sets the value if it has a version, in the total order.</summary>
    /// <param name="expected">The version that it must have; 0: there must be none.</param>
    /// <param name="value">The value.</param>
    /// <param name="wait">What the answer is to mean.</param>
    /// <param name="owner">Who updates, if it holds locks or a transaction: see <see cref="ReplicatedSpace.UpdateAsync"/>.</param>
    /// <param name="ct">Ends the wait; the update may be made all the same.</param>
    public async ValueTask<UpdateOutcome> CompareAndSetAsync(long expected, T value, UpdateWait wait = UpdateWait.Stable, LockOwner? owner = null, CancellationToken ct = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(expected);
        UpdateResult result = await Space.UpdateOneAsync(Set(value, expected), wait, owner, ct).ConfigureAwait(false);
        return new UpdateOutcome(result.Applied, result.Version);
    }

    /// <summary>Removes the value, in the total order.</summary>
    /// <returns>Whether there was one.</returns>
    public async ValueTask<bool> RemoveAsync(UpdateWait wait = UpdateWait.Stable, LockOwner? owner = null, CancellationToken ct = default) =>
        (await Space.UpdateOneAsync(new Operation { Kind = OperationKind.Remove, Object = Id, Expected = Operation.Any }, wait, owner, ct).ConfigureAwait(false)).Applied;

    /// <summary>
    /// Sets the value by a causal multicast: the next read here sees it, and nothing is waited for but credit. For a single
    /// writer or under a lock; the variable must be in causal mode.
    /// </summary>
    /// <returns>The version.</returns>
    /// <exception cref="InvalidOperationException">The variable is in total mode.</exception>
    public ValueTask<long> SetCausalAsync(T value, CancellationToken ct = default) => Space.UpdateCausallyAsync(Set(value, Operation.Any), _mirror.Mode, ct);

    internal Operation Set(T value, long expected) => new()
    {
        Kind = OperationKind.Set, Object = Id, Expected = expected, Value = Payloads.Encode(Serializer, value),
    };
}
