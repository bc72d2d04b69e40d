// The announced connections, and which of a pair's connections is the present one.
// Keeps: at most one connection per peer; both sides of a pair agree in the end on which; the host hears of connections in the order of the table.
// Rule: the node with the lower id decides, and numbers its decisions; the higher follows the highest number that it has seen of it.
//   A handshake that began before the present connection was decided loses (both had dialled at once); else the newcomer replaces it (the peer lost it).
using System.Collections.Concurrent;

namespace Core.Groups.Transport;

/// <summary>When and as whom a node entered a handshake.</summary>
/// <param name="Started">In the order of <see cref="PeerTable"/>'s clock.</param>
internal readonly record struct Attempt(long Started, NodeId Own);

/// <summary>Thread-safe. Events are raised under the lock, so that they come in the order of the changes.</summary>
internal sealed class PeerTable(NodeId self, ITransportEvents events)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<NodeId, TcpConnection> _byPeer = [];
    private readonly ConcurrentDictionary<int, TcpConnection> _byNumber = new();
    private NodeId _self = self;
    private long _clock;
    private bool _isStopped;

    /// <summary>A handshake begins.</summary>
    public Attempt Begin()
    {
        lock (_gate)
        {
            return new Attempt(++_clock, _self);
        }
    }

    /// <summary>Makes a connection the pair's present one and tells the host, unless it lost against another.</summary>
    /// <param name="decision">The lower peer's number; null where this node is the lower one and decides.</param>
    public bool TryAdmit(TcpConnection connection, long? decision)
    {
        lock (_gate)
        {
            if (_isStopped || connection.Attempt.Own != _self)
            {
                return false;
            }
            if (_byPeer.TryGetValue(connection.Peer.Id, out TcpConnection? present))
            {
                if (present.Commit > (decision ?? connection.Attempt.Started))
                {
                    return false;
                }
                _byNumber.TryRemove(present.Number, out _);
                Replace(present, isDecided: decision is not null);
            }
            connection.Commit = decision ?? ++_clock;
            if (decision is null)
            {
                connection.Sender.AppendRecord(Handshake.EncodeCommit(connection.Commit));
            }
            _byPeer[connection.Peer.Id] = connection;
            _byNumber[connection.Number] = connection;
            events.PeerConnected(connection.Number, connection.Peer);
        }
        connection.Sender.Flush();
        events.FramesFlushed(connection.Number);
        return true;
    }

    /// <summary>A connection broke: the host is told, unless it was replaced or closed before.</summary>
    /// <returns>Whether the host was told.</returns>
    public bool Ended(TcpConnection connection, string reason)
    {
        lock (_gate)
        {
            if (!Remove(connection))
            {
                return false;
            }
            events.PeerDisconnected(connection.Number, reason);
        }
        events.FramesFlushed(connection.Number);
        return true;
    }

    /// <summary>The announced connection of that number, or null. Takes no lock.</summary>
    public TcpConnection? Find(int number) => _byNumber.GetValueOrDefault(number);

    /// <summary>Whether a peer is connected now.</summary>
    public bool IsConnected(NodeId peer)
    {
        lock (_gate)
        {
            return _byPeer.ContainsKey(peer);
        }
    }

    /// <summary>Takes a connection out, without an event.</summary>
    /// <returns>Whether it was in.</returns>
    public bool Remove(TcpConnection connection)
    {
        lock (_gate)
        {
            return _byNumber.TryRemove(connection.Number, out _) && _byPeer.Remove(connection.Peer.Id);
        }
    }

    /// <summary>Takes all connections out, without events, and goes on as another node.</summary>
    public TcpConnection[] ChangeIdentity(NodeId self)
    {
        lock (_gate)
        {
            _self = self;
            return Clear();
        }
    }

    /// <summary>Takes all connections out, without events, and lets none in again.</summary>
    public TcpConnection[] Stop()
    {
        lock (_gate)
        {
            _isStopped = true;
            return Clear();
        }
    }

    // The node that follows ends the old connection; the one that decides waits for that.
    private static void Replace(TcpConnection old, bool isDecided)
    {
        if (isDecided)
        {
            old.Drop();
        }
        else
        {
            old.Retire();
        }
    }

    private TcpConnection[] Clear()
    {
        TcpConnection[] all = [.. _byNumber.Values];
        _byNumber.Clear();
        _byPeer.Clear();
        return all;
    }
}
