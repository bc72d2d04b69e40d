// Connections over TCP: listens, dials, shakes hands, and moves frames.
// Keeps: nothing that arrives or that the host throws ends more than its own connection; every background flow is awaited at the end.
// Follows: protocol.md, sections 2 and 8. Deviation: no TLS yet; the key proves identity and settings at the handshake, it does not
//   protect what follows against someone who can change packets on the way.
using System.Net.Sockets;
using System.Security.Cryptography;
using Core.Groups.Protocol;
using Microsoft.Extensions.Logging;

namespace Core.Groups.Transport;

/// <summary>The transport of real nodes. See <see cref="ITransport"/> for threading and errors.</summary>
internal sealed class TcpTransport : ITransport
{
    private static readonly TimeSpan s_acceptPause = TimeSpan.FromMilliseconds(100);

    private readonly TcpTransportOptions _options;
    private readonly TransportLog _log;
    private readonly HandshakeProof _proof;
    private readonly ClusterSettings _settings;
    private readonly DialTable _dials = new();
    private readonly TaskTracker _tasks = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<TcpConnection> _dirty = [];
    private ITransportEvents? _events;
    private PeerTable? _peers;
    private Listener? _listener;
    private bool _isElector;
    private int _connections, _handshakes;

    /// <summary>Judges the options; opens nothing.</summary>
    /// <exception cref="ArgumentException">An option cannot be meant; the message names it.</exception>
    public TcpTransport(TcpTransportOptions options, ILogger logger)
    {
        options.Validate();
        _options = options;
        _log = new TransportLog(logger, options.TimeProvider);
        _proof = new HandshakeProof(options.Keys);
        _settings = ClusterSettings.Of(options);
    }

    private ITransportEvents Events => _events ?? throw new InvalidOperationException("The transport was not started.");

    private PeerTable Peers => _peers ?? throw new InvalidOperationException("The transport was not started.");

    /// <inheritdoc/>
    public async ValueTask<string> StartAsync(ITransportEvents events, CancellationToken ct)
    {
        var guarded = new GuardedEvents(events, _log);
        if (Interlocked.CompareExchange(ref _events, guarded, null) is not null)
        {
            throw new InvalidOperationException("The transport was started before.");
        }
        _peers = new PeerTable(_options.Id, guarded);
        _listener = await Listener.OpenAsync(_options, ct).ConfigureAwait(false);
        _isElector = _options.Seeds.Any(seed => HostPort.Normalise(seed) == _listener.Address);
        _log.Listening(_options.Id, _listener.Address);
        if (!_tasks.TryRun(AcceptAsync))
        {
            _listener.Socket.Dispose();
            throw new ObjectDisposedException(nameof(TcpTransport));
        }
        return _listener.Address;
    }

    /// <inheritdoc/>
    public void Dial(string address)
    {
        Attempt attempt = Peers.Begin();
        if (_dials.TryBegin(address, out byte[] nonce) && !_tasks.TryRun(() => DialAsync(address, attempt, nonce)))
        {
            _dials.End(address, nonce);
        }
    }

    /// <inheritdoc/>
    public void Transmit(int connection, ReadOnlySpan<byte> frame)
    {
        ArgumentOutOfRangeException.ThrowIfZero(frame.Length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(frame.Length, _options.MaximumFrame);
        if (Peers.Find(connection) is TcpConnection target)
        {
            target.Append(frame);
            MarkDirty(target);
        }
    }

    /// <inheritdoc/>
    public void Flush()
    {
        foreach (TcpConnection connection in _dirty)
        {
            connection.IsDirty = false;
            if (connection.IsClosing)
            {
                connection.Close();
            }
            else
            {
                connection.Sender.Flush();
            }
        }
        _dirty.Clear();
    }

    /// <inheritdoc/>
    public void Close(int connection, string reason)
    {
        if (Peers.Find(connection) is TcpConnection target && Peers.Remove(target))
        {
            _log.Ended(target, reason);
            target.IsClosing = true;
            MarkDirty(target);
        }
    }

    /// <inheritdoc/>
    public void ChangeIdentity(NodeId identity)
    {
        foreach (TcpConnection connection in Peers.ChangeIdentity(identity))
        {
            connection.Drop();
        }
    }

    /// <inheritdoc/>
    public void Abort()
    {
        _stopping.Cancel();
        _listener?.Socket.Dispose();
        foreach (TcpConnection connection in _peers?.Stop() ?? [])
        {
            connection.Reset();
        }
    }

    /// <summary>Closes everything, sending within the close time-out what was flushed before, and waits for it. Not to be awaited within an event.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        _listener?.Socket.Dispose();
        foreach (TcpConnection connection in _peers?.Stop() ?? [])
        {
            connection.Close();
        }
        await _tasks.CloseAsync().ConfigureAwait(false);
    }

