// Everything that a client's machine does to the outside. A host (sockets or simulator) carries the effects out in their order.
namespace Core.Groups.Protocol.Clients;

/// <summary>What a client's machine does to the outside. No call may throw, or call back into the machine.</summary>
internal interface IClientEffects
{
    /// <summary>Sends a frame to the node that it is connected to.</summary>
    void Transmit(ReadOnlySpan<byte> frame);

    /// <summary>Ends the connection; the next one should be to another node.</summary>
    void Close(string reason);

    /// <summary>A call is over. Its number is never told of again.</summary>
    void Ended(long call, Outcome outcome, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed, MessageId message);

    /// <summary>A question is over.</summary>
    void Answered(long call, Outcome outcome, GroupInfo? group, IReadOnlyList<string> names);

    /// <summary>A node has refused to serve the client; it is tried again.</summary>
    void Refused(ClientRefusal why) { }

    /// <summary>A node serves the client now; null: none.</summary>
    void ServedBy(NodeId? server);

    /// <summary>The client goes on under another identity: the next connection is made as it.</summary>
    void IdentityChanged(NodeId self);
}
