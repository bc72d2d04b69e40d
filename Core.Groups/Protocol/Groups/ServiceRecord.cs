// Records of one configuration beside its messages. They are not kept over a configuration change: whoever still needs
// what a record asked for asks again in the new configuration.
namespace Core.Groups.Protocol.Groups;

internal enum ServiceRecord : byte
{
    /// <summary>To the registry: who is in the group of this name? May create it.</summary>
    Lookup = 0x81,
    LookupReply = 0x82,
    /// <summary>To a member: let me in.</summary>
    JoinRequest = 0x83,
    JoinRefused = 0x84,
    /// <summary>To the registry: all groups of which the teller is the oldest member.</summary>
    Report = 0x85,
    /// <summary>To the registry: a group's members have changed.</summary>
    Update = 0x86,
    /// <summary>To the members: the joiner's application has the state.</summary>
    StateInstalled = 0x87,
    StateChunk = 0x88,
    StateFailed = 0x89,
    Credit = 0x8A,
    /// <summary>To a contact: send this for me, a caller that is not a member.</summary>
    CallerCast = 0x8B,
    /// <summary>To a node that gets no message of an order that spans groups: tell your clock, which others wait for.</summary>
    ClockWanted = 0x91,
    /// <summary>From the contact: it left, to these members; or it is settled, or consumed; or ask another member.</summary>
    CallerProgress = 0x8C,
    /// <summary>From the oldest member of a large group: all have promised this floor.</summary>
    GatheredFloor = 0x9C,
    /// <summary>To the registry: which names begin so?</summary>
    List = 0x8D,
    ListReply = 0x8E,
    /// <summary>To a member: delete the group.</summary>
    Delete = 0x8F,
    DeleteReply = 0x90,
    /// <summary>To a member: tell of every change of the group's view.</summary>
    Watch = 0x92,
    WatchTold = 0x93,
    /// <summary>To the node that served a client: let it go.</summary>
    ClientWanted = 0x98,
    ClientYielded = 0x99,
    /// <summary>A piece of a large state.</summary>
    StateStream = 0x9A,
    /// <summary>To the donor: the application has taken so much of it.</summary>
    StateTaken = 0x9B,
    /// <summary>To a node that is no member: take my place in the group.</summary>
    Migrate = 0x94,
    MigrateRefused = 0x95,
    /// <summary>To the member: the state that would have gone with it is here.</summary>
    MigrateReady = 0x96,
}
