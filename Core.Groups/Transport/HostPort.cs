// An address as people write it: host:port or [v6]:port. Compared in one spelling, so that a node recognises itself among its seeds.
using System.Globalization;
using System.Net;

namespace Core.Groups.Transport;

/// <summary>A host (name or address, without brackets) and a port.</summary>
internal readonly record struct HostPort(string Host, int Port)
{
    private const int MaximumHostLength = 253;

    /// <summary>Reads <c>host:port</c> or <c>[v6]:port</c>; never throws. Lower case, and <c>localhost</c> reads as <c>127.0.0.1</c>.</summary>
    public static bool TryParse(string? text, out HostPort address)
    {
        address = default;
        int colon = text?.LastIndexOf(':') ?? -1;
        if (colon <= 0 || !int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int port) || port > IPEndPoint.MaxPort)
        {
            return false;
        }
        string host = text![..colon].ToLowerInvariant();
        bool bracketed = host.Length > 2 && host[0] == '[' && host[^1] == ']';
        if (bracketed)
        {
            host = host[1..^1];
        }
        if (bracketed != host.Contains(':') || host.Length > MaximumHostLength || Uri.CheckHostName(host) == UriHostNameType.Unknown)
        {
            return false;
        }
        address = new HostPort(host == "localhost" ? "127.0.0.1" : host, port);
        return true;
    }

    /// <summary>The one spelling of an address; what is no address stays as it is.</summary>
    public static string Normalise(string text) => TryParse(text, out HostPort address) ? address.ToString() : text;

    /// <summary>The address or addresses of the host; a name is looked up.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The name is not known.</exception>
    public async ValueTask<IPAddress[]> ResolveAsync(CancellationToken ct) =>
        IPAddress.TryParse(Host, out IPAddress? literal) ? [literal] : await Dns.GetHostAddressesAsync(Host, ct).ConfigureAwait(false);

    /// <summary><c>host:port</c>, with brackets where the host is an IPv6 address.</summary>
    public override string ToString() =>
        Host.Contains(':') ? string.Create(CultureInfo.InvariantCulture, $"[{Host}]:{Port}") : string.Create(CultureInfo.InvariantCulture, $"{Host}:{Port}");
}
