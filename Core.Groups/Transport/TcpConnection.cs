// One authenticated connection: who the peer is, its place in the order of connections, and its two halves.
using System.Net.Sockets;
using Core.Groups.Protocol;

namespace Core.Groups.Transport;

/// <summary>A connection after its handshake.</summary>
internal sealed class TcpConnection
{
    private readonly Socket _socket;
    private readonly TcpTransportOptions _options;
    private readonly FrameReceiver _receiver;
    private string? _failure;
    private ITimer? _closeTimer;

    /// <param name="attempt">When and as whom this node entered the handshake.</param>
    /// <param name="buffers">Those of all connections of this transport.</param>
    public TcpConnection(int number, Socket socket, PeerIdentity peer, Attempt attempt, TcpTransportOptions options, SendBuffers buffers, ITransportEvents events)
    {
        Number = number;
        Peer = peer;
        Attempt = attempt;
        _socket = socket;
        _options = options;
        bool isThin = peer.IsClient || options.IsClient;
        Sender = new FrameSender(socket, options.MaximumPending, buffers, isThin ? FrameSender.ForClients : FrameSender.ForNodes);
        _receiver = new FrameReceiver(socket, options.MaximumFrame, isThin ? FrameReceiver.ForClients : FrameReceiver.ForNodes, events, number);
    }

    /// <summary>The number by which the host knows it; never used again.</summary>
    public int Number { get; }
    /// <summary>Who the peer has proven to be.</summary>
    public PeerIdentity Peer { get; }
    /// <summary>The handshake's beginning.</summary>
    public Attempt Attempt { get; }
    /// <summary>Its place among the connections of this pair, given by the lower node. Written once, under the table's lock.</summary>
    public long Commit { get; set; }
    /// <summary>Whether it has frames of the present turn, or is to be closed at its end. The event loop's.</summary>
    public bool IsDirty { get; set; }
    /// <summary>Whether the end of the turn closes it. The event loop's.</summary>
    public bool IsClosing { get; set; }
    /// <summary>The sending half.</summary>
    public FrameSender Sender { get; }

    /// <summary>Appends a frame. A peer for which too much is waiting loses the connection.</summary>
    public void Append(ReadOnlySpan<byte> frame)
    {
        if (!Sender.TryAppend(frame))
        {
            Interlocked.CompareExchange(ref _failure, $"the peer does not read: over {_options.MaximumPending} bytes would wait for it", null);
            Drop();
        }
    }

    /// <summary>Receives until the connection ends, then frees it.</summary>
    /// <returns>Why it ended, to read.</returns>
    public async Task<string> RunAsync()
    {
        try
        {
            string reason = await _receiver.RunAsync().ConfigureAwait(false);
            return Volatile.Read(ref _failure) ?? reason;
        }
        finally
        {
            _socket.Dispose();
            Volatile.Read(ref _closeTimer)?.Dispose();
        }
    }

    /// <summary>Receives nothing more; sends what was given and ends the stream. The peer's end of it, or the time-out, ends the connection.</summary>
    public void Close()
    {
        Retire();
        Sender.Finish();
    }

    /// <summary>
    /// Receives nothing more, and leaves it to the peer to end the connection, up to the time-out: a peer that still takes this connection for
    /// the present one must hear of its successor first, or it would tell its host that the connection broke.
    /// </summary>
    public void Retire()
    {
        _receiver.Mute();
        _closeTimer ??= _options.TimeProvider.CreateTimer(static socket => ((Socket)socket!).Dispose(), _socket, _options.CloseTimeout, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Closes at once.</summary>
    public void Drop()
    {
        _receiver.Mute();
        _socket.Dispose();
    }

    /// <summary>Resets the connection, as a crash would.</summary>
    public void Reset()
    {
        try
        {
            _socket.LingerState = new LingerOption(enable: true, seconds: 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is closed already.
        }
        Drop();
    }
}
