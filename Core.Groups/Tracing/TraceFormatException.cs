namespace Core.Groups.Tracing;

/// <summary>A trace holds something that the trace contract does not allow. The message says what and where.</summary>
public sealed class TraceFormatException : FormatException
{
    /// <summary>With a message that names the place.</summary>
    public TraceFormatException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
