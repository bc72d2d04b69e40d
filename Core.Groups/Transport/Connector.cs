// Opens the TCP connection of a dial. What passes by itself (a name that is not known yet, a network that is just coming up) is tried
// again with Polly, within the time of the dial. A refusal is told at once: it says that the process is gone. When to dial again is
// decided by the protocol, whose timers are deterministic.
using System.Net;
using System.Net.Sockets;
using Polly;
using Polly.Retry;

namespace Core.Groups.Transport;

/// <summary>No connection came about.</summary>
/// <param name="isRefused">The host is there and nobody listens at the port.</param>
internal sealed class ConnectException(string reason, bool isRefused = false) : Exception(reason)
{
    /// <summary>Whether the host is there and nobody listens at the port.</summary>
    public bool IsRefused { get; } = isRefused;
}

/// <summary>Connects to an address as people write it.</summary>
internal static class Connector
{
    private static readonly ResiliencePipeline Retries = new ResiliencePipelineBuilder().AddRetry(new RetryStrategyOptions
    {
        MaxRetryAttempts = 3,
        BackoffType = DelayBackoffType.Exponential,
        UseJitter = true,
        Delay = TimeSpan.FromMilliseconds(50),
        ShouldHandle = static arguments => ValueTask.FromResult(arguments.Outcome.Exception is ConnectException { IsRefused: false }),
    }).Build();

    /// <summary>Tries all addresses of the host, in turn.</summary>
    /// <exception cref="ConnectException">None answered in time.</exception>
    public static async ValueTask<Socket> ConnectAsync(string address, TcpTransportOptions options, CancellationToken ct)
    {
        if (!HostPort.TryParse(address, out HostPort target) || target.Port == 0)
        {
            throw new ConnectException($"'{address}' is not host:port");
        }
        using var limit = new CancellationTokenSource(options.ConnectTimeout, options.TimeProvider);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, ct);
        try
        {
            return await Retries.ExecuteAsync(static (to, token) => ConnectAsync(to, token), target, both.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            throw new ConnectException($"{address} did not answer in {options.ConnectTimeout.TotalSeconds} s");
        }
    }

    private static async ValueTask<Socket> ConnectAsync(HostPort target, CancellationToken ct)
    {
        IPAddress[] addresses = await ResolveAsync(target, ct).ConfigureAwait(false);
        string failure = "the name has no address";
        bool areAllRefused = addresses.Length > 0;
        foreach (IPAddress address in addresses)
        {
            var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await socket.ConnectAsync(new IPEndPoint(address, target.Port), ct).ConfigureAwait(false);
                if (!IsJoinedToItself(socket))
                {
                    return socket;
                }
                throw new SocketException((int)SocketError.ConnectionRefused);
            }
            catch (Exception e)
            {
                socket.Dispose();
                if (e is not SocketException broken)
                {
                    throw;
                }
                failure = broken.Message;
                areAllRefused &= broken.SocketErrorCode == SocketError.ConnectionRefused;
            }
        }
        throw new ConnectException(failure, areAllRefused);
    }

    private static async ValueTask<IPAddress[]> ResolveAsync(HostPort target, CancellationToken ct)
    {
        try
        {
            return await target.ResolveAsync(ct).ConfigureAwait(false);
        }
        catch (SocketException e)
        {
            throw new ConnectException($"the name '{target.Host}' is not known: {e.Message}");
        }
    }

    // When nobody listens at a port of this machine, and the system happens to choose the same port for the dialling socket, TCP
    // connects that socket to itself; it would keep the port from the node that is to come back there.
    private static bool IsJoinedToItself(Socket socket) => Equals(socket.LocalEndPoint, socket.RemoteEndPoint);
}
