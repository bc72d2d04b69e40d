// EVS 7: when a safe message is delivered in a configuration, every destination in that configuration delivers it too or
// fails there (7.1); and if it was the regular one, every destination in it has installed it (7.2).
namespace Core.Groups.Testing.Checkers;

/// <summary>A safe message is delivered by all, or by none that can tell.</summary>
internal sealed class SafeChecker(CheckOptions options) : IChecker
{
    public string Name => "safe";

    public IEnumerable<Violation> Check(History history)
    {
        var done = new HashSet<(string, string?)>();
        foreach (Message message in history.Messages.Where(message => message.Order == Order.Safe))
        {
            done.Clear();
            foreach (Delivery delivery in message.Deliveries)
            {
                if (delivery.Period is not { } period || !done.Add(period.Key))
                    continue;
                foreach (NodeId member in period.Line.Members)
                {
                    if (message.IsAddressedTo(member) && CheckMember(history, message, delivery, period, member) is { } violation)
                        yield return violation;
                }
            }
        }
    }

    private Violation? CheckMember(History history, Message message, Delivery delivery, Period period, NodeId member)
    {
        NodeTrace? trace = history.Find(member);
        Period? regular = trace?.FindRegular(period.RegularId);
        if (!period.IsTransitional && regular is null && !options.Incomplete.Contains(member.Name))
            return this.Found($"{delivery.Trace} delivered the safe {message} in {period}, which {member} never installed (EVS 7.2).", period.Line, delivery.Line);
        if (trace is null || regular is null || message.DeliveryAt(trace) is not null || !message.IsOwedBy(trace) || !trace.WentOnFrom(regular, options))
            return null;
        return this.Found(
            $"{delivery.Trace} delivered the safe {message} in {period}; {member} is in it, went on and never delivered it (EVS 7.1).",
            message.Line, delivery.Line, regular.NextRegular?.Line);
    }
}
