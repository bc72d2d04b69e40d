// The reliable FIFO channel to one peer incarnation, over one connection at a time.
// Keeps: numbered frames arrive once and in order while both ends keep the link; a link that one end has dropped begins
// anew at both, and its user is told (a gap is never hidden).
// Follows: protocol.md section 2. The link's own acknowledgement says "in memory here"; that a message was taken into the
// present configuration is told apart (the header's received prefix), since a frame of a later configuration is held back.
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Links;

/// <summary>What a hello has changed.</summary>
/// <param name="WasBroken">The peer has dropped what this end still had: frames may be lost.</param>
/// <param name="Answer">A hello is to be sent before anything else.</param>
internal readonly record struct HelloResult(bool WasBroken, bool Answer);

internal sealed class Link(NodeId peer, long generation, BufferPool buffers)
{
    /// <summary>Room for a header in front of a frame's records.</summary>
    public const int HeaderRoom = 192;

    private readonly Queue<(long Sequence, byte[] Buffer, int Start, int Length)> _unacknowledged = new();
    private long _generation = generation, _remoteGeneration;
    private long _sent, _received, _acknowledgedByPeer;
    private (long Mine, long Theirs) _told;
    private bool _wasEstablished;

    public NodeId Peer => peer;
    /// <summary>The present connection, or -1.</summary>
    public int Connection { get; private set; } = -1;
    public bool IsEstablished { get; private set; }
    public long UnacknowledgedBytes { get; private set; }
    /// <summary>What this end has received, for the next frame's header.</summary>
    public long Received => _received;

    public void Attach(int connection)
    {
        Connection = connection;
        IsEstablished = false;
    }

    public void Detach()
    {
        Connection = -1;
        IsEstablished = false;
    }

    public void WriteHello(WireWriter writer)
    {
        writer.Byte((byte)FrameKind.Hello);
        writer.Varint(_generation);
        writer.Varint(_remoteGeneration);
        writer.Varint(_received);
        _told = (_generation, _remoteGeneration);
    }

    /// <summary>
    /// The peer's hello. Each end has a generation, new when it begins the link anew; the link is established at an end
    /// when the peer's hello names this end's generation. An end that was established and sees the peer in a new
    /// generation begins anew too; one that was not yet only learns the number, so that the two cannot chase each other.
    /// </summary>
    public HelloResult OnHello(ref WireReader reader, Func<long> nextGeneration)
    {
        long theirs = reader.Varint(), known = reader.Varint(), received = reader.Varint();
        bool broken = false;
        if (theirs != _remoteGeneration)
        {
            if (_wasEstablished)
            {
                Renew(nextGeneration());
                broken = true;
            }
            _remoteGeneration = theirs;
        }
        if (known == _generation)
        {
            if (received > _sent || received < _acknowledgedByPeer) throw new WireFormatException("A link resumes at a frame that was not sent.");
            OnAcknowledged(received);
            IsEstablished = _wasEstablished = true;
        }
        return new HelloResult(broken, _told != (_generation, _remoteGeneration));
    }

    /// <summary>Whether a numbered frame is the next one. False: it was here before. Throws when one is missing.</summary>
    public bool Accept(long sequence)
    {
        if (sequence <= _received) return false;
        if (sequence != _received + 1) throw new WireFormatException("A frame is missing.");
        _received = sequence;
        return true;
    }

    public void OnAcknowledged(long sequence)
    {
        if (sequence > _sent) throw new WireFormatException("A frame is acknowledged that was not sent.");
        _acknowledgedByPeer = Math.Max(_acknowledgedByPeer, sequence);
        while (_unacknowledged.TryPeek(out var frame) && frame.Sequence <= sequence)
        {
            _unacknowledged.Dequeue();
            UnacknowledgedBytes -= frame.Length;
            buffers.Return(frame.Buffer);
        }
    }

    public long NextSequence() => ++_sent;

    /// <summary>Keeps a numbered frame until the peer has it. The buffer is the link's from now on.</summary>
    public void Keep(long sequence, byte[] buffer, int start, int length)
    {
        _unacknowledged.Enqueue((sequence, buffer, start, length));
        UnacknowledgedBytes += length;
    }

    /// <summary>The frames to send again after a connection was made.</summary>
    public IEnumerable<ReadOnlyMemory<byte>> Unacknowledged()
    {
        foreach (var frame in _unacknowledged) yield return frame.Buffer.AsMemory(frame.Start, frame.Length);
    }

    public void Release()
    {
        foreach (var frame in _unacknowledged) buffers.Return(frame.Buffer);
        _unacknowledged.Clear();
        UnacknowledgedBytes = 0;
    }

    private void Renew(long generation)
    {
        Release();
        _generation = generation;
        _sent = _received = _acknowledgedByPeer = 0;
        _wasEstablished = IsEstablished = false;
    }
}

internal enum FrameKind : byte
{
    /// <summary>The first frame of a connection in each direction: which link, and where it resumes.</summary>
    Hello = 0,
    /// <summary>Numbered: records that belong to no configuration.</summary>
    Control = 1,
    /// <summary>Numbered: messages and services of one configuration.</summary>
    Data = 2,
    /// <summary>Not numbered: what a data frame's header says, alone.</summary>
    Status = 3,
    /// <summary>Not numbered: the sender lives.</summary>
    Heartbeat = 4,
    /// <summary>Numbered: the beginning of a control record that is larger than a frame.</summary>
    ControlPart = 5,
}
