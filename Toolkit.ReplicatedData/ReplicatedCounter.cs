using Toolkit.Locks;
using Toolkit.ReplicatedData.Space;

namespace Toolkit.ReplicatedData;

/// <summary>
/// A sum that every member holds. Additions never get in each other's way, so the causal mode needs no lock here. The sum wraps
/// around at 64 bits. Errors of calls that multicast: see <see cref="ReplicatedSpace"/>.
/// </summary>
public sealed class ReplicatedCounter : ReplicatedObject
{
    private readonly CounterMirror _mirror;

    internal ReplicatedCounter(ReplicatedSpace space, CounterMirror mirror) : base(space, mirror.Name) => _mirror = mirror;

    /// <summary>Raised after each addition, in the order of their delivery, one at a time, on the thread pool. Must keep up with the additions.</summary>
    public event Action<CounterChange>? Changed
    {
        add => _mirror.OnChange += value;
        remove => _mirror.OnChange -= value;
    }

    /// <summary>The sum, as it is known here.</summary>
    public long Value => _mirror.Sum;

    internal CounterMirror Mirror => _mirror;
    internal ulong Id => _mirror.Id;

    /// <summary>A linearizable read: sees all that was answered anywhere before.</summary>
    public ValueTask<long> ReadAsync(CancellationToken ct = default) => Space.ReadAsync(() => Value, ct);

    /// <summary>Adds, in the total order.</summary>
    /// <returns>The sum after it: in total mode, every addition has its own.</returns>
    public async ValueTask<long> AddAsync(long delta, UpdateWait wait = UpdateWait.Stable, LockOwner? owner = null, CancellationToken ct = default) =>
        (await Space.UpdateOneAsync(Add(delta), wait, owner, ct).ConfigureAwait(false)).Number;

    /// <summary>Adds by a causal multicast: the next read here sees it, and nothing is waited for but credit. In causal mode.</summary>
    /// <exception cref="InvalidOperationException">The counter is in total mode.</exception>
    public async ValueTask AddCausalAsync(long delta, CancellationToken ct = default) =>
        await Space.UpdateCausallyAsync(Add(delta), _mirror.Mode, ct).ConfigureAwait(false);

    internal Operation Add(long delta) => new() { Kind = OperationKind.Add, Object = Id, Expected = Operation.Any, Number = delta };
}
