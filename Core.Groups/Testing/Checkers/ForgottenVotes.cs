// Without stable storage, votes are forgotten with those who gave them. With an electorate a primary may then go on from one
// that is not the last, once all its missing members are proven dead: what only they and their companions knew is lost
// (protocol, section 6). Such a branch is no fork: it ended before the other one began, which needs no clock to show.
namespace Core.Groups.Testing.Checkers;

/// <summary>Tells branches that were lost with their votes from forks.</summary>
internal static class ForgottenVotes
{
    /// <summary>Whether two nodes that went on from one view differ because one of the branches was forgotten when the other began.</summary>
    internal static bool Explain(CheckOptions options, ViewPeriod one, ViewPeriod other) =>
        MayForget(options) && (BeganWithout(one, other) || BeganWithout(other, one));

    /// <summary>
    /// Whether two nodes came to a view by two such branches: both ended the open GBCAST in a transitional configuration, each with
    /// what it had, so the view has one name in both (found by the simulator: mix 3009882).
    /// </summary>
    internal static bool Part(CheckOptions options, ViewPeriod one, ViewPeriod other) =>
        MayForget(options) && one.InstalledIn is { IsTransitional: true } && other.InstalledIn is { IsTransitional: true } && one.InstalledIn.Key != other.InstalledIn.Key
        && (BeganWithout(one, other) || BeganWithout(other, one));

    private static bool MayForget(CheckOptions options) =>
        options.IsPrimaryMode && !options.Electorate.IsEmpty && options.Continuity == PrimaryContinuity.VotesOrProof;

    /// <summary>
    /// Whether on the way to <paramref name="kept"/> its node entered a configuration in which everybody of the one before is
    /// present or proven dead (its name is there under a newer incarnation), and nobody knows the lost branch.
    /// </summary>
    private static bool BeganWithout(ViewPeriod lost, ViewPeriod kept)
    {
        int from = kept.Membership.Views[kept.Ordinal - 1].Start;
        // What is installed in a transitional configuration belongs to the change that the next regular one ends.
        Period? last = kept.InstalledIn is { IsTransitional: true } closing ? closing.NextRegular : kept.InstalledIn;
        for (Period? period = last; period is not null && period.Start >= from; period = period.Previous)
        {
            if (!period.IsTransitional && RegularBefore(period) is { } before && before.Members.All(member => IsHereOrDead(member, period))
                && !lost.View.Installations.Exists(at => period.Members.Contains(at.Trace.Node) && (lost.View != kept.View || at.InstalledIn?.Key == lost.InstalledIn?.Key)))
            {
                return true;
            }
        }
        return false;
    }

    private static Period? RegularBefore(Period period)
    {
        Period? before = period.Previous;
        while (before is { IsTransitional: true })
            before = before.Previous;
        return before;
    }

    private static bool IsHereOrDead(NodeId member, Period period) =>
        period.Members.Any(present => present.Name == member.Name && present.Incarnation >= member.Incarnation);
}
