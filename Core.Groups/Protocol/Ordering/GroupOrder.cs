// What the ordering layer of one member knows of one group in the present configuration (the model's GS).
// Keeps: one GBCAST is open at a time; the group is at one epoch, and nothing of a later epoch is delivered in it.
namespace Core.Groups.Protocol.Ordering;

/// <summary>What a GBCAST does to a group's membership.</summary>
internal enum GroupOperationKind : byte
{
    /// <summary>The node of this rank leaves.</summary>
    Leave,
    /// <summary>The node of this rank joins.</summary>
    Join,
    /// <summary>The group is deleted: everybody leaves.</summary>
    Delete,
    /// <summary>The node of this rank gives the joiners the state, in place of the one that announces, which leaves.</summary>
    Donate,
}

/// <summary>One change of a group's membership.</summary>
internal readonly record struct GroupOperation(GroupOperationKind Kind, int Rank)
{
    public bool IsJoin => Kind == GroupOperationKind.Join;
}

internal sealed class GroupOrder(GroupId id, string name, int[] view, long number, string viewId)
{
    public GroupId Id => id;
    public string Name => name;
    /// <summary>The members by rank in the configuration, in the order in which they joined.</summary>
    public int[] View { get; private set; } = view;
    public MemberSet ViewSet { get; private set; } = MemberSet.Of(view);
    public long Number { get; private set; } = number;
    public string ViewId { get; set; } = viewId;
    /// <summary>How many GBCASTs of this configuration are delivered.</summary>
    public long Epoch { get; set; }

    /// <summary>The GBCAST that is announced and not yet delivered.</summary>
    public Message? Announcement { get; set; }
    public GroupOperation[] Operations { get; set; } = [];
    public MemberSet Marked { get; set; } = MemberSet.Empty;
    public MemberSet Finished { get; set; } = MemberSet.Empty;
    public bool FinishSent { get; set; }
    /// <summary>Markers and finishes go through the oldest member, as the announcement says.</summary>
    public bool IsGathered => Announcement is { Flags: var flags } && (flags & MessageFlags.Gathered) != 0;
    /// <summary>Whether they go through this member.</summary>
    public bool IsGatheredBy(int rank) => IsGathered && View[0] == rank;
    /// <summary>This node, the oldest member, has all the others' markers, and its own is owed.</summary>
    public bool IsMarkerOwed { get; set; }
    /// <summary>What markers cover: the last message of each sender in this epoch, where that is not said by the order on its link.</summary>
    public List<Dependency>? Covered { get; set; }
    /// <summary>The sequence of this node's last message in this epoch; 0: none.</summary>
    public long LastSent { get; set; }
    /// <summary>The sequence of this node's last message in this epoch that others than the members get too; 0: none.</summary>
    public long LastSpread { get; set; }
    /// <summary>The finish that stands for the GBCAST in the causal past: this node's own, or the one that stands for all.</summary>
    public Message? Closing { get; set; }
    /// <summary>The members that had not loaded the state when they finished the last GBCAST: a joiner learns it so.</summary>
    public MemberSet Loading { get; set; } = MemberSet.Empty;
    /// <summary>What the finishes of the last GBCAST said of messages to this group and others that wait.</summary>
    public MessageFlags Waiting { get; set; }
    /// <summary>Markers and finishes of the open epoch: done when its GBCAST is delivered.</summary>
    public List<Message>? OpenMessages { get; set; }

    /// <summary>The application's messages that are delivered with the open GBCAST, as they came.</summary>
    public List<Message>? Casts { get; set; }

    /// <summary>Received, undelivered messages of this epoch (other than those that are done with its GBCAST).</summary>
    public int Pending { get; set; }
    public TotalQueue? Totals { get; set; }
    /// <summary>Messages of later epochs, in the order in which they came.</summary>
    public List<Message>? Future { get; set; }
    /// <summary>A finish of the last GBCAST, this node's own or (of a joiner) another's: when it is settled, all members have delivered that GBCAST.</summary>
    public Dependency LastFinish { get; set; }
    /// <summary>Large groups: the floors that this node, the oldest member, gathers in this epoch.</summary>
    public FloorGatherer? Gatherer { get; set; }
    /// <summary>Large groups: the floors that the oldest member has told in this epoch.</summary>
    public GatheredFloors? Gathered { get; set; }
    private Destination? _destination;

    /// <summary>The destination of this node's own messages in this epoch.</summary>
    public Destination DestinationIn(OrderingLayer ordering) => _destination ??= ordering.Destinations.Intern(Id, Epoch, ViewSet, ViewSet);

    public int[] ViewAfter()
    {
        if (Announcement is null) return View;
        return Apply(View, Operations);
    }

    public static int[] Apply(int[] view, ReadOnlySpan<GroupOperation> operations)
    {
        var result = new List<int>(view);
        foreach (GroupOperation operation in operations)
        {
            if (operation.Kind == GroupOperationKind.Delete) result.Clear();
            else if (operation.Kind == GroupOperationKind.Leave) result.Remove(operation.Rank);
            else if (operation.IsJoin && !result.Contains(operation.Rank)) result.Add(operation.Rank);
        }
        return [.. result];
    }

    /// <summary>The GBCAST is delivered: the next epoch begins.</summary>
    public void Advance(int[] view, string viewId)
    {
        if (!view.AsSpan().SequenceEqual(View))
        {
            View = view;
            ViewSet = MemberSet.Of(view);
            Number++;
            ViewId = viewId;
        }
        Epoch++;
        Announcement = null;
        Operations = [];
        Marked = Finished = MemberSet.Empty;
        FinishSent = IsMarkerOwed = false;
        OpenMessages = Casts = null;
        Closing = null;
        Covered = null;
        LastSent = LastSpread = 0;
        Gatherer = null;
        Gathered = null;
        _destination = null;
    }

    /// <summary>The group in a new configuration: those of its members that are in it, by ranks that the caller knows.</summary>
    public static GroupOrder After(GroupOrder group, int[] view, ConfigurationId configuration)
    {
        bool isSame = view.Length == group.View.Length;
        return new GroupOrder(group.Id, group.Name, view, isSame ? group.Number : group.Number + 1, isSame ? group.ViewId : $"{group.Id.High:x16}:{configuration}:0");
    }

    /// <summary>A copy for a recovery plan, without what the plan learns again from the messages that are not delivered.</summary>
    public GroupOrder Fork() => new(Id, Name, View, Number, ViewId)
    {
        Epoch = Epoch, Announcement = Announcement, Operations = Operations, FinishSent = FinishSent, IsMarkerOwed = IsMarkerOwed,
    };
}
