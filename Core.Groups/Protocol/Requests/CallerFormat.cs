// The records between a caller that is not a member and its contact.
using System.Collections.Immutable;
using Core.Groups.Protocol.Groups;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Requests;

/// <summary>What a contact tells of a call.</summary>
internal enum CallerStage : byte
{
    /// <summary>It is on its way to these members.</summary>
    Sent,
    /// <summary>All members have delivered it.</summary>
    Settled,
    /// <summary>All members have consumed it: its credit is free.</summary>
    Consumed,
    /// <summary>It was not sent and will not be: ask another member.</summary>
    Refused,
    /// <summary>It was not sent: it is larger than the contact's limit.</summary>
    TooLarge,
}

/// <summary>A piece of a call, on its way to the contact. The caller is whoever sent the record, for itself or for a client of it.</summary>
/// <param name="Stamp">Its number at its source.</param>
/// <param name="Previous">The sequence of the call before it at this contact: it is refused if that one was. 0: there was none.</param>
/// <param name="Total">The size of the whole body, in bytes; this piece stands at <paramref name="Offset"/>.</param>
internal readonly record struct CallerCast(
    GroupId Group, long Call, CallerStamp Stamp, long Previous, MessageKind Kind, bool WantsReplies, long Total, long Offset, ReadOnlyMemory<byte> Piece)
{
    public bool IsLast => Offset + Piece.Length == Total;

    public void Write(WireWriter writer)
    {
        writer.Group(Group);
        writer.Varint(Call);
        Stamp.Write(writer);
        writer.Varint(Previous);
        writer.Byte((byte)Kind);
        writer.Flag(WantsReplies);
        writer.Varint(Total);
        writer.Varint(Offset);
        writer.Blob(Piece.Span);
    }

    public static CallerCast Read(ref WireReader reader)
    {
        var cast = new CallerCast(
            reader.Group(), reader.Varint(), CallerStamp.Read(ref reader), reader.Varint(), (MessageKind)reader.Byte(), reader.Flag(),
            reader.Varint(), reader.Varint(), reader.Blob());
        if (!cast.Kind.IsApplication()) throw new WireFormatException("A caller asks for a kind of message that is not the application's.");
        bool inOrder = cast.Stamp.ConfirmedUpTo < cast.Stamp.Sequence && cast.Previous < cast.Stamp.Sequence;
        if (!inOrder) throw new WireFormatException("A caller's numbers are out of order.");
        if (cast.Offset > cast.Total - cast.Piece.Length) throw new WireFormatException("A piece exceeds its message.");
        return cast;
    }
}

/// <param name="Sequence">Settled: the contact's number of the message.</param>
internal readonly record struct CallerProgress(CallerStage Stage, long Call, ImmutableArray<NodeId> Members, long Sequence = 0)
{
    public void Write(WireWriter writer)
    {
        writer.Byte((byte)Stage);
        writer.Varint(Call);
        Services.WriteNodes(writer, Members);
        writer.Varint(Sequence);
    }

    public static CallerProgress Read(ref WireReader reader) => new((CallerStage)reader.Byte(), reader.Varint(), Services.ReadNodes(ref reader), reader.Varint());
}
