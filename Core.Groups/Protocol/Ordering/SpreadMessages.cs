// The undelivered messages whose destination is more than one group: how many of their groups are not at their epoch yet,
// and the queues of the order domains that span groups.
// Keeps: a message is counted in each of its groups that is at its epoch; it is delivered when none is missing.
namespace Core.Groups.Protocol.Ordering;

internal sealed class SpreadMessages
{
    private readonly Dictionary<Message, int> _missing = [];
    private readonly SortedDictionary<string, TotalQueue> _domains = new(StringComparer.Ordinal);

    public bool IsEmpty => _missing.Count == 0;

    public IReadOnlyCollection<Message> Undelivered => _missing.Keys;

    /// <summary>The order domains in which something waits.</summary>
    public IReadOnlyCollection<TotalQueue> Domains => _domains.Values;

    public void Add(Message message, int missing)
    {
        _missing.Add(message, missing);
        if (!message.Kind.IsTotal()) return;
        string domain = message.Destination.Spread!.Domain;
        if (!_domains.TryGetValue(domain, out TotalQueue? queue)) _domains.Add(domain, queue = new TotalQueue());
        queue.Enqueue(message);
    }

    /// <summary>One more of its groups has come to the message's epoch.</summary>
    public void OnEntered(Message message) => _missing[message]--;

    public bool IsMissing(Message message) => _missing.GetValueOrDefault(message) > 0;

    public bool Contains(Message message) => _missing.ContainsKey(message);

    public void Forget(Message message) => _missing.Remove(message);

    public void DropEmptyDomains()
    {
        foreach (string empty in _domains.Where(d => d.Value.Count == 0).Select(d => d.Key).ToArray()) _domains.Remove(empty);
    }

    public void Remove(HashSet<Message> lost)
    {
        foreach (Message message in lost) _missing.Remove(message);
        foreach (string domain in _domains.Keys.ToArray()) _domains[domain] = _domains[domain].Without(lost);
        DropEmptyDomains();
    }
}
