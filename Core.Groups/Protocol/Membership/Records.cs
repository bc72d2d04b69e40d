// The control records of a configuration change.
using System.Collections.Immutable;
using Core.Groups.Protocol.Primary;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Membership;

internal enum ControlRecord : byte
{
    Presence = 1,
    Proposal = 2,
    Status = 3,
    Forward = 4,
    RecoveryDone = 5,
    Recovered = 6,
    NameTaken = 7,
}

/// <summary>A proposed configuration.</summary>
/// <param name="Members">The participants, ranked by age.</param>
/// <param name="Leavers">Those that vote and record, and are left out.</param>
/// <param name="HasElectorate">Whether seeds are configured; the members that are seeds say so in their identity.</param>
/// <param name="IsForced">An operator's act: the members make a primary, whatever they know of others.</param>
internal sealed record Proposal(
    ConfigurationId Id, ImmutableArray<PeerIdentity> Members, ImmutableArray<NodeId> Leavers, bool HasElectorate, int MinimumWeight, LineageId NewLineage, bool IsForced = false)
{
    public bool Includes(NodeId node) => Members.Any(m => m.Id == node);

    public void Write(WireWriter writer)
    {
        writer.Configuration(Id);
        writer.Varint(Members.Length);
        foreach (PeerIdentity member in Members)
        {
            writer.Node(member.Id);
            writer.Text(member.Address);
            writer.Text(member.Site);
            writer.Varint(member.Weight);
            writer.Flag(member.IsElector);
        }
        writer.Varint(Leavers.Length);
        foreach (NodeId leaver in Leavers) writer.Node(leaver);
        writer.Flag(HasElectorate);
        writer.Varint(MinimumWeight);
        writer.Fixed64(NewLineage.High);
        writer.Fixed64(NewLineage.Low);
        writer.Flag(IsForced);
    }

    public static Proposal Read(ref WireReader reader)
    {
        ConfigurationId id = reader.Configuration();
        var members = ImmutableArray.CreateBuilder<PeerIdentity>(reader.Count(6));
        for (int left = members.Capacity; left > 0; left--)
        {
            members.Add(new PeerIdentity(reader.Node(), reader.Text(), reader.Text(), (int)Math.Min(reader.Varint(), 1 << 20), reader.Flag()));
        }
        var leavers = ImmutableArray.CreateBuilder<NodeId>(reader.Count(2));
        for (int left = leavers.Capacity; left > 0; left--) leavers.Add(reader.Node());
        return new Proposal(id, members.MoveToImmutable(), leavers.MoveToImmutable(), reader.Flag(), (int)Math.Min(reader.Varint(), int.MaxValue),
            new LineageId(reader.Fixed64(), reader.Fixed64()), reader.Flag());
    }
}

/// <summary>What a participant holds and knows when it freezes. The arrays go by rank in <see cref="Installed"/>.</summary>
internal sealed record MemberStatus
{
    public ConfigurationId? Installed { get; init; }
    /// <summary>Per sender the prefix received on its own link.</summary>
    public long[] Received { get; init; } = [];
    /// <summary>What is here by forwarding, apart from the prefix (never one "highest").</summary>
    public ImmutableHashSet<(int Sender, long Sequence)> Forwarded { get; init; } = [];
    public long[] Floors { get; init; } = [];
    /// <summary>In large groups of this node, the gathered floor by which it may have delivered.</summary>
    public ImmutableArray<(GroupId Group, long Epoch, long Floor)> Gathered { get; init; } = [];
    /// <summary>How much of this node's own messages each member has received.</summary>
    public long[] ReceivedBy { get; init; } = [];
    public long[] Stable { get; init; } = [];
    public long Clock { get; init; }
    public Session? Last { get; init; }
    public ImmutableArray<Session> Attempts { get; init; } = [];
    /// <summary>The stable store to which this node's vote belongs; 0: to its incarnation.</summary>
    public ulong Memory { get; init; }
    /// <summary>The attempts of which this node has said Recovered and that are not void: the newest, then what it goes on from.</summary>
    public ImmutableArray<ConfigurationId> Recorded { get; init; } = [];

