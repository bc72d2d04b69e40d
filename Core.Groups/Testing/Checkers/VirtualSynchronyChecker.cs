// Virtual synchrony per group (invariant 3; EVS section 5, L4): a message is delivered in the view in which it was sent,
// and members that go together from one view to the next delivered the same messages in it. A joiner is held to that
// from its state on, a leaver up to its `leave`. (In extended mode: go together also through the configurations.)
namespace Core.Groups.Testing.Checkers;

/// <summary>Members that go together from view to view delivered the same messages.</summary>
internal sealed class VirtualSynchronyChecker(CheckOptions options) : IChecker
{
    public string Name => "virtual synchrony";

    public IEnumerable<Violation> Check(History history)
    {
        Dictionary<ViewPeriod, List<ViewPeriod>> companies = CompaniesOf(history);
        foreach (Message message in history.Messages)
        {
            foreach (Violation violation in CheckSendingView(message))
                yield return violation;
            foreach (GroupView? view in message.Views)
            {
                if (view is null)
                    continue;
                foreach (Violation violation in CheckCompany(message, view, companies))
                    yield return violation;
            }
        }
    }

    private IEnumerable<Violation> CheckSendingView(Message message)
    {
        foreach (Delivery delivery in message.Deliveries)
        {
            for (int i = 0; i < Math.Min(message.Views.Length, delivery.Views.Length); i++)
            {
                if (message.Views[i] is { } sentIn && delivery.Views[i] is { } at && at.View != sentIn)
                    yield return this.Found($"{delivery.Trace} delivered {message} in {at.View}, but it was sent in {sentIn}.", sentIn.Line, message.Line, at.Line, delivery.Line);
            }
        }
    }

    private IEnumerable<Violation> CheckCompany(Message message, GroupView view, Dictionary<ViewPeriod, List<ViewPeriod>> companies)
    {
        List<ViewPeriod>? done = null;
        foreach (Delivery delivery in message.Deliveries)
        {
            if (!delivery.Trace.Views.TryGetValue(view, out ViewPeriod? at) || delivery.Index > at.End
                || !companies.TryGetValue(at, out List<ViewPeriod>? company) || company == done)
                continue;
            done = company;
            foreach (ViewPeriod mate in company)
            {
                if (message.IsOwedBy(mate.Trace) && !(message.DeliveryAt(mate.Trace)?.Index < mate.End))
                {
                    yield return this.Found(
                        $"{delivery.Trace} delivered {message} in {view}; {mate.Trace} left that view together with it and did not.",
                        message.Line, delivery.Line, mate.Trace.Events[mate.End]);
                }
            }
        }
    }

    /// <summary>For each view that a member left behind: those that went from it to the same next view.</summary>
    private Dictionary<ViewPeriod, List<ViewPeriod>> CompaniesOf(History history)
    {
        var companyOf = new Dictionary<ViewPeriod, List<ViewPeriod>>();
        var companies = new List<List<ViewPeriod>>();
        foreach (GroupView view in history.Views)
        {
            companies.Clear();
            foreach (ViewPeriod at in view.Installations)
            {
                if (at.Next is null)
                    continue;
                List<ViewPeriod>? company = companies.Find(others => GoTogether(others[0], at));
                if (company is null)
                    companies.Add(company = []);
                company.Add(at);
                companyOf[at] = company;
            }
            foreach (ViewPeriod leaver in view.Installations.Where(at => at.Next is null && at.Membership.LeaveLine is not null))
            {
                // The leaver's next view is the one without it that others installed in the configuration of its `leave`.
                List<ViewPeriod>? company = companies.Find(others =>
                    !others[0].Next!.View.Members.Contains(leaver.Trace.Node)
                    && others.Exists(other => other.Next?.InstalledIn?.Key == leaver.Membership.LeftIn?.Key));
                if (company is null)
                    continue;
                company.Add(leaver);
                companyOf[leaver] = company;
            }
        }
        return companyOf;
    }

    private bool GoTogether(ViewPeriod one, ViewPeriod other) => one.Next!.View == other.Next!.View
        && (options.IsPrimaryMode ? !ForgottenVotes.Part(options, one.Next, other.Next) : one.PlaceOfEnd == other.PlaceOfEnd);
}
