// What the parts of one node's machine share: who it is, the time of the present input, and the present configuration.
using System.Collections.Immutable;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Tracing;
using Core.Groups.Wire;

namespace Core.Groups.Protocol;

internal sealed class NodeContext(NodeId self, NodeSettings settings, INodeEffects effects)
{
    /// <summary>The attempts of so many members have the time that is set; those of more have more.</summary>
    private const int UsualMembers = 50;
    /// <summary>The members of the present configuration.</summary>
    private readonly Dictionary<NodeId, int> _ranks = [];

    public NodeId Self => self;
    public NodeSettings Settings => settings;
    public INodeEffects Effects { get; } = settings.IsExtended ? new HeldEffects(effects) : effects;
    /// <summary>In extended mode: what holds the application back while groups merge.</summary>
    public HeldEffects? Held => Effects as HeldEffects;
    /// <summary>Groups are merging: this node's application is shown nothing and sends nothing until it has reconciled their states.</summary>
    public bool IsMerging => Held is { IsHolding: true };
    public TimeSpan Now { get; set; }

    /// <summary>The regular configuration that this node is in; null before the first.</summary>
    public Configuration? Configuration { get; private set; }
    public ReadOnlyMemory<byte> ConfigurationBytes { get; private set; }
    /// <summary>Those that came here together with this node from its configuration before.</summary>
    public ImmutableArray<NodeId> CameAlong { get; set; } = [];
    public OrderingLayer? Ordering { get; set; }
    /// <summary>A configuration change is under way, or the node is blocked: nothing is sent or delivered.</summary>
    public bool IsFrozen { get; set; }
    /// <summary>Extended mode: what is delivered now is delivered in the transitional configuration.</summary>
    public bool IsInTransition { get; set; }
    /// <summary>Not in a primary configuration.</summary>
    public bool IsBlocked { get; set; } = true;
    /// <summary>Somebody waits for what is stable: until then changes are told at once.</summary>
    public TimeSpan EagerUntil { get; set; } = TimeSpan.FromDays(-1);
    public bool IsEager => Now < EagerUntil;
    /// <summary>In a primary configuration, and no change is under way.</summary>
    public bool IsWorking => Configuration is not null && !IsFrozen;

    public void Enter(Configuration configuration)
    {
        Configuration = configuration;
        _ranks.Clear();
        for (int rank = 0; rank < configuration.Members.Length; rank++) _ranks.TryAdd(configuration.Members[rank], rank);
        ConfigurationBytes = Encode(configuration.Id);
    }

    public static byte[] Encode(ConfigurationId id)
    {
        var writer = new WireWriter(64);
        writer.Configuration(id);
        return writer.ToArray();
    }

    public int RankOf(NodeId node) => _ranks.TryGetValue(node, out int rank) ? rank : -1;

    /// <summary>
    /// How long an attempt at a configuration of so many members may take. Each of its steps waits for the latest of n² frames: in a
    /// large cluster some are always late, and no attempt would ever end in the time of a small one.
    /// </summary>
    public TimeSpan AttemptTimeout(int members) => settings.AttemptTimeout * Math.Max(1, members / (double)UsualMembers);

    public NodeId NodeAt(int rank) => Configuration!.Members[rank];

    public ImmutableArray<NodeId> NodesAt(int[] ranks) => [.. ranks.Select(NodeAt)];

    public void Trace(TraceKind kind, Func<TraceEvent, TraceEvent>? with = null)
    {
        if (!settings.Tracing) return;
        var line = new TraceEvent { Kind = kind, Node = self, Time = Now };
        Effects.Trace(with is null ? line : with(line));
    }
}
