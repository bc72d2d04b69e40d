// Turns what the transport tells into inputs of the event loop.
// Keeps: socket threads run the loop themselves when it is idle, so a frame is handled without a change of thread.
using Core.Groups.Protocol;
using Core.Groups.Transport;

namespace Core.Groups.Hosting;

/// <summary>The events of one node's transport; called by its threads.</summary>
internal sealed class TransportInputs(NodeHost host) : ITransportEvents
{
    // Called under the transport's lock: take note only, FramesFlushed follows.
    public void PeerConnected(int connection, PeerIdentity peer) => host.Loop.Post(
        new NodeInput { Kind = InputKind.PeerConnected, Number = connection, Subject = peer, Generation = host.Generation }, schedule: false);

    public void PeerDisconnected(int connection, string reason)
    {
        HostLog.Disconnected(host.Logger, connection, reason);
        host.Loop.Post(new NodeInput { Kind = InputKind.PeerDisconnected, Number = connection, Generation = host.Generation });
    }

    public void DialFailed(string address, bool refused, string reason)
    {
        HostLog.DialFailed(host.Logger, address, reason);
        host.Loop.Post(new NodeInput { Kind = InputKind.DialFailed, Subject = address, Flag = refused, Generation = NodeInput.AnyGeneration });
    }

    public void FrameReceived(int connection, ReadOnlyMemory<byte> frame) => host.Loop.Post(
        new NodeInput { Kind = InputKind.FrameReceived, Number = connection, Body = frame, Generation = host.Generation }, schedule: false);

    public void FramesFlushed(int connection) => host.Loop.RunHere();

    public void PeerRefused(string address, HandshakeError error, string reason)
    {
        if (error == HandshakeError.NameTaken)
        {
            host.Loop.Post(new NodeInput { Kind = InputKind.NameTaken, Subject = address, Generation = NodeInput.AnyGeneration });
        }
    }
}
