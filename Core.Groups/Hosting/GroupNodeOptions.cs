// What a node is configured with. Read once, by GroupNode.StartAsync; later changes have no effect.
using System.Net;
using Core.Groups.Tracing;
using Core.Groups.Transport;
using Microsoft.Extensions.Logging;

namespace Core.Groups;

/// <summary>The options of a <see cref="GroupNode"/>.</summary>
public sealed class GroupNodeOptions
{
    /// <summary>The node's name: stable, and unique among the live nodes of a cluster. At most 200 characters.</summary>
    public string Name { get; set; } = "";

    /// <summary>Where to listen, <c>host:port</c>. Port 0 takes any free port.</summary>
    public string Listen { get; set; } = "127.0.0.1:0";

    /// <summary>
    /// The address under which the others reach this node, <c>host:port</c>. Null: as <see cref="Listen"/>; if that is a
    /// wildcard, the seed that names this machine and port, else the machine's host name.
    /// </summary>
    public string? Advertise { get; set; }

    /// <summary>
    /// Addresses of nodes to find the cluster by. All nodes give the same list: the nodes that listen there are the
    /// electorate. Empty: the node starts a cluster alone. Seeds that all die and have no <see cref="DataDirectory"/> begin anew,
    /// whatever other nodes remember.
    /// </summary>
    public IList<string> Seeds { get; set; } = [];

    /// <summary>The cluster's name; nodes of another cluster are refused.</summary>
    public string Cluster { get; set; } = "default";

    /// <summary>The key that every node of the cluster must prove to know; at least 16 bytes. Null: loopback addresses only.</summary>
    public byte[]? ClusterKey { get; set; }

    /// <summary>A second key that is accepted too, while keys are being changed.</summary>
    public byte[]? PreviousClusterKey { get; set; }

    /// <summary>Whether to listen on other than loopback addresses without a key.</summary>
    public bool AllowInsecure { get; set; }

    /// <summary>The site attribute, for placement; may be empty.</summary>
    public string Site { get; set; } = "";

    /// <summary>The node's weight in majorities, from 0 to 1000.</summary>
    public int Weight { get; set; } = 1;

    /// <summary>The electorate weight that every primary configuration needs; 0: a majority of the seeds.</summary>
    public int MinimumPrimaryWeight { get; set; }

    /// <summary>
    /// The node's own directory of stable storage; made if it is not there. With it the node's vote belongs to its name: after
    /// a crash it still remembers which primary configurations there were. Null: a restarted node is a stranger.
    /// </summary>
    public string? DataDirectory { get; set; }

    /// <summary>A stable store of another kind, in place of <see cref="DataDirectory"/>. The node does not dispose it.</summary>
    public IStableStore? StableStore { get; set; }

    /// <summary>
    /// What components of the cluster do that cannot reach each other; the same at all nodes. In <see cref="ClusterMode.Extended"/> a node with
    /// seeds waits <see cref="SuspectAfter"/> for them before it goes on alone.
    /// </summary>
    public ClusterMode Mode { get; set; }

    /// <summary>How often an otherwise silent link says that it lives. From 5 milliseconds to 1 minute.</summary>
    public TimeSpan Heartbeat { get; set; } = TimeSpan.FromMilliseconds(200);

