using System.Diagnostics.CodeAnalysis;
using Core.Groups;
using Toolkit.ReplicatedData.Space;

namespace Toolkit.ReplicatedData;

/// <summary>
/// A queue that every member holds; updates in the total order: what one member takes, no other gets. An item whose taker fails
/// before it has done with it is gone; use the bulletin board or coordinator-cohort where that matters. Errors of calls that
/// multicast: see <see cref="ReplicatedSpace"/>.
/// </summary>
/// <typeparam name="T">The items' type.</typeparam>
public sealed class ReplicatedQueue<T> : ReplicatedObject
{
    private readonly ItemsMirror<T> _mirror;

    internal ReplicatedQueue(ReplicatedSpace space, ItemsMirror<T> mirror) : base(space, mirror.Name) => _mirror = mirror;

    /// <summary>Raised after each change, in the order of their delivery, one at a time, on the thread pool. Must keep up with the changes.</summary>
    public event Action<ItemChange<T>>? Changed
    {
        add => _mirror.OnChange += value;
        remove => _mirror.OnChange -= value;
    }

    /// <summary>How many items are known here.</summary>
    public int Count => _mirror.Count;

    internal ItemsMirror<T> Mirror => _mirror;
    internal ulong Id => _mirror.Id;
    internal IPayloadSerializer Serializer => _mirror.Serializer;

    /// <summary>The first item, as it is known here; it stays where it is.</summary>
    public bool TryPeek([MaybeNullWhen(false)] out T item) => _mirror.TryPeek(out item);

    /// <summary>All items at one moment.</summary>
    public IReadOnlyList<T> Snapshot() => [.. _mirror.Copy().Items.Select(_mirror.Decode<T>)];

    /// <summary>Adds an item at the end.</summary>
    /// <returns>The version.</returns>
    public async ValueTask<long> EnqueueAsync(T item, UpdateWait wait = UpdateWait.Stable, CancellationToken ct = default) =>
        (await Space.UpdateOneAsync(Enqueue(item), wait, owner: null, ct).ConfigureAwait(false)).Version;

    /// <summary>Takes the first item, if there is one when the request has its place in the order.</summary>
    /// <returns>The item; it does not exist if the queue was empty.</returns>
    public async ValueTask<Versioned<T>> TryDequeueAsync(UpdateWait wait = UpdateWait.Stable, CancellationToken ct = default)
    {
        var operation = new Operation { Kind = OperationKind.Dequeue, Object = Id, Expected = Operation.Any };
        UpdateResult result = await Space.UpdateOneAsync(operation, wait, owner: null, ct).ConfigureAwait(false);
        return result.Taken is { } taken ? new(_mirror.Decode<T>(taken), taken.Version) : default;
    }

    /// <summary>Takes the first item, and waits until there is one. Those who wait are served in no particular order.</summary>
    /// <param name="wait">What the answer is to mean.</param>
    /// <param name="ct">Ends the wait. An item that was being taken then is lost: prefer to stop between two items.</param>
    public async ValueTask<T> DequeueAsync(UpdateWait wait = UpdateWait.Stable, CancellationToken ct = default)
    {
        while (true)
        {
            await _mirror.WhenNotEmpty().WaitAsync(ct).ConfigureAwait(false);
            if (await TryDequeueAsync(wait, ct).ConfigureAwait(false) is { Exists: true } taken) return taken.Value!;
        }
    }

    internal Operation Enqueue(T item) => new()
    {
        Kind = OperationKind.Enqueue, Object = Id, Expected = Operation.Any, Value = Payloads.Encode(Serializer, item),
    };
}
