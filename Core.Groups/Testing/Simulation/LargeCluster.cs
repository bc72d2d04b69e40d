// A cluster of up to hundreds of nodes: formed, its groups joined, and measured at rest, message by message.
// Keeps: the same checks as any simulated cluster; heartbeats are so rare that they are not counted with what a message costs.
using System.Collections.Immutable;
using Core.Groups.Protocol;

namespace Core.Groups.Testing.Simulation;

/// <summary>What one message in a group of all nodes costs, in frames of all nodes together.</summary>
/// <param name="Formed">The virtual time after which all nodes are in one configuration and in the group, with its state, and at rest.</param>
/// <param name="Forming">The frames until then.</param>
/// <param name="Message">One total message in an idle group, until it is delivered and nothing is kept of it.</param>
/// <param name="Batch">Eight members send one each at once.</param>
/// <param name="Safe">One safe message.</param>
/// <param name="Change">One GBCAST of the application.</param>
internal sealed record FrameCounts(int Nodes, TimeSpan Formed, long Forming, long Message, long Batch, long Safe, long Change);

internal static class LargeCluster
{
    /// <summary>The group of all nodes.</summary>
    public const string Everybody = "/all";

    private const int Senders = 8;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(200);

    /// <summary>A cluster of so many nodes, all in one group, at rest.</summary>
    /// <param name="heartbeat">Long: there are n² of them.</param>
    public static SimulatedCluster Form(ulong seed, int nodes, TimeSpan heartbeat, Func<NodeSettings, NodeSettings>? settings = null)
    {
        ImmutableArray<string> names = [.. Enumerable.Range(1, nodes).Select(i => $"n{i}")];
        var cluster = new SimulatedCluster(seed, names, new SimulationOptions
        {
            Seeds = [.. names.Take(3)],
            Network = new() { LateChance = 0 },
            Application = new() { EchoChance = 0, HandlingTime = TimeSpan.Zero },
            EventBudget = 200_000_000,
            Settings = given => (settings?.Invoke(given) ?? given) with { Heartbeat = heartbeat, Suspect = heartbeat * 3 },
        });
        foreach (string name in names) cluster.Join(name, Everybody);
        cluster.Start([.. names]);
        if (!cluster.RunUntil(() => !Quiescence.Obstacles(cluster).Any(), Limit) && cluster.Violations.Count == 0)
            cluster.Violate($"{nodes} nodes were not at rest after {Limit.TotalSeconds} s: {string.Join("; ", Quiescence.Obstacles(cluster).Take(5))}.");
        return cluster;
    }

    /// <summary>What messages cost in a group of all nodes of a cluster.</summary>
    public static FrameCounts Measure(ulong seed, int nodes, int gatherAbove)
    {
        SimulatedCluster cluster = Form(seed, nodes, heartbeat: TimeSpan.FromHours(1), s => s with { GatherAbove = gatherAbove });
        TimeSpan formed = cluster.Time.Now;
        long forming = Frames(cluster);
        cluster.RunFor(Rest);
        return new FrameCounts(
            nodes, formed, forming, Count(cluster, Order.Total, 1), Count(cluster, Order.Total, Senders), Count(cluster, Order.Safe, 1), Count(cluster, Order.Group, 1));
    }

    private static long Count(SimulatedCluster cluster, Order order, int senders)
    {
        long before = Frames(cluster);
        SentMessage[] sent = [.. cluster.Names.TakeLast(senders).Select(name => cluster.Send(name, order, Everybody)!)];
        cluster.RunFor(Rest);
        foreach (string missing in EndState.Missing(cluster, sent)) cluster.Violate(missing);
        if (cluster.Violations.Count > 0) throw new InvalidOperationException(cluster.Violations[0]);
        return Frames(cluster) - before;
    }

    private static long Frames(SimulatedCluster cluster) => cluster.Nodes.Sum(node => node.Process?.Machine.Statistics.FramesSent ?? 0);
}
