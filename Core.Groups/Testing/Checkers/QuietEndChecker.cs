// Liveness (invariant 9; EVS 2.1): where a run is said to have ended in quiet, all survivors are in one configuration of
// just them, see the same views, have their state, and have delivered everything that was sent there.
// A `call` without a `send` is no violation: the caller may have withdrawn it, and the trace does not tell.
namespace Core.Groups.Testing.Checkers;

/// <summary>After a quiet time everything has been delivered.</summary>
internal sealed class QuietEndChecker(CheckOptions options) : IChecker
{
    public string Name => "quiet end";

    public IEnumerable<Violation> Check(History history)
    {
        List<NodeTrace> survivors = [.. history.Traces.Where(trace => options.Survivors?.Contains(trace.Node) == true)];
        if (survivors.Count == 0 || survivors.TrueForAll(trace => trace.EndsBlocked))
            return []; // no primary is possible, and all know it
        return CheckConfigurations(survivors).Concat(CheckViews(survivors)).Concat(CheckMessages(history, survivors));
    }

    private IEnumerable<Violation> CheckConfigurations(List<NodeTrace> survivors)
    {
        foreach (NodeTrace trace in survivors)
        {
            if (trace.EndsBlocked)
                yield return this.Found($"{trace} is still blocked at the end, though others are not.", trace.Events[^1]);
            else if (trace.LastPeriod is not { IsTransitional: false } last)
                yield return this.Found($"{trace} is in no regular configuration at the end.", trace.LastPeriod?.Line);
            else if (!last.Members.SetEquals(options.Survivors!))
                yield return this.Found($"{trace} ends in {last} of {last.Line.Members.Text()}; up and connected are {options.Survivors!.Order().Text()}.", last.Line);
            else if (survivors[0].LastPeriod is { } first && first.Key != last.Key)
                yield return this.Found($"At the end {survivors[0]} is in {first}, {trace} in {last} (EVS 2.1).", first.Line, last.Line);
        }
    }

    private IEnumerable<Violation> CheckViews(List<NodeTrace> survivors)
    {
        var lastOf = new Dictionary<string, ViewPeriod>();
        foreach (Membership membership in survivors.SelectMany(trace => trace.Memberships).Where(membership => membership.LeaveLine is null))
        {
            ViewPeriod last = membership.Views[^1];
            if (!membership.HasState)
                yield return this.Found($"{membership.Trace} never got the state of {membership.Group}.", last.Line);
            if (!last.View.Members.IsSubsetOf(options.Survivors!))
                yield return this.Found($"{membership.Trace} ends in {last.View}, which has members that are gone.", last.Line);
            if (!lastOf.TryAdd(membership.Group, last) && lastOf[membership.Group].View != last.View)
                yield return this.Found($"At the end {lastOf[membership.Group].Trace} is in {lastOf[membership.Group].View}, {last.Trace} in {last.View}.", lastOf[membership.Group].Line, last.Line);
        }
    }

    private IEnumerable<Violation> CheckMessages(History history, List<NodeTrace> survivors)
    {
        foreach (Message message in history.Messages)
        {
            if (message.SentIn is not { } sentIn || survivors[0].LastPeriod?.RegularId != sentIn.RegularId)
                continue;
            foreach (NodeTrace trace in survivors)
            {
                if (!trace.EndsBlocked && message.IsOwedBy(trace) && message.DeliveryAt(trace) is null && !options.Incomplete.Contains(trace.Node.Name))
                    yield return this.Found($"{trace} never delivered {message}, sent in the last configuration.", message.Line);
            }
        }
    }
}
