// The rules of the protocol that a test can take away, to see that the scenarios and the checkers notice.
// Keeps: nothing outside the tests and the simulator sets one; each is asked for where its rule stands, in one line.
// Follows: protocol.md, the words marked with a diamond; the table in README.md leads from each to its scenario.
namespace Core.Groups.Protocol;

/// <summary>What is left out of the protocol. The name says what happens then, in place of the rule.</summary>
[Flags]
internal enum WeakRules : long
{
    /// <summary>The protocol as it is.</summary>
    None = 0,

    // ---- links (section 2)

    /// <summary>A frame of a configuration that is not installed here is thrown away.</summary>
    EarlyFramesAreDropped = 1L << 0,
    /// <summary>A frame promises the timestamp of a message that is numbered and not in it.</summary>
    FramesOverpromise = 1L << 1,

    // ---- streams and causality (section 3)

    /// <summary>A message that is stable is no dependency any more (it may be delivered nowhere).</summary>
    DependenciesEndWhenStable = 1L << 2,
    /// <summary>A dependency names the highest message of a sender, over all its streams.</summary>
    DependenciesPerSender = 1L << 3,
    /// <summary>The causal past of a call that waits is taken when it leaves.</summary>
    PastIsTakenAtDeparture = 1L << 4,
    /// <summary>A causal call overtakes earlier calls of its node that wait.</summary>
    CausalCallsOvertake = 1L << 5,
    /// <summary>A causal message leaves although its past may be lost where it is delivered.</summary>
    NoSendingRule = 1L << 6,
    /// <summary>In a recovery a message is delivered although nobody has its predecessor or a dependency.</summary>
    GapsAreDelivered = 1L << 7,

    // ---- ordering (section 4)

    /// <summary>A safe message is delivered when its place in the order is known.</summary>
    SafeByFloors = 1L << 8,
    /// <summary>A GBCAST is delivered when all markers are here, and the old epoch.</summary>
    GroupChangeOnMarkers = 1L << 9,
    /// <summary>An announcement that meets an open one stands beside it.</summary>
    SecondAnnouncementStands = 1L << 10,
    /// <summary>A member goes on sending after its marker.</summary>
    SendsGoOnAfterMarker = 1L << 11,
    /// <summary>A gathered floor counts although what it covers is not received.</summary>
    GatheredFloorsCountAtOnce = 1L << 43,
    /// <summary>In a large group a marker that stands for all counts although what it covers is not received.</summary>
    GatheredMarkerCountsAtOnce = 1L << 55,
    /// <summary>A Status does not tell the gathered floors by which its node has delivered.</summary>
    StatusOmitsGathered = 1L << 44,

    /// <summary>GBCASTs go on in a group although a message to it and others waits.</summary>
    SpreadIsNotWaitedFor = 1L << 56,
    /// <summary>A message to several groups leaves although a GBCAST in one of them is not delivered by all.</summary>
    SpreadIgnoresOpenChanges = 1L << 40,
    /// <summary>Who leaves a group delivers at once what it gets as a single process, although it was sent behind the leave.</summary>
    LeaverDeliversAtOnce = 1L << 57,

    // ---- configuration change (section 5)

    /// <summary>Markers and finishes are not forwarded in a recovery.</summary>
    MarkersAreNotForwarded = 1L << 12,
    /// <summary>A Status tells one highest sequence for each sender, forwarded messages included.</summary>
    StatusTellsHighest = 1L << 13,
    /// <summary>After its Status a node goes on receiving and delivering.</summary>
    GoesOnAfterStatus = 1L << 14,
    /// <summary>After its Status a node keeps what comes from members that do not go along.</summary>
    TakesFromStrangers = 1L << 15,
    /// <summary>The boundary counts floors held by members that are not in the group.</summary>
    BoundaryByAnyFloor = 1L << 16,
    /// <summary>What is told of groups in Recovered is as it was before the plan.</summary>
    GroupsBeforeThePlan = 1L << 17,
    /// <summary>A member installs when the representative has said Recovered.</summary>
    InstallWithTheRepresentative = 1L << 18,
    /// <summary>A node takes part in proposals older than what it promised.</summary>
    PromisesAreForgotten = 1L << 19,
    /// <summary>What others have installed is not completed by those that only recorded it.</summary>
    InstalledIsNotCompleted = 1L << 20,
    /// <summary>An attempt that may have formed is not gone on from.</summary>
    AttemptIsNotContinued = 1L << 21,
    /// <summary>A kept plan stays valid after the node has recorded a later attempt.</summary>
    KeptPlanIsNeverVoid = 1L << 22,

    // ---- primary (section 6)

    /// <summary>Attempts do not count: a plain rolling majority.</summary>
    NoAttempts = 1L << 23,
    /// <summary>A vote belongs to a name, although nothing is stored.</summary>
    VotesByName = 1L << 24,
    /// <summary>Those that remain go on when they outweigh the missing that are not proven dead.</summary>
    SomeDeadSuffice = 1L << 25,
    /// <summary>A newer session is adopted and the attempts that it outdates count as before.</summary>
    OutdatedAttemptsCount = 1L << 26,
    /// <summary>Attempts are dropped on hearing of a newer session, which is not adopted.</summary>
    DropsAndDoesNotAdopt = 1L << 27,
    /// <summary>The minimum weight counts those that leave.</summary>
    MinimumCountsLeavers = 1L << 28,
    /// <summary>There is no minimum weight.</summary>
    NoMinimum = 1L << 29,

    /// <summary>Who records an attempt without having been in the session before does not learn of that session.</summary>
    StrangersDoNotAdopt = 1L << 32,
    /// <summary>A promise, an attempt and a session are told before they are on disk.</summary>
    ToldBeforeStored = 1L << 42,
    /// <summary>A member that has a stable store is taken for dead when its name comes without that store.</summary>
    StoresAreProvenDead = 1L << 41,

    // ---- groups (section 7)

    /// <summary>A snapshot leaves before what it contains is stable.</summary>
    SnapshotLeavesAtOnce = 1L << 30,
    /// <summary>A member that leaves drops the messages of later epochs too, in which it may be a member again.</summary>
    LeaverDropsAll = 1L << 31,
    /// <summary>A node serves a client at once, though its last server may have something of it under way.</summary>
    ClientsAreTakenAtOnce = 1L << 50,
    /// <summary>Members do not remember which calls of clients they have delivered.</summary>
    ClientsAreNotRemembered = 1L << 51,
    /// <summary>A GBCAST of several groups waits for the markers of a node's own groups only.</summary>
    JointMarkersOfOwnGroups = 1L << 52,
    /// <summary>A GBCAST of several groups is sent although another one is open in one of them.</summary>
    JointIgnoresVoid = 1L << 53,
    /// <summary>A GBCAST of several groups is delivered on all markers.</summary>
    JointOnMarkers = 1L << 54,
}

internal static class WeakRuleExtensions
{
    /// <summary>Whether a rule is taken away.</summary>
    public static bool Lacks(this WeakRules weak, WeakRules rule) => (weak & rule) != 0;
}
