// What a client and the node that serves it say to each other: one record a frame, a large body in several frames.
// Keeps: reading throws WireFormatException for anything that no client or node writes; sizes are bounded before anything is kept.
// Follows: protocol.md section 7, callers that are not members.
using System.Collections.Immutable;
using Core.Groups.Protocol.Groups;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Clients;

internal enum ClientRecord : byte
{
    /// <summary>Either way: a part of the body of the next record that has one.</summary>
    Part = 0x01,
    // ---- from the client
    Attach = 0x11,
    Call = 0x12,
    Cancel = 0x13,
    /// <summary>Are you there?</summary>
    Ping = 0x14,
    /// <summary>The client is over: nobody need remember it.</summary>
    Goodbye = 0x15,
    /// <summary>Which group is it that this address names?</summary>
    Find = 0x16,
    /// <summary>A question of the application about groups.</summary>
    Question = 0x17,
    // ---- from the node
    Welcome = 0x21,
    Refusal = 0x22,
    Reply = 0x23,
    Done = 0x24,
    /// <summary>The node has entered a configuration of this epoch.</summary>
    Epoch = 0x25,
    /// <summary>Go to another node.</summary>
    Away = 0x26,
    Pong = 0x27,
    Found = 0x28,
    Answer = 0x29,
}

/// <summary>Why a node does not serve a client.</summary>
internal enum ClientRefusal : byte
{
    /// <summary>It is in no primary configuration, or stops: another may serve.</summary>
    NotWorking,
    /// <summary>It serves as many as it may.</summary>
    Full,
    /// <summary>It is in an older configuration than the client has seen.</summary>
    Behind,
    /// <summary>What the client asked for before is not remembered any more.</summary>
    Forgotten,
    /// <summary>Its cluster is in extended mode, where a call that is sent again could be delivered in two components.</summary>
    ExtendedMode,
}

/// <summary>The first record of a client.</summary>
/// <param name="Server">The node that served it before; null: none, or its memory of that is over.</param>
/// <param name="Epoch">The highest epoch that a node which served it has told.</param>
/// <param name="LastSequence">The number of its last call: those up to here may be sent again.</param>
/// <param name="Used">The addresses that it called last: so nobody remembers it when it is over.</param>
internal readonly record struct ClientAttach(NodeId? Server, long Epoch, long LastSequence, ImmutableArray<string> Used)
{
    public void Write(WireWriter writer)
    {
        writer.Byte((byte)ClientRecord.Attach);
        writer.Flag(Server is not null);
        if (Server is { } server) writer.Node(server);
        writer.Varint(Epoch);
        writer.Varint(LastSequence);
        writer.Varint(Used.Length);
        foreach (string address in Used) writer.Text(address);
    }

    public static ClientAttach Read(ref WireReader reader)
    {
        NodeId? server = reader.Flag() ? reader.Node() : null;
        long epoch = reader.Varint(), last = reader.Varint();
        var used = ImmutableArray.CreateBuilder<string>(reader.Count());
        for (int left = used.Capacity; left > 0; left--) used.Add(ClientText.Address(ref reader));
        return new ClientAttach(server, epoch, last, used.MoveToImmutable());
    }
}

/// <summary>A call of a client.</summary>
/// <param name="Sequence">Its number: higher than of every call before.</param>
/// <param name="Group">The group that the address named when the client asked: another one of the same name never gets the call.</param>
/// <param name="ConfirmedUpTo">The client wants nothing more of its calls to this address up to here.</param>
internal readonly record struct ClientCast(
    long Sequence, long ConfirmedUpTo, string Address, GroupId Group, MessageKind Kind, ReplyMode Mode, int Count, ReadOnlyMemory<byte> Body)
{
    public void Write(WireWriter writer)
    {
        writer.Byte((byte)ClientRecord.Call);
        writer.Varint(Sequence);
        writer.Varint(ConfirmedUpTo);
        writer.Text(Address);
        writer.Group(Group);
        writer.Byte((byte)Kind);
        writer.Byte((byte)Mode);
        writer.Varint(Count);
        writer.Blob(Body.Span);
    }

    public static ClientCast Read(ref WireReader reader)
    {
        var call = new ClientCast(
            reader.Varint(), reader.Varint(), ClientText.Address(ref reader), reader.Group(), (MessageKind)reader.Byte(), (ReplyMode)reader.Byte(),
            (int)Math.Min(reader.Varint(), int.MaxValue), reader.Blob());
        if (!call.Kind.IsApplication() || call.Mode > ReplyMode.All) throw new WireFormatException("A client asks for what there is not.");
        if (call.Sequence >= ClientSessions.LastNumber || call.ConfirmedUpTo >= call.Sequence) throw new WireFormatException("A client's numbers are out of order.");
        return call;
    }
}

