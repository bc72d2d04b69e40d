// Primary sessions and attempts: what the primary component rule remembers. Follows protocol.md section 6.
using System.Collections.Immutable;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Primary;

/// <summary>A lineage of primary configurations: a random id, made when a cluster starts.</summary>
/// <param name="Forced">How many times an operator has forced a new lineage on the way here: it goes before those with fewer.</param>
internal readonly record struct LineageId(ulong High, ulong Low, int Forced = 0) : IComparable<LineageId>
{
    public int CompareTo(LineageId other) => High != other.High ? High.CompareTo(other.High) : Low.CompareTo(other.Low);
}

/// <summary>A member as it was when its session was attempted.</summary>
/// <param name="Memory">The stable store that remembers for it; 0: its incarnation alone remembers.</param>
/// <param name="IsElector">Whether it was in the electorate.</param>
internal readonly record struct SessionMember(NodeId Id, int Weight, ulong Memory = 0, bool IsElector = false);

/// <summary>A primary configuration, formed or attempted. Two sessions of one number are the same.</summary>
internal sealed class Session(LineageId lineage, ConfigurationId number, ImmutableArray<SessionMember> members) : IEquatable<Session>
{
    public LineageId Lineage => lineage;
    public ConfigurationId Number => number;
    /// <summary>The members in rank order.</summary>
    public ImmutableArray<SessionMember> Members => members;

    public int Weight => members.Sum(static m => m.Weight);

    public int ElectorWeight => members.Where(static m => m.IsElector).Sum(static m => m.Weight);

    public bool Contains(NodeId id) => members.Any(m => m.Id == id);

    /// <summary>Whether a voter remembers as a member of this session: its incarnation is the member's, or its store is.</summary>
    public bool HasVoteOf(Voter voter) => members.Any(m => voter.IsMemoryOf(m));

    /// <summary>Of two lineages that both work and meet, which one goes on: the one forced more often, the heavier, the lower id.</summary>
    public bool GoesBefore(Session other) =>
        (lineage.Forced, Weight, other.Lineage).CompareTo((other.Lineage.Forced, other.Weight, lineage)) > 0;

    /// <summary>
    /// Whether a primary configuration can still go on when these of its members are gone. One that stood still while others
    /// began without it takes itself for the primary until it has found out. (Where all are left it went by the rules it had.)
    /// </summary>
    /// <param name="isGone">Which members are gone for sure.</param>
    /// <param name="minimumWeight">The least weight of the electorate that a primary has; 0: there is none.</param>
    public bool MayWork(Func<NodeId, bool> isGone, int minimumWeight)
    {
        SessionMember[] left = [.. members.Where(m => !isGone(m.Id))];
        return left.Length == members.Length
            || (IsMajority(left.Contains) && (lineage.Forced > 0 || left.Where(static m => m.IsElector).Sum(static m => m.Weight) >= minimumWeight));
    }

    /// <summary>Whether these of the members are more than half of its weight, or half with the oldest.</summary>
    public bool IsMajority(Func<SessionMember, bool> isHere)
    {
        int here = members.Where(isHere).Sum(static m => m.Weight), all = Weight;
        return 2 * here > all || (2 * here == all && isHere(members[0]));
    }

    public bool Equals(Session? other) => other is not null && other.Number == Number;
    public override bool Equals(object? obj) => Equals(obj as Session);
    public override int GetHashCode() => Number.GetHashCode();
    public override string ToString() => $"{Number} [{string.Join(' ', members.Select(m => m.Id.ToString()))}]";

    public static void Write(WireWriter writer, Session? session)
    {
        writer.Flag(session is not null);
        if (session is null) return;
        writer.Fixed64(session.Lineage.High);
        writer.Fixed64(session.Lineage.Low);
        writer.Varint(session.Lineage.Forced);
        writer.Configuration(session.Number);
        writer.Varint(session.Members.Length);
        foreach (SessionMember member in session.Members)
        {
            writer.Node(member.Id);
            writer.Varint(member.Weight);
            writer.Fixed64(member.Memory);
            writer.Flag(member.IsElector);
        }
    }

    public static Session? Read(ref WireReader reader)
    {
        if (!reader.Flag()) return null;
        var lineage = new LineageId(reader.Fixed64(), reader.Fixed64(), (int)Math.Min(reader.Varint(), int.MaxValue / 2));
        ConfigurationId number = reader.Configuration();
        var members = ImmutableArray.CreateBuilder<SessionMember>(reader.Count(12));
        for (int left = members.Capacity; left > 0; left--) members.Add(new SessionMember(reader.Node(), (int)Math.Min(reader.Varint(), int.MaxValue / 4096), reader.Fixed64(), reader.Flag()));
        if (members.Count == 0) throw new WireFormatException("A session has no members.");
        return new Session(lineage, number, members.MoveToImmutable());
    }
}
