using System.Net;
using System.Net.Sockets;

namespace Samples.Shared;

/// <summary>Loopback addresses, host and port, at which nobody listens now. Each process has a host of its own: two that look at once find no address twice.</summary>
internal static class FreeAddresses
{
    public static string[] Take(int count)
    {
        int process = Environment.ProcessId;
        IPAddress host = OperatingSystem.IsMacOS() // it has one loopback address only
            ? IPAddress.Loopback : new IPAddress([127, (byte)(1 + ((process >> 16) % 250)), (byte)(process >> 8), (byte)process]);
        // All are held until all are known: so they differ.
        var listeners = new TcpListener[count];
        for (int i = 0; i < count; i++)
        {
            listeners[i] = new TcpListener(host, 0);
            listeners[i].Start();
        }

        string[] addresses = [.. listeners.Select(l => l.LocalEndpoint.ToString()!)];
        foreach (TcpListener listener in listeners)
            listener.Stop();
        return addresses;
    }
}
