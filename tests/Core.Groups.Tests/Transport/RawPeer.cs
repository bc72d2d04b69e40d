// A hand-driven other side: sends any bytes, and can shake hands well or badly.
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Core.Groups.Protocol;
using Core.Groups.Transport;

namespace Core.Groups.Tests.Transport;

internal sealed class RawPeer : IDisposable
{
    private RawPeer(Socket socket) => Socket = socket;

    public Socket Socket { get; }

    public static async Task<RawPeer> ConnectAsync(string address)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPEndPoint.Parse(address)).WaitAsync(TestPeer.Patience);
        return new RawPeer(socket);
    }

    public static Hello Hello(TcpTransportOptions options) => new()
    {
        MinimumVersion = options.MinimumVersion,
        MaximumVersion = options.MaximumVersion,
        Cluster = options.ClusterName,
        Peer = new PeerIdentity(options.Id, "127.0.0.1:1", "", 1, false),
        IsKeyed = !options.Keys.IsEmpty,
        Settings = ClusterSettings.Of(options),
        Nonce = RandomNumberGenerator.GetBytes(Core.Groups.Transport.Hello.NonceLength),
    };

    /// <summary>Connects with a good handshake. The name must be above the other's: the other decides.</summary>
    public static async Task<RawPeer> JoinAsync(string address, TcpTransportOptions options)
    {
        RawPeer peer = await ConnectAsync(address);
        using var limit = new CancellationTokenSource(TestPeer.Patience);
        var handshake = new Handshake(peer.Socket, Hello(options), new HandshakeProof(options.Keys));
        await handshake.DialAsync(limit.Token);
        await handshake.ReceiveCommitAsync(limit.Token);
        return peer;
    }

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await Socket.SendAsync(bytes).AsTask().WaitAsync(TestPeer.Patience)..];
        }
    }

    public Task SendAsync(HandshakeRecord type, byte[] body) => SendAsync(HandshakeHeader.Encode(type, body));

    public Task SendFrameLengthAsync(int length)
    {
        var prefix = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(prefix, length);
        return SendAsync(prefix);
    }

    /// <summary>The next record of a handshake.</summary>
    public async Task<(HandshakeRecord Type, byte[] Body)> ReceiveAsync()
    {
        byte[] header = await ReceiveAsync(HandshakeHeader.Length);
        Assert.True(HandshakeHeader.TryDecode(header, out HandshakeRecord type, out int length));
        return (type, await ReceiveAsync(length));
    }

    /// <summary>Skips records up to a refusal.</summary>
    public async Task<(HandshakeError Error, string Reason)> ReceiveRefusalAsync()
    {
        while (true)
        {
            (HandshakeRecord type, byte[] body) = await ReceiveAsync();
            if (type == HandshakeRecord.Refusal)
            {
                return HandshakeHeader.DecodeRefusal(body);
            }
        }
    }

    /// <summary>Reads until the other side has closed, well or by a reset.</summary>
    public async Task<int> DrainAsync()
    {
        var sink = new byte[4096];
        int total = 0;
        try
        {
            for (int read; (read = await Socket.ReceiveAsync(sink.AsMemory()).AsTask().WaitAsync(TestPeer.Patience)) > 0;)
            {
                total += read;
            }
        }
        catch (SocketException)
        {
            // A reset is an end, too.
        }
        return total;
    }

    public void Dispose() => Socket.Dispose();

    private async Task<byte[]> ReceiveAsync(int length)
    {
        var bytes = new byte[length];
        for (int have = 0; have < length;)
        {
            int read = await Socket.ReceiveAsync(bytes.AsMemory(have)).AsTask().WaitAsync(TestPeer.Patience);
            have += read > 0 ? read : throw new EndOfStreamException();
        }
        return bytes;
    }
}
