// One handshake over one new connection: Hello from the dialer; Hello and Proof from the acceptor; Proof from the dialer; then Commit from
// whichever node has the lower id, and frames.
// Keeps: nothing but records of at most 4 KiB is read before the peer's proof is good, and not a byte past the last record.
// Follows: protocol.md, sections 2 and 8. Deviation: "last frame received" is told by the links above, in their first frame.
using System.Buffers.Binary;
using System.Net.Sockets;
using Core.Groups.Protocol;

namespace Core.Groups.Transport;

/// <summary>A handshake ended in a refusal.</summary>
/// <param name="byPeer">Whether the peer refused; else this node did, and the peer has not been told yet.</param>
internal sealed class HandshakeException(HandshakeError error, string reason, bool byPeer = false) : Exception(reason)
{
    /// <summary>Why.</summary>
    public HandshakeError Error { get; } = error;
    /// <summary>Whether the peer refused; else this node did.</summary>
    public bool ByPeer { get; } = byPeer;
}

/// <summary>
/// One side of one handshake. The methods throw <see cref="HandshakeException"/> for a refusal, <see cref="SocketException"/> or
/// <see cref="EndOfStreamException"/> for a broken connection, and <see cref="OperationCanceledException"/> when time is up.
/// </summary>
internal sealed class Handshake(Socket socket, Hello own, HandshakeProof proof)
{
    private const int MaximumDrain = 64 << 10;

    /// <summary>What the peer says that it is; proven once <see cref="DialAsync"/> or <see cref="AcceptAsync"/> has returned.</summary>
    public PeerIdentity? Peer { get; private set; }

    /// <summary>The side that dialled, up to its proof.</summary>
    public async ValueTask<PeerIdentity> DialAsync(CancellationToken ct)
    {
        byte[] ownBody = own.Encode();
        await SendAsync(HandshakeRecord.Hello, ownBody, ct).ConfigureAwait(false);
        byte[] peerBody = await ReceiveAsync(HandshakeRecord.Hello, ct).ConfigureAwait(false);
        Hello peer = Judge(peerBody);
        byte[] proofs = await ReceiveAsync(HandshakeRecord.Proof, ct).ConfigureAwait(false);
        JudgeProven(peer, proof.Verify(proofs, byDialer: false, ownBody, peerBody));
        await SendAsync(HandshakeRecord.Proof, proof.Make(byDialer: true, ownBody, peerBody), ct).ConfigureAwait(false);
        return peer.Peer;
    }

    /// <summary>The side that was dialled, up to the peer's proof.</summary>
    /// <param name="isOwnNonce">Whether a nonce is one of this node's own dials: then it has reached itself.</param>
    public async ValueTask<PeerIdentity> AcceptAsync(Func<ReadOnlyMemory<byte>, bool> isOwnNonce, CancellationToken ct)
    {
        byte[] peerBody = await ReceiveAsync(HandshakeRecord.Hello, ct).ConfigureAwait(false);
        Hello peer = Judge(peerBody);
        if (isOwnNonce(peer.Nonce))
        {
            throw new HandshakeException(HandshakeError.Self, "this is the node itself");
        }
        byte[] ownBody = own.Encode();
        await SendAsync(HandshakeRecord.Hello, ownBody, ct).ConfigureAwait(false);
        await SendAsync(HandshakeRecord.Proof, proof.Make(byDialer: false, peerBody, ownBody), ct).ConfigureAwait(false);
        byte[] proofs = await ReceiveAsync(HandshakeRecord.Proof, ct).ConfigureAwait(false);
        JudgeProven(peer, proof.Verify(proofs, byDialer: true, peerBody, ownBody));
        return peer.Peer;
    }

    /// <summary>The higher node waits for the decision of the lower.</summary>
    public async ValueTask<long> ReceiveCommitAsync(CancellationToken ct)
    {
        byte[] body = await ReceiveAsync(HandshakeRecord.Commit, ct).ConfigureAwait(false);
        return body.Length == sizeof(long)
            ? BinaryPrimitives.ReadInt64LittleEndian(body)
            : throw new HandshakeException(HandshakeError.Malformed, "a Commit has the wrong length");
    }

    /// <summary>The record of the lower node's decision.</summary>
    public static byte[] EncodeCommit(long number)
    {
        Span<byte> body = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(body, number);
        return HandshakeHeader.Encode(HandshakeRecord.Commit, body);
    }

