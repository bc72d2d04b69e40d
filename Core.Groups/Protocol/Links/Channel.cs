// One peer: its identity, its link, and the frame that is being filled for it.
// Keeps: what is written in one turn leaves in as few frames as the frame size allows, in the order of writing.
using Core.Groups.Protocol.Ordering;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Links;

/// <summary>What a data or status frame says before its records.</summary>
internal readonly record struct FrameHeader(
    ReadOnlyMemory<byte> Configuration, long Clock, long Received, long Delivered, long Stable, long Settled, bool Asks);

internal sealed class Channel(PeerIdentity identity, Link link, BufferPool buffers)
{
    /// <summary>A frame is sealed when its records exceed this.</summary>
    public const int FrameLimit = 16 << 10;

    /// <summary>A longer control record goes in parts of so many bytes: with its header each fits into a buffer of <see cref="FrameLimit"/>.</summary>
    public const int PartLimit = FrameLimit - Link.HeaderRoom;

    /// <summary>The largest control record, in bytes.</summary>
    private const int LargestRecord = 64 << 20;

    private readonly WireWriter _body = new(1024);
    private WireWriter? _parts;
    private FrameKind? _open;
    private MessageRun _run;

    public PeerIdentity Identity { get; private set; } = identity;
    public NodeId Id => Identity.Id;
    public Link Link => link;
    public bool IsConnected => link.Connection >= 0;

    /// <summary>The rank in the present configuration, or -1.</summary>
    public int Rank { get; set; } = -1;
    public TimeSpan LastHeard { get; set; }
    public TimeSpan LastSent { get; set; }
    public TimeSpan ConnectedSince { get; set; }

    /// <summary>What the last frame told the peer.</summary>
    public FrameHeader Told { get; set; }
    public long ToldReceived { get; set; }
    /// <summary>The sequence of the last message to the peer: it keeps none that is later, and need not hear what of those is stable.</summary>
    public long LastCarried { get; set; }
    /// <summary>Since when there is something to tell.</summary>
    public TimeSpan? OwesSince { get; set; }
    /// <summary>To be told in this turn.</summary>
    public bool IsUrgent { get; set; }
    /// <summary>This node waits for what the peer knows.</summary>
    public bool Asks { get; set; }
    public long BytesSinceTold { get; set; }

    public bool HasOpenFrame => _open is not null;
    public FrameKind OpenKind => _open!.Value;
    public int OpenLength => _body.Length;

    public void Identify(PeerIdentity identity) => Identity = identity;

    /// <summary>The writer for records of a kind; the caller seals a frame of the other kind first.</summary>
    public WireWriter Open(FrameKind kind)
    {
        if (_open is null)
        {
            _open = kind;
            _run = default;
            _body.Reset(Link.HeaderRoom);
        }
        return _body;
    }

    public void Write(Message message)
    {
        MessageFormat.Write(_body, message, ref _run);
        LastCarried = message.Sequence;
    }

    /// <summary>Takes the filled frame out, its header in front: a pooled buffer that is the caller's.</summary>
    public (byte[] Buffer, int Start, int Length) Seal(ReadOnlySpan<byte> header)
    {
        int start = _body.Prepend(header, Link.HeaderRoom);
        int length = _body.Length - start;
        byte[] buffer = buffers.Rent(length);
        _body.Written.Slice(start, length).CopyTo(buffer);
        _open = null;
        return (buffer, 0, length);
    }

    /// <summary>Keeps the beginning of a control record that is larger than a frame.</summary>
    public void AddPart(ReadOnlySpan<byte> part)
    {
        _parts ??= new WireWriter();
        if (_parts.Length + part.Length > LargestRecord) throw new WireFormatException("A control record is too large.");
        _parts.Raw(part);
    }

    /// <summary>The records of a control frame, with the parts that came before it.</summary>
    public ReadOnlyMemory<byte> WithParts(ReadOnlyMemory<byte> records)
    {
        if (_parts is null) return records;
        _parts.Raw(records.Span);
        byte[] whole = _parts.ToArray();
        _parts = null;
        return whole;
    }

    public void Discard()
    {
        _parts = null;
        _open = null;
        _run = default;
    }
}
