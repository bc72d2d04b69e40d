// The host's events behind a guard: what a handler throws is logged and goes no further. But for frames: a frame that the host did
// not take would be a gap, so what that handler throws ends the connection (FrameReceiver), and the link above resumes on a new one.
using Core.Groups.Protocol;

namespace Core.Groups.Transport;

/// <summary>Passes events on.</summary>
internal sealed class GuardedEvents(ITransportEvents host, TransportLog log) : ITransportEvents
{
    public void PeerConnected(int connection, PeerIdentity peer)
    {
        try
        {
            host.PeerConnected(connection, peer);
        }
        catch (Exception e)
        {
            log.HostFailed(e);
        }
    }

    public void PeerDisconnected(int connection, string reason)
    {
        try
        {
            host.PeerDisconnected(connection, reason);
        }
        catch (Exception e)
        {
            log.HostFailed(e);
        }
    }

    public void DialFailed(string address, bool refused, string reason)
    {
        try
        {
            host.DialFailed(address, refused, reason);
        }
        catch (Exception e)
        {
            log.HostFailed(e);
        }
    }

    public void FrameReceived(int connection, ReadOnlyMemory<byte> frame) => host.FrameReceived(connection, frame);

    public void FramesFlushed(int connection)
    {
        try
        {
            host.FramesFlushed(connection);
        }
        catch (Exception e)
        {
            log.HostFailed(e);
        }
    }

    public void PeerRefused(string address, HandshakeError error, string reason)
    {
        try
        {
            host.PeerRefused(address, error, reason);
        }
        catch (Exception e)
        {
            log.HostFailed(e);
        }
    }
}
