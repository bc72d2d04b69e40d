// What a node's protocol machine is configured with. Times are intervals; nothing here changes while a node runs.
using System.Collections.Immutable;

namespace Core.Groups.Protocol;

/// <summary>The settings of one <see cref="NodeMachine"/>.</summary>
internal sealed record NodeSettings
{
    /// <summary>The address under which others reach this node (<c>host:port</c>).</summary>
    public required string Address { get; init; }
    /// <summary>Addresses to dial until they answer. The nodes that listen there are the electorate (protocol, section 6).</summary>
    public ImmutableArray<string> Seeds { get; init; } = [];
    /// <summary>
    /// Addresses of nodes that went on without this node's last incarnation. They are dialled too, and a node without seeds
    /// waits for them before it starts a cluster alone (else it would be excluded again, and again, as they meet).
    /// </summary>
    public ImmutableArray<string> Contacts { get; init; } = [];
    /// <summary>The site attribute, or empty.</summary>
    public string Site { get; init; } = "";
    /// <summary>This node's weight in majorities.</summary>
    public int Weight { get; init; } = 1;
    /// <summary>The electorate weight that every primary needs; 0 means a majority of the seeds.</summary>
    public int MinimumPrimaryWeight { get; init; }
    /// <summary>
    /// Every component goes on, and components that meet merge (EVS as it is); else only a primary one works (the filter, section 5
    /// of the EVS paper). All nodes of a cluster have the same mode.
    /// </summary>
    public bool IsExtended { get; init; }
    /// <summary>How often an otherwise silent link says that it lives.</summary>
    public TimeSpan Heartbeat { get; init; } = TimeSpan.FromMilliseconds(200);
    /// <summary>The silence after which a peer is suspected.</summary>
    public TimeSpan Suspect { get; init; } = TimeSpan.FromSeconds(2);
    /// <summary>How long a step of a configuration change may take before it starts again.</summary>
    public TimeSpan AttemptTimeout { get; init; } = TimeSpan.FromSeconds(1);
    /// <summary>How long acknowledgements may wait for a frame to ride on.</summary>
    public TimeSpan AcknowledgementDelay { get; init; } = TimeSpan.FromMilliseconds(20);
    /// <summary>The largest message, in bytes.</summary>
    public int MaximumMessageSize { get; init; } = 16 << 20;
    /// <summary>
    /// In a group of more members than this the floors are gathered at the oldest one, which tells all: a hop more, and O(n) frames in
    /// place of O(n²) where most members have nothing to send.
    /// </summary>
    public int GatherAbove { get; init; } = 32;
    /// <summary>The size of the pieces in which a large message travels, in bytes.</summary>
    public int PieceSize { get; init; } = 64 << 10;
    /// <summary>The credit per group and sender, in bytes, that a receiver grants ahead of its application's consumption.</summary>
    public int CreditWindow { get; init; } = 1 << 20;
    /// <summary>How many clients this node serves.</summary>
    public int MaximumClients { get; init; } = 10_000;
    /// <summary>How long a client is remembered that is not connected.</summary>
    public TimeSpan ClientSession { get; init; } = TimeSpan.FromMinutes(1);
    /// <summary>The random id of the node's stable store, to which its votes belong at first; 0: it has none.</summary>
    public ulong Memory { get; init; }
    /// <summary>The last record that an incarnation of this node gave to <see cref="INodeEffects.Store"/>; empty: none.</summary>
    public ReadOnlyMemory<byte> Remembered { get; init; }
    /// <summary>Whether <see cref="INodeEffects.Trace"/> is called.</summary>
    public bool Tracing { get; init; }
    /// <summary>Rules that a test takes away.</summary>
    internal WeakRules Weak { get; init; }
}

/// <summary>What a connection's handshake has proven of the peer.</summary>
/// <param name="Id">The peer.</param>
/// <param name="Address">The address at which the peer listens.</param>
/// <param name="Site">The peer's site, or empty.</param>
/// <param name="Weight">The peer's weight.</param>
/// <param name="IsElector">Whether the peer's address is one of the seeds.</param>
internal sealed record PeerIdentity(NodeId Id, string Address, string Site, int Weight, bool IsElector)
{
    /// <summary>It is a client, which takes part in no configuration. Its address means nothing.</summary>
    public bool IsClient { get; init; }
}
