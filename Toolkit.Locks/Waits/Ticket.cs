using Core.Groups;

namespace Toolkit.Locks;

/// <summary>Names one request for an object, from the moment of the call until it is released or withdrawn.</summary>
/// <param name="Object">The object's path with its kind, such as <c>/locks/book#lock</c>.</param>
/// <param name="Node">The node of the caller.</param>
/// <param name="Call">The call's number among those of its node for this object.</param>
public readonly record struct Ticket(string Object, NodeId Node, long Call);

/// <summary>A request that is in the way of another one.</summary>
/// <param name="Ticket">The request in the way, waiting or granted.</param>
/// <param name="Weight">What its release gives towards the need of the one that waits.</param>
public readonly record struct Blocker(Ticket Ticket, int Weight);
