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
/// <param name="Count">The messages of that view that the state contains, and changes of the configuration data.</param>
/// <param name="Cut">The number of the last cut of that view (<see cref="CutPoint"/>); -1: it is not known.</param>
/// <param name="Checkpoints">The checkpoints that the group keeps, in order; a member that was not there when one was taken does not have it.</param>
/// <param name="Configuration">The group's configuration data.</param>
internal sealed record StatePlace(
    ulong Origin, LoggedView View, long Count, long Cut, ImmutableArray<KeptCheckpoint> Checkpoints, ImmutableSortedDictionary<string, string> Configuration)
{
    public LogPoint Point => View.Point(Count);

    /// <summary>The number of the last checkpoint; 0: there was none.</summary>
    public long LastCheckpoint => Checkpoints.IsEmpty ? 0 : Checkpoints[^1].Number;

    /// <summary>The place behind a record.</summary>
    public StatePlace After(ReadOnlyMemory<byte> record) => record.Span[0] switch
    {
        LogFormat.ViewRecord => this with { View = LogFormat.DecodeView(record), Count = 0, Cut = 0 },
        LogFormat.CutRecord when LogFormat.DecodeCut(record) is var (checkpoint, keep) && (Cut < 0 ? -1 : Cut + 1) is var cut => this with
        {
            Cut = cut,
            Checkpoints = checkpoint == 0 ? Checkpoints : [.. Checkpoints.Add(new KeptCheckpoint(checkpoint, new CutPoint(View.Id, cut))).TakeLast(keep)],
        },
        LogFormat.ConfigurationRecord when LogFormat.DecodeConfiguration(record) is var (key, value) =>
            this with { Count = Count + 1, Configuration = value is null ? Configuration.Remove(key) : Configuration.SetItem(key, value) },
        LogFormat.MessageRecord => this with { Count = Count + 1 },
        _ => throw new FormatException("A record is of no known kind."),
    };
}

/// <summary>A numbered checkpoint of a group.</summary>
/// <param name="Number">Its number.</param>
/// <param name="Cut">The instant at which it was taken: one of the same number in a history that was given up has another.</param>
internal readonly record struct KeptCheckpoint(long Number, CutPoint Cut);

/// <summary>What goes with a state on the disk.</summary>
/// <param name="Place">Where the state stands.</param>
/// <param name="Position">The number of the first record that is not in the state.</param>
/// <param name="Since">The cut from which on the log is kept; null: no cut before the state's is known.</param>
internal sealed record StateHead(StatePlace Place, long Position, LoggedCut? Since);

/// <summary>Where the bytes of a state are.</summary>
internal readonly record struct StateBody(bool IsStored, ReadOnlyMemory<byte>? Inline, long From, long To, long Length)
{
    /// <summary>There is no state: the application begins empty.</summary>
    public static StateBody Empty => default;

    public static StateBody Of(ReadOnlyMemory<byte> inline) => new(false, inline, 0, 0, inline.Length);

    /// <summary>In records of the log of its name, from this one on.</summary>
    public static StateBody Stored(long from) => new(true, null, from, from, 0);
}

/// <summary>Reads and writes.</summary>
internal static class LogFormat
{
    /// <summary>Of what this version writes. Another version is refused.</summary>
    public const byte Version = 1;

    public const byte ViewRecord = 1, MessageRecord = 2, CutRecord = 3, ConfigurationRecord = 4, BackRecord = 5;
    private const byte NoState = 0, InlineState = 1, StoredState = 2;
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

    /// <param name="checkpoint">The number of a checkpoint that was taken at the cut; 0: none.</param>
    /// <param name="keep">How many checkpoints are kept then.</param>
    public static byte[] EncodeCut(long checkpoint, int keep)
    {
        var writer = new BodyWriter(16);
        writer.Byte(CutRecord);
        writer.Varint(checkpoint);
        writer.Varint(keep);
        return writer.ToArray();
    }

    public static (long Checkpoint, int Keep) DecodeCut(ReadOnlyMemory<byte> record)
    {
        var reader = new BodyReader(record[1..]);
        return (reader.Varint(), (int)Math.Min(reader.Varint(), int.MaxValue));
    }

    public static byte[] EncodeConfiguration(string key, string? value)
    {
        var writer = new BodyWriter();
        writer.Byte(ConfigurationRecord);
        writer.Text(key);
        writer.Flag(value is not null);
        if (value is not null) writer.Text(value);
        return writer.ToArray();
    }

    public static (string Key, string? Value) DecodeConfiguration(ReadOnlyMemory<byte> record)
    {
        var reader = new BodyReader(record[1..]);
        return (reader.Text(), reader.Flag() ? reader.Text() : null);
    }