    private void MarkDirty(TcpConnection connection)
    {
        if (!connection.IsDirty)
        {
            connection.IsDirty = true;
            _dirty.Add(connection);
        }
    }

    private async Task AcceptAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                Socket socket = await _listener!.Socket.AcceptAsync(_stopping.Token).ConfigureAwait(false);
                if (!_tasks.TryRun(() => ServeAsync(socket)))
                {
                    socket.Dispose();
                }
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException e)
            {
                if (_stopping.IsCancellationRequested)
                {
                    return;
                }
                // Out of descriptors, or a peer that was gone at once: neither ends the listener.
                _log.AcceptFailed(e);
                await Task.Delay(s_acceptPause, _options.TimeProvider, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using (socket)
        {
            TcpConnection? connection = null;
            try
            {
                if (Interlocked.Increment(ref _handshakes) > _options.MaximumHandshakes)
                {
                    _log.TooMany(Describe(socket), _options.MaximumHandshakes);
                    return;
                }
                connection = await WelcomeAsync(socket).ConfigureAwait(false);
            }
            finally
            {
                Interlocked.Decrement(ref _handshakes);
            }
            await RunAsync(connection).ConfigureAwait(false);
        }
    }

    private async ValueTask<TcpConnection?> WelcomeAsync(Socket socket)
    {
        Attempt attempt = Peers.Begin();
        var handshake = new Handshake(socket, HelloOf(attempt, RandomNumberGenerator.GetBytes(Hello.NonceLength)), _proof);
        try
        {
            PeerIdentity peer = await WithinTimeAsync(ct => handshake.AcceptAsync(_dials.Recognise, ct)).ConfigureAwait(false);
            return await AdmitAsync(socket, attempt, peer, handshake).ConfigureAwait(false);
        }
        catch (HandshakeException e)
        {
            await TellRefusalAsync(socket, handshake.Peer?.Id.ToString() ?? Describe(socket), e).ConfigureAwait(false);
        }
        catch (Exception e) when (IsBroken(e))
        {
            _log.NoConnection(Describe(socket), e.Message);
        }
        return null;
    }

    private async Task DialAsync(string address, Attempt attempt, byte[] nonce)
    {
        Socket? socket = null;
        try
        {
            socket = await Connector.ConnectAsync(address, _options, _stopping.Token).ConfigureAwait(false);
            TcpConnection? connection = await GreetAsync(socket, address, attempt, nonce).ConfigureAwait(false);
            await RunAsync(connection).ConfigureAwait(false);
        }
        catch (ConnectException e)
        {
            FailDial(address, nonce, e.IsRefused, e.Message);
        }
        finally
        {
            socket?.Dispose();
        }
    }

    private async ValueTask<TcpConnection?> GreetAsync(Socket socket, string address, Attempt attempt, byte[] nonce)
    {
        var handshake = new Handshake(socket, HelloOf(attempt, nonce), _proof);
        try
        {
            PeerIdentity peer = await WithinTimeAsync(handshake.DialAsync).ConfigureAwait(false);
            // Over before the host hears of the connection: should that break at once, a new dial must not be taken for this one.
            _dials.End(address, nonce);
            TcpConnection? connection = await AdmitAsync(socket, attempt, peer, handshake).ConfigureAwait(false);
            if (connection is null && !Peers.IsConnected(peer.Id))
            {
                FailDial(address, nonce, isRefused: false, "another connection took its place");
            }
            return connection;
        }
        catch (HandshakeException e)
        {
            await TellRefusalAsync(socket, address, e).ConfigureAwait(false);
            bool isConnected = e.Error == HandshakeError.Duplicate && handshake.Peer is PeerIdentity peer && Peers.IsConnected(peer.Id);
            if (!isConnected && !_dials.IsSelf(address))
            {
                if (e.Error != HandshakeError.Duplicate && !_stopping.IsCancellationRequested)
                {
                    Events.PeerRefused(address, e.Error, e.Message);
                }
                FailDial(address, nonce, isRefused: false, e.Message);
            }
        }
        catch (Exception e) when (IsBroken(e))
        {
            FailDial(address, nonce, isRefused: false, e.Message);
        }
        finally
        {
            _dials.End(address, nonce);
        }
        return null;
    }

    // The second half of a handshake, the same for both sides: the lower node decides, the higher waits for that.
    private async ValueTask<TcpConnection?> AdmitAsync(Socket socket, Attempt attempt, PeerIdentity peer, Handshake handshake)
    {
        long? decision = attempt.Own < peer.Id ? null : await WithinTimeAsync(handshake.ReceiveCommitAsync).ConfigureAwait(false);
        socket.NoDelay = true;
        var connection = new TcpConnection(Interlocked.Increment(ref _connections), socket, peer, attempt, _options, Events);
        if (Peers.TryAdmit(connection, decision))
        {
            _log.Connected(connection);
            return connection;
        }
        return decision is null ? throw new HandshakeException(HandshakeError.Duplicate, "the pair has a newer connection") : null;
    }

    private async Task RunAsync(TcpConnection? connection)
    {
        if (connection is null)
        {
            return;
        }
        string reason;
        try
        {
            reason = await connection.RunAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            _log.HostFailed(e);
            reason = "the host failed on a frame";
        }
        if (Peers.Ended(connection, reason))
        {
            _log.Ended(connection, reason);
        }
    }

    private async ValueTask<T> WithinTimeAsync<T>(Func<CancellationToken, ValueTask<T>> step)
    {
        using var limit = new CancellationTokenSource(_options.HandshakeTimeout, _options.TimeProvider);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _stopping.Token);
        try
        {
            return await step(both.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!_stopping.IsCancellationRequested)
        {
            throw new HandshakeException(HandshakeError.TimedOut, $"the handshake took longer than {_options.HandshakeTimeout.TotalSeconds} s");
        }
    }

    private async ValueTask TellRefusalAsync(Socket socket, string peer, HandshakeException refusal)
    {
        _log.Refused(peer, refusal);
        if (!refusal.ByPeer)
        {
            using var limit = new CancellationTokenSource(_options.CloseTimeout, _options.TimeProvider);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _stopping.Token);
            await Handshake.RefuseAsync(socket, refusal.Error, refusal.Message, both.Token).ConfigureAwait(false);
        }
    }

    private void FailDial(string address, byte[] nonce, bool isRefused, string reason)
    {
        _dials.End(address, nonce);
        if (!_stopping.IsCancellationRequested && !_dials.IsSelf(address))
        {
            _log.NoConnection(address, reason);
            Events.DialFailed(address, isRefused, reason);
        }
    }

    private Hello HelloOf(Attempt attempt, byte[] nonce) => new()
    {
        MinimumVersion = _options.MinimumVersion,
        MaximumVersion = _options.MaximumVersion,
        Cluster = _options.ClusterName,
        Peer = new PeerIdentity(attempt.Own, _listener!.Address, _options.Site, _options.Weight, _isElector),
        IsKeyed = !_options.Keys.IsEmpty,
        Settings = _settings,
        Nonce = nonce,
    };

    private static bool IsBroken(Exception e) => e is SocketException or IOException or ObjectDisposedException or OperationCanceledException;

    private static string Describe(Socket socket)
    {
        try
        {
            return socket.RemoteEndPoint?.ToString() ?? "an unknown address";
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return "an address that is gone";
        }
    }
}
