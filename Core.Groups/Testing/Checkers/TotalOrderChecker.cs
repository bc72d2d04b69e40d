// EVS 6.1, 6.2: the totally ordered messages of one domain were delivered in one order everywhere, also by nodes that
// failed or were cut off later. The domain is the label, else the group, else (several groups) all nodes; see TotalOrders.
namespace Core.Groups.Testing.Checkers;

/// <summary>One order for all nodes.</summary>
internal sealed class TotalOrderChecker : IChecker
{
    public string Name => "total order";

    public IEnumerable<Violation> Check(History history) => TotalOrders.DomainsOf(history).SelectMany(CheckDomain);

    private IEnumerable<Violation> CheckDomain(TotalOrders domain)
    {
        if (!domain.HasCircle())
            yield break;
        bool found = false;
        for (int i = 0; i < domain.Sequences.Count; i++)
        {
            for (int j = i + 1; j < domain.Sequences.Count; j++)
            {
                if (FindInversion(domain.Sequences[i], domain.Sequences[j]) is not var (first, second))
                    continue;
                found = true;
                Delivery atOther = second.Message.DeliveryAt(domain.Sequences[j][0].Trace)!;
                yield return this.Found(
                    $"{first.Trace} delivered {first.Message} before {second.Message}, {atOther.Trace} the other way round (EVS 6, {domain.Name}).",
                    first.Line, second.Line, atOther.Line, first.Message.DeliveryAt(atOther.Trace)?.Line);
            }
        }
        if (!found)
            yield return this.Found($"No order of the messages of {domain.Name} agrees with what all nodes delivered (EVS 6), though any two nodes agree.", domain.Sequences[0][0].Line);
    }

    /// <summary>Two messages that one node delivered in this order and another in the other.</summary>
    private static (Delivery First, Delivery Second)? FindInversion(List<Delivery> here, List<Delivery> there)
    {
        NodeTrace other = there[0].Trace;
        (Delivery Here, int Index)? last = null;
        foreach (Delivery delivery in here)
        {
            if (delivery.Message.DeliveryAt(other) is not { } counterpart)
                continue;
            if (last is { } before && counterpart.Index < before.Index)
                return (before.Here, delivery);
            last = (delivery, counterpart.Index);
        }
        return null;
    }
}
