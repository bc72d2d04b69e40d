// What a node tells every peer about itself: whom it reaches, where it stands. Sent when it changes and on every new link.
// Follows: protocol.md section 5, Gather. The records tell the reachability graph around a node, from which each computes
// the same clique in the end.
using Core.Groups.Protocol.Primary;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Membership;

/// <param name="Promised">The highest epoch that the node has promised.</param>
/// <param name="Configuration">The configuration that it is in.</param>
/// <param name="Rank">Its rank there.</param>
/// <param name="IsBlocked">Not in a primary configuration.</param>
/// <param name="IsStuck">A change began there and did not end: it cannot go on until another one does.</param>
/// <param name="IsLeaving">It stops in order: it votes in the change that leaves it out.</param>
/// <param name="Last">The last primary session that it knows.</param>
/// <param name="Reach">The nodes that it can talk to, itself included, with their addresses.</param>
internal sealed record Presence(
    long Promised, ConfigurationId? Configuration, int Rank, bool IsBlocked, bool IsStuck, bool IsLeaving, Session? Last, ReachSet Reach)
{
    /// <summary>Whether the node is in extended mode.</summary>
    public bool IsExtended { get; init; }

    public void Write(WireWriter writer)
    {
        writer.Flag(IsExtended);
        writer.Varint(Promised);
        writer.Flag(Configuration is not null);
        if (Configuration is { } id) writer.Configuration(id);
        writer.Varint(Rank);
        writer.Flag(IsBlocked);
        writer.Flag(IsStuck);
        writer.Flag(IsLeaving);
        Session.Write(writer, Last);
        Reach.Write(writer);
    }

    public static Presence Read(ref WireReader reader, KnownRecords known)
    {
        bool extended = reader.Flag();
        long promised = reader.Varint();
        ConfigurationId? id = reader.Flag() ? reader.Configuration() : null;
        int rank = (int)Math.Min(reader.Varint(), int.MaxValue);
        bool blocked = reader.Flag(), stuck = reader.Flag(), leaving = reader.Flag();
        Session? last = known.Session.Read(ref reader);
        return new Presence(promised, id, rank, blocked, stuck, leaving, last, known.Reach.Read(ref reader)) { IsExtended = extended };
    }

    public bool Says(Presence other) =>
        Promised == other.Promised && Configuration == other.Configuration && Rank == other.Rank && IsBlocked == other.IsBlocked
        && IsStuck == other.IsStuck && IsLeaving == other.IsLeaving && Equals(Last, other.Last)
        && Reach.IsSame(other.Reach);
}
