namespace Core.Groups;

/// <summary>What happens where the network falls into components that cannot talk to each other. All nodes of a cluster have the same mode.</summary>
public enum ClusterMode : byte
{
    /// <summary>
    /// Virtual synchrony: only a primary component works, so there is one history of every group. Nodes outside it are blocked, and
    /// come back as new members when it went on without them (the filter of the EVS paper, section 5).
    /// </summary>
    Primary,

    /// <summary>
    /// Extended virtual synchrony: every component goes on, nobody is blocked or excluded, and when components meet their groups become
    /// one again: <see cref="GroupOptions.Reconcile"/> makes one state of those of the sides. Configurations say whether they are primary.
    /// </summary>
    Extended,
}
