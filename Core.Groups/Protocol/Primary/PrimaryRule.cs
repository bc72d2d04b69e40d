// Decides whether a proposed membership may be a primary component, and from which session it goes on.
// Keeps: invariant 2 (primary configurations are unique and continuous). A pure function of what the members say.
// Follows: protocol.md section 6; dynamic voting with pending attempts (Yeger Lotem, Keidar, Dolev), and the electorate.
// A vote belongs to what remembers it: a stable store, or an incarnation that has none. So nodes with and without a store
// can vote together: each is treated by what it had when it took part.
using System.Collections.Immutable;

namespace Core.Groups.Protocol.Primary;

/// <summary>What one participant of a configuration change brings to the vote.</summary>
/// <param name="Stays">False: it votes and records, and is not in the configuration that follows.</param>
/// <param name="Last">The last primary session that it knows of.</param>
/// <param name="Attempts">Attempts that it recorded and whose outcome it does not know.</param>
/// <param name="Memory">The stable store that remembers for it; 0: its incarnation alone remembers.</param>
internal sealed record Voter(NodeId Id, int Weight, bool IsElector, bool Stays, Session? Last, ImmutableArray<Session> Attempts, ulong Memory = 0)
{
    /// <summary>Whether this voter remembers what a member of a session had recorded.</summary>
    public bool IsMemoryOf(SessionMember member) => Id == member.Id || (Memory != 0 && Memory == member.Memory);
}

/// <summary>The rule's answer.</summary>
/// <param name="IsPrimary">Whether the proposed configuration is primary.</param>
/// <param name="Lineage">Its lineage.</param>
/// <param name="Base">The session that it goes on from; null for a new lineage.</param>
/// <param name="BaseIsAttempt">Whether <paramref name="Base"/> is an attempt that may have formed.</param>
/// <param name="Reason">For people: why not.</param>
/// <param name="Ended">A lineage of which everybody that knew its last state is proven dead: who remembers it is a stranger now.</param>
internal sealed record PrimaryDecision(bool IsPrimary, LineageId Lineage, Session? Base, bool BaseIsAttempt, string Reason, LineageId? Ended = null)
{
    public static PrimaryDecision No(string reason) => new(false, default, null, false, reason);
}

internal static class PrimaryRule
{
    /// <param name="voters">All participants.</param>
    /// <param name="hasElectorate">Whether seeds are configured.</param>
    /// <param name="minimumWeight">The electorate weight that a primary needs.</param>
    /// <param name="newLineage">The id of the lineage that begins if all participants are strangers.</param>
    public static PrimaryDecision Decide(IReadOnlyList<Voter> voters, bool hasElectorate, int minimumWeight, LineageId newLineage, WeakRules weak = WeakRules.None)
    {
        int electorate = voters.Where(v => (v.Stays || weak.Lacks(WeakRules.MinimumCountsLeavers)) && v.IsElector).Sum(v => v.Weight);
        LineageId[] lineages = [.. voters.SelectMany(KnownSessions).Select(s => s.Lineage).Distinct().Order()];
        bool isBelow = hasElectorate && electorate < minimumWeight && !weak.Lacks(WeakRules.NoMinimum);
        var below = PrimaryDecision.No($"electorate weight {electorate} is below the minimum of {minimumWeight}");
        if (isBelow && Array.TrueForAll(lineages, l => l.Forced == 0)) return below;
        if (lineages.Length == 0) return new PrimaryDecision(true, newLineage, null, false, "a new lineage of strangers");

        PrimaryDecision? best = null;
        int bestWeight = 0;
        string reason = "";
        LineageId? ended = null;
        bool begun = false;
        foreach (LineageId lineage in lineages)
        {
            PrimaryDecision? decision = Continue(voters, lineage, hasElectorate, weak);
            begun |= decision is not null;
            if (decision is null) continue;
            if (!decision.IsPrimary)
            {
                reason = decision.Reason;
                ended ??= decision.Ended;
                continue;
            }
            int weight = voters.Where(v => decision.Base!.HasVoteOf(v)).Sum(v => v.Weight);
            if (best is null || (lineage.Forced, weight).CompareTo((best.Lineage.Forced, bestWeight)) > 0) (best, bestWeight) = (decision, weight);
        }
        // Where an operator has forced a primary below the minimum, it may go on with as much as it then had.
        if (isBelow && !(best?.Lineage.Forced > 0 && electorate >= best.Base!.ElectorWeight)) return below;
        if (best is not null) return best;
        // Nothing but attempts to begin that are known to have failed: all are strangers still.
        return begun ? PrimaryDecision.No(reason) with { Ended = ended } : new PrimaryDecision(true, newLineage, null, false, "");
    }