    /// <summary>
    /// Tells the peer why, then waits for the end of what it sends, within bounds: closing a socket with unread bytes would
    /// reset the connection, and the peer might never read the reason.
    /// </summary>
    public static async ValueTask RefuseAsync(Socket socket, HandshakeError error, string reason, CancellationToken ct)
    {
        try
        {
            await SendAllAsync(socket, HandshakeHeader.EncodeRefusal(error, reason), ct).ConfigureAwait(false);
            socket.Shutdown(SocketShutdown.Send);
            var sink = new byte[4096];
            int drained = 0, read;
            do
            {
                read = await socket.ReceiveAsync(sink, ct).ConfigureAwait(false);
                drained += read;
            }
            while (read > 0 && drained < MaximumDrain);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The peer is gone or takes too long: it had its chance to read the reason.
        }
    }

    // What can be judged before the proof: only what a stranger may be told, and what the proof's bytes rest on.
    private Hello Judge(byte[] body)
    {
        if (!Hello.OffersVersion(body, own.MinimumVersion, own.MaximumVersion))
        {
            string offer = body.Length < 2 ? "nothing" : $"{body[0]} to {body[1]}";
            throw new HandshakeException(HandshakeError.VersionMismatch, $"no common version: {own.MinimumVersion} to {own.MaximumVersion} here, {offer} there");
        }
        Hello peer = Hello.TryDecode(body) ?? throw new HandshakeException(HandshakeError.Malformed, "a Hello breaks the rules");
        Peer = peer.Peer;
        if (peer.Cluster != own.Cluster)
        {
            throw new HandshakeException(HandshakeError.WrongCluster, $"the clusters differ: '{own.Cluster}' here, '{peer.Cluster}' there");
        }
        return peer.IsKeyed == own.IsKeyed
            ? peer
            : throw new HandshakeException(HandshakeError.WrongKey, own.IsKeyed ? "a cluster key is used here and none there" : "a cluster key is used there and none here");
    }

    private void JudgeProven(Hello peer, bool isProven)
    {
        if (!isProven)
        {
            throw new HandshakeException(HandshakeError.WrongKey, "the proof of the cluster key is wrong (another key, or a replayed handshake)");
        }
        bool areNodes = !own.Peer.IsClient && !peer.Peer.IsClient;
        if (areNodes && own.Settings.ConflictWith(peer.Settings) is string conflict)
        {
            throw new HandshakeException(HandshakeError.SettingsMismatch, conflict);
        }
        if (peer.Peer.Id.Name == own.Peer.Id.Name)
        {
            throw new HandshakeException(HandshakeError.NameTaken, $"two nodes have the name '{own.Peer.Id.Name}': {own.Peer.Id} at {own.Peer.Address} and {peer.Peer.Id} at {peer.Peer.Address}");
        }
    }

    private async ValueTask<byte[]> ReceiveAsync(HandshakeRecord expected, CancellationToken ct)
    {
        var header = new byte[HandshakeHeader.Length];
        await ReceiveAllAsync(header, ct).ConfigureAwait(false);
        if (!HandshakeHeader.TryDecode(header, out HandshakeRecord type, out int length))
        {
            throw new HandshakeException(HandshakeError.NotThisProtocol, "what arrived does not begin like this protocol");
        }
        if (length > HandshakeHeader.MaximumBody)
        {
            throw new HandshakeException(HandshakeError.Malformed, $"a record of {length} bytes is longer than a handshake may be");
        }
        var body = new byte[length];
        await ReceiveAllAsync(body, ct).ConfigureAwait(false);
        if (type == HandshakeRecord.Refusal)
        {
            (HandshakeError error, string reason) = HandshakeHeader.DecodeRefusal(body);
            throw new HandshakeException(error, reason, byPeer: true);
        }
        return type == expected ? body : throw new HandshakeException(HandshakeError.Malformed, $"a record of type {(byte)type} came in place of {expected}");
    }

    private async ValueTask ReceiveAllAsync(Memory<byte> target, CancellationToken ct)
    {
        while (!target.IsEmpty)
        {
            int read = await socket.ReceiveAsync(target, ct).ConfigureAwait(false);
            target = read > 0 ? target[read..] : throw new EndOfStreamException("the connection was closed during the handshake");
        }
    }

    private ValueTask SendAsync(HandshakeRecord type, ReadOnlySpan<byte> body, CancellationToken ct) => SendAllAsync(socket, HandshakeHeader.Encode(type, body), ct);

    private static async ValueTask SendAllAsync(Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken ct)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await socket.SendAsync(bytes, ct).ConfigureAwait(false)..];
        }
    }
}
