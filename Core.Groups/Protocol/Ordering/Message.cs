// A numbered message, its destination and its stream.
// Keeps: within a stream (sender, destination, epoch, class) messages are delivered in the sender's order, without a gap.
// Follows: protocol.md section 3. A message says by StreamIndex, a count, which message is its predecessor.
using System.Runtime.CompilerServices;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Ordering;

/// <summary>The primitives (the values of <see cref="Order"/>), and the three internal messages of a GBCAST.</summary>
internal enum MessageKind : byte
{
    Reliable, Fifo, Causal, Total, CausalTotal, Safe,
    /// <summary>An application's GBCAST: sent between the announcement and its sender's marker, delivered with the GBCAST.</summary>
    Group = 6,
    /// <summary>Opens a GBCAST: a total message that carries the operations.</summary>
    Announcement = 7,
    /// <summary>Its sender sends nothing more in the old epoch.</summary>
    Marker = 8,
    /// <summary>Its sender has all markers and the whole old epoch.</summary>
    Finished = 9,
}

internal static class MessageKinds
{
    public static bool IsApplication(this MessageKind kind) => kind <= MessageKind.Group;
    public static bool IsTotal(this MessageKind kind) => kind is MessageKind.Total or MessageKind.CausalTotal or MessageKind.Safe or MessageKind.Announcement;
    public static bool IsCausal(this MessageKind kind) => kind is MessageKind.Causal or MessageKind.CausalTotal or MessageKind.Safe;
    public static Order ToOrder(this MessageKind kind) => (Order)kind;
    public static MessageKind ToKind(this Order order) => (MessageKind)order;

    /// <summary>The class of the stream: reliable, fifo, causal, total, and one for the messages of GBCASTs.</summary>
    public static int Class(this MessageKind kind) => kind switch
    {
        MessageKind.Reliable => 0,
        MessageKind.Fifo => 1,
        MessageKind.Causal => 2,
        MessageKind.Total or MessageKind.CausalTotal or MessageKind.Safe => 3,
        _ => 4,
    };
}

[Flags]
internal enum MessageFlags : ushort
{
    None = 0,
    /// <summary>An answer is expected; <see cref="Message.RequestId"/> names it at the caller.</summary>
    Request = 1,
    /// <summary>An answer to <see cref="Message.RequestId"/>.</summary>
    Reply = 2,
    /// <summary>The answer is the text of an error.</summary>
    Error = 4,
    /// <summary>A piece of a large message that is not its last.</summary>
    MorePieces = 8,
    /// <summary>Sent by a contact for a caller that is not a member.</summary>
    ForCaller = 16,
    /// <summary>With <see cref="Reply"/>: there will be no answer.</summary>
    NoAnswer = 32,
    /// <summary>A GBCAST that sets an entry of the group's configuration data.</summary>
    Configure = 64,
    /// <summary>The application of a finish's sender has not loaded the group's state.</summary>
    Loading = 128,
    /// <summary>It names the caller: <see cref="Message.Answer"/>.</summary>
    AnswerTo = 256,
    /// <summary>Of an announcement: markers and finishes go through the oldest member. Of a finish: it stands for those of all members.</summary>
    Gathered = 512,
    /// <summary>Of a finish: a message to several groups waits at its sender, or at one for which it stands.</summary>
    SpreadWaits = 1024,
    /// <summary>With it: nothing but GBCASTs is in its way; in all its groups everybody has the state.</summary>
    SpreadIsReady = 2048,
    /// <summary>What a finish says of such messages.</summary>
    Spread = SpreadWaits | SpreadIsReady,
}

/// <summary>The highest message of a stream in the causal past: by sender's rank and sequence.</summary>
internal readonly record struct Dependency(int Sender, long Sequence);

/// <summary>Who calls from outside: numbers of one source follow each other.</summary>
/// <param name="Id">A node, or a client.</param>
/// <param name="ById">Whether it addresses the group by its id: those calls have numbers of their own.</param>
/// <param name="IsClient">Whether it is a client, which is in no configuration.</param>
internal readonly record struct CallerSource(NodeId Id, bool ById, bool IsClient) : IComparable<CallerSource>
{
    public int CompareTo(CallerSource other)
    {
        int byId = Id.CompareTo(other.Id);
        if (byId == 0) byId = ById.CompareTo(other.ById);
        return byId != 0 ? byId : IsClient.CompareTo(other.IsClient);
    }
}

/// <summary>The caller for which a contact sends, and the caller's own number of the message.</summary>
/// <param name="Caller">The node that calls, or that serves the client: answers go there.</param>
/// <param name="IsOver">No message: the source is over, and need not be remembered.</param>
internal sealed record CallerStamp(NodeId Caller, CallerSource Source, long Sequence, long ConfirmedUpTo, bool IsOver = false)
{
    private const byte ById = 1, Client = 2, Over = 4;

    public void Write(WireWriter writer)
    {
        writer.Node(Caller);
        writer.Byte((byte)((Source.ById ? ById : 0) | (Source.IsClient ? Client : 0) | (IsOver ? Over : 0)));
        if (Source.IsClient) writer.Node(Source.Id);
        writer.Varint(Sequence);
        writer.Varint(ConfirmedUpTo);
    }

