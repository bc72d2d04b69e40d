// Drives one cluster through one scenario: a safety phase of random acts, then the liveness phase on a healed network.
// Keeps: all choices come from the seed. In the liveness phase nothing fails, so everything must come to an end.
using System.Collections.Immutable;
using Core.Groups.Protocol;

namespace Core.Groups.Testing.Simulation;

/// <summary>One run of one scenario.</summary>
internal sealed class ScenarioDriver
{
    private static readonly TimeSpan SettleLimit = TimeSpan.FromSeconds(60);
    private const int MostSeeds = 5;
    private static readonly string[] NodeNames = ["a", "b", "c", "d", "e", "f", "g"];

    private readonly Scenario scenario;
    private readonly IReadOnlySet<int>? only;
    private SimulationRandom random;
    private readonly ITraffic? traffic;
    private readonly string[] groups;
    private readonly int totalWeight;
    private readonly int gatherAbove;

    /// <param name="only">The numbers of the acts that are done; default: all. The others are left out, and no choice shifts.</param>
    /// <param name="traffic">What the cluster is for; null: the scripted application.</param>
    public ScenarioDriver(Scenario scenario, ulong seed, IReadOnlySet<int>? only = null, ITraffic? traffic = null)
    {
        this.traffic = traffic;
        this.scenario = scenario;
        this.only = only;
        random = new SimulationRandom(seed);
        int nodes = random.Between(scenario.MinimumNodes, scenario.MaximumNodes);
        bool isLarge = nodes > NodeNames.Length;
        ImmutableArray<string> names = isLarge ? [.. Enumerable.Range(1, nodes).Select(i => $"n{i}")] : [.. NodeNames.Take(nodes)];
        // Some nodes may be outside the electorate, never the third that a majority can be had of.
        int seeds = random.Chance(0.7) ? names.Length : random.Between(3, names.Length);
        if (isLarge) seeds = MostSeeds;
        groups = traffic is not null ? [.. traffic.Groups] : [.. Enumerable.Range(1, random.Between(1, scenario.MaximumGroups)).Select(i => $"/g{i}")];
        gatherAbove = seed % 3 == 0 ? 1 : new NodeSettings { Address = "" }.GatherAbove;
        totalWeight = scenario.Weights.Sum(weight => weight.Weight);
        Cluster = new SimulatedCluster(random.NextULong(), names, Vary() with { Seeds = [.. names.Take(seeds)] });
    }

    public SimulatedCluster Cluster { get; }

    /// <summary>How many acts were begun.</summary>
    public int ActsDone { get; private set; }

    public void Run()
    {
        Begin();
        SimulationRandom whole = random;
        for (int i = 0; i < scenario.Acts && Cluster.Violations.Count == 0; i++)
        {
            // Each act draws from a generator of its own, so that an act can be left out without a change to the others.
            random = whole.Fork();
            if (only?.Contains(i) == false) continue;
            ActsDone++;
            Do(Draw());
            Cluster.RunFor(Pause());
        }
        random = whole;
        Cluster.RepairDisks();
        foreach (SimulatedNode node in Cluster.Nodes) Bring(node);
        if (!Settle()) return;
        if (scenario.IsFaultless && Cluster.Coverage.Exclusions + Cluster.Coverage.Blocks > 0)
            Cluster.Violate("Nothing failed, but a node was blocked or excluded.");
        if (scenario.LosesMinority && random.Chance(0.3)) LoseMinority();
    }

