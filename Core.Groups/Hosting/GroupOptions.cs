using Core.Groups.Hosting;

namespace Core.Groups;

/// <summary>How this node takes part in a group.</summary>
public sealed class GroupOptions
{
    /// <summary>How the group's state is passed on to joiners; null: the group has none. The same at all members.</summary>
    public StateTransfer? State { get; set; }

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

    /// <summary>Sees and writes down what this member is given; null: nothing is kept. The same at all members. Not for replicas.</summary>
    public IGroupJournal? Journal { get; set; }

    /// <summary>Takes the messages, in place of the group's entry points.</summary>
    internal IDeliverySink? Sink { get; set; }
}
