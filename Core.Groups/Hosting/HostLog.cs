// Everything that a node logs: rare events, never one line a message in the ordinary case.
using Core.Groups.Protocol;
using Microsoft.Extensions.Logging;

namespace Core.Groups.Hosting;

internal static partial class HostLog
{
    [LoggerMessage(1, LogLevel.Information, "Node {Node} listens at {Address}")]
    public static partial void Listening(ILogger logger, NodeId node, string address);

    [LoggerMessage(2, LogLevel.Information, "{Message}")]
    public static partial void ProtocolInformation(ILogger logger, string message);

    [LoggerMessage(3, LogLevel.Warning, "{Message}")]
    public static partial void ProtocolWarning(ILogger logger, string message);

    [LoggerMessage(4, LogLevel.Error, "{Message}")]
    public static partial void ProtocolError(ILogger logger, string message);

    [LoggerMessage(5, LogLevel.Error, "A handler of group {Group} threw on message {Message}; the next one goes on")]
    public static partial void HandlerFailed(ILogger logger, Exception error, string group, MessageId message);

    [LoggerMessage(6, LogLevel.Error, "The {Callback} callback of group {Group} threw")]
    public static partial void CallbackFailed(ILogger logger, Exception error, string callback, string group);

    [LoggerMessage(7, LogLevel.Warning, "Group {Group} passes over messages of {Entry}: {Reason} (logged once)")]
    public static partial void Undecodable(ILogger logger, string group, string entry, string reason);

    [LoggerMessage(50, LogLevel.Information, "Group {Group}: this node has taken the place of {Member}")]
    public static partial void MemberTaken(ILogger logger, string group, NodeId member);

    [LoggerMessage(51, LogLevel.Warning, "Group {Group}: this node does not take the place of {Member}")]
    public static partial void MemberNotTaken(ILogger logger, Exception error, string group, NodeId member);

    [LoggerMessage(40, LogLevel.Information, "Client {Client} is served by {Server}")]
    public static partial void ClientServed(ILogger logger, NodeId client, NodeId server);

    [LoggerMessage(41, LogLevel.Information, "Client {Client} has lost its node: {Reason}")]
    public static partial void ClientDisconnected(ILogger logger, NodeId client, string reason);

    [LoggerMessage(42, LogLevel.Information, "Client {Client} is not served: {Reason}")]
    public static partial void ClientNotServed(ILogger logger, NodeId client, string reason);

    [LoggerMessage(43, LogLevel.Warning, "Client {Client} is forgotten; going on as {Next}")]
    public static partial void ClientForgotten(ILogger logger, NodeId client, NodeId next);

    [LoggerMessage(8, LogLevel.Warning, "Incarnation {Node} is over: {Reason}; going on as {Next}")]
    public static partial void Excluded(ILogger logger, NodeId node, string reason, NodeId next);

    [LoggerMessage(9, LogLevel.Error, "Group {Group} could not be joined again")]
    public static partial void RejoinFailed(ILogger logger, Exception error, string group);

    [LoggerMessage(10, LogLevel.Critical, "The protocol of node {Node} failed. This is a defect of the library; the node counts as crashed")]
    public static partial void ProtocolFailed(ILogger logger, Exception error, NodeId node);

    [LoggerMessage(19, LogLevel.Warning, "{From} asks the members of group {Group} to end: {Reason}")]
    public static partial void Killed(ILogger logger, string group, NodeId from, string reason);

    [LoggerMessage(20, LogLevel.Information, "Group {Group} refuses node {Joiner}: {Reason}")]
    public static partial void JoinRefused(ILogger logger, string group, NodeId joiner, string reason);

    [LoggerMessage(11, LogLevel.Critical, "The name {Name} is taken by a live node at {Address}; this node stops")]
    public static partial void NameTaken(ILogger logger, string name, string address);

    [LoggerMessage(13, LogLevel.Warning, "Tracing: {Problem}")]
    public static partial void TraceFailed(ILogger logger, string problem);

    [LoggerMessage(14, LogLevel.Error, "An observer of {Event} threw")]
    public static partial void ObserverFailed(ILogger logger, Exception error, string @event);

    [LoggerMessage(15, LogLevel.Warning, "The orderly stop of node {Node} took too long; it ends like a crash")]
    public static partial void StopTimedOut(ILogger logger, NodeId node);

    [LoggerMessage(16, LogLevel.Debug, "Connection {Connection} closed: {Reason}")]
    public static partial void Disconnected(ILogger logger, int connection, string reason);

    [LoggerMessage(17, LogLevel.Debug, "Dialling {Address} failed: {Reason}")]
    public static partial void DialFailed(ILogger logger, string address, string reason);

    [LoggerMessage(18, LogLevel.Warning, "The transport did not end well")]
    public static partial void TransportFailed(ILogger logger, Exception error);

    [LoggerMessage(19, LogLevel.Critical, "The stable store of node {Node} failed; what it cannot remember it must not promise, so it ends like a crash")]
    public static partial void StoreFailed(ILogger logger, Exception error, NodeId node);

    [LoggerMessage(20, LogLevel.Error, "The lineage that {Node} was in has ended: a primary that began apart from it, or that an operator forced, goes on. What only this side had is given up")]
    public static partial void LineageEnded(ILogger logger, NodeId node);

    public static void Protocol(ILogger logger, ProtocolLogLevel level, string message)
    {
        switch (level)
        {
            case ProtocolLogLevel.Information:
                ProtocolInformation(logger, message);
                break;
            case ProtocolLogLevel.Warning:
                ProtocolWarning(logger, message);
                break;
            default:
                ProtocolError(logger, message);
                break;
        }
    }
}
