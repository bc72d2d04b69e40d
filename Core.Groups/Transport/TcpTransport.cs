// Connections over TCP: listens, dials, and moves frames.
// Keeps: nothing that arrives or that the host throws ends more than its own connection; every background flow is awaited at the end.
// Follows: protocol.md, sections 2 and 8. Deviation: no TLS yet; the key proves identity and settings at the handshake, it does not
//   protect what follows against someone who can change packets on the way.
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Core.Groups.Transport;

/// <summary>The transport of real nodes. See <see cref="ITransport"/> for threading and errors.</summary>
internal sealed class TcpTransport : ITransport
{
    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    private readonly TcpTransportOptions _options;
    private readonly TransportLog _log;
    private readonly DialTable _dials = new();
    private readonly TaskTracker _tasks;
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<TcpConnection> _dirty = [];
    private NodeId _first;
    private PeerTable? _peers;
    private Listener? _listener;
    private Greeter? _greeter;
    /// <summary>Room for handshakes. Who comes when there is none waits in the listener's backlog, and costs nothing there.</summary>
    private readonly SemaphoreSlim _room;
    private int _starts, _disposals;

    /// <summary>Judges the options; opens nothing.</summary>
    /// <exception cref="ArgumentException">An option cannot be meant; the message names it.</exception>
    public TcpTransport(TcpTransportOptions options, ILogger logger)
    {
        options.Validate();
        _options = options;
        _first = options.Id;
        _log = new TransportLog(logger, options.TimeProvider);
        _tasks = new TaskTracker(_log.Defect);
        _room = new SemaphoreSlim(options.MaximumHandshakes);
    }

    private PeerTable Peers => _peers ?? throw new InvalidOperationException("The transport was not started.");

    /// <inheritdoc/>
    public async ValueTask<string> StartAsync(ITransportEvents events, CancellationToken ct)
    {
        if (Interlocked.Exchange(ref _starts, 1) != 0)
        {
            throw new InvalidOperationException("The transport was started before.");
        }
        var guarded = new GuardedEvents(events, _log);
        Listener listener = await Listener.OpenAsync(_options, ct).ConfigureAwait(false);
        _listener = listener;
        _peers = new PeerTable(_first, guarded);
        _greeter = new Greeter(_options, listener.Address, _peers, _dials, guarded, _log, _stopping.Token);
        _log.Listening(_first, listener.Address);
        if (!_tasks.TryRun(AcceptAsync))
        {
            listener.Socket.Dispose();
            throw new ObjectDisposedException(nameof(TcpTransport));
        }
        return listener.Address;
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
            target.Retire();
            MarkDirty(target);
        }
    }

    /// <inheritdoc/>
    public void ChangeIdentity(NodeId identity)
    {
        if (_starts == 0)
        {
            _first = identity;
            return;
        }
        foreach (TcpConnection connection in Peers.ChangeIdentity(identity))
        {
            connection.Drop();
        }
    }

    /// <inheritdoc/>
    public void Abort()
    {
        if (Volatile.Read(ref _disposals) != 0)
        {
            return;
        }
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
        if (Interlocked.Exchange(ref _disposals, 1) != 0)
        {
            await _tasks.CloseAsync().ConfigureAwait(false);
            return;
        }
        await _stopping.CancelAsync().ConfigureAwait(false);
        _listener?.Socket.Dispose();
        foreach (TcpConnection connection in _peers?.Stop() ?? [])
        {
            connection.Close();
        }
        await _tasks.CloseAsync().ConfigureAwait(false);
        _stopping.Dispose();
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
                await MakeRoomAsync().ConfigureAwait(false);
                Socket socket = await AcceptOneAsync().ConfigureAwait(false);
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
                await Task.Delay(AcceptPause, _options.TimeProvider, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }

    private async ValueTask MakeRoomAsync()
    {
        if (!_room.Wait(0, CancellationToken.None))
        {
            _log.TooMany(_options.MaximumHandshakes);
            await _room.WaitAsync(_stopping.Token).ConfigureAwait(false);
        }
    }

    private async ValueTask<Socket> AcceptOneAsync()
    {
        try
        {
            return await _listener!.Socket.AcceptAsync(_stopping.Token).ConfigureAwait(false);
        }
        catch
        {
            _room.Release();
            throw;
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        TcpConnection? connection;
        try
        {
            connection = await _greeter!.WelcomeAsync(socket, Peers.Begin()).ConfigureAwait(false);
        }
        finally
        {
            _room.Release();
        }
        await RunAsync(connection).ConfigureAwait(false);
    }

    private async Task DialAsync(string address, Attempt attempt, byte[] nonce)
    {
        TcpConnection? connection = await _greeter!.DialAsync(address, attempt, nonce).ConfigureAwait(false);
        await RunAsync(connection).ConfigureAwait(false);
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
}
