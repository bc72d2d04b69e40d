using System.Net;
using System.Net.Sockets;

namespace Samples.Shared;

/// <summary>
/// Loopback addresses, host and port, at which nobody listens now and that are given out once. Each process has a host of its own, and the ports are
/// below those that systems give out by themselves: so nobody takes one between now and its use.
/// </summary>
internal static class FreeAddresses
{
    private const int FirstPort = 10_000, Ports = 20_000;

    private static int _taken = Environment.ProcessId * 101;

    public static string[] Take(int count) => [.. Enumerable.Range(0, count).Select(static _ => Next())];

    private static string Next()
    {
        int process = Environment.ProcessId;
        IPAddress host = OperatingSystem.IsMacOS() // it has one loopback address only
            ? IPAddress.Loopback : new IPAddress([127, (byte)(1 + ((process >> 16) % 250)), (byte)(process >> 8), (byte)process]);
        for (int i = 0; i < Ports; i++)
        {
            var address = new IPEndPoint(host, FirstPort + (int)((uint)Interlocked.Increment(ref _taken) % Ports));
            try
            {
                using var listener = new TcpListener(address);
                listener.Start();
                return address.ToString();
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.AddressAlreadyInUse or SocketError.AccessDenied)
            {
                // somebody else's: the next one
            }
        }

        throw new IOException($"No port of {host} from {FirstPort} to {FirstPort + Ports - 1} is free.");
    }
}
