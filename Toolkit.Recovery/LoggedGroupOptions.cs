using Core.Groups;

namespace Toolkit.Recovery;

/// <summary>How a logged group is kept. The same at all members.</summary>
public sealed class LoggedGroupOptions
{
    /// <summary>A member takes a checkpoint of its own when its log has grown by about so many bytes; from 4 KiB.</summary>
    public long CheckpointAfter { get; set; } = 64L << 20;

    /// <summary>
    /// How many bytes of the log are kept at most for members that are down: one that comes back within that is given only what its own log
    /// lacks, where that is less than the state; from 0. While nobody is down the log reaches back to the checkpoint before the last.
    /// </summary>
    public long KeepLog { get; set; } = 256L << 20;

    /// <summary>How many numbered checkpoints (<see cref="LoggedGroup.CheckpointAsync"/>) are kept: the newest ones; from 1.</summary>
    public int KeepCheckpoints { get; set; } = 4;

    /// <summary>
    /// Called when it is known why the group cannot come back yet, and again when that changes; on the thread pool. Null: it is only logged.
    /// </summary>
    public Action<LoggedGroupStatus>? OnWaiting { get; set; }

    /// <summary>
    /// The clean-up action: called with every member that has failed (or stopped without leaving the group), at one of the survivors, the same
    /// for all. If that one fails, too, before it is done, it is called at the next: so at least once as long as there are survivors, and mostly once.
    /// On the thread pool, one at a time; what it throws is logged. Null: this node does not clean up.
    /// </summary>
    public Func<NodeId, ValueTask>? OnMemberFailed { get; set; }

    /// <summary>
    /// Called with the id of every message in which a member asks the logs of the others: they stand in the trace and bring nothing to a
    /// handler. In delivery order, one at a time with the handlers; must not throw. Null: nobody wants to know.
    /// </summary>
    public Action<MessageId>? OnAsked { get; set; }

    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(CheckpointAfter, 4L << 10, nameof(CheckpointAfter));
        ArgumentOutOfRangeException.ThrowIfNegative(KeepLog, nameof(KeepLog));
        ArgumentOutOfRangeException.ThrowIfLessThan(KeepCheckpoints, 1, nameof(KeepCheckpoints));
    }
}

/// <summary>From where a member of a logged group has its state.</summary>
public enum StateOrigin
{
    /// <summary>It began the group.</summary>
    Begun,

    /// <summary>From its own checkpoint and log: all had failed, and it was the last.</summary>
    Log,

    /// <summary>From the other members, as a whole.</summary>
    Members,

    /// <summary>From its own checkpoint and log, and from there on from that of the other members.</summary>
    LogOfMembers,
}

/// <summary>Where a logged group stands at a node.</summary>
public enum LoggedGroupState
{
    /// <summary>This node has nothing to do with it now; it may have a log.</summary>
    Idle,

    /// <summary>This node wants to join, and it is not known yet whose log is the last.</summary>
    Waiting,

    /// <summary>This node is being given the state, from its log or by another member.</summary>
    Joining,

    /// <summary>This node is a member.</summary>
    Running,
}

/// <summary>Where a logged group stands at a node.</summary>
/// <param name="State">In one word.</param>
/// <param name="WaitingFor">The names of the nodes that are waited for.</param>
/// <param name="Reason">Why it waits, and what to do; empty otherwise.</param>
/// <param name="Checkpoints">The numbers of the checkpoints that this node can be rolled back to.</param>
/// <param name="LastView">The number of the last view that this node has logged; 0: none.</param>
public sealed record LoggedGroupStatus(
    LoggedGroupState State, IReadOnlyList<string> WaitingFor, string Reason, IReadOnlyList<long> Checkpoints, long LastView);
