// The records and checkpoints of a group's log, in bytes (README.md, "On disk").
// Keeps: what is read is what was written, or a FormatException.
using System.Collections.Immutable;
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Recovery.Logs;

/// <summary>A view as it is logged.</summary>
/// <param name="Forced">See <see cref="LogPoint"/>.</param>
/// <param name="Term">See <see cref="LogPoint"/>.</param>
/// <param name="Number">The view's number.</param>
/// <param name="Id">The view's id.</param>
/// <param name="Members">Its members, ranked.</param>
internal sealed record LoggedView(long Forced, long Term, long Number, string Id, ImmutableArray<NodeId> Members)
{
    public LogPoint Point(long count) => new(Forced, Term, Number, count);
}

/// <summary>Where a state stands: what a checkpoint says beside the state, and what a joiner is told.</summary>
/// <param name="Origin">Names the group for ever: one that is made anew under its name has another.</param>
/// <param name="View">The view in which the state stands.</param>
/// <param name="Count">The messages of that view that the state contains.</param>
/// <param name="LastCheckpoint">The number of the last numbered checkpoint of the group.</param>
internal sealed record StatePlace(ulong Origin, LoggedView View, long Count, long LastCheckpoint)
{
    public LogPoint Point => View.Point(Count);
}

/// <summary>Reads and writes.</summary>
internal static class LogFormat
{
    /// <summary>Of what this version writes. Another version is refused.</summary>
    public const byte Version = 1;

    public const byte ViewRecord = 1, MessageRecord = 2;
    private const byte IsRequest = 1, HasSender = 2;

    public static byte[] EncodeView(LoggedView view)
    {
        var writer = new BodyWriter();
        writer.Byte(ViewRecord);
        Write(writer, view);
        return writer.ToArray();
    }

    /// <summary>Writes into a buffer that is used again and again; the result is a copy.</summary>
    public static byte[] EncodeMessage(BodyWriter writer, in JournalMessage message)
    {
        bool hasSender = message.Id.Sender != message.From;
        writer.Reset().Byte(MessageRecord);
        writer.Byte((byte)message.Order);
        writer.Byte((byte)((message.IsRequest ? IsRequest : 0) | (hasSender ? HasSender : 0)));
        writer.Node(message.From);
        if (hasSender) writer.Node(message.Id.Sender);
        writer.Varint(message.Id.Epoch);
        writer.Varint(message.Id.Sequence);
        writer.Raw(message.Body.Span);
        return writer.ToArray();
    }

    public static LoggedView DecodeView(ReadOnlyMemory<byte> record)
    {
        var reader = new BodyReader(record[1..]);
        return ReadView(ref reader);
    }

    public static JournalMessage DecodeMessage(ReadOnlyMemory<byte> record)
    {
        var reader = new BodyReader(record[1..]);
        var order = (Order)reader.Byte();
        if (!Enum.IsDefined(order)) throw new FormatException("A logged message has an order that is not known.");
        byte flags = reader.Byte();
        NodeId from = reader.Node();
        NodeId sender = (flags & HasSender) != 0 ? reader.Node() : from;
        var id = new MessageId(sender, reader.Varint(), reader.Varint());
        return new JournalMessage(from, order, id, reader.Rest(), (flags & IsRequest) != 0);
    }

    /// <summary>A checkpoint, or a state for a joiner.</summary>
    /// <param name="place">Where the state stands.</param>
    /// <param name="position">The number of the first record that is not in the state; 0 for a joiner.</param>
    /// <param name="state">Null: the application begins empty.</param>
    public static byte[] EncodeState(StatePlace place, long position, ReadOnlyMemory<byte>? state)
    {
        var writer = new BodyWriter((state?.Length ?? 0) + 256);
        writer.Byte(Version);
        writer.Int64((long)place.Origin);
        writer.Varint(place.Count);
        writer.Varint(place.LastCheckpoint);
        writer.Varint(position);
        Write(writer, place.View);
        writer.Flag(state is not null);
        if (state is { } bytes) writer.Raw(bytes.Span);
        return writer.ToArray();
    }

    public static (StatePlace Place, long Position, ReadOnlyMemory<byte>? State) DecodeState(ReadOnlyMemory<byte> bytes)
    {
        var reader = new BodyReader(bytes);
        byte version = reader.Byte();
        if (version != Version) throw new FormatException($"The state has format {version}; this version of Toolkit.Recovery reads format {Version}.");
        var origin = (ulong)reader.Int64();
        long count = reader.Varint(), last = reader.Varint(), position = reader.Varint();
        LoggedView view = ReadView(ref reader);
        return (new StatePlace(origin, view, count, last), position, reader.Flag() ? reader.Rest() : (ReadOnlyMemory<byte>?)null);
    }

    private static void Write(BodyWriter writer, LoggedView view)
    {
        writer.Varint(view.Forced);
        writer.Varint(view.Term);
        writer.Varint(view.Number);
        writer.Text(view.Id);
        writer.Varint(view.Members.Length);
        foreach (NodeId member in view.Members) writer.Node(member);
    }

    private static LoggedView ReadView(ref BodyReader reader)
    {
        long forced = reader.Varint(), term = reader.Varint(), number = reader.Varint();
        string id = reader.Text();
        var members = new NodeId[reader.Count()];
        for (int i = 0; i < members.Length; i++) members[i] = reader.Node();
        return new LoggedView(forced, term, number, id, [.. members]);
    }
}
