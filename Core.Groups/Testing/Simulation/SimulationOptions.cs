using System.Collections.Immutable;
using Core.Groups.Protocol;

namespace Core.Groups.Testing.Simulation;

/// <summary>How the scripted application behaves.</summary>
internal sealed record ApplicationProfile
{
    /// <summary>How long handling one message takes at most; zero: it is handled when it is delivered.</summary>
    public TimeSpan HandlingTime { get; init; } = TimeSpan.FromMilliseconds(1);
    /// <summary>The primitives that are used.</summary>
    public ImmutableArray<Order> Orders { get; init; } = [Order.Reliable, Order.Fifo, Order.Causal, Order.Total, Order.CausalTotal, Order.Safe, Order.Group];
    /// <summary>How often a handler sends a message of its own.</summary>
    public double EchoChance { get; init; } = 0.1;
    /// <summary>How many bytes of ballast a group's state has.</summary>
    public int StateBallast { get; init; }
    /// <summary>Whether the state is given in pieces.</summary>
    public bool StreamsState { get; init; }
    /// <summary>How long saving and loading a state takes at most.</summary>
    public TimeSpan StateTime { get; init; } = TimeSpan.FromMilliseconds(5);
    /// <summary>How often saving or loading a state fails.</summary>
    public double StateFailureChance { get; init; }
    /// <summary>How often a join bears credentials that are refused; 0: nobody looks at any.</summary>
    public double StrangerChance { get; init; }
    /// <summary>How often a request is answered with an error.</summary>
    public double ErrorReplyChance { get; init; } = 0.1;
    /// <summary>How often a request that has a timeout is never answered.</summary>
    public double NoReplyChance { get; init; } = 0.1;
    /// <summary>How often an answer is copied to others than the caller.</summary>
    public double CopyChance { get; init; }
    /// <summary>How often a request is passed on to others.</summary>
    public double PassOnChance { get; init; }
    /// <summary>The largest copy, in bytes.</summary>
    public int LargestCopy { get; init; } = 5000;
}

/// <summary>The settings of one simulated cluster.</summary>
internal sealed record SimulationOptions
{
    /// <summary>The names of the nodes that are seeds; default: all nodes.</summary>
    public ImmutableArray<string> Seeds { get; init; }
    /// <summary>Changes the settings of each node.</summary>
    public Func<NodeSettings, NodeSettings> Settings { get; init; } = settings => settings;
    /// <summary>The network.</summary>
    public NetworkProfile Network { get; init; } = new();
    /// <summary>The nodes' disks; null: nothing outlives a process.</summary>
    public DiskProfile? Disk { get; init; }
    /// <summary>The application.</summary>
    public ApplicationProfile Application { get; init; } = new();
    /// <summary>How many clients there are, programs in no configuration.</summary>
    public int Clients { get; init; }
    /// <summary>What the cluster is for; null: the scripted application.</summary>
    public ITraffic? Traffic { get; init; }
    /// <summary>More events than this are taken for an endless loop.</summary>
    public long EventBudget { get; init; } = 3_000_000;
}