    /// <summary>
    /// A new lineage of whoever is here, on the newest configuration that is here: an operator knows that what is missing is
    /// lost. It goes before all lineages that are known here.
    /// </summary>
    public static PrimaryDecision Force(IReadOnlyList<Voter> voters, ConfigurationId? newest, LineageId newLineage)
    {
        LineageId lineage = newLineage with { Forced = 1 + voters.SelectMany(KnownSessions).Select(s => s.Lineage.Forced).DefaultIfEmpty().Max() };
        Session? ground = newest is { } number ? new Session(lineage, number, [.. voters.Select(v => new SessionMember(v.Id, v.Weight, v.Memory))]) : null;
        return new PrimaryDecision(true, lineage, ground, false, "forced");
    }

    /// <summary>
    /// Whether a voter's store remembers another lineage, in which its vote may still count: it gives that up and comes back as
    /// a stranger. So the attempt cannot end, and nobody may record it: its vote in it would be neither given nor refused, ever.
    /// </summary>
    public static bool IsOfAnother(Voter voter, LineageId lineage, IReadOnlyList<Voter> voters) =>
        voter.Memory != 0 && (voter.Last is { } last ? last.Lineage != lineage : voter.Attempts.Any(a => a.Lineage != lineage && IsPending(a, voters)));

    private static IEnumerable<Session> KnownSessions(Voter voter) =>
        voter.Last is null ? voter.Attempts : voter.Attempts.Append(voter.Last);

    /// <summary>Null: the lineage never began.</summary>
    private static PrimaryDecision? Continue(IReadOnlyList<Voter> voters, LineageId lineage, bool hasElectorate, WeakRules weak)
    {
        Session? last = LastOf(voters, lineage);
        Session[] pending = weak.Lacks(WeakRules.NoAttempts) ? [] : [.. voters.SelectMany(v => v.Attempts).Distinct().Where(a => a.Lineage == lineage && IsPending(a, voters, weak)).OrderBy(a => a.Number)];
        if (last is null && pending.Length == 0) return null;
        foreach (Session session in last is null ? pending : pending.Append(last))
        {
            if (!HasMajority(session, voters, weak) && !(hasElectorate && MissingAreDead(session, voters, weak)))
            {
                return PrimaryDecision.No($"no majority of session {session}");
            }
        }
        Session newest = pending.Length > 0 ? pending[^1] : last!;
        if (!voters.Any(newest.HasVoteOf))
        {
            return PrimaryDecision.No($"nobody here was in session {newest}") with { Ended = lineage };
        }
        return new PrimaryDecision(true, lineage, newest, pending.Length > 0, "");
    }

    /// <summary>The last session of a lineage that anyone here knows.</summary>
    public static Session? LastOf(IReadOnlyList<Voter> voters, LineageId lineage) =>
        voters.Select(v => v.Last).Where(s => s is not null && s.Lineage == lineage).MaxBy(s => s!.Number);

    /// <summary>Whether an attempt may have formed, and nothing newer of its lineage is known.</summary>
    public static bool IsPending(Session attempt, IReadOnlyList<Voter> voters, WeakRules weak = WeakRules.None) =>
        (weak.Lacks(WeakRules.OutdatedAttemptsCount) || !(LastOf(voters, attempt.Lineage) is { } last && last.Number >= attempt.Number))
        && !HasFailed(attempt, voters);

    /// <summary>
    /// A member of the attempt that never recorded it says so: then nobody can have installed it. So does a member that has
    /// gone on in another lineage, where an attempt that might have formed would have been completed first.
    /// </summary>
    private static bool HasFailed(Session attempt, IReadOnlyList<Voter> voters) =>
        voters.Any(v => attempt.HasVoteOf(v) && !v.Attempts.Contains(attempt)
            && !(v.Last is { } last && last.Lineage == attempt.Lineage && last.Number >= attempt.Number));

    private static bool HasMajority(Session session, IReadOnlyList<Voter> voters, WeakRules weak) => session.IsMajority(m => HasVote(m, voters, weak));

    private static bool HasVote(SessionMember member, IReadOnlyList<Voter> voters, WeakRules weak) =>
        voters.Any(v => v.IsMemoryOf(member) || (v.Id.Name == member.Id.Name && weak.Lacks(WeakRules.VotesByName)));

    /// <summary>
    /// Every missing member is proven dead: its name is here under a newer incarnation, and without a stable store
    /// nothing of the old one can come back. (A store can, however often its node was started without it.) It is not
    /// enough that the living outweigh the missing.
    /// </summary>
    private static bool MissingAreDead(Session session, IReadOnlyList<Voter> voters, WeakRules weak)
    {
        int missing = session.Members.Where(m => !HasVote(m, voters, WeakRules.None) && !IsDead(m, voters, weak)).Sum(m => m.Weight);
        int here = session.Members.Where(m => HasVote(m, voters, WeakRules.None)).Sum(m => m.Weight);
        return missing == 0 || (here > missing && weak.Lacks(WeakRules.SomeDeadSuffice));
    }

    private static bool IsDead(SessionMember member, IReadOnlyList<Voter> voters, WeakRules weak) =>
        (member.Memory == 0 || weak.Lacks(WeakRules.StoresAreProvenDead)) && voters.Any(v => v.Id.Name == member.Id.Name && v.Id.Incarnation > member.Id.Incarnation);
}
