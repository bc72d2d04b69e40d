using Core.Groups;

namespace Toolkit.Locks;

/// <summary>Who holds and who waits, as one node sees it.</summary>
/// <param name="Holders">Who holds; of a lock at most one, of a read/write lock one writer or any number of readers.</param>
/// <param name="Waiting">The nodes that wait, in the order in which they will be served. A node stands once for each of its calls.</param>
/// <param name="LastToken">The last place in the queue that was given: no fencing token is higher.</param>
public sealed record LockState(IReadOnlyList<LockHolder> Holders, IReadOnlyList<NodeId> Waiting, long LastToken);

/// <summary>One who holds.</summary>
/// <param name="Node">Its node.</param>
/// <param name="FencingToken">The token of the hold; 0 for a reader whose token only its own node knows.</param>
public readonly record struct LockHolder(NodeId Node, long FencingToken);
