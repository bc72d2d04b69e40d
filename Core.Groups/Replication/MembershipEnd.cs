namespace Core.Groups.Replication;

/// <summary>Why a membership ended.</summary>
public enum MembershipEnd : byte
{
    /// <summary>This node left the group of its own will.</summary>
    Left,

    /// <summary>The primary component went on without this incarnation; the host joins again under the next one.</summary>
    Excluded,

    /// <summary>The node has stopped.</summary>
    Stopped,

    /// <summary>The group was deleted, for all its members.</summary>
    Deleted,

    /// <summary>A method of the replica threw: the member left the group.</summary>
    Failed,
}

/// <summary>What the end of a membership means to a call that waited.</summary>
public static class MembershipEnds
{
    /// <summary>The error for a call that the end of the membership has ended.</summary>
    /// <param name="end">How it ended.</param>
    /// <param name="group">The name of the replica's group, for the message.</param>
    /// <param name="outcomeUnknown">Whether the call had multicast something that may have had its effect.</param>
    public static Exception ToException(this MembershipEnd end, string group, bool outcomeUnknown) => end switch
    {
        MembershipEnd.Excluded => new ExcludedException($"the others went on without it in '{group}'", outcomeUnknown),
        MembershipEnd.Stopped => new NodeStoppedException(outcomeUnknown),
        MembershipEnd.Deleted => new GroupDeletedException(group),
        _ => new NotMemberException(group),
    };
}