/// <summary>What the node grants.</summary>
/// <param name="Calls">How many calls may be open at once, those that are with the node and not done.</param>
/// <param name="Bytes">How many bytes their bodies may have; one call always may.</param>
/// <param name="Silence">The client says something at least this often.</param>
/// <param name="Session">How long the node remembers a client that it does not hear.</param>
internal readonly record struct ClientWelcome(NodeId Server, long Epoch, int Calls, int Bytes, int MaximumMessage, TimeSpan Silence, TimeSpan Session)
{
    public void Write(WireWriter writer)
    {
        writer.Byte((byte)ClientRecord.Welcome);
        writer.Node(Server);
        writer.Varint(Epoch);
        writer.Varint(Calls);
        writer.Varint(Bytes);
        writer.Varint(MaximumMessage);
        writer.Varint((long)Silence.TotalMilliseconds);
        writer.Varint((long)Session.TotalMilliseconds);
    }

    public static ClientWelcome Read(ref WireReader reader) => new(
        reader.Node(), reader.Varint(), (int)Math.Clamp(reader.Varint(), 1, 1 << 20), (int)Math.Clamp(reader.Varint(), 1, int.MaxValue), (int)Math.Clamp(reader.Varint(), 1, int.MaxValue), Time(ref reader), Time(ref reader));

    private static TimeSpan Time(ref WireReader reader) => TimeSpan.FromMilliseconds(Math.Clamp(reader.Varint(), 1, int.MaxValue));
}

/// <summary>A member's answer.</summary>
/// <param name="InPlaceOf">The member to which the request went, if that one passed it on.</param>
internal readonly record struct ClientReply(long Sequence, NodeId From, NodeId? InPlaceOf, bool IsError, ReadOnlyMemory<byte> Body)
{
    public void Write(WireWriter writer)
    {
        writer.Byte((byte)ClientRecord.Reply);
        writer.Varint(Sequence);
        writer.Node(From);
        writer.Flag(InPlaceOf is not null);
        if (InPlaceOf is { } place) writer.Node(place);
        writer.Flag(IsError);
        writer.Blob(Body.Span);
    }

    public static ClientReply Read(ref WireReader reader) => new(reader.Varint(), reader.Node(), reader.Flag() ? reader.Node() : null, reader.Flag(), reader.Blob());
}

/// <summary>Which group an address names.</summary>
/// <param name="Group">None: there is no such group.</param>
internal readonly record struct ClientFound(string Address, GroupId Group, string Name, ImmutableArray<NodeId> Members)
{
    public void Write(WireWriter writer)
    {
        writer.Byte((byte)ClientRecord.Found);
        writer.Text(Address);
        writer.Group(Group);
        writer.Text(Name);
        Services.WriteNodes(writer, Members);
    }

    public static ClientFound Read(ref WireReader reader) => new(reader.Text(), reader.Group(), reader.Text(), Services.ReadNodes(ref reader));
}

/// <summary>What a client asks about groups.</summary>
internal enum ClientQuestionKind : byte { Find, List, Delete }