    /// <summary>The speed of the network and of the handlers, the credit and the size of pieces differ from seed to seed.</summary>
    private SimulationOptions Vary()
    {
        bool lateFrames = random.Chance(0.25), smallCredit = random.Chance(0.25), smallPieces = random.Chance(0.5);
        TimeSpan handling = random.Pick([TimeSpan.Zero, TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(30)]);
        return new SimulationOptions
        {
            Application = scenario.Application with { HandlingTime = handling },
            Disk = scenario.Disk,
            Clients = scenario.Clients,
            Traffic = traffic,
            EventBudget = scenario.EventBudget,
            Network = lateFrames ? new() { LateChance = 0.05, LateDelay = TimeSpan.FromMilliseconds(400) } : new(),
            Settings = settings => settings with
            {
                CreditWindow = smallCredit ? 4 << 10 : settings.CreditWindow,
                PieceSize = smallPieces ? 1 << 10 : settings.PieceSize,
                GatherAbove = gatherAbove,
                Heartbeat = scenario.Heartbeat ?? settings.Heartbeat,
                Suspect = scenario.Heartbeat * 3 ?? settings.Suspect,
                Weak = scenario.Weak,
                IsExtended = scenario.IsExtended,
            },
        };
    }

    private void Begin()
    {
        foreach (SimulatedNode node in Cluster.Nodes)
        {
            for (int i = 0; i < groups.Length; i++)
                if (random.Chance(scenario.GroupShares?[i] ?? scenario.MemberShare)) Cluster.Join(node.Name, groups[i]);
        }
        if (scenario.StartsAnyOrder) return;
        foreach (string name in Cluster.Names) Cluster.Start(name);
        if (random.Chance(0.8)) Cluster.RunUntil(() => !Quiescence.Obstacles(Cluster).Any(), TimeSpan.FromSeconds(20));
    }

    private Act Draw()
    {
        int drawn = random.Below(totalWeight);
        foreach ((Act act, int weight) in scenario.Weights)
        {
            if (drawn < weight) return act;
            drawn -= weight;
        }
        throw new InvalidOperationException("The weights of a scenario do not add up.");
    }

    /// <summary>Mostly shorter than a round trip, sometimes long enough for suspicion.</summary>
    private TimeSpan Pause() => random.Below(100) switch
    {
        < 50 => random.Between(TimeSpan.Zero, TimeSpan.FromMilliseconds(2)),
        < 85 => random.Between(TimeSpan.Zero, TimeSpan.FromMilliseconds(60)),
        < 96 => random.Between(TimeSpan.Zero, TimeSpan.FromSeconds(1)),
        _ => random.Between(TimeSpan.Zero, TimeSpan.FromSeconds(5)),
    };

    private void Do(Act act)
    {
        string name = random.Pick(Cluster.Names), group = random.Pick(groups);
        if (traffic is not null && IsTraffic(act))
        {
            traffic.Do(act, Cluster[name], group, random);
            return;
        }
        switch (act)
        {
            case Act.Send: Send(name, group); break;
            case Act.Burst:
                for (int count = random.Between(2, 20); count > 0; count--) Send(name, group);
                break;
            case Act.Request: Request(name, group); break;
            case Act.RequestSpread: RequestSpread(name); break;
            case Act.RequestAsGroup: Cluster.RequestAsGroup(group, random.Pick(scenario.Application.Orders), random.Pick(groups), Replies().Mode, random.Between(1, 3), Size()); break;
            case Act.ClientAsk: Ask(random.Pick([.. Cluster.Clients]), group); break;
            case Act.Call: Call(random.Pick([.. Cluster.Clients]), group); break;
            case Act.BreakClient: BreakClient(random.Pick([.. Cluster.Clients])); break;
            case Act.CutClient: Cluster.Cut(random.Pick([.. Cluster.Clients]).Name, name); break;
            case Act.Flush: Cluster.Flush(name); break;
            case Act.Spread: SendSpread(name); break;
            case Act.Configure: Cluster.Configure(name, group, random.Pick(["x", "y"])); break;
            case Act.Migrate: Cluster.Migrate(name, group, random.Pick(Cluster.Names)); break;
            case Act.Rank: Cluster.Rank(name, group); break;
            case Act.Join: Cluster.Join(name, group); break;
            case Act.Leave: Cluster.Leave(name, group); break;
            case Act.Find: Cluster.Find(name, group); break;
            case Act.Watch: Cluster.Watch(name, group); break;
            case Act.List: Cluster.List(name, random.Pick(["", "/", "/g", group, "/none"])); break;
            case Act.Delete: Cluster.Delete(name, group); break;
            case Act.Crash: Cluster.Crash(name); break;
            case Act.Restart:
                if (Down() is { Length: > 0 } down) Cluster.Start(random.Pick(down));
                break;
            case Act.Freeze: Freeze(name); break;
            case Act.Stop: Cluster.Stop(name); break;
            case Act.Heal: Cluster.Heal(); break;
            case Act.Partition: Partition(); break;
            default: DoBetween(act, name, Other(name)); break;
        }
    }

