// Messages on the wire. A run of messages to one destination names it once; sequence and timestamp are differences.
// Keeps: what is read back equals what was written; a rank from outside is below the size of the configuration.
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Ordering;

/// <summary>What writer and reader of one frame remember from message to message.</summary>
internal struct MessageRun
{
    public Destination? Destination;
    public long Sequence;
    public long Timestamp;
}

internal static class MessageFormat
{
    /// <summary>The first byte of a record that names the destination of the messages that follow.</summary>
    public const byte DestinationRecord = 0x80;

    /// <summary>The first byte of a destination that is more than one group.</summary>
    private const byte SpreadFlag = 4;

    private const byte HasDependencies = 0x10, HasFlags = 0x20, HasSequence = 0x40;

    public static void Write(WireWriter writer, Message message, ref MessageRun run)
    {
        if (!ReferenceEquals(run.Destination, message.Destination))
        {
            writer.Byte(DestinationRecord);
            WriteDestination(writer, message.Destination);
            run.Destination = message.Destination;
        }
        bool next = message.Sequence == run.Sequence + 1;
        bool flags = message.Flags != 0 || message.RequestId != 0;
        writer.Byte((byte)((int)message.Kind | (message.Dependencies.Length > 0 ? HasDependencies : 0) | (flags ? HasFlags : 0) | (next ? 0 : HasSequence)));
        if (!next) writer.Varint(message.Sequence);
        run.Sequence = message.Sequence;
        if (message.Kind.IsTotal())
        {
            writer.Varint(message.Timestamp - run.Timestamp);
            run.Timestamp = message.Timestamp;
        }
        if (message.Dependencies.Length > 0)
        {
            writer.Varint(message.Dependencies.Length);
            foreach (Dependency dependency in message.Dependencies)
            {
                writer.Varint(dependency.Sender);
                writer.Varint(dependency.Sequence);
            }
        }
        if (flags)
        {
            writer.Varint((long)message.Flags);
            writer.Varint(message.RequestId);
            message.Caller?.Write(writer);
            message.Answer?.Write(writer);
        }
        writer.Blob(message.Body.Span);
    }

    /// <param name="streamIndex">The explicit index of a forwarded message, or 0: it is the next one of its stream.</param>
    public static Message Read(ref WireReader reader, byte first, int sender, int members, ref MessageRun run, long streamIndex = 0)
    {
        var kind = (MessageKind)(first & 0x0F);
        if (kind > MessageKind.Finished) throw new WireFormatException("A message has no known kind.");
        Destination to = run.Destination ?? throw new WireFormatException("A message has no destination.");
        long sequence = (first & HasSequence) != 0 ? reader.Varint() : run.Sequence + 1;
        run.Sequence = sequence;
        long timestamp = 0;
        if (kind.IsTotal())
        {
            timestamp = run.Timestamp + reader.Varint();
            if (timestamp is <= 0 or >= 1L << 47) throw new WireFormatException("A timestamp is out of range.");
            run.Timestamp = timestamp;
        }
        Dependency[] dependencies = (first & HasDependencies) != 0 ? ReadDependencies(ref reader, members) : [];
        MessageFlags flags = 0;
        long requestId = 0;
        CallerStamp? caller = null;
        AnswerStamp? answer = null;
        if ((first & HasFlags) != 0)
        {
            flags = (MessageFlags)(reader.Varint() & ushort.MaxValue);
            requestId = reader.Varint();
            if ((flags & MessageFlags.ForCaller) != 0) caller = CallerStamp.Read(ref reader);
            if ((flags & MessageFlags.AnswerTo) != 0) answer = AnswerStamp.Read(ref reader);
        }
        if (dependencies.Length == 0 && to.Spread is not null && kind is MessageKind.Group or MessageKind.Marker or MessageKind.Finished)
            throw new WireFormatException("A message of a GBCAST does not say of which.");
        if (kind.IsApplication() && streamIndex == 0) streamIndex = ++to.Stream(sender, kind.Class(), members).LastIndex;
        return new Message
        {
            Sender = sender, Sequence = sequence, Kind = kind, Destination = to, StreamIndex = streamIndex, Timestamp = timestamp,
            Dependencies = dependencies, Flags = flags, RequestId = requestId, Caller = caller, Answer = answer, Body = reader.Blob(),
        };
    }

    public static void WriteDestination(WireWriter writer, Destination to)
    {
        if (to.Spread is { } spread)
        {
            WriteSpread(writer, to, spread);
            return;
        }
        bool same = to.Via.Equals(to.Members);
        writer.Byte((byte)((to.IsDirect ? 1 : 0) | (same ? 2 : 0)));
        if (!to.IsDirect)
        {
            writer.Group(to.Group);
            writer.Varint(to.Epoch);
        }
        writer.Members(to.Members);
        if (!same) writer.Members(to.Via);
    }

