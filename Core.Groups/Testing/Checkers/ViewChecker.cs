// Views of groups (protocol, section 7; virtual synchrony): one id is one view everywhere, all members see the same
// sequence of views, each step is what its line says, and ranks are kept. In extended mode sequences branch and merge with
// the components; then they are held to be one only among those that stand in the same configurations.
namespace Core.Groups.Testing.Checkers;

/// <summary>All members of a group see the same views in the same order.</summary>
internal sealed class ViewChecker(CheckOptions options) : IChecker
{
    public string Name => "view";

    public IEnumerable<Violation> Check(History history) =>
        history.Views.SelectMany(CheckAgreement)
            .Concat(history.Views.SelectMany(CheckSuccession))
            .Concat(history.Traces.SelectMany(CheckMembership))
            .Concat(history.Traces.SelectMany(trace => trace.Memberships).SelectMany(CheckSteps));

    private IEnumerable<Violation> CheckAgreement(GroupView view)
    {
        var line = view.Line;
        foreach (ViewPeriod at in view.Installations)
        {
            if (at.Line.ViewNumber != line.ViewNumber || !at.Line.Members.SequenceEqual(line.Members) || at.Line.IsPrimary != line.IsPrimary)
                yield return this.Found($"{view.Installations[0].Trace} and {at.Trace} do not agree on {view}: number, members or primary differ.", line, at.Line);
            if (!view.Installations.Exists(IsMerge) && (!SameNames(at.Line.Joined, line.Joined) || !SameNames(at.Line.Left, line.Left)))
                yield return this.Found($"{view.Installations[0].Trace} and {at.Trace} do not agree on who joined and who left in {view}.", line, at.Line);
        }
    }

    /// <summary>From one view all go on to the same next one, at the same place among the configurations.</summary>
    private IEnumerable<Violation> CheckSuccession(GroupView view)
    {
        var nextIn = new Dictionary<(string, string?), ViewPeriod>();
        var nextAt = new Dictionary<(string, string?), ViewPeriod>();
        ViewPeriod? anyNext = null;
        foreach (ViewPeriod at in view.Installations)
        {
            if (at.Next is not { InstalledIn: { } period } next)
                continue;
            ViewPeriod? other = options.IsPrimaryMode && options.Continuity != PrimaryContinuity.None ? anyNext ??= next : nextAt.GetValueOrDefault(at.PlaceOfEnd ?? default);
            nextAt.TryAdd(at.PlaceOfEnd ?? default, next);
            if (other is not null && other.View != next.View && !ForgottenVotes.Explain(options, other, next))
                yield return this.Found($"From {view}, {other.Trace} went to {other.View} but {next.Trace} to {next.View}.", other.Line, next.Line);
            if (!nextIn.TryAdd(period.Key, next) || period.Next is not { } then)
                continue;
            foreach (ViewPeriod mate in view.Installations)
            {
                if (next.View.Members.Contains(mate.Trace.Node) && mate.Membership.HasState
                    && mate.Trace.PeriodsByKey.GetValueOrDefault(period.Key) is { } same && same.Next?.Key == then.Key
                    && mate.End > same.Start && mate.Next?.InstalledIn?.Key != period.Key)
                {
                    yield return this.Found($"{next.Trace} installed {next.View} in {period}; {mate.Trace} went with it from there to {then} and did not.", next.Line, mate.Line);
                }
            }
        }
        GroupView[] previous = [.. PreviousOf(view)];
        if (options.IsPrimaryMode && previous.Length > 1)
            yield return this.Found($"Members came to {view} from different views: {previous[0]} and {previous[1]}.", previous[0].Line, previous[1].Line, view.Line);
    }

