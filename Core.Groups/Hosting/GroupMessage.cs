using Core.Groups.Hosting;

namespace Core.Groups;

/// <summary>A message as its handler sees it.</summary>
public readonly struct GroupMessage
{
    /// <summary>Who sent it (for a caller that is not a member: that caller).</summary>
    public NodeId From { get; internal init; }

    /// <summary>The primitive by which it was sent.</summary>
    public Order Order { get; internal init; }

    /// <summary>The body (of a typed message: its serialized form). Never reused: it may be kept.</summary>
    public ReadOnlyMemory<byte> Body { get; internal init; }

    /// <summary>The id of the message.</summary>
    public MessageId Id { get; internal init; }

    /// <summary>
    /// In extended mode: it is delivered in a transitional configuration, to the members that go on together and not to all to whom
    /// it was sent. A safe message is then known to them alone (EVS specification 7).
    /// </summary>
    public bool IsTransitional { get; internal init; }

    /// <summary>Whether its sender waits for answers.</summary>
    public bool IsRequest => Plan is not null;

    /// <summary>Of a request: the member that passed it on to this one; null: its sender sent it here.</summary>
    public NodeId? PassedOnBy { get; internal init; }

    /// <summary>Whether it is a copy of an answer that a member gave to somebody's request (<see cref="CopyAnswer"/>).</summary>
    public bool IsAnswerCopy { get; internal init; }

    internal AnswerPlan? Plan { get; init; }

    /// <summary>
    /// For the handler of a request: its answer goes to others too ("Exploiting virtual synchrony", section 4.1), as one causal message: of the
    /// caller and the others all that live get it, or none does. In the groups it arrives as a message of the answer's type (raw, if the answer is
    /// in bytes), at single processes in <see cref="GroupNodeOptions.OnMessage"/>. It costs credit there as a multicast does; where that is not to
    /// be had, or this node is not a member (any more), the caller gets an error. Of an error that the handler throws there are no copies; nor of
    /// the reply to a plain message, which there is none of.
    /// </summary>
    /// <param name="groups">Groups of this node.</param>
    /// <param name="to">Nodes that get it as single processes.</param>
    /// <exception cref="ArgumentException">A group of another node.</exception>
    public void CopyAnswer(IReadOnlyCollection<ProcessGroup> groups, IReadOnlyCollection<NodeId>? to = null)
    {
        ArgumentNullException.ThrowIfNull(groups);
        ProcessGroup own = Group;
        if (groups.Any(g => g.Node != own.Node))
        {
            throw new ArgumentException("The groups must be those of this node: join them here.", nameof(groups));
        }

        Plan?.Copy(groups, to ?? []);
    }

    /// <summary>
    /// For the handler of a request: others answer it in this member's place ("isis toolkit", forwarding). Its result is dropped; the request goes
    /// on, as it came, when the handler has ended, and the answer goes straight to the caller. The caller learns of it by the same message: if
    /// this node fails, those that live have the request and answer it, or it counts as failed here. If those to whom it was passed on
    /// fail or leave, this member is named as failed. Does nothing for a plain message.
    /// </summary>
    /// <param name="group">A group of this node (the same one, or another): its entry points take the request.</param>
    /// <param name="member">The member that handles it; null: all do, and the first to answer is this member's answer.</param>
    /// <exception cref="ArgumentException">A group of another node.</exception>
    public void PassOn(ProcessGroup group, NodeId? member = null)
    {
        ArgumentNullException.ThrowIfNull(group);
        if (group.Node != Group.Node)
        {
            throw new ArgumentException("The group must be one of this node. To ask another group, request it and return its answer.", nameof(group));
        }

        Plan?.PassOn(group, member);
    }

    /// <summary>The group.</summary>
    public ProcessGroup Group { get; internal init; }

    /// <summary>The view in which it is delivered.</summary>
    public View View { get; internal init; }
}