    /// <summary>
    /// The silence after which a peer is suspected; in a change of the configuration a quarter of it, and at least a second. At least twice
    /// <see cref="Heartbeat"/>, at most 10 minutes.
    /// </summary>
    public TimeSpan SuspectAfter { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Called with every message to this node as a single process (<see cref="GroupNode.MulticastAsync"/> with <c>to</c>), in
    /// delivery order, one at a time, on the thread pool. What it throws is logged. Null: they are passed over.
    /// </summary>
    public Func<NodeMessage, ValueTask>? OnMessage { get; set; }

    /// <summary>
    /// Called with a group's name when a member of it would move to this node (<see cref="ProcessGroup.MigrateAsync"/>): gives the options with which
    /// this node takes its place, as for a join (<see cref="GroupOptions.Configure"/> is given the membership), or null to refuse. On the thread
    /// pool; what it throws is logged and refuses. Null: no members are taken.
    /// </summary>
    public Func<string, GroupOptions?>? OnMigration { get; set; }

    /// <summary>The folder for trace files (one per incarnation). Null: no trace.</summary>
    public string? TracePath { get; set; }

    /// <summary>
    /// Called with every trace event from the first on, as <see cref="GroupNode.Traced"/> is. Setting it switches
    /// tracing on, without a file if <see cref="TracePath"/> is null.
    /// </summary>
    public Action<TraceEvent>? Traced { get; set; }

    /// <summary>The largest message in bytes, its envelope (a few bytes) included. From 1 KiB to 1 GiB.</summary>
    public int MaximumMessageSize { get; set; } = 16 << 20;

    /// <summary>The bytes per group that this node may have under way before a send waits. From 1 KiB to 1 GiB.</summary>
    public int CreditWindow { get; set; } = 1 << 20;

    /// <summary>How many clients (<see cref="GroupClient"/>) this node serves at once; more are sent to other nodes. From 0 to 1,000,000.</summary>
    public int MaximumClients { get; set; } = 10_000;

    /// <summary>How long a client is remembered that has lost its connection. From 2 seconds to 1 day; clients go by it.</summary>
    public TimeSpan ClientSession { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Where the node logs; null: nowhere.</summary>
    public ILoggerFactory? LoggerFactory { get; set; }

    /// <summary>The serializer of typed messages: <c>new JsonPayloadSerializer(MyJson.Default)</c> with generated code for the application's types. The same at all nodes and clients.</summary>
    public IPayloadSerializer Serializer { get; set; } = JsonPayloadSerializer.Default;

    /// <summary>Whether, after an exclusion, the new incarnation joins the groups of the old one again, with state transfer.</summary>
    public bool RejoinGroups { get; set; } = true;

    // Whoever allows for long silences allows for slow answers too: a node that is only slow must not be left out because the others wait for it.
    internal TimeSpan AnswerTime => TimeSpan.FromTicks(Math.Max(TimeSpan.TicksPerSecond, SuspectAfter.Ticks / 4));

    /// <summary>Checks the options.</summary>
    /// <exception cref="ArgumentException">An option is wrong; the message names it and says what it must be.</exception>
    public void Validate()
    {
        Require(!string.IsNullOrWhiteSpace(Name) && Name.Length <= 200, nameof(Name), "must have 1 to 200 characters");
        Require(!string.IsNullOrEmpty(Cluster) && Cluster.Length <= 200, nameof(Cluster), "must have 1 to 200 characters");
        Require(Site is not null && Site.Length <= 200, nameof(Site), "must have at most 200 characters (and may be empty)");
        Require(IsAddress(Listen, lowestPort: 0), nameof(Listen), $"must be host:port, but is '{Listen}'");
        Require(Advertise is null || IsAddress(Advertise, lowestPort: 1), nameof(Advertise), $"must be host:port with a port other than 0, but is '{Advertise}'");
        Require(Seeds is not null && Seeds.All(s => IsAddress(s, lowestPort: 1)), nameof(Seeds), "must be addresses host:port with a port other than 0");
        Require(Seeds!.Select(HostPort.Normalise).Distinct(StringComparer.Ordinal).Count() == Seeds!.Count, nameof(Seeds), "must not name an address twice");
        Require(ClusterKey is null or { Length: >= 16 }, nameof(ClusterKey), "must have at least 16 bytes");
        Require(PreviousClusterKey is null or { Length: >= 16 }, nameof(PreviousClusterKey), "must have at least 16 bytes");
        Require(PreviousClusterKey is null || ClusterKey is not null, nameof(PreviousClusterKey), "needs ClusterKey: set the new key there");
        Require(ClusterKey is not null || AllowInsecure || !IsOpenToStrangers(Listen), nameof(Listen),
            $"must be a loopback address as long as there is no ClusterKey, but is '{Listen}': give all nodes a key, or set AllowInsecure");
        Require(DataDirectory is null || !string.IsNullOrWhiteSpace(DataDirectory), nameof(DataDirectory), "must name a directory, or be null");
        Require(DataDirectory is null || StableStore is null, nameof(StableStore), "and DataDirectory exclude each other: set one");
        Require(Weight is >= 0 and <= 1000, nameof(Weight), "must be from 0 to 1000");
        Require(MinimumPrimaryWeight >= 0, nameof(MinimumPrimaryWeight), "must not be negative (0: a majority of the seeds)");
        Require(Heartbeat >= TimeSpan.FromMilliseconds(5) && Heartbeat <= TimeSpan.FromMinutes(1), nameof(Heartbeat), "must be from 5 milliseconds to 1 minute");
        Require(SuspectAfter >= 2 * Heartbeat && SuspectAfter <= TimeSpan.FromMinutes(10), nameof(SuspectAfter), "must be from twice Heartbeat to 10 minutes");
        Require(MaximumMessageSize is >= 1 << 10 and <= 1 << 30, nameof(MaximumMessageSize), "must be from 1 KiB to 1 GiB");
        Require(CreditWindow is >= 1 << 10 and <= 1 << 30, nameof(CreditWindow), "must be from 1 KiB to 1 GiB");
        Require(MaximumClients is >= 0 and <= 1_000_000, nameof(MaximumClients), "must be from 0 to 1,000,000");
        Require(ClientSession >= TimeSpan.FromSeconds(2) && ClientSession <= TimeSpan.FromDays(1), nameof(ClientSession), "must be from 2 seconds to 1 day");
        Require(Mode is ClusterMode.Primary or ClusterMode.Extended, nameof(Mode), "must be Primary or Extended");
        Require(Serializer is not null, nameof(Serializer), "must be set");
    }

    private static bool IsAddress(string? address, int lowestPort) =>
        HostPort.TryParse(address, out HostPort parsed) && parsed.Port >= lowestPort;

    // A host name is looked up, and checked, when the node listens.
    private static bool IsOpenToStrangers(string address) =>
        HostPort.TryParse(address, out HostPort parsed) && IPAddress.TryParse(parsed.Host, out IPAddress? ip) && !IPAddress.IsLoopback(ip);

    private static void Require(bool condition, string option, string rule)
    {
        if (!condition)
        {
            throw new ArgumentException($"GroupNodeOptions.{option} {rule}.", option);
        }
    }

    /// <summary>The transport of a node with these options.</summary>
    internal TcpTransport CreateTransport(NodeId self, ILogger logger) => new(
        new TcpTransportOptions
        {
            Id = self, ClusterName = Cluster, Listen = Listen, AdvertisedAddress = Advertise,
            Site = Site, Weight = Weight, Seeds = [.. Seeds.Select(HostPort.Normalise)], MinimumPrimaryWeight = MinimumPrimaryWeight,
            AllowInsecure = AllowInsecure,
            Keys = [.. new[] { ClusterKey, PreviousClusterKey }.Where(k => k is not null).Select(k => new ReadOnlyMemory<byte>(k))],
        },
        logger);
}
