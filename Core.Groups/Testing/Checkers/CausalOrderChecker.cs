// EVS 1.1 and 5: who delivers a causal message has delivered before it all of its past that was addressed to him, in
// one configuration. The past of a send is what its node had sent or delivered before it (before the `call` that it
// names), and transitively the pasts of the causal messages among these (protocol, section 3; RFC 992: no gap in a chain).
namespace Core.Groups.Testing.Checkers;

/// <summary>No message is delivered before its causal past.</summary>
internal sealed class CausalOrderChecker : IChecker
{
    public string Name => "causal order";

    public IEnumerable<Violation> Check(History history)
    {
        var stays = new Dictionary<string, List<Period>>();
        foreach (Period period in history.Traces.SelectMany(trace => trace.Periods))
        {
            if (period.IsTransitional)
                continue;
            if (!stays.TryGetValue(period.RegularId, out List<Period>? stay))
                stays.Add(period.RegularId, stay = []);
            stay.Add(period);
        }
        Dictionary<NodeTrace, Dictionary<long, Message>> calls = SendsOfCalls(history);
        return stays.Values.SelectMany(stay => new CausalReplay(this, stay, calls).Run());
    }

    /// <summary>For each node the sends that had waited, by the number of their call.</summary>
    private static Dictionary<NodeTrace, Dictionary<long, Message>> SendsOfCalls(History history)
    {
        var calls = new Dictionary<NodeTrace, Dictionary<long, Message>>();
        foreach (NodeTrace trace in history.Traces)
        {
            var ofNode = new Dictionary<long, Message>();
            foreach (Message message in trace.Sends)
            {
                if (message.Line.Call != 0)
                    ofNode.TryAdd(message.Line.Call, message);
            }
            calls.Add(trace, ofNode);
        }
        return calls;
    }
}
