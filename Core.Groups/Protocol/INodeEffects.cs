// Everything that a protocol machine does to the outside. A host (sockets or simulator) carries the effects out in the
// order in which they are given. No call may throw, and none may call back into the machine.
using System.Collections.Immutable;
using Core.Groups.Protocol.Groups;
using Core.Groups.Tracing;

namespace Core.Groups.Protocol;

/// <summary>How a command ended.</summary>
internal enum Outcome : byte
{
    /// <summary>Done.</summary>
    Done,
    /// <summary>The time that the caller gave is over; nothing was left behind.</summary>
    Timeout,
    /// <summary>The node is not, or no longer, a member of the group.</summary>
    NotMember,
    /// <summary>The node is already a member of the group, or is joining it.</summary>
    AlreadyMember,
    /// <summary>There is no such group.</summary>
    NoSuchGroup,
    /// <summary>This incarnation was excluded; whether the operation had an effect is not known.</summary>
    Excluded,
    /// <summary>The node stopped; whether the operation had an effect is not known.</summary>
    Stopped,
    /// <summary>The message is larger than the configured limit.</summary>
    TooLarge,
    /// <summary>The donor's or the joiner's state callback failed; the join was undone.</summary>
    StateTransferFailed,
    /// <summary>The caller withdrew the operation.</summary>
    Cancelled,
    /// <summary>The node is in a primary configuration: there is none to force.</summary>
    NotBlocked,
    /// <summary>The group was deleted.</summary>
    Deleted,
    /// <summary>The group resides at another site than this node.</summary>
    WrongSite,
    /// <summary>The numbers of the requests that a group makes as one must rise at each of its members.</summary>
    NumberTooLow,
}

/// <summary>One member's reply to a request.</summary>
/// <param name="From">Who answered.</param>
/// <param name="Body">The answer, or the message of the error that the member's handler threw.</param>
/// <param name="IsError">Whether the member's handler threw.</param>
internal readonly record struct ReplyItem(NodeId From, ReadOnlyMemory<byte> Body, bool IsError)
{
    /// <summary>The member to which the request went, if that one passed it on; null: it has answered itself.</summary>
    public NodeId? InPlaceOf { get; init; }
}

/// <summary>A message as it is handed to the application.</summary>
internal readonly record struct Delivery
{
    /// <summary>The group; <see cref="GroupId.None"/> for a message to a single process.</summary>
    public required GroupId Group { get; init; }
    /// <summary>Null unless it goes to several groups, to a group and single processes besides, has a label, or was passed on.</summary>
    public Spread? Spread { get; init; }
    /// <summary>Who sent (for a caller that is not a member: the caller).</summary>
    public required NodeId From { get; init; }
    /// <summary>The primitive.</summary>
    public required Order Order { get; init; }
    /// <summary>In extended mode: delivered in a transitional configuration.</summary>
    public bool IsTransitional { get; init; }
    /// <summary>The body. Not reused: it may be kept.</summary>
    public required ReadOnlyMemory<byte> Body { get; init; }
    /// <summary>The id of the message.</summary>
    public required MessageId Message { get; init; }
    /// <summary>Not 0: an answer is expected; give this to <see cref="NodeMachine.Reply"/>.</summary>
    public long ReplyToken { get; init; }
}

/// <summary>What a message to more than one group bears.</summary>
/// <param name="Groups">Those of its groups that this node is in, <see cref="Delivery.Group"/> among them.</param>
/// <param name="Label">The label that names its order; null: none.</param>
internal sealed record Spread(ImmutableArray<GroupId> Groups, string? Label)
{
    /// <summary>Of a request: the member of another group, or of this one, that passed it on.</summary>
    public NodeId? PassedOnBy { get; init; }
    /// <summary>It is a copy of an answer to somebody's request.</summary>
    public bool IsReplyCopy { get; init; }
}

/// <summary>The outside of a <see cref="NodeMachine"/>.</summary>
internal interface INodeEffects
{
    /// <summary>Open a connection to an address; the result comes as <c>PeerConnected</c> or <c>DialFailed</c>.</summary>
    void Dial(string address);

    /// <summary>Send one frame on a connection. The memory is valid during the call only. Unknown connections are ignored.</summary>
    void Transmit(int connection, ReadOnlySpan<byte> frame);

