// The named kinds of trouble that a cluster is put through. A row says what happens in it and how often.
using Core.Groups.Protocol;
using Core.Groups.Testing.Checkers;

namespace Core.Groups.Testing.Simulation;

/// <summary>What can happen in a random schedule.</summary>
internal enum Act : byte
{
    Send, Burst, Request, Flush, Join, Leave, Crash, Restart, Partition, Cut, CutOneWay, Heal, Break, Freeze, Stop, Configure, Rank, Migrate,
    Find, List, Delete, Watch, Spread, RequestSpread, RequestAsGroup, Call, ClientAsk, BreakClient, CutClient,
}

/// <summary>One kind of random schedule.</summary>
internal sealed record Scenario(string Name, string Promise)
{
    /// <summary>How many acts the safety phase has.</summary>
    public int Acts { get; init; } = 80;
    /// <summary>The fewest nodes.</summary>
    public int MinimumNodes { get; init; } = 3;
    /// <summary>The most nodes.</summary>
    public int MaximumNodes { get; init; } = 5;
    /// <summary>The most groups.</summary>
    public int MaximumGroups { get; init; } = 3;
    /// <summary>The largest message.</summary>
    public int MaximumSize { get; init; } = 200;
    /// <summary>How many of the nodes are in a group at the start: the others call it from outside.</summary>
    public double MemberShare { get; init; } = 0.7;
    /// <summary>The same for each group by itself, in place of <see cref="MemberShare"/>; null: alike for all.</summary>
    public IReadOnlyList<double>? GroupShares { get; init; }
    /// <summary>The share of the members that send in the last round, when the cluster is at rest.</summary>
    public double LastRoundShare { get; init; } = 1;
    /// <summary>How often nodes say that they live: there are n² of these frames; null: as usual.</summary>
    public TimeSpan? Heartbeat { get; init; }
    /// <summary>More events than this are taken for an endless loop.</summary>
    public long EventBudget { get; init; } = 3_000_000;
    /// <summary>Whether the first acts come before the cluster has formed.</summary>
    public bool StartsAnyOrder { get; init; }
    /// <summary>Whether nothing fails in it but connections, so that nobody may be excluded or blocked.</summary>
    public bool IsFaultless { get; init; }
    /// <summary>Whether every component goes on, and components that meet merge.</summary>
    public bool IsExtended { get; init; }
    /// <summary>Whether the nodes outside a majority are crashed at the end, and the others must go on.</summary>
    public bool LosesMinority { get; init; } = true;
    /// <summary>The application; its speed varies with the seed.</summary>
    public ApplicationProfile Application { get; init; } = new();
    /// <summary>How many clients there are.</summary>
    public int Clients { get; init; }
    /// <summary>The nodes' disks; null: nothing outlives a process.</summary>
    public DiskProfile? Disk { get; init; }
    /// <summary>What consecutive primaries must share; null: see <see cref="SimulationRun.Judge"/>.</summary>
    public PrimaryContinuity? Continuity { get; init; }
    /// <summary>Rules of the protocol that are taken away.</summary>
    public WeakRules Weak { get; init; }
    /// <summary>How often each act is drawn, relative to the others.</summary>
    public required IReadOnlyList<(Act Act, int Weight)> Weights { get; init; }
}

/// <summary>The table of scenarios.</summary>
internal static class Scenarios
{
    private static readonly (Act, int)[] Traffic = [(Act.Send, 50), (Act.Burst, 10), (Act.Flush, 3), (Act.Spread, 15), (Act.Configure, 2), (Act.Rank, 1)];

