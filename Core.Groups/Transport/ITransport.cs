// The connections that carry a node's links, as its host sees them.
// Keeps: at most one announced connection per peer; frames of a connection arrive whole and in order, or the connection ends.
// Follows: protocol.md, sections 1, 2 and 8. Links above resume what a broken connection lost: nothing is sent again here.
using Core.Groups.Protocol;

namespace Core.Groups.Transport;

/// <summary>
/// Authenticated connections to the other nodes. <see cref="Transmit"/>, <see cref="Flush"/>, <see cref="Close"/> and
/// <see cref="ChangeIdentity"/> are called by one thread at a time (the event loop); the rest by any thread. Nothing here blocks on the network.
/// </summary>
internal interface ITransport : IAsyncDisposable
{
    /// <summary>Starts to listen. Events come from now on.</summary>
    /// <returns>The address at which others reach this node, <c>host:port</c>, with the actual port where 0 was asked for.</returns>
    /// <exception cref="ArgumentException">An option cannot be meant.</exception>
    /// <exception cref="InvalidOperationException">The listen address would be open to strangers (no key and not loopback), or this was started before.</exception>
    /// <exception cref="IOException">The listen address cannot be used.</exception>
    ValueTask<string> StartAsync(ITransportEvents events, CancellationToken ct);

    /// <summary>
    /// Opens a connection; does nothing while a dial to that address is under way. Ends in <see cref="ITransportEvents.PeerConnected"/>
    /// (of this connection or of one that the peer opened meanwhile) or <see cref="ITransportEvents.DialFailed"/>; where this node itself answers, in silence.
    /// </summary>
    void Dial(string address);

    /// <summary>Appends a frame to what the next <see cref="Flush"/> sends; copies it. Unknown connections are ignored.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The frame is empty or longer than the maximum: a defect of the caller.</exception>
    void Transmit(int connection, ReadOnlySpan<byte> frame);

    /// <summary>The end of a turn: what it transmitted on a connection leaves in one write.</summary>
    void Flush();

    /// <summary>The next <see cref="Flush"/> sends what was given, then closes. No event of this connection follows, but those already under way.</summary>
    void Close(int connection, string reason);

    /// <summary>Goes on as another incarnation (or begins as it, before the start): drops all connections without an event; dials under way end in <see cref="ITransportEvents.DialFailed"/>.</summary>
    void ChangeIdentity(NodeId identity);

    /// <summary>As a crash: every socket is reset without a goodbye, and no event follows, but those already under way.</summary>
    void Abort();
}

/// <summary>
/// What a transport tells its host. Called by socket threads, one at a time for one connection, concurrently for several.
/// An event of a connection that has been replaced or closed may still come late: connection numbers are never used again, so ignore it.
/// </summary>
internal interface ITransportEvents
{
    /// <summary>
    /// A handshake is done. An earlier connection with that peer is gone without an event of its own. Called under a lock, so
    /// that the last connection told is the present one: take note and return; <see cref="FramesFlushed"/> follows without the lock.
    /// </summary>
    void PeerConnected(int connection, PeerIdentity peer);

    /// <summary>A connection broke. Called as <see cref="PeerConnected"/> is.</summary>
    void PeerDisconnected(int connection, string reason);

    /// <summary>A dial failed. No lock is held.</summary>
    /// <param name="refused">The host is there and nobody listens at the port.</param>
    void DialFailed(string address, bool refused, string reason);

    /// <summary>One whole frame. Its memory is never used again: slices of it may be kept.</summary>
    void FrameReceived(int connection, ReadOnlyMemory<byte> frame);

    /// <summary>All that one read of the socket brought has been given, and no lock is held: run the event loop now.</summary>
    void FramesFlushed(int connection);

    /// <summary>
    /// A dial ended in a refusal by the peer, or of the peer; <see cref="DialFailed"/> follows. Already logged. Only
    /// <see cref="HandshakeError.NameTaken"/> is told after the peer has proven the key. A node that is in a cluster ignores that one: the newcomer gives up.
    /// </summary>
    void PeerRefused(string address, HandshakeError error, string reason);
}
