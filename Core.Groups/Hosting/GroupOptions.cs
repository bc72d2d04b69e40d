using Core.Groups.Hosting;

namespace Core.Groups;

/// <summary>How this node takes part in a group.</summary>
public sealed class GroupOptions
{
    /// <summary>How the group's state is passed on to joiners; null: the group has none. The same at all members.</summary>
    public StateTransfer? State { get; set; }

    /// <summary>
    /// Extended mode only, and needed there by a group with a <see cref="State"/>: makes one state of those that the group's sides bring
    /// when components meet. Called at every member with the same sides in the same order, in the group's delivery order right after the
    /// view that names them (<see cref="View.Sides"/>), one at a time with the handlers: nothing of the new view is delivered at this node
    /// before it is done, and nothing is sent. What it computes must depend on the sides alone, not on this node; and it must bear to be given a
    /// state that holds another's already (a change of the configuration in the middle of a merge begins it again, with the states as they are then).
    /// If it throws, the node leaves the group. It must not send and wait.
    /// </summary>
    public Func<IReadOnlyList<GroupSide>, ValueTask>? Reconcile { get; set; }

    /// <summary>What this node shows to the members that look at it (<see cref="InspectJoin"/>); at most 16 KiB.</summary>
    public ReadOnlyMemory<byte> Credentials { get; set; }

    /// <summary>
    /// Looks at the credentials of a node that wants to join, at the member that it asks: null lets it in, a text refuses it with that
    /// reason (<see cref="JoinRefusedException"/> there; no view shows it), and so does an exception. In the group's delivery order,
    /// one at a time with the handlers. The same at all members. Null: everybody is let in. It does not check who is in the cluster:
    /// that is what the cluster's key is for.
    /// </summary>
    public Func<NodeId, ReadOnlyMemory<byte>, ValueTask<string?>>? InspectJoin { get; set; }

    /// <summary>Called once, before the join: register the handlers here, and no delivery is held.</summary>
    public Action<ProcessGroup>? Configure { get; set; }

    /// <summary>
    /// Called when somebody asks the processes of the group's members to end (<see cref="GroupNode.KillAsync"/>), with the reason; in
    /// delivery order, one at a time with the handlers. Null: the request is logged and passed over.
    /// </summary>
    public Func<string, GroupMessage, ValueTask>? OnKill { get; set; }

    /// <summary>
    /// Called with every change of the group's configuration data (<see cref="ProcessGroup.ConfigureAsync"/>), in delivery
    /// order, one at a time with the handlers. A joiner is told of every entry, before its state is loaded.
    /// </summary>
    public Func<ConfigurationEntry, ValueTask>? OnConfigured { get; set; }

    /// <summary>Called with every view, in delivery order, one at a time with the handlers.</summary>
    public Func<View, ValueTask>? OnView { get; set; }

    /// <summary>
    /// Sees and writes down what this member is given; null: nothing is kept. The same at all members. Needs a <see cref="State"/>, and primary mode.
    /// </summary>
    public IGroupJournal? Journal { get; set; }

    /// <summary>Takes the messages, in place of the group's entry points.</summary>
    internal IDeliverySink? Sink { get; set; }

    internal void Validate(string name, ClusterMode mode)
    {
        if (mode == ClusterMode.Extended && State is not null && Reconcile is null)
        {
            throw new ArgumentException(
                $"In extended mode every component changes the state of '{name}' by itself: set GroupOptions.Reconcile, which makes one of them when components meet.", nameof(Reconcile));
        }

        if (Journal is not null && (State is null || mode == ClusterMode.Extended))
        {
            throw new ArgumentException($"A journal of '{name}' needs GroupOptions.State, and primary mode (GroupNodeOptions.Mode): a log holds one history.", nameof(Journal));
        }
    }
}
