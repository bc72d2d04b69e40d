namespace Toolkit.ReplicatedData;

/// <summary>How an object may be updated. Chosen when the object is made, the same for all who open it.</summary>
public enum UpdateMode : byte
{
    /// <summary>
    /// By totally ordered multicasts only: all members make the same updates in one order. An update ends when it has its
    /// place in that order. The only mode for lists and queues, and the one that transactions work on.
    /// </summary>
    Total = 0,

    /// <summary>
    /// By causal multicasts too: they return at once, the next read here sees them, and they come everywhere after all that
    /// this member had seen. For a single writer, or under a lock ("Exploiting virtual synchrony", 3.3): then all members
    /// make the same updates in the same order. Without one, two updates at the same time are a race: all members
    /// end with the same one of the two, and some see both.
    /// </summary>
    Causal = 1,
}

/// <summary>What an answered update means.</summary>
public enum UpdateWait : byte
{
    /// <summary>
    /// It can no longer be lost: every member has received it and all that this member saw before, so nothing short of the
    /// failure of all of them undoes it.
    /// </summary>
    Stable = 0,

    /// <summary>It has its place in the total order and is made here. It is lost if every member that received it fails at once.</summary>
    Ordered = 1,
}
