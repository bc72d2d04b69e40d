// What must never be lost: messages that a completed flush has acknowledged (protocol, invariant 8).
// Keeps: a group is known by its id. When all its members were lost and it begins anew, what it knew may be gone.
namespace Core.Groups.Testing.Simulation;

/// <summary>The promises that completed flushes have made.</summary>
internal sealed class DurableMessages
{
    private readonly Dictionary<GroupId, SortedSet<ulong>> promised = [];

    /// <summary>A first member initialises the group's state.</summary>
    public void BeginGroup(GroupId group) => promised[group] = [];

    /// <summary>A flush that covers these messages of the group is done.</summary>
    public void Promise(GroupId group, IEnumerable<ulong> markers)
    {
        promised.TryAdd(group, []);
        promised[group].UnionWith(markers);
    }

    /// <summary>The markers of promised messages that are not in the state of a member.</summary>
    public IEnumerable<ulong> LackingIn(GroupReplica replica, IReadOnlyDictionary<MessageId, SentMessage> messages)
    {
        SortedSet<ulong> lacking = [.. promised.GetValueOrDefault(replica.Id, [])];
        if (lacking.Count > 0) lacking.ExceptWith(replica.Messages.Select(id => messages[id].Marker));
        return lacking;
    }
}
