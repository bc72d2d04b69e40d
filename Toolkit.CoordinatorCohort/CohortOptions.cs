using Core.Groups;

namespace Toolkit.CoordinatorCohort;

/// <summary>What an action learns of its execution.</summary>
/// <param name="Id">Names the request, at every attempt and member.</param>
/// <param name="Execution">Who executes the request.</param>
/// <param name="Attempt">1 at the first; more when an executor failed: it may have done its work, all of it or in part.</param>
/// <param name="Part">Which part this member does, from 0; 0 unless the execution is subdivided or redundant.</param>
/// <param name="Parts">How many parts there are; 1 unless the execution is subdivided or redundant.</param>
/// <param name="ReportAsync">Tells the caller how far it is; ends when that is on its way.</param>
/// <remarks>
/// The caller gets one result, whatever fails; the action may run more than once (never twice at once, as the group sees it). Effects
/// outside the group that are not idempotent must be tied to <paramref name="Id"/>: pass it to the store that is changed, and let
/// that refuse the second time.
/// </remarks>
public sealed record CohortExecution(ExecutionId Id, Execution Execution, int Attempt, int Part, int Parts, Func<ReadOnlyMemory<byte>, ValueTask> ReportAsync);

/// <summary>Executes a request. Called on the thread pool, several at a time. What it throws, the caller gets as <see cref="ExecutionFailedException"/>.</summary>
/// <typeparam name="TRequest">The requests.</typeparam>
/// <typeparam name="TResult">The results.</typeparam>
/// <param name="request">The request.</param>
/// <param name="context">Which execution it is.</param>
/// <param name="ct">Fires when the caller has cancelled, or this node was excluded and another member does the work.</param>
public delegate ValueTask<TResult> CohortAction<in TRequest, TResult>(TRequest request, CohortExecution context, CancellationToken ct);

/// <summary>One member's answer.</summary>
/// <typeparam name="TResult">The type of the results.</typeparam>
/// <param name="By">Who gave it.</param>
/// <param name="Attempt">At which attempt, from 1.</param>
/// <param name="Part">Which part, from 0.</param>
/// <param name="Value">The result; default if there is an error.</param>
/// <param name="Error">Null, or the message of what the action threw.</param>
public readonly record struct CohortAnswer<TResult>(NodeId By, int Attempt, int Part, TResult? Value, string? Error);

/// <summary>A request that was answered, as every member is told of it.</summary>
/// <typeparam name="TResult">The type of the results.</typeparam>
/// <param name="Id">The request.</param>
/// <param name="Number">The request's place among all of the group, from 1. Requests may be answered in another order.</param>
/// <param name="Answers">The answers: one, or those of all parts.</param>
public sealed record CohortResult<TResult>(ExecutionId Id, long Number, IReadOnlyList<CohortAnswer<TResult>> Answers);

/// <summary>How a node serves. The rule and the bounds must be the same at all members.</summary>
/// <typeparam name="TResult">The results.</typeparam>
public sealed class CohortOptions<TResult>
{
    /// <summary>Who coordinates which request.</summary>
    public CoordinatorRule Rule { get; init; } = CoordinatorRule.Hash;

    /// <summary>How many finished requests are remembered for callers that ask again (an eighth more at times).</summary>
    public int MaximumResults { get; init; } = 10_000;

    /// <summary>How long a finished request is remembered, by the clock of the oldest member.</summary>
    public TimeSpan ResultLifetime { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Turns requests and results into bytes. The same at callers and members.</summary>
    public IPayloadSerializer Serializer { get; init; } = JsonPayloadSerializer.Default;

    /// <summary>
    /// Told at every member of every request that was answered, in causal order: here a member updates its copy. Called between
    /// deliveries, one call at a time: it must be quick, and not call the cohort. If it throws, the member leaves the group.
    /// </summary>
    public Action<CohortResult<TResult>>? OnResult { get; init; }

    /// <summary>Saves the application's state, with everything told to <see cref="OnResult"/>, for a joiner. Called as that is.</summary>
    public Func<ReadOnlyMemory<byte>>? SaveState { get; init; }

    /// <summary>Replaces the application's state by what another member saved; null: it begins. Called as <see cref="OnResult"/> is.</summary>
    public Action<ReadOnlyMemory<byte>?>? LoadState { get; init; }
}

/// <summary>How a request is executed.</summary>
public sealed record RunOptions
{
    /// <summary>Who executes.</summary>
    public Execution Execution { get; init; }

    /// <summary>How many answers a redundant execution needs.</summary>
    public Collation Collation { get; init; }

    /// <summary>How long the caller waits; then the execution is cancelled, and there is a <see cref="TimeoutException"/>.</summary>
    public TimeSpan Timeout { get; init; } = System.Threading.Timeout.InfiniteTimeSpan;

    /// <summary>Told how far the execution is. A caller that is not a member asks for it four times a second.</summary>
    public Action<ReadOnlyMemory<byte>>? OnProgress { get; init; }
}

/// <summary>The action threw at the member that executed the request; that is its result, the same for all who ask.</summary>
/// <param name="by">Who executed it.</param>
/// <param name="error">The message of what the action threw.</param>
public sealed class ExecutionFailedException(NodeId by, string error)
    : Exception($"The request failed at {by}: {error} Asking again is a new request.")
{
    /// <summary>Who executed it.</summary>
    public NodeId By { get; } = by;
}

/// <summary>The request was executed, or may have been, and its result is not remembered any more.</summary>
/// <param name="id">The request.</param>
public sealed class ResultForgottenException(ExecutionId id)
    : Exception($"The result of {id} is no longer remembered: it was executed once, if it was. Look at the state that it changes, or remember more (MaximumResults, ResultLifetime).")
{
    /// <summary>The request.</summary>
    public ExecutionId Id { get; } = id;
}

/// <summary>The members' answers differ, and none is that of a majority of them.</summary>
public sealed class NoMajorityException() : Exception("No result has a majority of the answers. Look at them all (CollectAsync): the action is not deterministic, or a member is broken.");
