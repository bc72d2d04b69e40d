// The connections of a client: one at a time, to one node after the other.
// Keeps: the host hears nothing of a connection that it has closed; a dial takes bounded time and has one outcome.
using System.Security.Cryptography;
using Core.Groups.Protocol;
using Core.Groups.Transport;
using Microsoft.Extensions.Logging;

namespace Core.Groups.Hosting;

/// <summary>What a client's host hears. Never called while it holds its gate.</summary>
internal interface IClientConnectionEvents
{
    void OnConnected();
    void OnDisconnected(string reason);
    void OnFrame(ReadOnlyMemory<byte> frame);
}

/// <summary>A connection to a node.</summary>
internal sealed class ClientConnection(TcpConnection socket)
{
    private readonly TaskCompletionSource<string> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _served = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TcpConnection Socket => socket;
    /// <summary>Why it ended, to read.</summary>
    public Task<string> Ended => _ended.Task;
    public Task Served => _served.Task;

    public void End(string reason) => _ended.TrySetResult(reason);
    public void Serve() => _served.TrySetResult();
}

/// <summary>Connects, and moves frames. The sending half is called under the host's gate.</summary>
internal sealed class ClientConnector : ITransportEvents
{
    private readonly IClientConnectionEvents _host;
    private readonly string[] _nodes;
    private readonly PeerTable _peers;
    private readonly Greeter _greeter;
    private readonly CancellationTokenSource _stopping = new();
    private volatile ClientConnection? _present;
    private string _failure = "";
    private int _next;

    public ClientConnector(GroupClientOptions options, NodeId self, IClientConnectionEvents host, ILogger logger)
    {
        _host = host;
        _nodes = [.. options.Nodes.Select(HostPort.Normalise)];
        RandomNumberGenerator.Shuffle(_nodes.AsSpan()); // not all clients take the same, nor go to the same when it fails
        _peers = new PeerTable(self, this);
        var transport = new TcpTransportOptions
        {
            Id = self, ClusterName = options.Cluster, IsClient = true,
            Keys = options.ClusterKey is { } key ? [key] : [],
        };
        _greeter = new Greeter(transport, "client:1", _peers, new DialTable(), this, new TransportLog(logger, TimeProvider.System), _stopping.Token);
    }

    /// <summary>Goes to the next node that can be reached; completes when it serves the client.</summary>
    /// <exception cref="IOException">None can be reached, or it does not serve; the message says why.</exception>
    public async ValueTask<ClientConnection> ConnectAsync(CancellationToken ct)
    {
        (string target, TcpConnection socket) = await ReachAsync(ct).ConfigureAwait(false);
        var connection = new ClientConnection(socket);
        _present = connection;
        _host.OnConnected();
        _ = RunAsync(connection);
        await Task.WhenAny(connection.Served, connection.Ended).WaitAsync(ct).ConfigureAwait(false);
        return connection.Served.IsCompleted ? connection : throw new IOException($"{target}: {await connection.Ended.ConfigureAwait(false)}");
    }

    // Once round: a node that is gone costs no wait. One that is there and does not serve does, or all clients would press in at once.
    private async ValueTask<(string Target, TcpConnection Socket)> ReachAsync(CancellationToken ct)
    {
        for (int left = _nodes.Length; ; left--)
        {
            string target = _nodes[_next++ % _nodes.Length];
            if (await _greeter.DialAsync(target, _peers.Begin(), RandomNumberGenerator.GetBytes(Hello.NonceLength)).ConfigureAwait(false) is { } socket)
            {
                return (target, socket);
            }
            ct.ThrowIfCancellationRequested();
            if (left == 1)
            {
                throw new IOException($"{target}: {_failure}");
            }
        }
    }

    private async Task RunAsync(ClientConnection connection)
    {
        string reason;
        try
        {
            reason = await connection.Socket.RunAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            reason = $"the client failed on a frame: {e.Message}";
        }

        _peers.Ended(connection.Socket, reason);
        if (Interlocked.CompareExchange(ref _present, null, connection) == connection)
        {
            _host.OnDisconnected(reason);
        }

        connection.End(reason);
    }

    /// <summary>Appends a frame to what the next <see cref="Flush"/> sends.</summary>
    public void Transmit(ReadOnlySpan<byte> frame) => _present?.Socket.Append(frame);

    public void Flush() => _present?.Socket.Sender.Flush();

    /// <summary>Sends what was given, and ends the connection; the host hears nothing more of it.</summary>
    public void Close(string reason)
    {
        if (Interlocked.Exchange(ref _present, null) is { } connection)
        {
            connection.Socket.Close();
            connection.End(reason);
        }
    }

    public void OnServed() => _present?.Serve();

    /// <summary>The next connection is made as another client.</summary>
    public void ChangeIdentity(NodeId self)
    {
        foreach (TcpConnection connection in _peers.ChangeIdentity(self))
        {
            connection.Drop();
        }
    }

    /// <summary>No dial begins or goes on.</summary>
    public void Stop() => _stopping.Cancel();

    void ITransportEvents.PeerConnected(int connection, PeerIdentity peer) { } // ConnectAsync goes on with it

    void ITransportEvents.PeerDisconnected(int connection, string reason) { } // RunAsync tells

    void ITransportEvents.DialFailed(string address, bool refused, string reason) => _failure = reason;

    void ITransportEvents.FrameReceived(int connection, ReadOnlyMemory<byte> frame)
    {
        if (_present?.Socket.Number == connection)
        {
            _host.OnFrame(frame);
        }
    }

    void ITransportEvents.FramesFlushed(int connection) { }

    void ITransportEvents.PeerRefused(string address, HandshakeError error, string reason) => _failure = reason;
}