    public static IReadOnlyList<Scenario> All { get; } =
    [
        new("steady", "No fault at all: every order at every member, joins and leaves between.")
        {
            Weights = [.. Traffic, (Act.Join, 4), (Act.Leave, 3), (Act.Request, 5)], Acts = 60, IsFaultless = true,
        },
        new("mix", "Everything that can happen, at once.")
        {
            MaximumNodes = 7, MaximumGroups = 4,
            Weights =
            [
                .. Traffic, (Act.Request, 5), (Act.Join, 4), (Act.Leave, 3), (Act.Crash, 2), (Act.Restart, 4), (Act.Partition, 2), (Act.Cut, 2),
                (Act.CutOneWay, 2), (Act.Heal, 5), (Act.Break, 4), (Act.Freeze, 2), (Act.Stop, 1),
            ],
        },
        new("crashes", "Nodes die and come back without a memory.")
        {
            Weights = [.. Traffic, (Act.Crash, 8), (Act.Restart, 8), (Act.Join, 3)],
        },
        new("stored-crashes", "Nodes with stable storage die, any number at once, on disks that are slow and lose what was not synced.")
        {
            Disk = new(),
            Weights = [.. Traffic, (Act.Crash, 12), (Act.Restart, 12), (Act.Join, 3)],
        },
        new("stored-partitions", "The same on a network that falls into components, and disks that fail.")
        {
            Disk = new() { SlowChance = 0.2, FailureChance = 0.01 },
            Weights =
            [
                .. Traffic, (Act.Crash, 5), (Act.Restart, 8), (Act.Partition, 4), (Act.Cut, 3), (Act.CutOneWay, 2), (Act.Heal, 5), (Act.Break, 3),
                (Act.Freeze, 2), (Act.Join, 2),
            ],
        },
        new("stored-stops", "Nodes with stable storage stop in an orderly way, die and come back.")
        {
            Disk = new(),
            Weights = [.. Traffic, (Act.Stop, 8), (Act.Restart, 10), (Act.Join, 4), (Act.Crash, 3), (Act.Partition, 2), (Act.Heal, 3)],
        },
        new("partitions", "The network falls into components and is healed.")
        {
            Weights = [.. Traffic, (Act.Partition, 5), (Act.Heal, 5), (Act.Cut, 2), (Act.Join, 2), (Act.Leave, 2)],
        },
        new("one-way", "Reachability is neither symmetric nor transitive.")
        {
            Weights = [.. Traffic, (Act.CutOneWay, 6), (Act.Cut, 6), (Act.Heal, 4), (Act.Crash, 1), (Act.Restart, 2)],
        },
        new("flapping", "Connections break all the time, and a link resumes where it was.")
        {
            Weights = [.. Traffic, (Act.Break, 40), (Act.Join, 2), (Act.Leave, 2)], Acts = 120, IsFaultless = true,
        },
        new("freeze", "Processes stand still and go on with the clock far ahead.")
        {
            Weights = [.. Traffic, (Act.Freeze, 10), (Act.Request, 5)],
        },
        new("join-leave-storm", "Memberships change faster than views.")
        {
            MaximumGroups = 4, Acts = 120,
            Weights = [(Act.Send, 30), (Act.Spread, 10), (Act.Configure, 5), (Act.Rank, 3), (Act.Join, 30), (Act.Leave, 25), (Act.Crash, 1), (Act.Restart, 2), (Act.Break, 2)],
        },
        new("overlapping", "Groups that overlap, and messages to several of them and to processes besides, most of all GBCASTs, while views change and nodes fail.")
        {
            MaximumGroups = 4, MaximumNodes = 6, Application = new() { Orders = [.. Enum.GetValues<Order>(), Order.Group, Order.Group, Order.Group, Order.Group] },
            Weights =
            [
                (Act.Send, 20), (Act.Burst, 5), (Act.Spread, 45), (Act.Configure, 3), (Act.Rank, 2), (Act.Join, 6), (Act.Leave, 6), (Act.Crash, 2), (Act.Restart, 4),
                (Act.Partition, 2), (Act.Cut, 1), (Act.Heal, 4), (Act.Break, 3), (Act.Freeze, 2),
            ],
        },
        new("start-any-order", "Nodes start at any time, with the work already waiting.")
        {
            StartsAnyOrder = true, MaximumNodes = 7, Acts = 50,
            Weights = [.. Traffic, (Act.Restart, 12), (Act.Crash, 3), (Act.Join, 8), (Act.Cut, 2), (Act.Heal, 3)],
        },
        new("state-transfer", "Large states, slow and failing donors and joiners.")
        {
            Application = new() { StateBallast = 200_000, StateTime = TimeSpan.FromMilliseconds(400), StateFailureChance = 0.1 },
            Weights = [.. Traffic, (Act.Join, 15), (Act.Leave, 12), (Act.Crash, 3), (Act.Restart, 5), (Act.Partition, 1), (Act.Break, 3), (Act.Heal, 3)],
        },
        new("state-streams", "States of some megabytes in pieces, while donors and joiners fail and the group goes on.")
        {
            Application = new() { StateBallast = 1_500_000, StreamsState = true, StateFailureChance = 0.05 }, Acts = 50, MaximumNodes = 4, MaximumGroups = 2,
            Weights = [.. Traffic, (Act.Join, 15), (Act.Leave, 10), (Act.Crash, 6), (Act.Restart, 8), (Act.Partition, 1), (Act.Break, 3), (Act.Heal, 3)],
        },
        new("large-messages", "Messages of many pieces, and consumers that are slower than the senders.")
        {
            MaximumSize = 400_000, MaximumNodes = 4, Acts = 40,
            Weights = [.. Traffic, (Act.Break, 8), (Act.Crash, 2), (Act.Restart, 3), (Act.Cut, 1), (Act.Heal, 2)],
        },
        new("requests", "Questions to groups, asked by members and others, while members fail.")
        {
            Weights = [(Act.Send, 15), (Act.Request, 50), (Act.Join, 3), (Act.Leave, 3), (Act.Crash, 3), (Act.Restart, 4), (Act.Freeze, 2), (Act.Break, 5)],
        },
        new("answers", "Answers with copies, requests that are passed on, and requests to several groups, while all that take part fail.")
        {
            Application = new() { CopyChance = 0.4, PassOnChance = 0.4 }, Clients = 2, Acts = 100,
            Weights =
            [
                (Act.Send, 10), (Act.Request, 35), (Act.RequestSpread, 15), (Act.RequestAsGroup, 10), (Act.Call, 10), (Act.Join, 5), (Act.Leave, 5), (Act.Crash, 4), (Act.Restart, 6), (Act.Freeze, 2),
                (Act.Break, 4), (Act.BreakClient, 2), (Act.Partition, 1), (Act.Heal, 4), (Act.Stop, 1),
            ],
        },
        new("callers", "Calls from outside, small and large, while their contacts fail, leave and join.")
        {
            MemberShare = 0.4, MaximumSize = 150_000, MaximumNodes = 6, MaximumGroups = 2,
            Weights =
            [
                (Act.Send, 10), (Act.Request, 60), (Act.Join, 6), (Act.Leave, 6), (Act.Crash, 4), (Act.Restart, 6), (Act.Freeze, 2), (Act.Break, 5),
                (Act.Partition, 1), (Act.Heal, 3),
            ],
        },
        new("clients", "Programs in no configuration call groups through nodes that fail, block and stop, over connections that break.")
        {
            Clients = 4, MemberShare = 0.5, MaximumSize = 100_000, MaximumNodes = 6, MaximumGroups = 2, Acts = 120,
            Weights =
            [
                (Act.Send, 8), (Act.Call, 60), (Act.ClientAsk, 6), (Act.BreakClient, 8), (Act.CutClient, 4), (Act.Join, 5), (Act.Leave, 5), (Act.Crash, 4), (Act.Restart, 6),
                (Act.Freeze, 2), (Act.Break, 3), (Act.Partition, 1), (Act.Cut, 1), (Act.Heal, 5), (Act.Stop, 1),
            ],
        },
        new("names", "Groups are looked up, listed and deleted while they are made, while members and the keeper of the names fail.")
        {
            MaximumGroups = 4, MemberShare = 0.5, Clients = 2,
            Weights =
            [
                (Act.Send, 20), (Act.Request, 15), (Act.RequestAsGroup, 5), (Act.Find, 15), (Act.ClientAsk, 15), (Act.BreakClient, 2), (Act.List, 10), (Act.Watch, 6), (Act.Delete, 12), (Act.Join, 12), (Act.Leave, 8), (Act.Crash, 3),
                (Act.Restart, 5), (Act.Partition, 1), (Act.Cut, 1), (Act.Heal, 4), (Act.Break, 4), (Act.Freeze, 1),
            ],
        },
        new("migration", "Members move from node to node, alone in their groups and with others, while movers, targets and donors fail.")
        {
            Application = new() { StateTime = TimeSpan.FromMilliseconds(50), StateFailureChance = 0.03, StrangerChance = 0.05 }, MemberShare = 0.4, MaximumGroups = 4, Acts = 120,
            Weights =
            [
                .. Traffic, (Act.Request, 15), (Act.Migrate, 40), (Act.Join, 8), (Act.Leave, 8), (Act.Delete, 1), (Act.Crash, 5), (Act.Restart, 7), (Act.Partition, 1), (Act.Heal, 4),
                (Act.Break, 5), (Act.Freeze, 2), (Act.Stop, 1),
            ],
        },
        new("credentials", "Joiners show credentials, and strangers are refused, while those that look at them fail.")
        {
            Application = new() { StrangerChance = 0.4, StateTime = TimeSpan.FromMilliseconds(50) },
            Weights =
            [
                (Act.Send, 20), (Act.Join, 20), (Act.Leave, 18), (Act.Delete, 2), (Act.Crash, 4), (Act.Restart, 6), (Act.Partition, 1), (Act.Heal, 3),
                (Act.Break, 4), (Act.Freeze, 1),
            ],
        },
        new("extended", "Extended mode: the network falls into components, which all go on, and meet again, two and three at once.")
        {
            IsExtended = true, MaximumNodes = 7,
            Weights =
            [
                .. Traffic, (Act.Request, 5), (Act.Join, 4), (Act.Leave, 3), (Act.Crash, 2), (Act.Restart, 4), (Act.Partition, 5), (Act.Cut, 2),
                (Act.CutOneWay, 1), (Act.Heal, 6), (Act.Break, 4), (Act.Freeze, 2), (Act.Stop, 1),
            ],
        },
        new("extended-stored", "The same with stable storage: a node that fails comes back under its name with what it had promised.")
        {
            IsExtended = true, Disk = new(),
            Weights = [.. Traffic, (Act.Crash, 8), (Act.Restart, 9), (Act.Partition, 4), (Act.Heal, 5), (Act.Join, 3)],
        },
        new("extended-start", "Nodes start alone, in components, and make groups of one name each, which are one when they meet.")
        {
            IsExtended = true, StartsAnyOrder = true, MaximumNodes = 6, Acts = 60,
            Weights = [.. Traffic, (Act.Restart, 12), (Act.Crash, 3), (Act.Join, 8), (Act.Leave, 3), (Act.Partition, 6), (Act.Heal, 5), (Act.Request, 3), (Act.Break, 2)],
        },
        new("stop", "Nodes stop in an orderly way, alone and together, and come back.")
        {
            Weights = [.. Traffic, (Act.Stop, 8), (Act.Restart, 8), (Act.Join, 4), (Act.Break, 2), (Act.Crash, 1)],
        },
    ];

    /// <summary>Too large to be among <see cref="All"/>: a run of it takes minutes.</summary>
    public static Scenario Hundreds { get; } = new("hundreds", "200 nodes, with groups of a few to all of them, while some fail, join and leave.")
    {
        MinimumNodes = 200, MaximumNodes = 200, MaximumGroups = 4, GroupShares = [1, 0.3, 0.05, 0.02], LastRoundShare = 0.05, Acts = 20, LosesMinority = false,
        Heartbeat = TimeSpan.FromSeconds(2), EventBudget = 100_000_000, Application = new() { EchoChance = 0 },
        Weights = [(Act.Send, 40), (Act.Burst, 10), (Act.Flush, 2), (Act.Join, 8), (Act.Leave, 6), (Act.Crash, 8), (Act.Restart, 8), (Act.Break, 8), (Act.Freeze, 2)],
    };

    public static Scenario? Find(string name) => name == Hundreds.Name ? Hundreds : All.FirstOrDefault(scenario => scenario.Name == name);
}