    /// <summary>Close a connection after what was given to it has been sent; no <c>PeerDisconnected</c> follows.</summary>
    void Close(int connection, string reason);

    /// <summary>
    /// Put the record on stable storage in place of the one before, then call <see cref="NodeMachine.Stored"/>. Records are
    /// stored in order; one that a later one has overtaken may be left out. Called only when the node has a stable store. A
    /// store that fails ends the node like a crash.
    /// </summary>
    void Store(long sequence, ReadOnlyMemory<byte> record);

    /// <summary>A line of the trace. Called only when tracing is on; written before anything else of this turn is visible.</summary>
    void Trace(TraceEvent line);

    /// <summary>A regular configuration was installed; <paramref name="peers"/> are the members' identities in rank order.</summary>
    /// <param name="leavers">Those of the configuration before that left of their own will.</param>
    void ConfigurationInstalled(Configuration configuration, ImmutableArray<PeerIdentity> peers, ImmutableArray<NodeId> leavers);

    /// <summary>
    /// In extended mode: the regular configuration is over, and what follows, until the next one is installed, is delivered in this
    /// transitional one: to the members of it that are alive, who need not be those to whom it was sent (EVS section 2).
    /// </summary>
    void TransitionBegun(Configuration transitional) { }

    /// <summary>In extended mode: a group was merged with another one of its name, and has that one's id from now on.</summary>
    void GroupRenamed(GroupId before, GroupId after) { }

    /// <summary>
    /// In extended mode: a group's members come from several sides, each with a state of its own, as they were when the view
    /// began. At this place in the delivery order the application makes one state of them, then calls <see cref="NodeMachine.StateLoaded"/>.
    /// </summary>
    void ReconcileState(GroupId group, ImmutableArray<SideState> sides) { }

    /// <summary>The filter stopped this node: it is not in a primary configuration.</summary>
    void Blocked();

    /// <summary>The node works again.</summary>
    void Unblocked();

    /// <summary>This incarnation is over. The host starts a new machine with a higher incarnation.</summary>
    /// <param name="reason">Why, in words.</param>
    /// <param name="isLineageOver">It was in a lineage of primaries that another one has ended: the state there is not that of the others.</param>
    void Excluded(string reason, bool isLineageOver);

    /// <summary>The live peer of this name refuses this node: its name is taken. The host gives up.</summary>
    void NameTaken(string byAddress);

    /// <summary>A view of a group that this node is a member of.</summary>
    void ViewInstalled(View view);

    /// <summary>A message for the application, in delivery order per group.</summary>
    void Deliver(in Delivery delivery);

    /// <summary>
    /// This node is the donor of a group's state: at this place in the group's delivery order the application saves it,
    /// then calls <see cref="NodeMachine.StateSaved"/> with the token.
    /// </summary>
    void SaveState(GroupId group, long token);

    /// <summary>
    /// The state for a group that this node joined: at this place in the delivery order the application loads it, then
    /// calls <see cref="NodeMachine.StateLoaded"/>. Null: this node is the group's first member and initialises it.
    /// </summary>
    void LoadState(GroupId group, ReadOnlyMemory<byte>? state);

    /// <summary>
    /// The next piece of a state that was opened with <see cref="NodeMachine.StateOpened"/> is wanted; the host gives it, when it has
    /// it, with <see cref="NodeMachine.StateRead"/>.
    /// </summary>
    void ReadState(GroupId group, long token);

    /// <summary>Nothing more of an opened state is wanted.</summary>
    void EndState(GroupId group, long token);

    /// <summary>
    /// A state for a group that this node joined, in pieces. At the place where it begins in the delivery order the application loads it,
    /// tells what it has taken with <see cref="NodeMachine.StateTaken"/>, and ends as with <see cref="LoadState"/>.
    /// </summary>
    /// <param name="expected">Begin: the size that the donor expects, in bytes; -1: it does not know.</param>
    void StreamState(GroupId group, StateStep step, ReadOnlyMemory<byte> piece, long expected);

    /// <summary>
    /// An entry of a group's configuration data was set, or removed (null), at this place in the delivery order. A joiner is
    /// told of all entries right before its state.
    /// </summary>
    void Configured(GroupId group, string key, string? value);