/// <summary>A question of a client.</summary>
/// <param name="Text">A name, an id in text, or the beginning of names.</param>
internal readonly record struct ClientQuestion(long Number, ClientQuestionKind Kind, string Text)
{
    public void Write(WireWriter writer)
    {
        writer.Byte((byte)ClientRecord.Question);
        writer.Varint(Number);
        writer.Byte((byte)Kind);
        writer.Text(Text);
    }

    public static ClientQuestion Read(ref WireReader reader)
    {
        var question = new ClientQuestion(reader.Varint(), (ClientQuestionKind)reader.Byte(), reader.Text());
        bool isKnown = question.Kind <= ClientQuestionKind.Delete && question.Text.Length <= GroupName.MaximumLength;
        return isKnown ? question : throw new WireFormatException("A client asks for what there is not.");
    }
}

/// <summary>Its answer, or (not the last) a part of the names that were asked for.</summary>
internal readonly record struct ClientAnswer(long Number, bool IsLast, Outcome Outcome, GroupInfo? Group, ImmutableArray<string> Names)
{
    public void Write(WireWriter writer)
    {
        writer.Byte((byte)ClientRecord.Answer);
        writer.Varint(Number);
        writer.Flag(IsLast);
        writer.Byte((byte)Outcome);
        writer.Flag(Group is not null);
        if (Group is { } group)
        {
            writer.Group(group.Id);
            writer.Text(group.Name);
            writer.Varint(group.ViewNumber);
            Services.WriteNodes(writer, group.Members);
        }
        writer.Varint(Names.Length);
        foreach (string name in Names) writer.Text(name);
    }

    public static ClientAnswer Read(ref WireReader reader)
    {
        long number = reader.Varint();
        bool isLast = reader.Flag();
        var outcome = (Outcome)reader.Byte();
        if (!Enum.IsDefined(outcome)) throw new WireFormatException("An answer has no known outcome.");
        GroupInfo? group = reader.Flag() ? new GroupInfo(reader.Group(), reader.Text(), reader.Varint(), Services.ReadNodes(ref reader)) : null;
        var names = ImmutableArray.CreateBuilder<string>(reader.Count());
        for (int left = names.Capacity; left > 0; left--) names.Add(reader.Text());
        return new ClientAnswer(number, isLast, outcome, group, names.MoveToImmutable());
    }
}

/// <summary>The end of a call; the answers came before.</summary>
internal readonly record struct ClientDone(long Sequence, Outcome Outcome, MessageId Message, ImmutableArray<NodeId> Failed)
{
    public void Write(WireWriter writer)
    {
        writer.Byte((byte)ClientRecord.Done);
        writer.Varint(Sequence);
        writer.Byte((byte)Outcome);
        writer.Flag(Message != default);
        if (Message != default)
        {
            writer.Node(Message.Sender);
            writer.Varint(Message.Epoch);
            writer.Varint(Message.Sequence);
        }
        Services.WriteNodes(writer, Failed);
    }

    public static ClientDone Read(ref WireReader reader)
    {
        long sequence = reader.Varint();
        var outcome = (Outcome)reader.Byte();
        if (!Enum.IsDefined(outcome)) throw new WireFormatException("A call has no known outcome.");
        MessageId message = reader.Flag() ? new MessageId(reader.Node(), reader.Varint(), reader.Varint()) : default;
        return new ClientDone(sequence, outcome, message, Services.ReadNodes(ref reader));
    }
}

internal static class ClientText
{
    /// <summary>The body of a record stands alone up to here; what is larger comes in parts of this size before it.</summary>
    public const int PartSize = 32 << 10;

    /// <summary>A group's name, or an id in text.</summary>
    public static string Address(ref WireReader reader)
    {
        string address = reader.Text();
        return address.Length is > 0 and <= GroupName.MaximumLength ? address : throw new WireFormatException("A client names no group.");
    }

    /// <summary>Sends the parts of a body that is too large for one frame.</summary>
    /// <returns>The last part.</returns>
    public static ReadOnlyMemory<byte> SendParts(ReadOnlyMemory<byte> body, WireWriter writer, Action<ReadOnlySpan<byte>> send)
    {
        for (; body.Length > PartSize; body = body[PartSize..])
        {
            writer.Reset();
            writer.Byte((byte)ClientRecord.Part);
            writer.Blob(body.Span[..PartSize]);
            send(writer.Written);
        }
        writer.Reset();
        return body;
    }
}
