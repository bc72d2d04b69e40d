// What one node remembers of primaries: the last session that it knows, and the attempts whose outcome it does not know.
// Keeps: a newer session is adopted together with dropping the attempts that it outdates, never one without the other; who
// records an attempt knows what the attempt goes on from.
// Follows: protocol.md section 6. Nothing is stored: a restarted node begins empty, under a new incarnation.
using System.Collections.Immutable;

namespace Core.Groups.Protocol.Primary;

internal sealed class VoteMemory(WeakRules weak)
{
    public Session? Last { get; private set; }
    public ImmutableArray<Session> Attempts { get; private set; } = [];

    /// <summary>
    /// Records an attempt, and what it goes on from: the last session of its lineage and the attempts that may have formed. A
    /// stranger that knew the new attempt alone could go on from that, though it never formed, beside those whom the others
    /// belong to. What is remembered of another lineage is given up: its attempts are known to have failed. So are those of this
    /// lineage that a voter shows to have failed: the only one to show it may die, and the attempt would bind for ever.
    /// </summary>
    public void Record(Session attempt, IReadOnlyList<Voter> voters)
    {
        if (!weak.Lacks(WeakRules.StrangersDoNotAdopt))
        {
            LineageId lineage = attempt.Lineage;
            Session? known = PrimaryRule.LastOf(voters, lineage);
            if (known is not null && !(Last?.Lineage == lineage && Last.Number >= known.Number)) Last = known;
            Attempts = [.. voters.SelectMany(v => v.Attempts).Where(a => a.Lineage == lineage && PrimaryRule.IsPending(a, voters)).Distinct()];
        }
        Attempts = [.. Attempts.Where(a => a.Number != attempt.Number), attempt];
    }

    /// <summary>The newest session of this node's lineage that others know, if it is newer than what is known here.</summary>
    public Session? NewerAmong(IEnumerable<Session?> lasts) => Last is not { } last ? null
        : lasts.Where(s => s?.Lineage == last.Lineage && s.Number > last.Number).MaxBy(s => s!.Number);

    /// <summary>Whether a newer session shows that an incarnation can never go on: it is not in it, and could not have formed a later one.</summary>
    public bool IsOverBecauseOf(Session newer, NodeId self) => !newer.Contains(self) && !Attempts.Any(a => a.Number >= newer.Number);

    public void Adopt(Session newer)
    {
        if (!weak.Lacks(WeakRules.DropsAndDoesNotAdopt)) Last = newer;
        if (!weak.Lacks(WeakRules.AdoptsAndKeepsAttempts)) Attempts = [.. Attempts.Where(a => a.Number > newer.Number)];
    }

    public void Install(Session session)
    {
        Last = session;
        Attempts = [];
    }
}
