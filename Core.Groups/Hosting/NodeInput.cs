// One input of a node's event loop: a call of the protocol machine as a value, so that queueing it allocates nothing.
using Core.Groups.Protocol;

namespace Core.Groups.Hosting;

/// <summary>Which call of the machine an input stands for.</summary>
internal enum InputKind : byte
{
    PeerConnected, PeerDisconnected, DialFailed, FrameReceived, Stored, ForcePrimary,
    NameTaken, Join, Leave, Multicast, Request, RequestByName, Reply, NoReply, Cancel, Flush, Configure, Rank, StateSaved, StateLoaded, Consumed, Stop,
    FindGroup, ListGroups, DeleteGroup, WatchGroup, JoinInspected, Spread,
    SpreadRequest, RequestAsGroup, ReplyWithCopies, PassOn, Migrate, AcceptMigration, DeclineMigration,
    StateOpened, StateRead, StateTaken,
    /// <summary>No call: only credit was taken.</summary>
    Nothing,
}

/// <summary>An input. Which members are set depends on the kind.</summary>
internal readonly struct NodeInput
{
    /// <summary>The generation of inputs that hold for whichever machine is there (connections, the stop).</summary>
    public const int AnyGeneration = -1;

    public required InputKind Kind { get; init; }
    public Order Order { get; init; }
    public ReplyMode Mode { get; init; }
    /// <summary>DialFailed: refused. Reply: an error. StateSaved, StateLoaded, StateRead: success.</summary>
    public bool Flag { get; init; }
    /// <summary>The incarnation that it is meant for, counted from 0; inputs for an earlier one are dropped.</summary>
    public int Generation { get; init; }
    /// <summary>A connection, a number of replies, or a number of deliveries. ReplyWithCopies: the bytes that the copies have in front. StateRead: not 0 for the last piece. StateTaken: bytes.</summary>
    public int Number { get; init; }
    /// <summary>The number of a pending call; 0: none. StateOpened: the size that is expected.</summary>
    public long Call { get; init; }
    /// <summary>A token of the machine, or the number of a stored record. RequestAsGroup: the request's number.</summary>
    public long Token { get; init; }
    public GroupId Group { get; init; }
    public ReadOnlyMemory<byte> Body { get; init; }
    /// <summary>
    /// A group's name or id in text, the beginning of names, a <see cref="GroupMembership"/>, an address, a <see cref="PeerIdentity"/>, a
    /// <see cref="ConfigurationEntry"/> or a ranking.
    /// </summary>
    public object? Subject { get; init; }
    /// <summary>The same as the input of a call, with its subject.</summary>
    public NodeInput For(PendingCall call, object subject) => new()
    {
        Kind = Kind, Order = Order, Mode = Mode, Number = Number, Body = Body, Timeout = Timeout, Call = call.Number, Generation = call.Generation, Subject = subject,
    };

    /// <summary>The caller's time limit.</summary>
    public TimeSpan? Timeout { get; init; }
}
