using System.Net;
using System.Net.Sockets;

namespace Samples.Shared;

/// <summary>Ports of the loopback address that nobody listens on now.</summary>
internal static class FreePorts
{
    public static int[] Take(int count)
    {
        // All are held until all are known: so they differ.
        var listeners = new TcpListener[count];
        for (int i = 0; i < count; i++)
        {
            listeners[i] = new TcpListener(IPAddress.Loopback, 0);
            listeners[i].Start();
        }

        int[] ports = [.. listeners.Select(l => ((IPEndPoint)l.LocalEndpoint).Port)];
        foreach (TcpListener listener in listeners)
            listener.Stop();
        return ports;
    }
}
