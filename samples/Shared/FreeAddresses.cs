using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Samples.Shared;

/// <summary>
/// Loopback addresses, host and port, at which nobody listens now. Each process has a host of its own, and gives no address twice: whoever has been
/// given one may listen there late, and again after a crash.
/// </summary>
internal static class FreeAddresses
{
    private static readonly ConcurrentDictionary<string, bool> Given = [];

    public static string[] Take(int count)
    {
        int process = Environment.ProcessId;
        IPAddress host = OperatingSystem.IsMacOS() // it has one loopback address only
            ? IPAddress.Loopback : new IPAddress([127, (byte)(1 + ((process >> 16) % 250)), (byte)(process >> 8), (byte)process]);
        // All are held until all are known: so no port is looked at twice.
        var listeners = new List<TcpListener>();
        var addresses = new List<string>();
        while (addresses.Count < count)
        {
            var listener = new TcpListener(host, 0);
            listener.Start();
            listeners.Add(listener);
            string address = listener.LocalEndpoint.ToString()!;
            if (Given.TryAdd(address, true))
                addresses.Add(address);
        }

        foreach (TcpListener listener in listeners)
            listener.Stop();
        return [.. addresses];
    }
}