    private static bool IsTraffic(Act act) => act is not (Act.Join or Act.Leave or Act.Crash or Act.Restart or Act.Freeze or Act.Stop
        or Act.Heal or Act.Partition or Act.Cut or Act.CutOneWay or Act.Break);

    private void DoBetween(Act act, string first, string second)
    {
        switch (act)
        {
            case Act.Cut: Cluster.Cut(first, second); break;
            case Act.CutOneWay: Cluster.CutOneWay(first, second); break;
            case Act.Break: Cluster.Break(first, second); break;
        }
    }

    private string Other(string name) => random.Pick([.. Cluster.Names.Where(other => other != name)]);

    private string[] Down() => [.. Cluster.Nodes.Where(node => !node.IsUp).Select(node => node.Name)];

    private void Send(string name, string group)
    {
        Cluster.Send(name, random.Pick(scenario.Application.Orders), group, Size());
    }

    /// <summary>To several groups, a label, single processes: any mix of them, among the groups that the node is in.</summary>
    private void SendSpread(string name)
    {
        string[] to = SomeOfTheGroupsOf(name);
        string[] single = [.. Cluster.Names.Where(_ => random.Chance(0.1))];
        string? label = random.Chance(0.4) ? random.Pick(["L", "M"]) : null;
        Order[] orders = [.. scenario.Application.Orders.Where(o => (o != Order.Group || to.Length > 0) && (label is null || o is Order.Total or Order.CausalTotal or Order.Safe))];
        Cluster.Send(name, random.Pick(orders), new SpreadNames([.. to], [.. single], label), Size());
    }

    private string[] SomeOfTheGroupsOf(string name) => [.. (Cluster[name].Process?.Scripted.Replicas ?? []).Select(r => r.Name).Where(_ => random.Chance(0.7))];

    private void RequestSpread(string name)
    {
        string? label = random.Chance(0.3) ? "L" : null;
        Order[] orders = [.. scenario.Application.Orders.Where(o => o != Order.Group && (label is null || o is Order.Total or Order.CausalTotal or Order.Safe))];
        Order order = random.Pick(orders);
        (ReplyMode mode, TimeSpan? timeout) = Replies();
        Cluster.Request(name, order, new SpreadNames([.. SomeOfTheGroupsOf(name)], [], label), mode, random.Between(1, 3), timeout, Size());
    }

    private (ReplyMode Mode, TimeSpan? Timeout) Replies()
    {
        ReplyMode mode = random.Pick([ReplyMode.First, ReplyMode.Count, ReplyMode.Majority, ReplyMode.All]);
        return (mode, random.Chance(0.3) ? random.Between(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(3)) : null);
    }

    private int Size() => random.Chance(0.1) ? random.Below(scenario.MaximumSize) : random.Below(Math.Min(100, scenario.MaximumSize));

    private void Request(string name, string group)
    {
        ReplyMode mode = random.Pick([ReplyMode.None, ReplyMode.First, ReplyMode.Count, ReplyMode.Majority, ReplyMode.All]);
        TimeSpan? timeout = random.Chance(0.5) ? random.Between(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(3)) : null;
        Cluster.Request(name, random.Pick(scenario.Application.Orders), group, mode, random.Between(1, 3), timeout, Size());
    }

