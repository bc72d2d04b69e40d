// All peers of a node: connections come and go, links stay, frames are numbered, sealed and checked.
// Keeps: frames of one peer reach the handler once and in order; a turn's records leave at its end; an idle link falls
// silent but for heartbeats.
// Follows: protocol.md section 2.
using Core.Groups.Protocol.Ordering;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Links;

internal interface IFrameHandler
{
    void OnControl(Channel from, ref WireReader records);
    void OnData(Channel from, FrameHeader header, ReadOnlyMemory<byte> records);
    void OnLinkEstablished(Channel channel);
    /// <summary>The peer has dropped what this node still had for it, or sent what cannot be: the link's past is lost.</summary>
    void OnLinkBroken(Channel channel, string reason);
    /// <summary>Whether a link is kept for a peer that is not connected.</summary>
    bool IsRetained(NodeId peer);
}

internal sealed class ChannelTable(NodeContext context, IFrameHandler handler)
{
    private const int PromptBytes = 64 << 10;
    private readonly Dictionary<int, Channel> _byConnection = [];
    private readonly Dictionary<NodeId, Channel> _byPeer = [];
    /// <summary>In the order of their ids. All are looked through in every turn.</summary>
    private readonly List<Channel> _all = [];
    private readonly WireWriter _header = new(Link.HeaderRoom);
    /// <summary>For frames that are not acknowledged yet.</summary>
    private readonly BufferPool _buffers = new();
    private TimeSpan _trimAt;
    private Channel?[] _byRank = [];
    private long _generations;

    /// <summary>All peers, in the order of their ids.</summary>
    public IReadOnlyList<Channel> All => _all;
    public long FramesSent { get; private set; }
    public long FramesReceived { get; private set; }
    public long BytesSent { get; private set; }
    public long BytesReceived { get; private set; }

    public Channel? Find(NodeId peer) => _byPeer.GetValueOrDefault(peer);

    /// <summary>The channel of a member of the present configuration; null if its link was lost.</summary>
    public Channel? ByRank(int rank) => _byRank[rank] is { Rank: >= 0 } channel ? channel : null;

    /// <summary>A new configuration: the ranks of its members.</summary>
    public void SetRanks(IReadOnlyList<NodeId> members)
    {
        foreach (Channel channel in _all)
        {
            channel.Rank = -1;
            channel.Told = default;
            channel.LastCarried = 0;
        }
        _byRank = new Channel?[members.Count];
        for (int rank = 0; rank < members.Count; rank++)
        {
            if (Find(members[rank]) is not { } channel) continue;
            channel.Rank = rank;
            _byRank[rank] = channel;
        }
    }

    public Channel Connected(int connection, PeerIdentity identity)
    {
        if (!_byPeer.TryGetValue(identity.Id, out Channel? channel))
        {
            channel = new Channel(identity, new Link(identity.Id, ++_generations, _buffers), _buffers);
            _byPeer.Add(identity.Id, channel);
            int at = _all.Count;
            while (at > 0 && _all[at - 1].Id > identity.Id) at--;
            _all.Insert(at, channel);
        }
        channel.Identify(identity);
        if (channel.Link.Connection >= 0) _byConnection.Remove(channel.Link.Connection);
        channel.Link.Attach(connection);
        _byConnection[connection] = channel;
        channel.LastHeard = channel.ConnectedSince = context.Now;
        SendHello(channel);
        return channel;
    }

    /// <summary>The peer whose connection this was, or null.</summary>
    public Channel? Disconnected(int connection)
    {
        if (!_byConnection.Remove(connection, out Channel? channel)) return null;
        channel.Link.Detach();
        if (!handler.IsRetained(channel.Id)) Drop(channel, null);
        return channel;
    }

    /// <summary>Forgets a peer and its link.</summary>
    public void Drop(Channel channel, string? closing)
    {
        if (channel.Link.Connection >= 0)
        {
            _byConnection.Remove(channel.Link.Connection);
            context.Effects.Close(channel.Link.Connection, closing ?? "dropped");
            channel.Link.Detach();
        }
        channel.Discard();
        channel.Rank = -1;
        channel.Link.Release();
        if (_byPeer.Remove(channel.Id, out Channel? known)) _all.Remove(known);
    }

    public void OnFrame(int connection, ReadOnlyMemory<byte> frame)
    {
        if (!_byConnection.TryGetValue(connection, out Channel? channel)) return;
        FramesReceived++;
        BytesReceived += frame.Length;
        channel.LastHeard = context.Now;
        try
        {
            Read(channel, frame);
        }
        catch (WireFormatException e)
        {
            Fail(channel, e.Message);
        }
    }