    /// <summary>What stands between the last cut and this record is void: the member was brought up to date from another one's log.</summary>
    public static byte[] EncodeBack() => [BackRecord];

    /// <summary>The value of a state.</summary>
    public static byte[] EncodeHead(StateHead head, StateBody body)
    {
        var writer = new BodyWriter((body.Inline?.Length ?? 0) + 256);
        writer.Byte(Version);
        Write(writer, head.Place);
        writer.Varint(head.Position);
        writer.Flag(head.Since is not null);
        if (head.Since is { } since)
        {
            Write(writer, since.View);
            writer.Varint(since.Point.Number);
            writer.Varint(since.Record);
        }

        writer.Byte(body.IsStored ? StoredState : body.Inline is null ? NoState : InlineState);
        if (body.IsStored)
        {
            writer.Varint(body.From);
            writer.Varint(body.To);
            writer.Varint(body.Length);
        }
        else if (body.Inline is { } bytes)
        {
            writer.Raw(bytes.Span);
        }

        return writer.ToArray();
    }

    public static (StateHead Head, StateBody Body) DecodeHead(ReadOnlyMemory<byte> value)
    {
        var reader = new BodyReader(value);
        CheckVersion(ref reader);
        StatePlace place = ReadPlace(ref reader);
        long position = reader.Varint();
        LoggedCut? since = null;
        if (reader.Flag())
        {
            LoggedView view = ReadView(ref reader);
            since = new LoggedCut(view, new CutPoint(view.Id, reader.Varint()), reader.Varint(), 0);
        }

        StateBody body = reader.Byte() switch
        {
            NoState => StateBody.Empty,
            InlineState => StateBody.Of(reader.Rest()),
            StoredState => new StateBody(true, null, reader.Varint(), reader.Varint(), reader.Varint()),
            _ => throw new FormatException("It is not known where the state is."),
        };
        return (new StateHead(place, position, since), body);
    }

    /// <summary>What a joiner is told before what it is given.</summary>
    /// <param name="place">Where it stands when it has taken all of it.</param>
    /// <param name="since">It is given the records behind this cut; null: the state.</param>
    public static byte[] EncodeGift(StatePlace place, LoggedCut? since)
    {
        var writer = new BodyWriter();
        writer.Byte(Version);
        Write(writer, place);
        writer.Flag(since is not null);
        if (since is { } cut)
        {
            writer.Text(cut.Point.ViewId);
            writer.Varint(cut.Point.Number);
        }

        return writer.ToArray();
    }

    public static (StatePlace Place, CutPoint? Since) DecodeGift(ReadOnlyMemory<byte> bytes)
    {
        var reader = new BodyReader(bytes);
        CheckVersion(ref reader);
        return (ReadPlace(ref reader), reader.Flag() ? new CutPoint(reader.Text(), reader.Varint()) : null);
    }

    private static void CheckVersion(ref BodyReader reader)
    {
        byte version = reader.Byte();
        if (version != Version) throw new FormatException($"The state has format {version}; this version of Toolkit.Recovery reads format {Version}.");
    }

    private static void Write(BodyWriter writer, StatePlace place)
    {
        writer.Int64((long)place.Origin);
        Write(writer, place.View);
        writer.Varint(place.Count);
        writer.Varint(place.Cut + 1);
        writer.Varint(place.Checkpoints.Length);
        foreach (KeptCheckpoint checkpoint in place.Checkpoints)
        {
            writer.Varint(checkpoint.Number);
            writer.Text(checkpoint.Cut.ViewId);
            writer.Varint(checkpoint.Cut.Number + 1);
        }

        writer.Varint(place.Configuration.Count);
        foreach ((string key, string value) in place.Configuration)
        {
            writer.Text(key);
            writer.Text(value);
        }
    }

    private static StatePlace ReadPlace(ref BodyReader reader)
    {
        var origin = (ulong)reader.Int64();
        LoggedView view = ReadView(ref reader);
        long count = reader.Varint(), cut = reader.Varint() - 1;
        var checkpoints = new KeptCheckpoint[reader.Count()];
        for (int i = 0; i < checkpoints.Length; i++) checkpoints[i] = new KeptCheckpoint(reader.Varint(), new CutPoint(reader.Text(), reader.Varint() - 1));
        var configuration = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        for (int entries = reader.Count(); entries > 0; entries--)
        {
            string key = reader.Text();
            configuration[key] = reader.Text();
        }

        return new StatePlace(origin, view, count, cut, [.. checkpoints], configuration.ToImmutable());
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