    /// <summary>As if the node had just installed a configuration: it holds nothing there yet.</summary>
    public MemberStatus After(ConfigurationId installed) =>
        new() { Installed = installed, Clock = Clock, Last = Last, Attempts = Attempts, Memory = Memory, Recorded = Recorded };

    public void Write(WireWriter writer)
    {
        WriteId(writer, Installed);
        WriteArray(writer, Received);
        writer.Varint(Forwarded.Count);
        foreach ((int sender, long sequence) in Forwarded.Order())
        {
            writer.Varint(sender);
            writer.Varint(sequence);
        }
        WriteArray(writer, Floors);
        writer.Varint(Gathered.Length);
        foreach ((GroupId group, long epoch, long floor) in Gathered)
        {
            writer.Group(group);
            writer.Varint(epoch);
            writer.Varint(floor);
        }
        WriteArray(writer, ReceivedBy);
        WriteArray(writer, Stable);
        writer.Varint(Clock);
        Session.Write(writer, Last);
        writer.Varint(Attempts.Length);
        foreach (Session attempt in Attempts) Session.Write(writer, attempt);
        writer.Fixed64(Memory);
        writer.Varint(Recorded.Length);
        foreach (ConfigurationId id in Recorded) writer.Configuration(id);
    }

    public static MemberStatus Read(ref WireReader reader, KnownRecords known)
    {
        ConfigurationId? installed = ReadId(ref reader);
        long[] received = ReadArray(ref reader);
        var forwarded = ImmutableHashSet.CreateBuilder<(int, long)>();
        for (int left = reader.Count(2); left > 0; left--) forwarded.Add(((int)Math.Min(reader.Varint(), int.MaxValue), reader.Varint()));
        long[] floors = ReadArray(ref reader);
        var gathered = ImmutableArray.CreateBuilder<(GroupId, long, long)>(reader.Count(18));
        for (int left = gathered.Capacity; left > 0; left--) gathered.Add((reader.Group(), reader.Varint(), reader.Varint()));
        long[] receivedBy = ReadArray(ref reader), stable = ReadArray(ref reader);
        long clock = reader.Varint();
        Session? last = known.Session.Read(ref reader);
        var attempts = ImmutableArray.CreateBuilder<Session>();
        for (int left = reader.Count(); left > 0; left--)
        {
            if (known.Session.Read(ref reader) is { } attempt) attempts.Add(attempt);
        }
        ulong memory = reader.Fixed64();
        var recorded = ImmutableArray.CreateBuilder<ConfigurationId>(reader.Count(3));
        for (int left = recorded.Capacity; left > 0; left--) recorded.Add(reader.Configuration());
        return new MemberStatus
        {
            Installed = installed, Received = received, Forwarded = forwarded.ToImmutable(), Floors = floors, Gathered = gathered.MoveToImmutable(), ReceivedBy = receivedBy,
            Stable = stable, Clock = clock, Last = last, Attempts = attempts.ToImmutable(), Memory = memory, Recorded = recorded.MoveToImmutable(),
        };
    }

    /// <summary>A value of an array by rank; what is not told is 0.</summary>
    public static long At(long[] values, int rank) => rank < values.Length ? values[rank] : 0;

    private static void WriteId(WireWriter writer, ConfigurationId? id)
    {
        writer.Flag(id is not null);
        if (id is { } value) writer.Configuration(value);
    }

    private static ConfigurationId? ReadId(ref WireReader reader) => reader.Flag() ? reader.Configuration() : null;

    private static void WriteArray(WireWriter writer, long[] values)
    {
        writer.Varint(values.Length);
        foreach (long value in values) writer.Varint(value);
    }

    private static long[] ReadArray(ref WireReader reader)
    {
        var values = new long[reader.Count()];
        for (int i = 0; i < values.Length; i++) values[i] = reader.Varint();
        return values;
    }
}