    /// <summary>Gives a link up: what it still held is lost, and the peer will see that it begins anew.</summary>
    public void Fail(Channel channel, string reason)
    {
        context.Effects.Log(ProtocolLogLevel.Error, $"{context.Self}: a frame of {channel.Id} is not what the protocol allows: {reason}");
        Drop(channel, reason);
        handler.OnLinkBroken(channel, reason);
    }

    private void Read(Channel channel, ReadOnlyMemory<byte> frame)
    {
        var reader = new WireReader(frame);
        var kind = (FrameKind)reader.Byte();
        Link link = channel.Link;
        if (kind == FrameKind.Hello)
        {
            OnHello(channel, ref reader);
            return;
        }
        if (!link.IsEstablished) throw new WireFormatException("A frame precedes the hello.");
        bool isNew = kind is not (FrameKind.Control or FrameKind.ControlPart or FrameKind.Data) || link.Accept(reader.Varint());
        link.OnAcknowledged(reader.Varint());
        if (!isNew) return;
        switch (kind)
        {
            case FrameKind.Heartbeat:
                break;
            case FrameKind.ControlPart:
                channel.AddPart(frame.Span[reader.Position..]);
                break;
            case FrameKind.Control:
                var records = new WireReader(channel.WithParts(frame[reader.Position..]));
                handler.OnControl(channel, ref records);
                break;
            case FrameKind.Data or FrameKind.Status:
                var header = new FrameHeader(reader.Blob(), reader.Varint(), reader.Varint(), reader.Varint(), reader.Varint(), reader.Varint(), reader.Flag());
                channel.BytesSinceTold += kind == FrameKind.Data ? frame.Length : 0;
                handler.OnData(channel, header, frame[reader.Position..]);
                break;
            default:
                throw new WireFormatException("A frame has no known kind.");
        }
    }

    private void OnHello(Channel channel, ref WireReader reader)
    {
        bool before = channel.Link.IsEstablished;
        HelloResult result = channel.Link.OnHello(ref reader, () => ++_generations);
        if (result.WasBroken)
        {
            channel.Discard();
            handler.OnLinkBroken(channel, "the peer began a new link");
        }
        if (result.Answer) SendHello(channel);
        if (before || !channel.Link.IsEstablished) return;
        foreach (ReadOnlyMemory<byte> frame in channel.Link.Unacknowledged()) Transmit(channel, frame.Span);
        channel.IsUrgent = true;
        handler.OnLinkEstablished(channel);
    }

    // ---- sending

    public void Control(Channel channel, ReadOnlySpan<byte> record)
    {
        if (channel.HasOpenFrame && (channel.OpenKind != FrameKind.Control || channel.OpenLength + record.Length > Channel.FrameLimit)) Seal(channel);
        for (; record.Length > Channel.PartLimit; record = record[Channel.PartLimit..])
        {
            channel.Open(FrameKind.ControlPart).Raw(record[..Channel.PartLimit]);
            Seal(channel);
        }
        channel.Open(FrameKind.Control).Raw(record);
    }

    /// <summary>A writer for a record of the present configuration.</summary>
    public WireWriter Data(Channel channel)
    {
        if (channel.HasOpenFrame && (channel.OpenKind != FrameKind.Data || channel.OpenLength > Channel.FrameLimit)) Seal(channel);
        return channel.Open(FrameKind.Data);
    }

    public void Data(Channel channel, Message message)
    {
        if (channel.HasOpenFrame && (channel.OpenKind != FrameKind.Data || channel.OpenLength + message.Body.Length > Channel.FrameLimit))
        {
            // The message has its timestamp already and is not in this frame: the frame must not promise that it has passed.
            Seal(channel, message.Timestamp > 0 && !context.Settings.Weak.Lacks(WeakRules.FramesOverpromise) ? message.Timestamp - 1 : long.MaxValue);
        }
        channel.Open(FrameKind.Data);
        channel.Write(message);
    }

    /// <summary>Seals what is open: a frame belongs to one configuration.</summary>
    public void SealAll()
    {
        foreach (Channel channel in _all)
        {
            if (channel.HasOpenFrame) Seal(channel);
        }
    }