    private void Call(SimulatedClient client, string group)
    {
        for (int count = random.Chance(0.2) ? random.Between(2, 20) : 1; count > 0; count--)
        {
            ReplyMode mode = random.Pick([ReplyMode.None, ReplyMode.None, ReplyMode.First, ReplyMode.Count, ReplyMode.Majority, ReplyMode.All]);
            TimeSpan? timeout = random.Chance(0.2) ? random.Between(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(3)) : null;
            Cluster.Call(client, random.Pick(scenario.Application.Orders), group, mode, random.Between(1, 3), timeout, Size());
        }
    }

    private void Ask(SimulatedClient client, string group)
    {
        switch (random.Below(10))
        {
            case < 5: Cluster.Ask(client, Protocol.Clients.ClientQuestionKind.Find, group); break;
            case < 9: Cluster.Ask(client, Protocol.Clients.ClientQuestionKind.List, random.Pick(["", "/g", group, "/none"])); break;
            default: Cluster.Ask(client, Protocol.Clients.ClientQuestionKind.Delete, group); break;
        }
    }

    private void BreakClient(SimulatedClient client)
    {
        if (client.Server is { } server) Cluster.Break(client.Name, server);
    }

    private void Freeze(string name)
    {
        if (Cluster[name].Process is not { IsFrozen: false } process) return;
        Cluster.Freeze(name);
        Cluster.Time.After(random.Between(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(6)), process.Thaw);
    }

    private void Partition()
    {
        List<string>[] components = [[], [], []];
        int count = random.Between(2, 3);
        foreach (string name in Cluster.Names) components[random.Below(count)].Add(name);
        Cluster.Partition(components);
    }

    private void Bring(SimulatedNode node)
    {
        if (node.Process is { Application.IsStopping: true }) Cluster.RunUntil(() => !node.IsUp, SettleLimit);
        if (!node.IsUp) Cluster.Start(node.Name);
    }

    /// <summary>Rest, one more round of everything, and rest again with the whole round delivered.</summary>
    private bool Settle()
    {
        if (!Cluster.Quiesce(SettleLimit)) return false;
        if (traffic is not null) return OneMoreRound();
        List<SentMessage> round = [];
        foreach (SimulatedNode node in Cluster.Nodes)
        {
            if (scenario.LastRoundShare < 1 && !random.Chance(scenario.LastRoundShare)) continue;
            foreach (GroupReplica replica in node.Process?.Scripted.Replicas.ToArray() ?? [])
            {
                foreach (Order order in scenario.Application.Orders)
                    if (Cluster.Send(node.Name, order, replica.Name) is { } sent) round.Add(sent);
            }
        }
        if (!Cluster.Quiesce(SettleLimit)) return false;
        foreach (string missing in EndState.Missing(Cluster, round)) Cluster.Violate(missing);
        return Cluster.Violations.Count == 0;
    }

    /// <summary>What works at rest must go on working.</summary>
    private bool OneMoreRound()
    {
        foreach (SimulatedNode node in Cluster.Nodes)
            foreach (string group in groups) traffic!.Do(Act.Send, node, group, random);
        return Cluster.Quiesce(SettleLimit);
    }

    /// <summary>A minority, of the nodes and of the electorate, dies for good: the others must go on without it.</summary>
    private void LoseMinority()
    {
        List<string> victims = [.. Cluster.Names];
        random.Shuffle(victims);
        int electors = Cluster.Seeds.Length, lostElectors = 0, lost = 0;
        foreach (string victim in victims)
        {
            bool elector = Cluster.Seeds.Contains(victim);
            if ((lost + 1) * 2 >= Cluster.Names.Length || (elector && (lostElectors + 1) * 2 >= electors)) continue;
            lost++;
            if (elector) lostElectors++;
            Cluster.Crash(victim);
        }
        Settle();
    }
}
