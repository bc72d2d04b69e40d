// Which failed calls may be made again, as a strategy of Polly.
// Keeps: what may have had its effect is made again only where the caller says that this does no harm.
using Polly;
using Polly.Retry;

namespace Core.Groups;

/// <summary>Retries for calls to groups.</summary>
public static class GroupResilience
{
    /// <summary>
    /// Adds retries of calls that failed for a reason that passes: an exclusion (the node comes back as a new incarnation), a
    /// group that is not there yet. Wait between them: exponential, with jitter, from 50 milliseconds to 5 seconds.
    /// </summary>
    /// <param name="builder">The pipeline.</param>
    /// <param name="isIdempotent">
    /// Whether a call may have its effect twice. If so, calls whose outcome is not known (time-outs among them) are made again too.
    /// </param>
    /// <param name="attempts">How many retries at most, from 1.</param>
    public static ResiliencePipelineBuilder AddGroupRetry(this ResiliencePipelineBuilder builder, bool isIdempotent = false, int attempts = 5)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.AddRetry(new RetryStrategyOptions
        {
            MaxRetryAttempts = attempts,
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            Delay = TimeSpan.FromMilliseconds(50),
            MaxDelay = TimeSpan.FromSeconds(5),
            ShouldHandle = arguments => ValueTask.FromResult(arguments.Outcome.Exception is { } error && MayRetry(error, isIdempotent)),
        });
    }

    /// <summary>Whether a call that failed so may be made again on the same node.</summary>
    /// <param name="error">What the call threw.</param>
    /// <param name="isIdempotent">Whether the call may have its effect twice.</param>
    public static bool MayRetry(Exception error, bool isIdempotent) => error switch
    {
        ExcludedException excluded => isIdempotent || !excluded.OutcomeUnknown,
        ClientForgottenException => isIdempotent,
        GroupNotFoundException => true,
        TimeoutException => isIdempotent,
        _ => false,
    };
}
