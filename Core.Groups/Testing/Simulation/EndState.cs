// What must be equal at the members of a group when a cluster is at rest (protocol, invariants 3 and 6).
namespace Core.Groups.Testing.Simulation;

/// <summary>Compares the members' views and states.</summary>
internal static class EndState
{
    public static IEnumerable<string> Differences(SimulatedCluster cluster)
    {
        var replicas = cluster.Nodes.Where(node => node.Process is not null)
            .SelectMany(node => node.Process!.Scripted.Replicas, (node, replica) => (node.Process!.Id, Replica: replica))
            .GroupBy(at => at.Replica.Name).OrderBy(group => group.Key, StringComparer.Ordinal);
        foreach (var group in replicas)
        {
            (NodeId firstId, GroupReplica first) = group.First();
            NodeId[] members = [.. group.Select(at => at.Id)];
            foreach ((NodeId id, GroupReplica replica) in group)
            {
                if (replica.Id != first.Id) yield return $"{group.Key} has the id {replica.Id} at {id}, {first.Id} at {firstId}.";
                if (replica.View is not { } view || first.View is not { } firstView)
                    yield return $"{group.Key} has no view at {id} or {firstId}.";
                else if (view.Number != firstView.Number || view.Id != firstView.Id || !view.Members.SequenceEqual(firstView.Members))
                    yield return $"{group.Key} is in view {Text(view)} at {id}, {Text(firstView)} at {firstId}.";
                else if (view.Members.Length != members.Length || !members.All(view.Contains))
                    yield return $"The members of {group.Key} are [{string.Join(' ', members)}], its view at {id} is {Text(view)}.";
                if (replica.DifferenceTo(first) is { } difference)
                    yield return $"The states of {group.Key} differ: {id} {difference}, against {firstId}.";
                // In extended mode a flush speaks of the sender's component, which may end with the members that leave it.
                if (cluster.IsExtended) continue;
                foreach (ulong lost in cluster.Durable.LackingIn(replica, cluster.DeliveredMessages, cluster.IsAlive))
                    yield return $"{id} lacks a message that a completed flush covered: {cluster.FindAnnounced(lost)}.";
            }
        }
    }

    /// <summary>Who lacks a message that every member of its group must have delivered.</summary>
    public static IEnumerable<string> Missing(SimulatedCluster cluster, IEnumerable<SentMessage> messages)
    {
        foreach (SentMessage message in messages)
        {
            foreach (SimulatedNode node in cluster.Nodes)
            {
                if (node.Process?.Scripted.Replicas.FirstOrDefault(r => message.GoesTo(r.Name) && !r.Knows(message.Marker)) is not null)
                    yield return $"{node.Process.Id} never delivered {message.Order} message {message.Marker} of {message.Sender} in {message.Group}, sent on a quiet network.";
            }
        }
    }

    private static string Text(View view) => $"{view.Number} ({view.Id}) [{string.Join(' ', view.Members)}]";
}
