// What the ordering layer tells the layer above. Calls come in delivery order; none may call back into the ordering.
namespace Core.Groups.Protocol.Ordering;

internal interface IOrderingSink
{
    /// <summary>An application message (or a reply) is delivered.</summary>
    void OnDelivered(Message message);
    /// <summary>A GBCAST was announced: this member owes its marker.</summary>
    void OnAnnounced(GroupOrder group);
    /// <summary>All markers and the old epoch are here: this member owes its finish.</summary>
    void OnFlushed(GroupOrder group);
    /// <summary>A GBCAST of more than one group was announced: if this node is in one of them, it owes its marker.</summary>
    void OnAnnounced(JointChange joint);
    /// <summary>It is delivered here: this node owes its finish.</summary>
    void OnFlushed(JointChange joint);
    /// <summary>In this group an announcement met another one: its sender tries again.</summary>
    void OnVoided(Message announcement, GroupId group);
    /// <summary>A GBCAST is delivered; <paramref name="group"/> is already at the new view.</summary>
    /// <param name="closing">The finish that stands for it in the causal past; null at who had no part in the flush.</param>
    void OnGroupChanged(GroupOrder group, Message announcement, Message? closing, GroupOperation[] operations, int[] oldView);
}

/// <summary>What is known of the nodes' promises: live, or computed together in a recovery.</summary>
internal interface IOrderingOracle
{
    /// <summary>Whether nothing more is waited for: the boundary is behind, the rest is delivered in order.</summary>
    bool IsTransitional { get; }
    /// <summary>The timestamp up to which a node has sent all its total messages to a group with this view.</summary>
    long Floor(int rank, GroupOrder group);
    /// <summary>The timestamp up to which all members have, as it was gathered for a large group; 0: nothing was.</summary>
    long Gathered(GroupOrder group);
    /// <summary>The same for all its total messages, whomever they address.</summary>
    long Floor(int rank);
    bool IsStable(Message message);
    bool IsStable(Dependency dependency);
}
