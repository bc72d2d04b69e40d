// A transport with a host that records what it is told, so that tests await events and never sleep.
using System.Collections.Concurrent;
using System.Threading.Channels;
using Core.Groups.Protocol;
using Core.Groups.Transport;
using Microsoft.Extensions.Logging;

namespace Core.Groups.Tests.Transport;

internal sealed class TestPeer : ITransportEvents, ILogger, IAsyncDisposable
{
    /// <summary>Long enough for a loaded machine; a test that waits so long has failed.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Lock _turn = new();
    private int _flushes;

    private TestPeer(TcpTransportOptions options) => Transport = new TcpTransport(options, this);

    public TcpTransport Transport { get; }
    public string Address { get; private set; } = "";
    public Channel<(int Connection, PeerIdentity Peer)> Connected { get; } = Channel.CreateUnbounded<(int, PeerIdentity)>();
    public Channel<(int Connection, string Reason)> Disconnected { get; } = Channel.CreateUnbounded<(int, string)>();
    public Channel<(string Address, bool Refused, string Reason)> FailedDials { get; } = Channel.CreateUnbounded<(string, bool, string)>();
    public Channel<(string Address, HandshakeError Error, string Reason)> Refusals { get; } = Channel.CreateUnbounded<(string, HandshakeError, string)>();
    public Channel<(int Connection, ReadOnlyMemory<byte> Frame)> Frames { get; } = Channel.CreateUnbounded<(int, ReadOnlyMemory<byte>)>();
    /// <summary>All lines of the log.</summary>
    public ConcurrentQueue<string> Log { get; } = [];
    /// <summary>The same, to be awaited.</summary>
    public Channel<string> Lines { get; } = Channel.CreateUnbounded<string>();
    /// <summary>How often all frames of a read had been given.</summary>
    public int Flushes => Volatile.Read(ref _flushes);
    /// <summary>Called for each frame, before it is recorded.</summary>
    public Action<int, ReadOnlyMemory<byte>>? OnFrame { get; set; }
    /// <summary>Called for each connection, before it is recorded.</summary>
    public Action<int, PeerIdentity>? OnConnected { get; set; }

    public static TcpTransportOptions Options(string name, long incarnation = 1) =>
        new() { Id = new NodeId(name, incarnation), ClusterName = "test" };

    public static Task<TestPeer> StartAsync(string name) => StartAsync(Options(name));

    public static async Task<TestPeer> StartAsync(TcpTransportOptions options)
    {
        var peer = new TestPeer(options);
        peer.Address = await peer.Transport.StartAsync(peer, CancellationToken.None);
        return peer;
    }

    /// <summary>Connects two peers, the first dialling.</summary>
    public static async Task<(int AtDialer, int AtOther)> ConnectAsync(TestPeer dialer, TestPeer other)
    {
        dialer.Transport.Dial(other.Address);
        return ((await Next(dialer.Connected)).Connection, (await Next(other.Connected)).Connection);
    }

    public static async Task<T> Next<T>(Channel<T> events) => await events.Reader.ReadAsync().AsTask().WaitAsync(Patience);

    /// <summary>One turn that sends frames.</summary>
    public void Send(int connection, params ReadOnlySpan<byte[]> frames)
    {
        lock (_turn)
        {
            foreach (byte[] frame in frames)
            {
                Transport.Transmit(connection, frame);
            }
            Transport.Flush();
        }
    }

    public void Close(int connection)
    {
        lock (_turn)
        {
            Transport.Close(connection, "test");
            Transport.Flush();
        }
    }

    public void PeerConnected(int connection, PeerIdentity peer)
    {
        OnConnected?.Invoke(connection, peer);
        Connected.Writer.TryWrite((connection, peer));
    }

    public void PeerDisconnected(int connection, string reason) => Disconnected.Writer.TryWrite((connection, reason));

    public void DialFailed(string address, bool refused, string reason) => FailedDials.Writer.TryWrite((address, refused, reason));

    public void FrameReceived(int connection, ReadOnlyMemory<byte> frame)
    {
        OnFrame?.Invoke(connection, frame);
        Frames.Writer.TryWrite((connection, frame));
    }

    public void FramesFlushed(int connection) => Interlocked.Increment(ref _flushes);

    public void PeerRefused(string address, HandshakeError error, string reason) => Refusals.Writer.TryWrite((address, error, reason));

    IDisposable? ILogger.BeginScope<TState>(TState state) => null;

    bool ILogger.IsEnabled(LogLevel logLevel) => true;

    void ILogger.Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        string line = $"{logLevel}: {formatter(state, exception)}";
        Log.Enqueue(line);
        Lines.Writer.TryWrite(line);
    }

    public ValueTask DisposeAsync() => Transport.DisposeAsync();
}
