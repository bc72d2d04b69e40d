// The requests of the scripted application that more than one group has a part in.
using Core.Groups.Protocol;
using Core.Groups.Protocol.Requests;

namespace Core.Groups.Testing.Simulation;

internal sealed class SimulatedRequests(ApplicationSeat seat, SimulatedApplication application)
{
    private const int NoEcho = byte.MaxValue;
    private readonly SimulatedCluster cluster = seat.Cluster;
    private readonly SimulatedProcess process = seat.Process;

    /// <summary>Asks the members of several groups, or with a label; null if this node is not in all the groups, with their states.</summary>
    public SentMessage? InSeveral(SpreadNames to, Order order, ReplyMode mode, int count, TimeSpan? timeout, int size)
    {
        GroupReplica?[] all = [.. to.Groups.Select(application.Find)];
        if (application.IsStopping || all.Length == 0 || Array.Exists(all, r => r is not { IsLeaving: false, IsLoaded: true })) return null;
        SentMessage message = cluster.Announce(process.Id, to.Groups[0], order, size, to);
        byte[] body = MessageBody.Make(message.Marker, NoEcho, mayIgnore: timeout is not null, size);
        SpreadTarget target = application.TargetOf(to);
        application.WithCredit(all, body.Length, () =>
        {
            long call = application.Calls.Begin($"request {order} {mode} in {string.Join('+', to.Groups)}", requestMarker: message.Marker);
            process.Call(now => process.Machine.Request(now, call, target, order, body, mode, count, timeout));
        });
        return message;
    }

    /// <summary>Asks another group as all members of this one do, under the same number; nothing if this node is no member that has the state.</summary>
    public void AsGroup(string group, string target, long number, SentMessage message, ReplyMode mode, int count)
    {
        if (application.IsStopping || application.Find(group) is not { IsLeaving: false, IsLoaded: true } replica) return;
        byte[] body = MessageBody.Make(message.Marker, NoEcho, mayIgnore: false, message.Size);
        long call = application.Calls.Begin($"request {number} of {group} as one in {target}", requestMarker: message.Marker);
        process.Call(now => process.Machine.RequestAsGroup(now, call, replica.Id, target, number, message.Order, body, mode, count, null));
    }
}