    public static Destination ReadDestination(ref WireReader reader, DestinationTable table, int members)
    {
        byte flags = reader.Byte();
        if (flags == SpreadFlag) return ReadSpread(ref reader, table, members);
        bool direct = (flags & 1) != 0;
        GroupId group = direct ? GroupId.None : reader.Group();
        long epoch = direct ? 0 : reader.Varint();
        MemberSet all = reader.Members();
        MemberSet via = (flags & 2) != 0 ? all : reader.Members();
        if (all.Limit > members || via.Limit > members) throw new WireFormatException("A destination is outside the configuration.");
        if (direct != (group == GroupId.None)) throw new WireFormatException("A destination has no group.");
        return table.Intern(group, epoch, all, via);
    }

    private static void WriteSpread(WireWriter writer, Destination to, SpreadDestination spread)
    {
        writer.Byte(SpreadFlag);
        writer.Varint(spread.Parts.Length);
        foreach (DestinationPart part in spread.Parts)
        {
            writer.Group(part.Group);
            writer.Varint(part.Epoch);
            writer.Members(part.Via);
            writer.Text(part.Name);
        }
        writer.Members(to.Members);
        writer.Flag(spread.Label is not null);
        if (spread.Label is { } label) writer.Text(label);
    }

    private static Destination ReadSpread(ref WireReader reader, DestinationTable table, int members)
    {
        var parts = new DestinationPart[reader.Count(19)];
        for (int i = 0; i < parts.Length; i++)
        {
            parts[i] = new DestinationPart(reader.Group(), reader.Varint(), reader.Members(), reader.Text());
            if (parts[i].Via.Limit > members) throw new WireFormatException("A destination is outside the configuration.");
            if (i > 0 && parts[i].Group <= parts[i - 1].Group) throw new WireFormatException("The groups of a destination are out of order.");
        }
        MemberSet all = reader.Members();
        if (all.Limit > members || !Array.TrueForAll(parts, p => p.Via.IsSubsetOf(all))) throw new WireFormatException("A destination is outside the configuration.");
        return table.InternSpread(parts, all, reader.Flag() ? reader.Text() : null);
    }

    private static Dependency[] ReadDependencies(ref WireReader reader, int members)
    {
        var dependencies = new Dependency[reader.Count(2)];
        for (int i = 0; i < dependencies.Length; i++)
        {
            long sender = reader.Varint();
            if (sender >= members) throw new WireFormatException("A dependency is outside the configuration.");
            dependencies[i] = new Dependency((int)sender, reader.Varint());
        }
        return dependencies;
    }
}

/// <summary>The destinations of one configuration, one object per content: streams hang on them.</summary>
internal sealed class DestinationTable
{
    private readonly Dictionary<GroupId, List<Destination>> _byGroup = [];
    /// <summary>Those of more than one group, by their first one.</summary>
    private readonly Dictionary<GroupId, List<Destination>> _spread = [];

    public Destination Intern(GroupId group, long epoch, MemberSet members, MemberSet via)
    {
        if (!_byGroup.TryGetValue(group, out List<Destination>? list)) _byGroup.Add(group, list = new List<Destination>(1));
        foreach (Destination known in list)
        {
            if (known.Epoch == epoch && known.Members.Equals(members) && known.Via.Equals(via)) return known;
        }
        var destination = new Destination(group, epoch, members, via);
        list.Add(destination);
        return destination;
    }

    /// <param name="parts">By rising id.</param>
    public Destination InternSpread(DestinationPart[] parts, MemberSet members, string? label)
    {
        DestinationPart? first = parts.Length > 0 ? parts[0] : null;
        GroupId key = first?.Group ?? GroupId.None;
        if (!_spread.TryGetValue(key, out List<Destination>? list)) _spread.Add(key, list = []);
        var spread = new SpreadDestination(parts, label);
        foreach (Destination known in list)
        {
            if (known.Members.Equals(members) && known.Spread!.Equals(spread)) return known;
        }
        var destination = new Destination(key, first?.Epoch ?? 0, members, first?.Via ?? MemberSet.Empty, spread);
        list.Add(destination);
        return destination;
    }

    /// <summary>Nothing more comes of a group's epochs before this one.</summary>
    public void Forget(GroupId group, long before)
    {
        Forget(_byGroup, group, before);
        Forget(_spread, group, before);
    }

    private static void Forget(Dictionary<GroupId, List<Destination>> table, GroupId group, long before)
    {
        if (!table.TryGetValue(group, out List<Destination>? list)) return;
        list.RemoveAll(d => d.Epoch < before);
        if (list.Count > 0) return;
        table.Remove(group);
        table.LetGo();
    }
}
