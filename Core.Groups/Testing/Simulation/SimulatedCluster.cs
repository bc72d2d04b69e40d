// A whole cluster in one thread on virtual time, driven by one seed: protocol machines, a network, an application.
// Keeps: the same seed and the same operations give the same run, byte for byte. Nothing here iterates over a hash.
using System.Collections.Immutable;
using Core.Groups.Protocol;
using Core.Groups.Tracing;

namespace Core.Groups.Testing.Simulation;

/// <summary>
/// A simulated cluster. Operations take effect at the present virtual time; <see cref="RunFor"/> and
/// <see cref="RunUntil"/> let time pass. What the world itself sees go wrong is in <see cref="Violations"/>.
/// </summary>
internal sealed class SimulatedCluster
{
    private readonly Dictionary<string, SimulatedNode> nodes = [];
    private readonly Dictionary<ulong, SentMessage> announced = [];
    private readonly Dictionary<MessageId, SentMessage> delivered = [];
    private readonly Dictionary<ulong, GroupId> deliveredIn = [];
    private readonly List<TraceEvent> history = [];
    private readonly HashSet<NodeId> leavers = [];
    private readonly Dictionary<(GroupId, long), string> watched = [];
    private readonly List<string> violations = [];
    private readonly List<string> log = [];

    public SimulatedCluster(ulong seed, ImmutableArray<string> names, SimulationOptions? options = null)
    {
        Options = options ?? new();
        Names = names;
        SimulationRandom random = new(seed);
        string[] clientNames = [.. Enumerable.Range(1, Options.Clients).Select(i => $"client{i}")];
        Network = new SimulatedNetwork(Time, random.Fork(), Options.Network, [.. names, .. clientNames]);
        Seeds = Options.Seeds.IsDefault ? names : Options.Seeds;
        foreach (string name in names)
        {
            NodeSettings settings = Options.Settings(new NodeSettings
            {
                Address = SimulatedNetwork.AddressOf(name),
                Seeds = [.. Seeds.Select(SimulatedNetwork.AddressOf)],
                Tracing = true,
            });
            IsExtended = settings.IsExtended;
            nodes.Add(name, new SimulatedNode(this, name, settings, random.Fork()));
        }
        Clients = [.. clientNames.Select(name => new SimulatedClient(this, name, random.Fork()))];
        ClientOrder = new ClientOrder(Violate);
        foreach (SimulatedClient client in Clients) client.Start();
    }

    public SimulationOptions Options { get; }
    public ImmutableArray<string> Names { get; }

    /// <summary>The programs in no configuration.</summary>
    public ImmutableArray<SimulatedClient> Clients { get; }

    public ClientOrder ClientOrder { get; }

    /// <summary>The names of the electorate.</summary>
    public ImmutableArray<string> Seeds { get; }

    /// <summary>Whether the nodes are in extended mode.</summary>
    public bool IsExtended { get; }

    public VirtualTime Time { get; } = new();
    public SimulatedNetwork Network { get; }
    public Coverage Coverage { get; } = new();
    public Fingerprint Fingerprint { get; } = new();
    public DurableMessages Durable { get; } = new();

    /// <summary>All traces, in the order of virtual time; the lines bear the world's time.</summary>
    public IReadOnlyList<TraceEvent> History => history;

    /// <summary>What went wrong so far, as English sentences.</summary>
    public IReadOnlyList<string> Violations => violations;

    /// <summary>What the machines logged, and what was done to the cluster.</summary>
    public IReadOnlyList<string> LogLines => log;

    /// <summary>What was delivered anywhere, by the ids that the machines gave.</summary>
    public IReadOnlyDictionary<MessageId, SentMessage> DeliveredMessages => delivered;

    public IEnumerable<SimulatedNode> Nodes => Names.Select(name => nodes[name]);

    public SimulatedNode this[string name] => nodes[name];