    /// <summary>A node is in the views that it installs, and only members send and deliver, in views of nodes that are there.</summary>
    private IEnumerable<Violation> CheckMembership(NodeTrace trace)
    {
        foreach (var stray in trace.StrayLines)
            yield return this.Found($"{trace} has a line of {stray.Group} without being a member of it.", stray);
        foreach (ViewPeriod at in trace.Memberships.SelectMany(membership => membership.Views))
        {
            if (!at.Line.Members.Contains(trace.Node))
                yield return this.Found($"{trace} installed {at.View} without being a member of it.", at.Line);
            if (at.Line.Members.Distinct().Count() != at.Line.Members.Length)
                yield return this.Found($"{at.View} names a member twice at {trace}.", at.Line);
        }
        foreach (Message message in trace.Sends.Where(message => !message.IsFromMember))
            yield return this.Found($"{trace} sent {message} without being a member of {message.Groups.Text()}.", message.Line);
        var current = new HashSet<(GroupView, Period)>();
        foreach (Delivery delivery in trace.Deliveries)
        {
            if (delivery.Views.Length > 0 && Array.TrueForAll(delivery.Views, at => at is null) && !delivery.Line.To.Contains(trace.Node.Name))
                yield return this.Found($"{trace} delivered {delivery.Message} without being a member of {delivery.Message.Groups.Text()}.", delivery.Line);
            foreach (ViewPeriod? at in delivery.Views)
            {
                if (at is not null && delivery.Period is { IsTransitional: false } period && current.Add((at.View, period))
                    && !at.View.Members.IsSubsetOf(period.Members))
                {
                    yield return this.Found($"{trace} delivered {delivery.Message} in {at.View}, which has members that are not in {period}.", at.Line, period.Line, delivery.Line);
                }
            }
        }
    }

    private IEnumerable<Violation> CheckSteps(Membership membership)
    {
        foreach (ViewPeriod at in membership.Views)
        {
            if (at.Next is { } next && StepError(at, next) is string error)
                yield return this.Found($"{at.Trace} went from {at.View} to {next.View}: {error}.", at.Line, next.Line);
        }
    }

    private string? StepError(ViewPeriod from, ViewPeriod to)
    {
        var (old, now) = (from.Line, to.Line);
        if (IsMerge(to))
            return now.ViewNumber > old.ViewNumber ? null : "the number did not rise";
        List<NodeId> stayed = [.. now.Members.Where(from.View.Members.Contains)];
        bool isRanking = to.View.Members.SetEquals(from.View.Members);
        if (isRanking && now.Members.SequenceEqual(old.Members) && !MayBeUnreconciled(from))
            return "the members and their ranks are the same";
        if (!isRanking && !stayed.SequenceEqual(old.Members.Where(to.View.Members.Contains)))
            return "the members that stayed changed their ranks";
        if (now.ViewNumber != old.ViewNumber + 1)
            return "the number did not rise by one";
        if (!now.Members.Take(stayed.Count).SequenceEqual(stayed))
            return "a new member does not rank behind the old ones";
        if (!SameNames(now.Joined, now.Members.Skip(stayed.Count)))
            return "who joined is not what is new";
        return SameNames(now.Left, old.Members.Where(member => !to.View.Members.Contains(member))) ? null : "who left is not what is missing";
    }

    /// <summary>Whether a view is a merge, or takes up one that a configuration change has interrupted: then the sides meet again, without a change of members.</summary>
    private bool MayBeUnreconciled(ViewPeriod at) => IsMerge(at)
        || (!options.IsPrimaryMode && at.Ordinal > 0 && MayBeUnreconciled(at.Membership.Views[at.Ordinal - 1]));

    private static IEnumerable<GroupView> PreviousOf(GroupView view) =>
        view.Installations.Where(at => at.Ordinal > 0).Select(at => at.Membership.Views[at.Ordinal - 1].View).Distinct();

    /// <summary>Whether a view came with a configuration to which others came from elsewhere: they may have had views of their own.</summary>
    private bool IsMerge(ViewPeriod at) => !options.IsPrimaryMode
        && at.InstalledIn is { IsTransitional: false, Previous: { } previous } period && !period.Members.IsSubsetOf(previous.Members);

    private static bool SameNames(IEnumerable<NodeId> these, IEnumerable<NodeId> those) =>
        these.Select(node => node.Name).Order(StringComparer.Ordinal).SequenceEqual(those.Select(node => node.Name).Order(StringComparer.Ordinal));
}
