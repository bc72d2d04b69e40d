using Microsoft.Extensions.Logging;

namespace Core.Groups.Replication;

internal static partial class ReplicaLog
{
    [LoggerMessage(40, LogLevel.Error, "The replica of {Group} threw in {Method}; this member leaves the group rather than go on with a copy that may differ")]
    public static partial void Failed(ILogger logger, Exception error, string group, string method);

    [LoggerMessage(41, LogLevel.Warning, "{Group} could not be joined; trying again in {Delay}")]
    public static partial void JoinsLater(ILogger logger, Exception error, string group, TimeSpan delay);
}
