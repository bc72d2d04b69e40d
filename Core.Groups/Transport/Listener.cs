// The listening socket, and the address under which others reach it.
// Keeps: without a key only loopback is listened on, unless the operator says that insecure is meant (protocol.md, section 8).
// A wildcard (0.0.0.0, [::]) is reached at the first seed that names this machine and port; if there is none, at the machine's host name.
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace Core.Groups.Transport;

/// <summary>A bound socket.</summary>
/// <param name="Address">Where others reach it, <c>host:port</c>.</param>
internal sealed record Listener(Socket Socket, string Address)
{
    private const int Backlog = 4096; // the clients of a node that has failed come all at once

    /// <summary>Binds and listens.</summary>
    /// <exception cref="ArgumentException">The address would be open to strangers.</exception>
    /// <exception cref="IOException">The address cannot be used.</exception>
    public static async ValueTask<Listener> OpenAsync(TcpTransportOptions options, CancellationToken ct)
    {
        HostPort.TryParse(options.Listen, out HostPort listen);
        IPAddress address;
        try
        {
            IPAddress[] candidates = await listen.ResolveAsync(ct).ConfigureAwait(false);
            address = candidates.FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetwork) ?? candidates[0];
        }
        catch (SocketException e)
        {
            throw new IOException($"Cannot listen on {options.Listen}: {e.Message}.", e);
        }
        if (!IPAddress.IsLoopback(address) && options.Keys.IsEmpty && !options.AllowInsecure)
        {
            throw new ArgumentException(
                $"Listening on {options.Listen} without a cluster key would let any stranger in. Give all nodes a key (ClusterKey), listen on a loopback address, or set AllowInsecure.",
                nameof(options.Listen));
        }
        bool isWildcard = address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (address.Equals(IPAddress.IPv6Any))
            {
                socket.DualMode = true;
            }
            socket.Bind(new IPEndPoint(address, listen.Port));
            socket.Listen(Backlog);
            int port = ((IPEndPoint)socket.LocalEndPoint!).Port;
            HostPort reachable = isWildcard ? FindThisMachine(options, port) : listen with { Port = port };
            return new Listener(socket, options.AdvertisedAddress is null ? reachable.ToString() : HostPort.Normalise(options.AdvertisedAddress));
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new IOException($"Cannot listen on {options.Listen}: {e.Message}.", e);
        }
    }

    private static HostPort FindThisMachine(TcpTransportOptions options, int port)
    {
        string hostName = Dns.GetHostName();
        var own = NetworkInterface.GetAllNetworkInterfaces()
            .SelectMany(network => network.GetIPProperties().UnicastAddresses)
            .Select(unicast => unicast.Address.ToString())
            .Append(hostName)
            .ToHashSet(StringComparer.OrdinalIgnoreCase);
        foreach (string seed in options.Seeds)
        {
            if (HostPort.TryParse(seed, out HostPort candidate) && candidate.Port == port && own.Contains(candidate.Host))
            {
                return candidate;
            }
        }
        return new HostPort(hostName.ToLowerInvariant(), port);
    }
}
