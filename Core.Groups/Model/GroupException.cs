// What can go wrong for a caller, as types that it can act on. Each message says what to do.
// Time-outs are TimeoutException; misuse is ArgumentException or InvalidOperationException.
namespace Core.Groups;

/// <summary>The base of this library's errors.</summary>
public abstract class GroupException : Exception
{
    private protected GroupException(string message, Exception? inner = null) : base(message, inner) { }
}

/// <summary>This node is not, or no longer, a member of the group.</summary>
/// <param name="group">The group's name.</param>
public sealed class NotMemberException(string group)
    : GroupException($"This node is not a member of '{group}' (any more). Join the group first.")
{
    /// <summary>The group's name.</summary>
    public string Group { get; } = group;
}

/// <summary>
/// The others went on without this node: its incarnation is over. It comes back as a new one, and its groups are
/// joined again if <see cref="GroupNodeOptions.RejoinGroups"/> says so.
/// </summary>
/// <param name="reason">Why the incarnation ended.</param>
/// <param name="outcomeUnknown">Whether the operation may have had its effect.</param>
public sealed class ExcludedException(string reason, bool outcomeUnknown)
    : GroupException($"This incarnation of the node is over: {reason}. Wait until the group is joined again, look at its state, then retry.")
{
    /// <summary>Whether the operation may have had its effect all the same.</summary>
    public bool OutcomeUnknown { get; } = outcomeUnknown;

    /// <summary>
    /// Whether the whole lineage of primaries that this node was in has ended: two clusters that began apart have met, or an
    /// operator forced a primary. What was done on this side, acknowledged or not, is not part of what goes on.
    /// </summary>
    public bool LineageEnded { get; init; }
}

/// <summary>The node has stopped, or stopped before the operation ended.</summary>
/// <param name="outcomeUnknown">Whether the operation may have had its effect.</param>
/// <param name="inner">What ended the node, if it was an error.</param>
public sealed class NodeStoppedException(bool outcomeUnknown, Exception? inner = null)
    : GroupException("The node has stopped. Start a new one.", inner)
{
    /// <summary>Whether the operation may have had its effect all the same.</summary>
    public bool OutcomeUnknown { get; } = outcomeUnknown;
}

/// <summary>
/// A client was cut off from all nodes for longer than they remember it, so nobody can say what became of a call that had left. The
/// client goes on under another identity.
/// </summary>
public sealed class ClientForgottenException()
    : GroupException("The client was cut off for longer than the nodes remember it (GroupNodeOptions.ClientSession). The call may have had its effect: look at the group's state, then retry.")
{
    /// <summary>Always true: the call may have had its effect.</summary>
    public bool OutcomeUnknown => true;
}

/// <summary>The client has stopped, or stopped before the operation ended.</summary>
/// <param name="outcomeUnknown">Whether the operation may have had its effect.</param>
public sealed class ClientStoppedException(bool outcomeUnknown) : GroupException("The client has stopped. Connect a new one.")
{
    /// <summary>Whether the operation may have had its effect all the same.</summary>
    public bool OutcomeUnknown { get; } = outcomeUnknown;
}

/// <summary>A message is larger than <see cref="GroupNodeOptions.MaximumMessageSize"/>.</summary>
/// <param name="size">The size of the message in bytes, its envelope included.</param>
/// <param name="maximum">The limit in bytes.</param>
public sealed class MessageTooLargeException(long size, int maximum)
    : GroupException($"The message has {size} bytes, the limit (GroupNodeOptions.MaximumMessageSize) is {maximum}. Send it in parts or raise the limit at all nodes.")
{
    /// <summary>The size of the message in bytes.</summary>
    public long Size { get; } = size;

    /// <summary>The limit in bytes.</summary>
    public int Maximum { get; } = maximum;
}

/// <summary>There is no group of this name.</summary>
/// <param name="group">The group's name.</param>
public sealed class GroupNotFoundException(string group)
    : GroupException($"There is no group '{group}' in this cluster. A group exists while it has members.")
{
    /// <summary>The group's name.</summary>
    public string Group { get; } = group;
}

