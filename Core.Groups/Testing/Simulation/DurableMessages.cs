// What must never be lost: messages that a completed flush has acknowledged (protocol, invariant 8).
// Keeps: a promise holds while one of those that had the message then is alive. A group is known by its id: when all its
// members were lost and it begins anew, what it knew may be gone.
namespace Core.Groups.Testing.Simulation;

/// <summary>The promises that completed flushes have made.</summary>
internal sealed class DurableMessages
{
    private readonly Dictionary<GroupId, SortedDictionary<ulong, NodeId[]>> promised = [];

    /// <summary>A first member initialises the group's state.</summary>
    public void BeginGroup(GroupId group) => promised[group] = [];

    /// <summary>The group was deleted: nothing of it is kept.</summary>
    public void EndGroup(GroupId group) => promised.Remove(group);

    /// <summary>A group is merged with another one of its name: what either has promised holds.</summary>
    public void Rename(GroupId before, GroupId after)
    {
        promised.TryAdd(after, []);
        if (!promised.TryGetValue(before, out var promises)) return;
        foreach ((ulong marker, NodeId[] holders) in promises) promised[after].TryAdd(marker, holders);
    }

    /// <summary>A flush that covers these messages of the group is done; the holders are its members by then.</summary>
    public void Promise(GroupId group, IEnumerable<ulong> markers, IEnumerable<NodeId> holders)
    {
        promised.TryAdd(group, []);
        NodeId[] members = [.. holders];
        foreach (ulong marker in markers)
            promised[group].TryAdd(marker, members);
    }

    /// <summary>The markers of promised messages that are not in the state of a member.</summary>
    public IEnumerable<ulong> LackingIn(GroupReplica replica, IReadOnlyDictionary<MessageId, SentMessage> messages, Func<NodeId, bool> isAlive)
    {
        if (!promised.TryGetValue(replica.Id, out var promises) || promises.Count == 0) return [];
        HashSet<ulong> here = [.. replica.Messages.Where(messages.ContainsKey).Select(id => messages[id].Marker)];
        return promises.Where(promise => !here.Contains(promise.Key) && promise.Value.Any(isAlive)).Select(promise => promise.Key);
    }
}