    /// <summary>Sends what the turn has gathered, and what is owed without it.</summary>
    public void EndTurn()
    {
        if (context.Now >= _trimAt)
        {
            _buffers.Trim();
            _trimAt = context.Now + context.Settings.Heartbeat;
        }
        Deadline = TimeSpan.MaxValue;
        foreach (Channel channel in _all)
        {
            if (channel.HasOpenFrame) Seal(channel);
            if (!channel.Link.IsEstablished) continue;
            if (Owes(channel))
            {
                channel.OwesSince ??= context.Now;
                if (channel.IsUrgent || context.IsEager || channel.BytesSinceTold >= PromptBytes
                    || context.Now - channel.OwesSince.Value >= context.Settings.AcknowledgementDelay)
                {
                    SendStatus(channel);
                }
            }
            else
            {
                channel.OwesSince = null;
                if (channel.Asks) SendStatus(channel);
            }
            channel.IsUrgent = false;
            if (context.Now - channel.LastSent >= context.Settings.Heartbeat) SendStatus(channel);
            Deadline = Min(Deadline, channel.LastSent + context.Settings.Heartbeat);
            if (channel.OwesSince is { } owed) Deadline = Min(Deadline, owed + context.Settings.AcknowledgementDelay);
        }
    }

    /// <summary>When the table wants its next turn, as it was at the end of the last one.</summary>
    public TimeSpan Deadline { get; private set; } = TimeSpan.MaxValue;

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    private bool Owes(Channel channel)
    {
        if (channel.Link.Received != channel.ToldReceived) return true;
        if (channel.Rank < 0 || context.Ordering is not { } ordering) return false;
        FrameHeader told = channel.Told;
        return ordering.Logs[channel.Rank].Received != told.Received || ordering.DeliveredOf(channel.Rank) != told.Delivered
            || (told.Stable < channel.LastCarried && ordering.StableOf(ordering.Self) != told.Stable)
            || (told.Settled < channel.LastCarried && ordering.SettledOf(ordering.Self) != told.Settled)
            || (channel.IsUrgent && ordering.Clock != told.Clock);
    }

    private void Seal(Channel channel, long clockLimit = long.MaxValue)
    {
        _header.Reset();
        FrameKind kind = channel.OpenKind;
        long sequence = channel.Link.NextSequence();
        _header.Byte((byte)kind);
        _header.Varint(sequence);
        WriteTail(channel, kind, clockLimit);
        (byte[] buffer, int start, int length) = channel.Seal(_header.Written);
        channel.Link.Keep(sequence, buffer, start, length);
        if (channel.Link.IsEstablished) Transmit(channel, buffer.AsSpan(start, length));
    }

    private void SendStatus(Channel channel)
    {
        bool inConfiguration = channel.Rank >= 0 && context.Ordering is not null;
        _header.Reset();
        _header.Byte((byte)(inConfiguration ? FrameKind.Status : FrameKind.Heartbeat));
        WriteTail(channel, inConfiguration ? FrameKind.Status : FrameKind.Heartbeat, long.MaxValue);
        Transmit(channel, _header.Written);
    }

    private void WriteTail(Channel channel, FrameKind kind, long clockLimit)
    {
        _header.Varint(channel.Link.Received);
        channel.ToldReceived = channel.Link.Received;
        channel.OwesSince = null;
        channel.BytesSinceTold = 0;
        if (kind is FrameKind.Control or FrameKind.ControlPart or FrameKind.Heartbeat) return;
        OrderingLayer ordering = context.Ordering!;
        var told = new FrameHeader(context.ConfigurationBytes, Math.Min(ordering.Clock, clockLimit), ordering.Logs[channel.Rank].Received, ordering.DeliveredOf(channel.Rank),
            ordering.StableOf(ordering.Self), ordering.SettledOf(ordering.Self), channel.Asks);
        _header.Blob(told.Configuration.Span);
        _header.Varint(told.Clock);
        _header.Varint(told.Received);
        _header.Varint(told.Delivered);
        _header.Varint(told.Stable);
        _header.Varint(told.Settled);
        _header.Flag(told.Asks);
        channel.Asks = false;
        channel.Told = told;
    }

    private void SendHello(Channel channel)
    {
        _header.Reset();
        channel.Link.WriteHello(_header);
        Transmit(channel, _header.Written);
    }

    private void Transmit(Channel channel, ReadOnlySpan<byte> frame)
    {
        FramesSent++;
        BytesSent += frame.Length;
        channel.LastSent = context.Now;
        context.Effects.Transmit(channel.Link.Connection, frame);
    }
}
