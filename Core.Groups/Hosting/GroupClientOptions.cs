// What a client is configured with. Read once, by GroupClient.ConnectAsync; later changes have no effect.
using Core.Groups.Transport;
using Microsoft.Extensions.Logging;

namespace Core.Groups;

/// <summary>The options of a <see cref="GroupClient"/>.</summary>
public sealed class GroupClientOptions
{
    /// <summary>The client's name, under which members see it. It need not be unique, but must not be a node's. At most 100 characters.</summary>
    public string Name { get; set; } = "client";

    /// <summary>Addresses of nodes of the cluster, <c>host:port</c>: the client uses one of them, and the others when that one fails.</summary>
    public IList<string> Nodes { get; set; } = [];

    /// <summary>The cluster's name; nodes of another cluster refuse the client.</summary>
    public string Cluster { get; set; } = "default";

    /// <summary>The cluster's key; null: it has none.</summary>
    public byte[]? ClusterKey { get; set; }

    /// <summary>How long <see cref="GroupClient.ConnectAsync"/> looks for a node that serves the client. Above zero, at most 1 day.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>The shortest wait before the nodes are tried again when none was there, or one did not serve; it grows, with chance in it. From 1 millisecond to <see cref="MaximumDelay"/>.</summary>
    public TimeSpan Delay { get; set; } = TimeSpan.FromMilliseconds(50);

    /// <summary>The longest such wait, at most 10 minutes.</summary>
    public TimeSpan MaximumDelay { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>The bytes that may be under way before a call waits. From 1 KiB to 1 GiB.</summary>
    public int Window { get; set; } = 1 << 20;

    /// <summary>Where the client logs; null: nowhere.</summary>
    public ILoggerFactory? LoggerFactory { get; set; }

    /// <summary>The serializer of typed messages: <c>new JsonPayloadSerializer(MyJson.Default)</c> with generated code for the application's types. The same at all nodes and clients.</summary>
    public IPayloadSerializer Serializer { get; set; } = JsonPayloadSerializer.Default;

    /// <summary>Checks the options.</summary>
    /// <exception cref="ArgumentException">An option is wrong; the message names it and says what it must be.</exception>
    public void Validate()
    {
        Require(!string.IsNullOrWhiteSpace(Name) && Name.Length <= 100, nameof(Name), "must have 1 to 100 characters");
        Require(!string.IsNullOrEmpty(Cluster) && Cluster.Length <= 200, nameof(Cluster), "must have 1 to 200 characters");
        Require(Nodes is { Count: > 0 } && Nodes.All(n => HostPort.TryParse(n, out HostPort parsed) && parsed.Port > 0), nameof(Nodes), "must name at least one node, as host:port with a port other than 0");
        Require(ClusterKey is null or { Length: >= 16 }, nameof(ClusterKey), "must have at least 16 bytes");
        Require(ConnectTimeout > TimeSpan.Zero && ConnectTimeout <= TimeSpan.FromDays(1), nameof(ConnectTimeout), "must be above zero and at most 1 day");
        Require(MaximumDelay >= TimeSpan.FromMilliseconds(1) && MaximumDelay <= TimeSpan.FromMinutes(10), nameof(MaximumDelay), "must be from 1 millisecond to 10 minutes");
        Require(Delay >= TimeSpan.FromMilliseconds(1) && Delay <= MaximumDelay, nameof(Delay), "must be from 1 millisecond to MaximumDelay");
        Require(Window is >= 1 << 10 and <= 1 << 30, nameof(Window), "must be from 1 KiB to 1 GiB");
        Require(Serializer is not null, nameof(Serializer), "must be set");
    }

    private static void Require(bool condition, string option, string rule)
    {
        if (!condition)
        {
            throw new ArgumentException($"GroupClientOptions.{option} {rule}.", option);
        }
    }
}
