namespace Core.Groups.Replication;

/// <summary>What a replica may do to the world. For calls out of the replica's own methods only.</summary>
public interface IReplicaPort
{
    /// <summary>This node's present incarnation.</summary>
    NodeId Self { get; }

    /// <summary>The view in which the present delivery stands; an empty one of number 0 before the first.</summary>
    View View { get; }

    /// <summary>Monotonic time of this node. Different at every member: it may decide when to multicast, never what a delivery does.</summary>
    TimeSpan Now { get; }

    /// <summary>
    /// Multicasts to the group, this member included. Never waits and never fails; what is not delivered here before
    /// <see cref="Replica.OnEnded"/> may or may not be delivered elsewhere. Multicasts leave in the order of the calls.
    /// </summary>
    /// <param name="order">The primitive.</param>
    /// <param name="body">Copied.</param>
    /// <exception cref="MessageTooLargeException">The body is larger than the limit of the node: the face of a toolkit checks what it takes.</exception>
    void Multicast(Order order, ReadOnlySpan<byte> body);

    /// <summary>Answers a request, after the multicasts before. Each token is answered once; an answer beyond the limit of messages goes as an error.</summary>
    /// <param name="token">From <see cref="Replica.OnRequest"/>.</param>
    /// <param name="body">Copied.</param>
    /// <param name="isError">The body is a message for people, in UTF-8.</param>
    void Reply(long token, ReadOnlySpan<byte> body, bool isError = false);

    /// <summary>This member will not answer a request; others may.</summary>
    void NoReply(long token);

    /// <summary>Asks for <see cref="Replica.OnFlushed"/> when all that this node has multicast and delivered so far is stable.</summary>
    /// <param name="call">Given back.</param>
    void Flush(long call);

    /// <summary>Asks for <see cref="Replica.OnWake"/> at a time; one request stands at a time, the last one. <see cref="TimeSpan.MaxValue"/>: none.</summary>
    void WakeAt(TimeSpan time);
}
