// What the transport tells an operator. What strangers can cause at will is limited in number.
using Microsoft.Extensions.Logging;

namespace Core.Groups.Transport;

/// <summary>The log lines of the transport.</summary>
internal sealed partial class TransportLog(ILogger logger, TimeProvider time)
{
    private const int LinesPerPeriod = 20;
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private long _periodStart = time.GetTimestamp();
    private int _lines, _suppressed;

    [LoggerMessage(Level = LogLevel.Information, Message = "{Node} listens; others reach it at {Address}.")]
    private static partial void LogListening(ILogger logger, NodeId node, string address);

    [LoggerMessage(Level = LogLevel.Information, Message = "Connected to {Peer} at {Address} (connection {Connection}).")]
    private static partial void LogConnected(ILogger logger, NodeId peer, string address, int connection);

    [LoggerMessage(Level = LogLevel.Information, Message = "Connection {Connection} to {Peer} ended: {Reason}.")]
    private static partial void LogEnded(ILogger logger, int connection, NodeId peer, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused {Peer}: {Error}: {Reason}.")]
    private static partial void LogRefused(ILogger logger, string peer, HandshakeError error, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused by {Peer}: {Error}: {Reason}.")]
    private static partial void LogRefusedBy(ILogger logger, string peer, HandshakeError error, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Limit} connections are in their handshake: others wait.")]
    private static partial void LogTooMany(ILogger logger, int limit);

    [LoggerMessage(Level = LogLevel.Debug, Message = "No connection with {Peer}: {Reason}.")]
    private static partial void LogNoConnection(ILogger logger, string peer, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Count} more lines of refused or dropped connections in {Seconds} seconds are left out.")]
    private static partial void LogSuppressed(ILogger logger, int count, int seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Accepting a connection failed; trying again.")]
    private static partial void LogAcceptFailed(ILogger logger, Exception exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "The host failed on an event of the transport.")]
    private static partial void LogHostFailed(ILogger logger, Exception exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "A connection ended by a defect of the transport.")]
    private static partial void LogDefect(ILogger logger, Exception exception);

    public void Listening(NodeId node, string address) => LogListening(logger, node, address);

    public void Connected(TcpConnection connection) => LogConnected(logger, connection.Peer.Id, connection.Peer.Address, connection.Number);

    public void Ended(TcpConnection connection, string reason) => LogEnded(logger, connection.Number, connection.Peer.Id, reason);

    public void HostFailed(Exception exception) => LogHostFailed(logger, exception);

    public void Defect(Exception exception) => LogDefect(logger, exception);

    public void AcceptFailed(Exception exception)
    {
        if (MayLog())
        {
            LogAcceptFailed(logger, exception);
        }
    }

    /// <summary>A handshake ended in a refusal, of either side. Duplicates and self-dials are ordinary life.</summary>
    public void Refused(string peer, HandshakeException refusal)
    {
        if (refusal.Error is HandshakeError.Duplicate or HandshakeError.Self)
        {
            LogNoConnection(logger, peer, refusal.Message);
        }
        else if (MayLog())
        {
            if (refusal.ByPeer)
            {
                LogRefusedBy(logger, peer, refusal.Error, refusal.Message);
            }
            else
            {
                LogRefused(logger, peer, refusal.Error, refusal.Message);
            }
        }
    }

    public void NoConnection(string peer, string reason) => LogNoConnection(logger, peer, reason);

    public void TooMany(int limit)
    {
        if (MayLog())
        {
            LogTooMany(logger, limit);
        }
    }

    private bool MayLog()
    {
        lock (_gate)
        {
            if (time.GetElapsedTime(_periodStart) >= Period)
            {
                if (_suppressed > 0)
                {
                    LogSuppressed(logger, _suppressed, (int)Period.TotalSeconds);
                }
                (_periodStart, _lines, _suppressed) = (time.GetTimestamp(), 0, 0);
            }
            bool may = _lines < LinesPerPeriod;
            (_lines, _suppressed) = may ? (_lines + 1, _suppressed) : (_lines, _suppressed + 1);
            return may;
        }
    }
}