    /// <summary>
    /// As <see cref="SaveState"/>, of a member that moves to another node with the group's only state: not in pieces, for it is handed over
    /// before the view.
    /// </summary>
    void SaveWholeState(GroupId group, long token) => SaveState(group, token);

    /// <summary>
    /// A member would move to this node: the application takes it with <see cref="NodeMachine.AcceptMigration"/>, or not, with
    /// <see cref="NodeMachine.DeclineMigration"/>.
    /// </summary>
    void MigrationOffered(long token, GroupId group, string name, NodeId from) { }

    /// <summary>A move has ended.</summary>
    /// <param name="moved">The group with the target in place of this node; null: the move came to nothing.</param>
    /// <param name="reason">Why it came to nothing.</param>
    void MigrationEnded(long call, GroupInfo? moved, string? reason) { }

    /// <summary>This node is out of the group. Nothing of the group follows.</summary>
    void GroupLeft(GroupId group, GroupEnd end);

    /// <summary>
    /// Bytes of this node's own messages in a group (bodies, and <c>CreditAccount.MessageOverhead</c> each) that all members
    /// have consumed, or that were withdrawn: the caller may send as many more. Each is given back once, while the node is a member.
    /// </summary>
    void CreditReleased(GroupId group, long bytes);

    /// <summary>
    /// A multicast with a call number other than 0 was numbered; its message leaves at the end of this turn. A call by name
    /// that wants no replies: all members have delivered it, as this message of its contact.
    /// </summary>
    void Sent(long call, MessageId message);

    /// <summary>A command with a call number other than 0 has ended (a multicast only when it could not be sent).</summary>
    void Completed(long call, Outcome outcome);

    /// <summary>A join ended well: the group is known under this id from now on. Precedes the group's first view.</summary>
    void Joined(long call, GroupId group, string name);

    /// <summary>A join ended: a member's application has refused this node's credentials.</summary>
    void JoinRefused(long call, string reason);

    /// <summary>
    /// A node wants to join a group whose application looks at credentials: it answers with <see cref="NodeMachine.JoinInspected"/>.
    /// </summary>
    void InspectJoin(GroupId group, long token, NodeId joiner, ReadOnlyMemory<byte> credentials);

    /// <summary>A request has ended. <paramref name="failed"/> names the members that failed or left without an answer.</summary>
    void RequestCompleted(long call, Outcome outcome, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed);

    /// <summary>What a look-up has found; null: there is no such group.</summary>
    void GroupFound(long call, GroupInfo? group);

    /// <summary>From now on every change of the group is told.</summary>
    void WatchBegun(long call);

    /// <summary>A group that is watched has changed; none: it has ended, and its last members with it.</summary>
    void WatchedChange(long call, GroupId group, ViewChange change);

    /// <summary>The names that were asked for, in order.</summary>
    void GroupsListed(long call, ImmutableArray<string> names);

    /// <summary>Something that an operator should know (no secrets, no per-message noise).</summary>
    void Log(ProtocolLogLevel level, string message);

    /// <summary>An orderly stop is complete (or had to end like a crash).</summary>
    void Stopped();
}

/// <summary>One of the sides of a group that merges.</summary>
/// <param name="Members">The members that share the state, by rank in the view.</param>
/// <param name="State">The state; null: the application there could not save it.</param>
internal readonly record struct SideState(ImmutableArray<NodeId> Members, ReadOnlyMemory<byte>? State);

/// <summary>Why a membership ended.</summary>
internal enum GroupEnd : byte
{
    /// <summary>This node left, or its join failed.</summary>
    Left,
    /// <summary>The group was deleted.</summary>
    Deleted,
    /// <summary>Everybody who had the group's state is gone, and this node had none.</summary>
    Lost,
}

/// <summary>How much a protocol event matters to an operator.</summary>
/// <summary>A step of a state that comes in pieces.</summary>
internal enum StateStep : byte
{
    Begin,
    Piece,
    /// <summary>That was all of it.</summary>
    End,
    /// <summary>The donor is gone: what has come is void, and another one begins anew; or nothing does, and the membership is over.</summary>
    Void,
}

internal enum ProtocolLogLevel : byte
{
    /// <summary>The ordinary life of a cluster.</summary>
    Information,
    /// <summary>Something failed and was handled.</summary>
    Warning,
    /// <summary>Something that should not happen.</summary>
    Error,
}