    public void Start(params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            Act($"start {name}");
            nodes[name].Start();
        }
    }

    public void Crash(string name)
    {
        Act($"crash {name}");
        nodes[name].Crash();
    }

    public void Freeze(string name)
    {
        Act($"freeze {name}");
        nodes[name].Process?.Freeze();
    }

    public void Thaw(string name)
    {
        Act($"thaw {name}");
        nodes[name].Process?.Thaw();
    }

    public void Stop(string name)
    {
        Act($"stop {name}");
        if (nodes[name].Process is not { } process) return;
        leavers.Add(process.Id);
        process.Application.Stop();
    }

    /// <summary>Stops what goes from the first node to the second; the way back stays open.</summary>
    public void CutOneWay(string from, string to)
    {
        Act($"oneway {from}>{to}");
        Network.Cut(from, to);
    }

    public void Cut(string first, string second)
    {
        Act($"cut {first}|{second}");
        Network.Cut(first, second);
        Network.Cut(second, first);
    }

    /// <summary>Heals all cuts within the components and cuts everything between them. A node that is in none is alone.</summary>
    public void Partition(params IReadOnlyList<IReadOnlyCollection<string>> components)
    {
        Act("cut " + string.Join('|', components.Select(component => string.Join(' ', component))));
        foreach (string from in Names)
        {
            foreach (string to in Names)
            {
                if (components.Any(component => component.Contains(from) && component.Contains(to))) Network.Heal(from, to);
                else if (from != to) Network.Cut(from, to);
            }
        }
    }

    public void Heal()
    {
        Act("heal");
        Network.Heal();
    }

    public void Break(string first, string second)
    {
        Act($"break {first} {second}");
        if (Network.Break(first, second)) Coverage.Resumes++;
    }

    public void Join(string name, string group)
    {
        Act($"join {name} {group}");
        if (nodes[name].Wanted.Add(group)) nodes[name].Process?.Application.Join(group);
    }

    public void Leave(string name, string group)
    {
        Act($"leave {name} {group}");
        if (nodes[name].Wanted.Remove(group)) nodes[name].Process?.Application.Leave(group);
    }

    public SentMessage? Send(string name, Order order, string group, int size = 0)
    {
        Act($"send {name} {order} {group} {size}");
        return nodes[name].Process?.Scripted.Send(group, order, size);
    }

    public SentMessage? Send(string name, Order order, SpreadNames to, int size = 0)
    {
        Act($"send {name} {order} {string.Join('+', to.Groups.Concat(to.To))} {to.Label} {size}");
        return nodes[name].Process?.Scripted.Send(to, order, size);
    }

    public SentMessage? Request(string name, Order order, string group, ReplyMode mode, int count = 1, TimeSpan? timeout = null, int size = MessageBody.MinimumSize)
    {
        Act($"request {name} {order} {group} {mode} {timeout}");
        return nodes[name].Process?.Scripted.Request(group, order, mode, count, timeout, size);
    }

    public SentMessage? Request(string name, Order order, SpreadNames to, ReplyMode mode, int count = 1, TimeSpan? timeout = null, int size = MessageBody.MinimumSize)
    {
        Act($"request {name} {order} {string.Join('+', to.Groups)} {to.Label} {mode} {timeout}");
        return nodes[name].Process?.Scripted.Requests.InSeveral(to, order, mode, count, timeout, size);
    }

    public SentMessage Call(SimulatedClient client, Order order, string group, ReplyMode mode, int count = 1, TimeSpan? timeout = null, int size = MessageBody.MinimumSize)
    {
        Act($"call {client.Name} {order} {group} {mode} {timeout}");
        return client.Call(group, order, mode, count, timeout, size);
    }

    /// <summary>Looks a group up by its name, then by the id that was found.</summary>
    public void Find(string name, string group)
    {
        Act($"find {name} {group}");
        if (nodes[name].Process?.Scripted.Queries is { } queries) queries.Find(group, found => queries.FindAgain(found));
    }

    public void Watch(string name, string group)
    {
        Act($"watch {name} {group}");
        nodes[name].Process?.Scripted.Queries.Watch(group);
    }

    /// <summary>All that watch a group are told the same of each of its views.</summary>
    public void AgreeOnChange(NodeId observer, GroupId group, Protocol.Groups.ViewChange change)
    {
        if (IsExtended) return;      // components have views of their own, with numbers of their own
        string told = $"joined [{string.Join(' ', change.Joined)}] left [{string.Join(' ', change.Left)}] failed [{string.Join(' ', change.Failed)}]";
        if (watched.TryAdd((group, change.Number), told) || watched[(group, change.Number)] == told) return;
        Violate($"{observer} is told of view {change.Number} of {group}: {told}; another one was told: {watched[(group, change.Number)]}.");
    }

    public void List(string name, string prefix)
    {
        Act($"list {name} {prefix}");
        nodes[name].Process?.Scripted.Queries.List(prefix);
    }

    public void Delete(string name, string group)
    {
        Act($"delete {name} {group}");
        nodes[name].Process?.Scripted.Queries.Delete(group);
    }

    public void Configure(string name, string group, string key)
    {
        Act($"configure {name} {group} {key}");
        nodes[name].Process?.Scripted.Configure(group, key);
    }

    /// <summary>All members of a group ask another one, as one caller.</summary>
    public void RequestAsGroup(string group, Order order, string target, ReplyMode mode, int count, int size)
    {
        Act($"request as one {group} {order} {target} {mode}");
        SentMessage message = Announce(new NodeId(group, 0), target, order, size);
        // A group that was deleted and the one that was made under its name may have members at once: the members of one of them ask.
        GroupId? asking = Nodes.Select(node => node.Process?.Scripted.Find(group)?.Id).FirstOrDefault(static id => id is not null);
        foreach (SimulatedNode node in Nodes.Where(node => node.Process?.Scripted.Find(group)?.Id == asking))
            node.Process?.Scripted.Requests.AsGroup(group, target, (long)message.Marker, message, mode, count);
    }

    public void Ask(SimulatedClient client, Protocol.Clients.ClientQuestionKind kind, string text)
    {
        Act($"ask {client.Name} {kind} {text}");
        client.Ask(kind, text);
    }

    /// <summary>A member moves to another node.</summary>
    public void Migrate(string name, string group, string to)
    {
        Act($"migrate {name} {group} {to}");
        nodes[name].Process?.Scripted.Moves.Begin(group, NodeIdOf(to));
    }

    /// <summary>Ranks the members of a group in a random order.</summary>
    public void Rank(string name, string group)
    {
        Act($"rank {name} {group}");
        nodes[name].Process?.Scripted.Rank(group);
    }

    /// <summary>An operator forces a primary at this node.</summary>
    public void ForcePrimary(string name)
    {
        Act($"force {name}");
        nodes[name].Process?.Scripted.ForcePrimary();
    }

    public void Flush(string name)
    {
        Act($"flush {name}");
        nodes[name].Process?.Scripted.Flush();
    }

    /// <summary>From now on no disk fails.</summary>
    public void RepairDisks()
    {
        Act("repair");
        foreach (SimulatedNode node in Nodes) node.Disk?.Repair();
    }

    /// <summary>Lets virtual time pass; ends early at the first violation.</summary>
    public void RunFor(TimeSpan time)
    {
        TimeSpan limit = Time.Now + time;
        while (violations.Count == 0 && Time.RunNext(limit)) CheckBudget();
    }

    /// <summary>Lets time pass until the condition holds; false when it does not hold at the limit.</summary>
    public bool RunUntil(Func<bool> condition, TimeSpan limit)
    {
        TimeSpan end = Time.Now + limit;
        while (violations.Count == 0 && !condition())
        {
            if (Time.Now >= end) return false;
            RunFor(TimeSpan.FromMilliseconds(20));
        }
        return violations.Count == 0;
    }

    /// <summary>
    /// Heals and thaws everything, and holds the cluster to its liveness: within the limit all living nodes are in one
    /// primary configuration, and nothing is queued, unstable or pending. Otherwise a violation names what is stuck.
    /// </summary>
    public bool Quiesce(TimeSpan limit)
    {
        Act("settle");
        Network.Heal();
        foreach (SimulatedNode node in Nodes) node.Process?.Thaw();
        // A silence from before may be judged until then, although its cause has gone.
        RunFor(Options.Settings(new NodeSettings { Address = "", Seeds = [] }).Suspect);
        if (RunUntil(() => !Quiescence.Obstacles(this).Any(), limit))
        {
            foreach (string difference in Options.Traffic?.Differences(this) ?? EndState.Differences(this)) Violate(difference);
        }
        else if (violations.Count == 0)
            Violate($"Not settled {limit.TotalSeconds} s after the network was healed: {string.Join("; ", Quiescence.Obstacles(this).Take(12))}.");
        return violations.Count == 0;
    }

    /// <summary>Something went wrong. Never throws: it is called from inside machines.</summary>
    public void Violate(string sentence) => violations.Add($"{Seconds(Time.Now)} {sentence}");

    public void Log(NodeId node, string message) => log.Add($"{Seconds(Time.Now)} {node}: {message}");

    public void Record(TraceEvent line)
    {
        history.Add(line with { Time = Time.Now });
        Fingerprint.Add(Time.Now.Ticks);
        Coverage.Count(line);
    }

    public void RecordCrash(NodeId node) =>
        Record(new TraceEvent { Kind = TraceKind.Fail, Node = node, Time = Time.Now });

    /// <summary>Gives a message of the application its marker.</summary>
    public SentMessage Announce(NodeId sender, string group, Order order, int size, SpreadNames? spread = null, ulong asked = 0)
    {
        SentMessage message = new((ulong)announced.Count + 1, sender, group, order, size) { Spread = spread, Asked = asked };
        announced.Add(message.Marker, message);
        return message;
    }

    /// <summary>How many GBCASTs to more than one group, or beside one, each node was asked for.</summary>
    public ImmutableDictionary<NodeId, int> SpanningBroadcasts => announced.Values.Where(message => message is { Order: Order.Group, Spread: not null })
        .CountBy(message => message.Sender).ToImmutableDictionary();

    /// <summary>The nodes that were asked to stop.</summary>
    public IReadOnlySet<NodeId> Leavers => leavers;

    public SentMessage? FindAnnounced(ulong marker) => announced.GetValueOrDefault(marker);

    /// <summary>What was delivered under an id; null if no application was given it.</summary>
    public SentMessage? FindDelivered(MessageId id) => delivered.GetValueOrDefault(id);

    /// <summary>The present incarnation of a node; one that never was while it is down.</summary>
    public NodeId NodeIdOf(string name) => nodes[name].Process?.Id ?? new NodeId(name, 0);

    public bool IsAlive(NodeId id) => Nodes.Any(node => node.Process?.Id == id);

    /// <summary>The members of a group that have its state.</summary>
    public IEnumerable<NodeId> MembersOf(GroupId group) => Nodes
        .Where(node => node.Process?.Scripted.Replicas.Any(replica => replica.Id == group && replica.IsLoaded) == true)
        .Select(node => node.Process!.Id);

    /// <summary>The group in which a message was delivered; null if it was not.</summary>
    public GroupId? GroupOf(ulong marker) => deliveredIn.TryGetValue(marker, out GroupId group) ? group : null;

    /// <summary>What the message of this marker is; null if it was never sent. An id names one message, for ever.</summary>
    public SentMessage? Identify(MessageId id, ulong marker, GroupId group)
    {
        if (!announced.TryGetValue(marker, out SentMessage? message)) return null;
        deliveredIn[marker] = group;
        if (!delivered.TryAdd(id, message) && delivered[id] != message)
            Violate($"{id} names two messages: {message} and {delivered[id]}.");
        return message;
    }

    private void Act(string what) => log.Add($"{Seconds(Time.Now)} > {what}");

    private void CheckBudget()
    {
        if (Time.Executed > Options.EventBudget)
            Violate($"An endless loop: {Time.Executed} events in {Time.Now.TotalSeconds:0.0} virtual seconds.");
    }

    private static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("000.000000", System.Globalization.CultureInfo.InvariantCulture);
}
