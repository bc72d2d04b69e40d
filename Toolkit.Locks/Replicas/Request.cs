using Core.Groups;

namespace Toolkit.Locks.Replicas;

/// <summary>A request in the queue of one object: waiting, or granted and not released.</summary>
internal sealed class Request(NodeId node, long call, int weight, bool isShared)
{
    public NodeId Node => node;

    /// <summary>Names the request among those of its node.</summary>
    public long Call => call;

    /// <summary>How many permits it takes.</summary>
    public int Weight => weight;

    /// <summary>A reader: others of its kind may hold at the same time.</summary>
    public bool IsShared => isShared;

    /// <summary>The place in the queue. Grows, and is never given twice under one name.</summary>
    public long Ticket { get; set; }

    /// <summary>The fencing token of the hold.</summary>
    public long Token { get; set; }

    public bool IsGranted { get; set; }

    /// <summary>It waited for a condition, and the condition was pulsed.</summary>
    public bool IsPulsed { get; set; }
}
