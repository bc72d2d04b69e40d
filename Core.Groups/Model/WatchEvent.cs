namespace Core.Groups;

/// <summary>What happened to a node that is watched.</summary>
public enum WatchKind
{
    /// <summary>It joined the group, or the configuration.</summary>
    Joined,
    /// <summary>It left of its own will, or because the group was deleted.</summary>
    Left,
    /// <summary>It failed, as the configuration says: the same for all that watch.</summary>
    Failed,
}

/// <summary>Something happened to a node.</summary>
/// <param name="Node">The node.</param>
/// <param name="Group">The group that is watched; null: the node itself is.</param>
/// <param name="What">What happened.</param>
public sealed record WatchEvent(NodeId Node, string? Group, WatchKind What);
