namespace Core.Groups.Replication;

/// <summary>Joins the group of a replica: <see cref="GroupNode.JoinAsync"/>, with what is to be done before and after.</summary>
/// <param name="name">The group.</param>
/// <param name="options">Those of the replica; a journal may be added.</param>
/// <param name="ct">Gives it up.</param>
public delegate ValueTask<ProcessGroup> ReplicaJoin(string name, GroupOptions options, CancellationToken ct);

/// <summary>Lets the objects of toolkits join their groups in another way, for packages that keep logs of them.</summary>
public static class ReplicaJoins
{
    /// <summary>From now on replicas of a node are joined as a function says, the last one that was given.</summary>
    /// <param name="node">The node.</param>
    /// <param name="choose">Asked with the name of the group when it is opened; null: as any. Called on any thread.</param>
    public static void Use(GroupNode node, Func<string, ReplicaJoin?> choose)
    {
        ArgumentNullException.ThrowIfNull(node);
        ArgumentNullException.ThrowIfNull(choose);
        ReplicaTable.Of(node).Use(choose);
    }
}
