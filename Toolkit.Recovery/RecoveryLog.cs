using Core.Groups;
using Microsoft.Extensions.Logging;

namespace Toolkit.Recovery;

internal static partial class RecoveryLog
{
    [LoggerMessage(60, LogLevel.Warning, "{Group} waits: {Reason}")]
    public static partial void Waits(ILogger logger, string group, string reason);

    [LoggerMessage(61, LogLevel.Information, "{Group} comes back from the log of this node (term {Term}, {Count} messages replayed)")]
    public static partial void Restored(ILogger logger, string group, long term, long count);

    [LoggerMessage(68, LogLevel.Critical, "The logs of this node cannot be used; the application stops")]
    public static partial void CannotOpen(ILogger logger, Exception error);

    [LoggerMessage(67, LogLevel.Information, "{Group} goes on at this node from its log and {Count} messages of the others' logs")]
    public static partial void CaughtUp(ILogger logger, string group, long count);

    [LoggerMessage(62, LogLevel.Warning, "An operator decided that {Group} goes on with {Chosen}. What the others have logged beyond that is given up")]
    public static partial void Overridden(ILogger logger, string group, string chosen);

    [LoggerMessage(63, LogLevel.Warning, "The log of {Group}: {Repaired}")]
    public static partial void Repaired(ILogger logger, string group, string repaired);

    [LoggerMessage(64, LogLevel.Warning, "{Group} could not be joined; asking again")]
    public static partial void JoinsLater(ILogger logger, Exception error, string group);

    [LoggerMessage(66, LogLevel.Error, "The clean-up after {Failed} in {Group} threw; it counts as done")]
    public static partial void CleanUpFailed(ILogger logger, Exception error, string group, NodeId failed);

    [LoggerMessage(65, LogLevel.Error, "The log of {Group} failed; this node keeps no more logs. Start it anew when the disk is well")]
    public static partial void Failed(ILogger logger, Exception error, string group);
}
