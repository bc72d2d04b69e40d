// Brings new sockets through their handshake, and tells what came of it.
// Keeps: every dial has one outcome: a connection, DialFailed, or silence where the node met itself; a handshake ends in bounded time.
// Follows: protocol.md, sections 2 and 8.
using System.Net.Sockets;
using System.Security.Cryptography;
using Core.Groups.Protocol;

namespace Core.Groups.Transport;

/// <summary>Thread-safe: any number of handshakes at once.</summary>
internal sealed class Greeter(
    TcpTransportOptions options, string address, PeerTable peers, DialTable dials, ITransportEvents events, TransportLog log, CancellationToken stopping)
{
    private readonly HandshakeProof _proof = new(options.Keys);
    private readonly ClusterSettings _settings = ClusterSettings.Of(options);
    private readonly bool _isElector = options.Seeds.Any(seed => HostPort.Normalise(seed) == address);
    private readonly SendBuffers _buffers = new();
    private int _connections;

    /// <summary>Shakes hands on an accepted socket.</summary>
    /// <returns>The announced connection, which owns the socket now; or null, and the socket is closed.</returns>
    public async ValueTask<TcpConnection?> WelcomeAsync(Socket socket, Attempt attempt)
    {
        TcpConnection? connection = null;
        var handshake = new Handshake(socket, HelloOf(attempt, RandomNumberGenerator.GetBytes(Hello.NonceLength)), _proof);
        try
        {
            socket.NoDelay = true; // for the handshake too: its second record would wait for the peer's delayed acknowledgement of the first
            PeerIdentity peer = await WithinTimeAsync(ct => handshake.AcceptAsync(dials.Recognise, ct)).ConfigureAwait(false);
            connection = await AdmitAsync(socket, attempt, peer, handshake).ConfigureAwait(false);
        }
        catch (HandshakeException e)
        {
            await TellRefusalAsync(socket, handshake.Peer?.Id.ToString() ?? Describe(socket), e).ConfigureAwait(false);
        }
        catch (Exception e) when (IsBroken(e))
        {
            log.NoConnection(Describe(socket), e.Message);
        }
        finally
        {
            DisposeUnless(connection is not null, socket);
        }
        return connection;
    }

    /// <summary>Connects and shakes hands; tells the host if that fails.</summary>
    /// <returns>The announced connection, or null.</returns>
    public async ValueTask<TcpConnection?> DialAsync(string target, Attempt attempt, byte[] nonce)
    {
        TcpConnection? connection = null;
        Socket? socket = null;
        try
        {
            socket = await Connector.ConnectAsync(target, options, stopping).ConfigureAwait(false);
            socket.NoDelay = true;
            connection = await GreetAsync(socket, target, attempt, nonce).ConfigureAwait(false);
        }
        catch (ConnectException e)
        {
            FailDial(target, nonce, e.IsRefused, e.Message);
        }
        catch (Exception e) when (IsBroken(e))
        {
            FailDial(target, nonce, isRefused: false, e.Message);
        }
        finally
        {
            dials.End(target, nonce);
            DisposeUnless(connection is not null, socket);
        }
        return connection;
    }

    /// <summary>The other end of a socket, for the log.</summary>
    public static string Describe(Socket socket)
    {
        try
        {
            return socket.RemoteEndPoint?.ToString() ?? "an unknown address";
        }
        catch (Exception e) when (IsBroken(e))
        {
            return "an address that is gone";
        }
    }

    private async ValueTask<TcpConnection?> GreetAsync(Socket socket, string target, Attempt attempt, byte[] nonce)
    {
        var handshake = new Handshake(socket, HelloOf(attempt, nonce), _proof);
        HandshakeException? refusal = null;
        try
        {
            PeerIdentity peer = await WithinTimeAsync(handshake.DialAsync).ConfigureAwait(false);
            // Over before the host hears of the connection: should that break at once, a new dial must not be taken for this one.
            dials.End(target, nonce);
            if (await AdmitAsync(socket, attempt, peer, handshake).ConfigureAwait(false) is TcpConnection connection)
            {
                return connection;
            }
        }
        catch (HandshakeException e)
        {
            refusal = e;
            await TellRefusalAsync(socket, target, e).ConfigureAwait(false);
        }
        bool isDuplicate = refusal is null or { Error: HandshakeError.Duplicate };
        if (isDuplicate && handshake.Peer is PeerIdentity other && peers.IsConnected(other.Id))
        {
            return null;
        }
        if (!isDuplicate && !IsOver(target))
        {
            events.PeerRefused(target, refusal!.Error, refusal.Message);
        }
        FailDial(target, nonce, isRefused: false, refusal?.Message ?? "another connection took its place");
        return null;
    }

    // The second half of a handshake, the same for both sides: the lower node decides, the higher waits for that.
    private async ValueTask<TcpConnection?> AdmitAsync(Socket socket, Attempt attempt, PeerIdentity peer, Handshake handshake)
    {
        long? decision = attempt.Own < peer.Id ? null : await WithinTimeAsync(handshake.ReceiveCommitAsync).ConfigureAwait(false);
        var connection = new TcpConnection(Interlocked.Increment(ref _connections), socket, peer, attempt, options, _buffers, events);
        if (peers.TryAdmit(connection, decision))
        {
            log.Connected(connection);
            return connection;
        }
        return decision is null ? throw new HandshakeException(HandshakeError.Duplicate, "the pair has a newer connection") : null;
    }

    private async ValueTask<T> WithinTimeAsync<T>(Func<CancellationToken, ValueTask<T>> step)
    {
        using var limit = new CancellationTokenSource(options.HandshakeTimeout, options.TimeProvider);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stopping);
        try
        {
            return await step(both.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            throw new HandshakeException(HandshakeError.TimedOut, $"the handshake took longer than {options.HandshakeTimeout.TotalSeconds} s");
        }
    }

    private async ValueTask TellRefusalAsync(Socket socket, string peer, HandshakeException refusal)
    {
        log.Refused(peer, refusal);
        if (!refusal.ByPeer)
        {
            using var limit = new CancellationTokenSource(options.CloseTimeout, options.TimeProvider);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stopping);
            await Handshake.RefuseAsync(socket, refusal.Error, refusal.Message, both.Token).ConfigureAwait(false);
        }
    }

    private void FailDial(string target, byte[] nonce, bool isRefused, string reason)
    {
        dials.End(target, nonce);
        if (!IsOver(target))
        {
            log.NoConnection(target, reason);
            events.DialFailed(target, isRefused, reason);
        }
    }

    // Nobody is to be told: the transport ends, or the node met itself.
    private bool IsOver(string target) => stopping.IsCancellationRequested || dials.IsSelf(target);

    private Hello HelloOf(Attempt attempt, byte[] nonce) => new()
    {
        MinimumVersion = options.MinimumVersion,
        MaximumVersion = options.MaximumVersion,
        Cluster = options.ClusterName,
        Peer = new PeerIdentity(attempt.Own, address, options.Site, options.Weight, _isElector) { IsClient = options.IsClient },
        IsKeyed = !options.Keys.IsEmpty,
        Settings = _settings,
        Nonce = nonce,
    };

    private static bool IsBroken(Exception e) => e is SocketException or IOException or ObjectDisposedException or OperationCanceledException;

    private static void DisposeUnless(bool isKept, Socket? socket)
    {
        if (!isKept)
        {
            socket?.Dispose();
        }
    }
}