    public static CallerStamp Read(ref WireReader reader)
    {
        NodeId caller = reader.Node();
        byte flags = reader.Byte();
        bool isClient = (flags & Client) != 0;
        NodeId id = isClient ? reader.Node() : caller;
        return new CallerStamp(caller, new CallerSource(id, (flags & ById) != 0, isClient), reader.Varint(), reader.Varint(), (flags & Over) != 0);
    }
}

/// <summary>
/// Of a message that more nodes get than the caller of a request: an answer with copies, or a request that was passed on, of which
/// the caller is told by the same message. All that live get it or none does.
/// </summary>
/// <param name="To">The caller.</param>
/// <param name="Place">The member to which the caller's request went: what is answered counts as its answer.</param>
/// <param name="Head">So many bytes at the front of an answer are for those that get a copy.</param>
/// <param name="From">Of a request: who is shown as its sender.</param>
/// <param name="Only">Of a request: the one member that handles it; null: all do.</param>
internal sealed record AnswerStamp(NodeId To, NodeId Place, int Head = 0, NodeId? From = null, NodeId? Only = null)
{
    public void Write(WireWriter writer)
    {
        writer.Node(To);
        writer.Node(Place);
        writer.Varint(Head);
        WriteNode(writer, From);
        WriteNode(writer, Only);
    }

    public static AnswerStamp Read(ref WireReader reader) =>
        new(reader.Node(), reader.Node(), (int)Math.Min(reader.Varint(), int.MaxValue), ReadNode(ref reader), ReadNode(ref reader));

    private static void WriteNode(WireWriter writer, NodeId? node)
    {
        writer.Flag(node is not null);
        if (node is { } id) writer.Node(id);
    }

    private static NodeId? ReadNode(ref WireReader reader) => reader.Flag() ? reader.Node() : null;
}

internal sealed class Message
{
    public required int Sender { get; init; }
    public required long Sequence { get; init; }
    public required MessageKind Kind { get; init; }
    public required Destination Destination { get; init; }
    /// <summary>The number of this message in its stream, from 1; 0 for the messages of GBCASTs.</summary>
    public long StreamIndex { get; init; }
    /// <summary>The place in the total order, with the sender's rank; 0 for other kinds.</summary>
    public long Timestamp { get; init; }
    public Dependency[] Dependencies { get; init; } = [];
    public ReadOnlyMemory<byte> Body { get; init; }
    public MessageFlags Flags { get; init; }
    public long RequestId { get; init; }
    public CallerStamp? Caller { get; init; }
    public AnswerStamp? Answer { get; init; }

    /// <summary>Delivered here (or nothing to deliver here).</summary>
    public bool Done { get; set; }
    /// <summary>Delivered by the recovery plan with this number; never looked at once that plan is void.</summary>
    public int DoneInPlan { get; set; }

    public ulong TotalKey => ((ulong)Timestamp << 16) | (uint)Sender;

    public override string ToString() => $"{Kind} {Sender}:{Sequence}";
}

/// <summary>
/// To whom a message goes: the members of a group in one epoch, single processes, or more than one group. One object per content.
/// </summary>
internal sealed class Destination(GroupId group, long epoch, MemberSet members, MemberSet via, SpreadDestination? spread = null)
{
    private readonly StreamState[]?[] _streams = new StreamState[]?[5];

    /// <summary>The group, or <see cref="GroupId.None"/> for a message to single processes.</summary>
    public GroupId Group => group;
    public long Epoch => epoch;
    /// <summary>D(m): everybody that gets the message.</summary>
    public MemberSet Members => members;
    /// <summary>The view in which it is sent: a joiner gets an announcement without being in it.</summary>
    public MemberSet Via => via;

    /// <summary>Null for one group without a label, and for single processes.</summary>
    public SpreadDestination? Spread => spread;

    public bool IsDirect => group == GroupId.None && spread is null;

    /// <summary>Whether the members of a group are among the destinations.</summary>
    public bool Addresses(GroupId id) => spread is null ? group == id && id != GroupId.None : spread.Addresses(id);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public StreamState Stream(int sender, int messageClass, int members)
    {
        StreamState[] row = _streams[messageClass] ??= new StreamState[members];
        return row[sender] ??= new StreamState(this, sender);
    }
}

/// <summary>What a node knows of one stream.</summary>
internal sealed class StreamState(Destination destination, int sender)
{
    private StreamProgress? _planned;
    private int _plan;

    public Destination Destination => destination;
    public int Sender => sender;
    /// <summary>The index of the last message received from the link (or, for own streams, sent).</summary>
    public long LastIndex { get; set; }
    /// <summary>The sequence of the last message in this node's causal past.</summary>
    public long PastSequence { get; set; }
    public bool InPast { get; set; }
    /// <summary>Own streams: up to where the messages of this stream have named other streams as dependencies.</summary>
    public Dictionary<StreamState, long>? Named { get; set; }
    /// <summary>What is delivered here.</summary>
    public StreamProgress Live { get; } = new();

    /// <summary>What a recovery plan would have delivered: begins as what is delivered.</summary>
    public StreamProgress InPlan(int plan)
    {
        if (_planned is null || _plan != plan)
        {
            _plan = plan;
            _planned = new StreamProgress { LastDone = Live.LastDone };
        }
        return _planned;
    }
}

/// <summary>How far the delivery of a stream has come.</summary>
internal sealed class StreamProgress
{
    /// <summary>The index of the last message delivered.</summary>
    public long LastDone { get; set; }
    /// <summary>Messages that wait for their past, in order.</summary>
    public Queue<Message>? Waiting { get; set; }
}
