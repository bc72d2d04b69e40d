// The domains of total order (protocol, section 4), each with what every node delivered in it, in that node's order.
using System.Runtime.InteropServices;

namespace Core.Groups.Testing.Checkers;

/// <summary>One domain of total order.</summary>
internal sealed class TotalOrders(string name)
{
    /// <summary>What this domain is called in messages.</summary>
    internal string Name { get; } = name;

    /// <summary>For every node that delivered in this domain, what it delivered, in its order.</summary>
    internal List<List<Delivery>> Sequences { get; } = [];

    /// <summary>All domains of a history.</summary>
    internal static IEnumerable<TotalOrders> DomainsOf(History history)
    {
        var domains = new Dictionary<string, TotalOrders>();
        foreach (NodeTrace trace in history.Traces)
        {
            var ofNode = new Dictionary<string, List<Delivery>>();
            foreach (Delivery delivery in trace.Deliveries)
            {
                if (!delivery.Message.IsTotal)
                    continue;
                foreach (string name in NamesOf(delivery.Message))
                {
                    ref List<Delivery>? sequence = ref CollectionsMarshal.GetValueRefOrAddDefault(ofNode, name, out _);
                    sequence ??= [];
                    sequence.Add(delivery);
                }
            }
            foreach ((string name, List<Delivery> sequence) in ofNode)
            {
                if (!domains.TryGetValue(name, out TotalOrders? domain))
                    domains.Add(name, domain = new TotalOrders(name));
                domain.Sequences.Add(sequence);
            }
        }
        return domains.Values;
    }

    /// <summary>Whether no order agrees with all sequences. Linear: the neighbours in the sequences make the graph.</summary>
    internal bool HasCircle()
    {
        var next = new Dictionary<Message, List<Message>>();
        var missing = new Dictionary<Message, int>();
        foreach (List<Delivery> sequence in Sequences)
        {
            missing.TryAdd(sequence[0].Message, 0);
            for (int i = 1; i < sequence.Count; i++)
            {
                ref List<Message>? followers = ref CollectionsMarshal.GetValueRefOrAddDefault(next, sequence[i - 1].Message, out _);
                followers ??= [];
                followers.Add(sequence[i].Message);
                CollectionsMarshal.GetValueRefOrAddDefault(missing, sequence[i].Message, out _)++;
            }
        }
        var ready = new Queue<Message>(missing.Where(entry => entry.Value == 0).Select(entry => entry.Key));
        int sorted = 0;
        for (; ready.TryDequeue(out Message? message); sorted++)
        {
            foreach (Message follower in next.GetValueOrDefault(message) ?? [])
            {
                if (--CollectionsMarshal.GetValueRefOrNullRef(missing, follower) == 0)
                    ready.Enqueue(follower);
            }
        }
        return sorted < missing.Count;
    }

    /// <summary>A message to more than one group stands in the order of each and in one of all nodes, unless it has a label.</summary>
    private static IEnumerable<string> NamesOf(Message message)
    {
        if (message.Line.Label is { } label) return ["label " + label];
        bool isSpread = message.Groups.Length != 1 || !message.Line.To.IsDefaultOrEmpty;
        return isSpread ? [.. message.Groups, "the messages to several destinations"] : message.Groups;
    }
}
