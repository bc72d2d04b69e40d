// GBCASTs that address more than one group, or processes beside a group: one flush over all that are addressed. The
// announcement is a total message to all; on its delivery each member of a group sends its marker to all, who has the markers
// of all groups, and has delivered what was sent in them before, says so to all, and who has that from all delivers and goes on
// to the next epochs of the groups.
// Keeps: nobody delivers before all destinations have delivered what stands before, and nothing of a next epoch is delivered before
// it: it stands at one place among all messages to its groups, also where a node gets them as a single process.
// Follows: protocol.md section 4; RFC 992, 6.1. In a group where another GBCAST is open when it is announced it is void; what the
// application sends leaves only when it is open in all its groups at its sender, who is in all of them, and so everywhere.
namespace Core.Groups.Protocol.Ordering;

/// <summary>One of them, at one node.</summary>
internal sealed class JointChange(Dependency id)
{
    /// <summary>Which announcement it belongs to.</summary>
    public Dependency Id => id;
    /// <summary>Null until it is delivered here: markers of others may come before.</summary>
    public Message? Announcement { get; set; }
    /// <summary>The groups of this node in which it is open.</summary>
    public List<GroupOrder> Groups { get; } = [];
    public MemberSet Marked { get; set; } = MemberSet.Empty;
    public MemberSet Finished { get; private set; } = MemberSet.Empty;
    /// <summary>Everything that was sent in its groups before it is delivered here.</summary>
    public bool FinishSent { get; set; }
    /// <summary>In one of its groups another GBCAST was open: it stands for nothing.</summary>
    public bool IsVoid { get; set; }
    /// <summary>The application's messages.</summary>
    public List<Message> Casts { get; } = [];
    /// <summary>What is of later epochs of its groups, in which this node is not: who sent it has ended this one already.</summary>
    public List<(Message Message, GroupId Group)> Behind { get; } = [];
    /// <summary>This node's finish, which stands for it in the causal past.</summary>
    public Message? OwnFinish { get; private set; }
    /// <summary>What the finishes say of messages to several groups that wait.</summary>
    public MessageFlags Waiting { get; private set; }
    /// <summary>Markers and finishes: done at its end.</summary>
    public List<Message> OpenMessages { get; } = [];

    public Destination Destination => Announcement!.Destination;

    public void Finish(Message message, int self)
    {
        Finished = Finished.With(message.Sender);
        Waiting |= message.Flags & MessageFlags.Spread;
        if (message.Sender == self) OwnFinish = message;
    }

    /// <summary>What a marker says whose sender is in a group in which another GBCAST was open.</summary>
    public static readonly byte[] Void = [1];

    /// <summary>What this node sends for it.</summary>
    public Dependency[] Reference => [id];
}

internal sealed class JointChanges(int self, PendingMessages pending, WeakRules weak)
{
    private readonly List<JointChange> _open = [];

    public IReadOnlyList<JointChange> Open => _open;

    /// <summary>Whether a message is part of one: a marker or finish, or what the application sends.</summary>
    public static bool Concerns(Message message) => message.Destination.Spread is not null && message.Kind is MessageKind.Group or MessageKind.Marker or MessageKind.Finished;

    public void Take(Message message)
    {
        JointChange joint = Find(message.Dependencies[0]);
        if (message.Kind == MessageKind.Group)
        {
            joint.Casts.Add(message);
            return;
        }
        joint.OpenMessages.Add(message);
        if (message.Kind == MessageKind.Marker)
        {
            joint.Marked = joint.Marked.With(message.Sender);
            joint.IsVoid |= !message.Body.IsEmpty;
        }
        else joint.Finish(message, self);
    }

    public JointChange Find(Dependency id)
    {
        JointChange? joint = _open.Find(j => j.Id == id);
        if (joint is null) _open.Add(joint = new JointChange(id));
        return joint;
    }

    public void Remove(JointChange joint) => _open.Remove(joint);

    /// <summary>
    /// The one that stands before this epoch of a group in which this node is not. All have finished who are addressed, for
    /// somebody has gone on: it waits for nothing but their finishes.
    /// </summary>
    public JointChange? Before(GroupId group, long epoch) => _open.Find(j => j.FinishSent && !j.IsVoid
        && Array.Exists(j.Destination.Spread!.Parts, p => p.Group == group && p.Epoch < epoch && !p.Via.Contains(self)));

    /// <summary>Whether everything that was sent in its groups before it is here.</summary>
    public bool HasAllMarkers(JointChange joint)
    {
        SpreadDestination spread = joint.Destination.Spread!;
        if (!weak.Lacks(WeakRules.JointMarkersOfOwnGroups)) return spread.GroupMembers.IsSubsetOf(joint.Marked);
        return Array.TrueForAll(spread.Parts, p => !p.Via.Contains(self) || p.Via.IsSubsetOf(joint.Marked));
    }

    /// <summary>Whether everything that is here of its groups is delivered, also of those in which this node is not.</summary>
    public bool HasDeliveredBefore(JointChange joint) =>
        joint.Groups.TrueForAll(static g => g.Pending == 0) && Array.TrueForAll(joint.Destination.Spread!.Parts, p => pending.HasDeliveredSpread(p.Group, p.Epoch));

    /// <summary>Whether a message that is not delivered keeps it open.</summary>
    public static bool HoldsUp(Message message, JointChange joint) => joint.Announcement is { Destination.Spread: { } its } && !Concerns(message)
        && message.Destination.Spread is { } spread && Array.Exists(its.Parts, p => spread.Concerns(p.Group, p.Epoch));
}
