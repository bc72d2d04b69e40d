namespace Core.Groups;

/// <summary>Counters of one node since the start of its present incarnation; a consistent snapshot.</summary>
/// <param name="Sent">Messages that this node multicast.</param>
/// <param name="Delivered">Messages delivered to this node's groups.</param>
/// <param name="DeliveredBytes">The bytes of their bodies.</param>
/// <param name="Unstable">Messages kept because some destination may not have them yet.</param>
/// <param name="Queued">Messages that wait for a flush, for credit of a receiver or for the sending rule.</param>
/// <param name="FramesSent">Frames given to the transport.</param>
/// <param name="FramesReceived">Frames received.</param>
/// <param name="BytesSent">The bytes of the frames given to the transport.</param>
/// <param name="BytesReceived">The bytes of the frames received.</param>
public sealed record NodeStatistics(
    long Sent, long Delivered, long DeliveredBytes, int Unstable, int Queued,
    long FramesSent, long FramesReceived, long BytesSent, long BytesReceived)
{
    /// <summary>Deliveries that wait for this node's handlers, over all groups.</summary>
    public long Waiting { get; init; }

    /// <summary>Messages that no handler could take: of an unknown type, or with a body that could not be read.</summary>
    public long Undecodable { get; init; }

    /// <summary>Handlers and state callbacks that threw.</summary>
    public long HandlerErrors { get; init; }
}
