// One group that this node is a member of, across configurations: its view, its pending changes, its joiners.
using System.Collections.Immutable;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Protocol.Requests;

namespace Core.Groups.Protocol.Groups;

/// <summary>What a joiner without state has ordered and not yet handed over: a delivery, a view, or (neither) the end of an epoch.</summary>
internal readonly record struct HeldEvent(Message? Message, View? View);

internal sealed class GroupMember(GroupId id, string name, bool isWanted)
{
    public GroupId Id { get; set; } = id;
    /// <summary>Ids that groups had that were merged into this one: they lead to it.</summary>
    public ImmutableArray<GroupId> Formerly { get; set; } = [];
    /// <summary>The sides' states are being exchanged; null: there is one state.</summary>
    public GroupMerge? Merge { get; set; }
    public string Name => name;
    /// <summary>False: the application gave the join up before it succeeded, and does not know of this membership.</summary>
    public bool IsWanted => isWanted;
    public View View { get; set; } = null!;
    /// <summary>The number of the last view that the application was shown: a joiner without state is shown those that follow later.</summary>
    public long ShownView { get; set; }

    /// <summary>False: this node joined and waits for the state.</summary>
    public bool HasState { get; set; }
    /// <summary>The application has the state too.</summary>
    public bool IsLoaded { get; set; }
    /// <summary>The others were told in a configuration change that the application did not have the state.</summary>
    public bool IsToldUnloaded { get; set; }
    /// <summary>Joined, or without its state loaded, when the present configuration began: others may not know whether it has it.</summary>
    public bool JoinedHere { get; set; }
    /// <summary>How many states the application was given and has not said that it has.</summary>
    public int LoadsExpected { get; set; }
    public long JoinCall { get; set; }
    /// <summary>The epoch at which a snapshot for this joiner is cut.</summary>
    public long CutEpoch { get; set; }
    public List<HeldEvent> Held { get; } = new(0);

    /// <summary>Members of which it is not known that their applications have the state.</summary>
    public SortedSet<NodeId>? Awaiting { get; set; }
    /// <summary>Nodes that were let in, and are to be announced.</summary>
    public SortedSet<NodeId>? Joins { get; set; }
    /// <summary>Whether this node's application looks at the credentials of joiners.</summary>
    public bool Inspects { get; init; }
    /// <summary>Nodes that asked this member to delete the group.</summary>
    public SortedSet<NodeId>? Deleters { get; set; }
    /// <summary>Nodes that are told of every change of the view.</summary>
    public SortedSet<NodeId>? Watchers { get; set; }
    /// <summary>The last changes, for those that watch and missed one.</summary>
    public ImmutableArray<ViewChange> Changes { get; set; } = [];
    /// <summary>The membership ended because the group was deleted.</summary>
    public bool WasDeleted { get; set; }
    public bool IsLeaving { get; set; }
    public List<long>? LeaveCalls { get; set; }
    /// <summary>Until then no join is announced: somewhere a message to this group and others waits for all of them to be at rest.</summary>
    public TimeSpan HeldUntil { get; set; }
    /// <summary>Nor anything else: it waits for nothing but that.</summary>
    public bool IsHeldWholly { get; set; }
    /// <summary>This node's announcement is on its way.</summary>
    public bool IsAnnounced { get; set; }

    public CreditAccount Credit { get; } = new();
    /// <summary>What is delivered of callers that are not members: part of the group's state.</summary>
    public CallerMemory Callers { get; set; } = new();
    /// <summary>The group's configuration data: part of its state.</summary>
    public GroupConfiguration Configuration { get; set; } = new();
    /// <summary>Changes of the ranking that this node was asked for: with the calls, in order.</summary>
    public List<(long Call, NodeId[] Ranking)>? Rankings { get; set; }
    /// <summary>The first of <see cref="Rankings"/> is announced.</summary>
    public bool IsRankingAnnounced { get; set; }
    /// <summary>This member moves to another node.</summary>
    public Migration? Migration { get; set; }
    /// <summary>Nothing is sent or announced: the state is on its way to the node to which this member moves.</summary>
    public bool IsHalted => Migration is { IsHalted: true };
    /// <summary>Large messages that are not whole; null as long as there were none in this epoch.</summary>
    public PieceTable? Pieces { get; set; }
}
