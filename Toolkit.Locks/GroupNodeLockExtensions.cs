using Core.Groups;
using Toolkit.Locks.Replicas;

namespace Toolkit.Locks;

/// <summary>
/// Opens locks by name. An object is made when it is first opened anywhere; a node that opens it is a member of its group and holds a copy of
/// its queue until it disposes of it. Objects of different kinds may have the same name. While the node is blocked, opening waits.
/// </summary>
public static class GroupNodeLockExtensions
{
    /// <summary>Opens a mutex.</summary>
    /// <param name="node">The node.</param>
    /// <param name="name">A path such as <c>/locks/book</c>.</param>
    /// <param name="ct">Gives it up.</param>
    /// <exception cref="ArgumentException">The name is none.</exception>
    /// <exception cref="GroupException">The group could not be joined.</exception>
    public static async ValueTask<DistributedLock> OpenLockAsync(this GroupNode node, string name, CancellationToken ct = default) =>
        new(await LockFace<LockReplica>.OpenAsync(node, name, "lock", static () => new LockReplica(1, FirstTicket()), isReentrant: false, ct).ConfigureAwait(false));

    /// <summary>Opens a counting semaphore.</summary>
    /// <param name="node">The node.</param>
    /// <param name="name">A path such as <c>/locks/printers</c>.</param>
    /// <param name="permits">How many permits it is made with, if it is not there yet; 0 or more.</param>
    /// <param name="ct">Gives it up.</param>
    /// <exception cref="ArgumentException">The name is none, or the permits are negative.</exception>
    /// <exception cref="GroupException">The group could not be joined.</exception>
    public static async ValueTask<DistributedSemaphore> OpenSemaphoreAsync(this GroupNode node, string name, int permits, CancellationToken ct = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(permits);
        return new(await LockFace<LockReplica>.OpenAsync(node, name, "sem", () => new LockReplica(permits, FirstTicket()), isReentrant: true, ct).ConfigureAwait(false));
    }

    /// <summary>Opens a read/write lock.</summary>
    /// <param name="node">The node.</param>
    /// <param name="name">A path such as <c>/locks/prices</c>.</param>
    /// <param name="ct">Gives it up.</param>
    /// <exception cref="ArgumentException">The name is none.</exception>
    /// <exception cref="GroupException">The group could not be joined.</exception>
    public static async ValueTask<DistributedReaderWriterLock> OpenReaderWriterLockAsync(this GroupNode node, string name, CancellationToken ct = default) =>
        new(await LockFace<ReadWriteReplica>.OpenAsync(node, name, "rw", static () => new ReadWriteReplica(FirstTicket()), isReentrant: false, ct).ConfigureAwait(false));

    /// <summary>Opens a monitor.</summary>
    /// <param name="node">The node.</param>
    /// <param name="name">A path such as <c>/locks/buffer</c>.</param>
    /// <param name="ct">Gives it up.</param>
    /// <exception cref="ArgumentException">The name is none.</exception>
    /// <exception cref="GroupException">The group could not be joined.</exception>
    public static async ValueTask<DistributedMonitor> OpenMonitorAsync(this GroupNode node, string name, CancellationToken ct = default) =>
        new(await LockFace<LockReplica>.OpenAsync(node, name, "monitor", static () => new LockReplica(1, FirstTicket()), isReentrant: false, ct).ConfigureAwait(false));

    // Microseconds since 1970: more than any number of requests that the object of this name can have had before, so tokens grow also when
    // all members were gone. Below 2^53 for some centuries: a number in any language.
    private static long FirstTicket() => (TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;
}
