// The composer: one node's protocol as a deterministic, single-threaded machine. Event and time in, effects out.
using System.Collections.Immutable;

namespace Core.Groups.Protocol;

/// <summary>How many replies a request waits for.</summary>
internal enum ReplyMode : byte { None, First, Count, Majority, All }

/// <summary>Counters of one node. Snapshots; a host asks for them between turns.</summary>
internal readonly record struct MachineStatistics(
    long Sent, long Delivered, long DeliveredBytes, int Unstable, int Queued, long FramesSent, long FramesReceived, long BytesSent, long BytesReceived);

/// <summary>
/// One node. A host calls one method at a time, each with the present monotonic time, and ends every batch of calls
/// with <see cref="EndTurn"/>, which sends what has gathered for each peer in one write.
/// </summary>
internal sealed class NodeMachine
{
    public NodeMachine(NodeId self, NodeSettings settings, ulong lineageHigh, ulong lineageLow, INodeEffects effects) => throw new NotImplementedException();

    public NodeId Self => throw new NotImplementedException();
    /// <summary>The configuration that this node is in; null until the first.</summary>
    public Configuration? Configuration => throw new NotImplementedException();
    public bool IsBlocked => throw new NotImplementedException();
    /// <summary>The peers that can be reached now, this node included.</summary>
    public ImmutableArray<NodeId> Reachable => throw new NotImplementedException();
    public MachineStatistics Statistics => throw new NotImplementedException();
    /// <summary>When <see cref="Tick"/> wants to be called next.</summary>
    public TimeSpan NextDeadline => throw new NotImplementedException();

    public void Start(TimeSpan now) => throw new NotImplementedException();
    public void Tick(TimeSpan now) => throw new NotImplementedException();
    public void EndTurn(TimeSpan now) => throw new NotImplementedException();

    /// <summary>A connection's handshake is done. It replaces any earlier connection with that peer.</summary>
    public void PeerConnected(TimeSpan now, int connection, PeerIdentity peer) => throw new NotImplementedException();
    public void PeerDisconnected(TimeSpan now, int connection) => throw new NotImplementedException();
    /// <param name="refused">The host is there and nobody listens at the port: the process is gone.</param>
    public void DialFailed(TimeSpan now, string address, bool refused) => throw new NotImplementedException();
    /// <summary>One whole frame. The memory is kept: it must not be reused.</summary>
    public void FrameReceived(TimeSpan now, int connection, ReadOnlyMemory<byte> frame) => throw new NotImplementedException();

    /// <param name="candidate">Random: the id of the group if this join creates it.</param>
    public void Join(TimeSpan now, long call, string name, GroupId candidate) => throw new NotImplementedException();
    public void Leave(TimeSpan now, long call, GroupId group) => throw new NotImplementedException();
    /// <summary>Multicast. <paramref name="call"/> 0: no completion wanted.</summary>
    public void Multicast(TimeSpan now, long call, GroupId group, Order order, ReadOnlyMemory<byte> body) => throw new NotImplementedException();
    /// <summary>Multicast that is answered; ends with <see cref="INodeEffects.RequestCompleted"/>.</summary>
    public void Request(TimeSpan now, long call, GroupId group, Order order, ReadOnlyMemory<byte> body, ReplyMode mode, int count, TimeSpan? timeout) => throw new NotImplementedException();
    /// <summary>From a node that is not a member, by the group's name: through a member, once, in one view. With mode None it completes when the message is stable.</summary>
    public void RequestByName(TimeSpan now, long call, string groupName, Order order, ReadOnlyMemory<byte> body, ReplyMode mode, int count, TimeSpan? timeout) => throw new NotImplementedException();
    public void Reply(TimeSpan now, long replyToken, ReadOnlyMemory<byte> body, bool isError) => throw new NotImplementedException();
    /// <summary>Withdraws a call that has not ended: it ends as <see cref="Outcome.Cancelled"/> and leaves nothing behind.</summary>
    public void Cancel(TimeSpan now, long call) => throw new NotImplementedException();
    /// <summary>Done when all that this node has sent and delivered is stable.</summary>
    public void Flush(TimeSpan now, long call) => throw new NotImplementedException();
    /// <summary>The members of a group by name, asked of the registry: completes through <see cref="INodeEffects.Completed"/> when there is no such group.</summary>
    /// <param name="state">Null: the application's callback failed.</param>
    public void StateSaved(TimeSpan now, long token, ReadOnlyMemory<byte>? state) => throw new NotImplementedException();
    public void StateLoaded(TimeSpan now, GroupId group, bool succeeded) => throw new NotImplementedException();
    /// <summary>The application has handled the next <paramref name="deliveries"/> deliveries of the group.</summary>
    public void Consumed(TimeSpan now, GroupId group, int deliveries) => throw new NotImplementedException();
    /// <summary>An orderly stop: leaves the groups, hands over, votes in the change that leaves it out.</summary>
    public void Stop(TimeSpan now) => throw new NotImplementedException();
}
