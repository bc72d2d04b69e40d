// EVS 6.3: who delivers a message in total order has not skipped one before it that was addressed to him, except, in a
// transitional configuration, one whose sender is not in it.
namespace Core.Groups.Testing.Checkers;

/// <summary>The total order has no holes.</summary>
internal sealed class TotalOrderHoleChecker : IChecker
{
    public string Name => "total order without holes";

    public IEnumerable<Violation> Check(History history) => TotalOrders.DomainsOf(history).SelectMany(CheckDomain);

    private IEnumerable<Violation> CheckDomain(TotalOrders domain)
    {
        Dictionary<NodeTrace, List<Delivery>> sequenceOf = domain.Sequences.ToDictionary(sequence => sequence[0].Trace);
        var limits = new Dictionary<(List<Delivery> Full, NodeTrace Holed, string Configuration), Limits>();
        foreach (List<Delivery> full in domain.Sequences)
        {
            for (int i = 0; i < full.Count; i++)
            {
                Message message = full[i].Message;
                if (message.SentIn is null)
                    continue;
                foreach (NodeTrace trace in DestinationsOf(message))
                {
                    if (message.DeliveryAt(trace) is not null || !sequenceOf.ContainsKey(trace) || !message.IsOwedBy(trace))
                        continue;
                    var key = (full, trace, message.SentIn.RegularId);
                    if (!limits.TryGetValue(key, out Limits? limit))
                        limits.Add(key, limit = new Limits(full, trace, message.SentIn.RegularId));
                    if (limit.Later(i, message) is { } later)
                    {
                        yield return this.Found(
                            $"{trace} delivered {later.Message}, but not {message}, which {full[0].Trace} delivered before it (EVS 6.3, {domain.Name}).",
                            full[i].Line, later.Line);
                    }
                }
            }
        }
    }

    private static IEnumerable<NodeTrace> DestinationsOf(Message message)
    {
        foreach (GroupView? view in message.Views)
        {
            foreach (ViewPeriod installation in view?.Installations ?? [])
                yield return installation.Trace;
        }
    }

    /// <summary>The last messages of a sequence, sent in one configuration, that another node delivered too.</summary>
    private sealed class Limits
    {
        private readonly (int Index, Delivery Delivery)? regular, transitional;

        internal Limits(List<Delivery> full, NodeTrace other, string configuration)
        {
            for (int i = full.Count - 1; i >= 0 && (regular is null || transitional is null); i--)
            {
                if (full[i].Message.SentIn?.RegularId != configuration || full[i].Message.DeliveryAt(other) is not { Period: not null } delivery)
                    continue;
                if (delivery.Period.IsTransitional)
                    transitional ??= (i, delivery);
                else
                    regular ??= (i, delivery);
            }
        }

        /// <summary>A message behind the skipped one that the other delivered although it should not have skipped.</summary>
        internal Delivery? Later(int skippedIndex, Message skipped)
        {
            if (regular is var (index, delivery) && index > skippedIndex)
                return delivery;
            return transitional is var (last, inTransition) && last > skippedIndex
                && inTransition.Period!.Members.Contains(skipped.Sender!.Node) ? inTransition : null;
        }
    }
}
