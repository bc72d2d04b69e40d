using System.Collections.Immutable;

namespace Core.Groups;

/// <summary>One of the sides of a group that meet when components do (extended mode): its members went on together, without the others.</summary>
/// <param name="Members">The members, ranked as in the view.</param>
/// <param name="State">
/// The state of the side as it was where the view begins (<see cref="StateTransfer.Save"/>); empty if the group has none; null if the
/// member that was to save it failed to.
/// </param>
/// <param name="IsOwn">Whether this node is a member of the side. Of a node that joins there is no such side.</param>
public sealed record GroupSide(ImmutableArray<NodeId> Members, ReadOnlyMemory<byte>? State, bool IsOwn);