/// <summary>The group was deleted, by this node or another.</summary>
/// <param name="group">The group's name.</param>
public sealed class GroupDeletedException(string group)
    : GroupException($"The group '{group}' was deleted. Join it again to make it anew, with another id and no state.")
{
    /// <summary>The group's name.</summary>
    public string Group { get; } = group;
}

/// <summary>The group does not take this node in. It was never a member, and no view shows it.</summary>
/// <param name="group">The group's name.</param>
/// <param name="reason">Why.</param>
public sealed class JoinRefusedException(string group, string reason)
    : GroupException($"The group '{group}' refuses this node: {reason}")
{
    /// <summary>The group's name.</summary>
    public string Group { get; } = group;

    /// <summary>Why, in the words of whoever refused.</summary>
    public string Reason { get; } = reason;
}

/// <summary>A member did not move to another node: it is a member still, and the other node is none.</summary>
/// <param name="group">The group's name.</param>
/// <param name="reason">Why.</param>
public sealed class MigrationFailedException(string group, string reason) : GroupException($"The membership of '{group}' did not move: {reason}.")
{
    /// <summary>The group's name.</summary>
    public string Group { get; } = group;

    /// <summary>Why.</summary>
    public string Reason { get; } = reason;
}

/// <summary>This node is already a member of the group, or is joining it.</summary>
/// <param name="group">The group's name.</param>
public sealed class AlreadyMemberException(string group)
    : GroupException($"This node is already a member of '{group}' or is joining it. A node joins a group once; share its ProcessGroup.")
{
    /// <summary>The group's name.</summary>
    public string Group { get; } = group;
}

/// <summary>The group's state could not be saved at the donor or loaded at the joiner: the join was undone.</summary>
/// <param name="group">The group's name.</param>
/// <param name="reason">What went wrong.</param>
/// <param name="inner">The callback's own error, if it was thrown here.</param>
public sealed class StateTransferException(string group, string reason, Exception? inner = null)
    : GroupException($"The state of '{group}' could not be transferred, the join was undone: {reason}", inner)
{
    /// <summary>The group's name.</summary>
    public string Group { get; } = group;
}

/// <summary>A live node of the cluster has this node's name.</summary>
/// <param name="name">The name.</param>
/// <param name="address">The address of the node that has it.</param>
public sealed class NameTakenException(string name, string address)
    : GroupException($"The name '{name}' is taken by a live node at {address}. Stop that node, or give this one another name.")
{
    /// <summary>The name.</summary>
    public string Name { get; } = name;

    /// <summary>The address of the node that has the name.</summary>
    public string Address { get; } = address;
}

/// <summary>
/// A handler sent more than twice the credit window to its own group. Inside a handler a send does not wait (two
/// handlers that wait for each other's credit would never end), so what it may overdraw is bounded.
/// </summary>
/// <param name="group">The group's name.</param>
/// <param name="window">The credit window in bytes.</param>
public sealed class OverdraftException(string group, int window)
    : GroupException($"A handler of '{group}' has sent more than twice the credit window of {window} bytes. Send from outside the handler, or raise GroupNodeOptions.CreditWindow.")
{
    /// <summary>The group's name.</summary>
    public string Group { get; } = group;

    /// <summary>The credit window in bytes.</summary>
    public int Window { get; } = window;
}

/// <summary>
/// Calls waited for each other in a circle, and this one was chosen to give way so that the others go on. What it held is
/// released; what it asked for was not given. Do the whole piece of work again from its beginning.
/// </summary>
/// <param name="cycle">Who waits for whom, from the victim back to the victim.</param>
public sealed class DeadlockException(string cycle)
    : GroupException($"Deadlock: {cycle}. This one was chosen to give way: release what it still holds, then do the work again from its beginning.")
{
    /// <summary>Who waits for whom, from the victim back to the victim.</summary>
    public string Cycle { get; } = cycle;
}
