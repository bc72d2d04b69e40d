// What a TCP transport is configured with. Nothing here changes while it runs, but the incarnation.
using System.Collections.Immutable;
using System.Text;

namespace Core.Groups.Transport;

/// <summary>The settings of a <see cref="TcpTransport"/>.</summary>
internal sealed record TcpTransportOptions
{
    /// <summary>The shortest cluster key, in bytes.</summary>
    public const int MinimumKeyLength = 16;

    /// <summary>The smallest value of <see cref="MaximumFrame"/>, in bytes.</summary>
    public const int MinimumMaximumFrame = 1024;

    /// <summary>The longest cluster name, node name and site, in bytes of UTF-8.</summary>
    public const int MaximumNameLength = 200;

    /// <summary>This node.</summary>
    public required NodeId Id { get; init; }
    /// <summary>Nodes of different clusters refuse each other.</summary>
    public required string ClusterName { get; init; }
    /// <summary>Where to listen, <c>host:port</c>; port 0 takes a free one.</summary>
    public string Listen { get; init; } = "127.0.0.1:0";
    /// <summary>The address at which others reach this node. Null: the listen address (for a wildcard see <see cref="Listener"/>).</summary>
    public string? AdvertisedAddress { get; init; }
    /// <summary>Whether this is a client of the cluster, which is no node: the settings that nodes share do not concern it.</summary>
    public bool IsClient { get; init; }
    /// <summary>The site attribute, or empty.</summary>
    public string Site { get; init; } = "";
    /// <summary>This node's weight in majorities.</summary>
    public int Weight { get; init; } = 1;
    /// <summary>The seeds. Nodes with different seeds refuse each other; a node without seeds goes with any.</summary>
    public ImmutableArray<string> Seeds { get; init; } = [];
    /// <summary>The electorate weight that every primary needs; the same at all nodes that have seeds.</summary>
    public int MinimumPrimaryWeight { get; init; }
    /// <summary>Primary or extended mode, as the host numbers them; the same at all nodes.</summary>
    public byte Mode { get; init; }
    /// <summary>No, one or two cluster keys (while they are rotated), each of at least <see cref="MinimumKeyLength"/> bytes.</summary>
    public ImmutableArray<ReadOnlyMemory<byte>> Keys { get; init; } = [];
    /// <summary>Whether a node without a key may listen on other addresses than loopback.</summary>
    public bool AllowInsecure { get; init; }
    /// <summary>The longest frame, in bytes; the same at all nodes.</summary>
    public int MaximumFrame { get; init; } = 128 << 10;
    /// <summary>The bytes that may wait for a peer that does not read; beyond them the connection is given up.</summary>
    public int MaximumPending { get; init; } = 64 << 20;
    /// <summary>How many accepted connections may be in their handshake at once; more wait. The clients of a node that has failed come all at once.</summary>
    public int MaximumHandshakes { get; init; } = 1024;
    /// <summary>How long a dial may take to connect.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(3);
    /// <summary>How long a handshake may take.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(5);
    /// <summary>How long a closed connection may take to send what was given to it.</summary>
    public TimeSpan CloseTimeout { get; init; } = TimeSpan.FromSeconds(1);
    /// <summary>The lowest version of the protocol that this node speaks.</summary>
    public byte MinimumVersion { get; init; } = 1;
    /// <summary>The highest version of the protocol that this node speaks.</summary>
    public byte MaximumVersion { get; init; } = 1;
    /// <summary>The clock of all time-outs.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Throws on the first option that cannot be meant.</summary>
    /// <exception cref="ArgumentException">The message names the option.</exception>
    public void Validate()
    {
        Require(IsName(Id.Name), nameof(Id), "the node's name must have 1 to 200 bytes and no control characters");
        Require(IsName(ClusterName), nameof(ClusterName), "must have 1 to 200 bytes and no control characters");
        Require(Site.Length == 0 || IsName(Site), nameof(Site), "must have at most 200 bytes and no control characters");
        Require(HostPort.TryParse(Listen, out _), nameof(Listen), $"'{Listen}' is not host:port");
        Require(AdvertisedAddress is null || (HostPort.TryParse(AdvertisedAddress, out HostPort a) && a.Port != 0), nameof(AdvertisedAddress), $"'{AdvertisedAddress}' is not host:port");
        foreach (string seed in Seeds)
        {
            Require(HostPort.TryParse(seed, out HostPort s) && s.Port != 0, nameof(Seeds), $"'{seed}' is not host:port");
        }
        Require(Weight >= 0, nameof(Weight), "must not be negative");
        Require(MinimumPrimaryWeight >= 0, nameof(MinimumPrimaryWeight), "must not be negative");
        Require(Keys.Length <= 2, nameof(Keys), "at most two keys may be valid at once");
        Require(Keys.All(key => key.Length >= MinimumKeyLength), nameof(Keys), $"a cluster key has at least {MinimumKeyLength} bytes");
        Require(MaximumFrame is >= MinimumMaximumFrame and <= 16 << 20, nameof(MaximumFrame), "must be 1 KiB to 16 MiB");
        Require(MaximumPending is > 0 and <= 1 << 30 && MaximumPending > MaximumFrame, nameof(MaximumPending), "must be above the maximum frame and at most 1 GiB");
        Require(MaximumHandshakes > 0, nameof(MaximumHandshakes), "must be positive");
        Require(MinimumVersion <= MaximumVersion, nameof(MinimumVersion), "must not be above the maximum version");
        foreach (TimeSpan time in (ReadOnlySpan<TimeSpan>)[ConnectTimeout, HandshakeTimeout, CloseTimeout])
        {
            Require(time > TimeSpan.Zero && time < TimeSpan.FromDays(1), "time-outs", "must be positive and under a day");
        }
    }

    /// <summary>Whether a text may name a cluster, a node or a site.</summary>
    public static bool IsName(string? text) =>
        !string.IsNullOrEmpty(text) && text.Length <= MaximumNameLength && Encoding.UTF8.GetByteCount(text) <= MaximumNameLength && !text.Any(char.IsControl);

    private static void Require(bool holds, string option, string message)
    {
        if (!holds)
        {
            throw new ArgumentException($"{option}: {message}.", option);
        }
    }
}
