// A member: its own calls over the replica, and the executions that fall to it.
// Keeps: what the replica tells is told between deliveries; actions and continuations run elsewhere. A call that an exclusion
// interrupts is asked again under the same id when the node is a member again.
using System.Collections.Concurrent;
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.CoordinatorCohort.Replication;

namespace Toolkit.CoordinatorCohort.Faces;

/// <summary>Executes a request in bytes.</summary>
internal delegate ValueTask<ReadOnlyMemory<byte>> ByteAction(ReadOnlyMemory<byte> request, CohortExecution context, CancellationToken ct);

/// <summary>The member's side of a cohort.</summary>
/// <param name="applied">Told of every result, under the replica's gate.</param>
internal sealed class MemberRunner(ByteAction action, Action<ExecutionRecord>? applied, Func<ReadOnlyMemory<byte>>? save, Action<ReadOnlyMemory<byte>?>? load) : ICohortRunner, ICohortEffects
{
    private readonly TaskCompletionSource<ReplicaHost<CohortReplica>> _host = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentDictionary<ExecutionId, Waiting> _waiting = [];
    private readonly ConcurrentDictionary<(long Number, int Part, int Attempt), CancellationTokenSource> _running = [];

    private sealed class Waiting(Action<ReadOnlyMemory<byte>>? onProgress)
    {
        public TaskCompletionSource<CohortReply?> Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
        public Action<ReadOnlyMemory<byte>>? OnProgress => onProgress;
    }

    /// <summary>The replica's host is there: executions begin.</summary>
    public void Use(ReplicaHost<CohortReplica> host) => _host.TrySetResult(host);

    public async Task<CohortReply> RunAsync(ExecutionId id, RunOptions options, ReadOnlyMemory<byte> request, CancellationToken ct)
    {
        ReplicaHost<CohortReplica> host = await _host.Task.ConfigureAwait(false);
        while (true)
        {
            var waiting = new Waiting(options.OnProgress);
            try
            {
                await host.WhenWritable(ct).ConfigureAwait(false);
                _waiting[id] = waiting;
                host.Run((id, options, request), static (replica, call) => replica.Submit(call.id, call.options.Execution, call.options.Collation, call.request.Span));
                if (await waiting.Ended.Task.WaitAsync(ct).ConfigureAwait(false) is { } reply)
                    return reply;
            }
            catch (ExcludedException)
            {
                // As when it ends while the call waits: the others may execute it, and know its id.
            }
            catch (OperationCanceledException)
            {
                Withdraw(host, id);
                throw;
            }
            finally
            {
                _waiting.TryRemove(id, out _);
            }

            await host.WhenJoinedAsync(ct).ConfigureAwait(false);
        }
    }

    // ---- what the replica tells

    public void Execute(in Assignment assignment)
    {
        var stop = new CancellationTokenSource();
        _running[(assignment.Number, assignment.Part, assignment.Attempt)] = stop;
        Assignment given = assignment;
        _ = Task.Run(() => ExecuteAsync(given, stop), CancellationToken.None);
    }

    public void Stop(long number, int part, int attempt)
    {
        if (_running.TryGetValue((number, part, attempt), out CancellationTokenSource? stop))
            _ = Task.Run(stop.Cancel, CancellationToken.None); // callbacks of the action do not run between deliveries
    }

    public void Applied(ExecutionRecord record) => applied?.Invoke(record);

    public void Completed(ExecutionId call, CohortReply reply)
    {
        if (_waiting.TryGetValue(call, out Waiting? waiting))
            waiting.Ended.TrySetResult(reply);
    }

    public void Progressed(ExecutionId call, ReadOnlyMemory<byte> progress)
    {
        if (_waiting.TryGetValue(call, out Waiting? waiting) && waiting.OnProgress is { } onProgress)
            _ = Task.Run(() => onProgress(progress), CancellationToken.None);
    }

    public void Ended(ExecutionId call, MembershipEnd end)
    {
        if (!_waiting.TryGetValue(call, out Waiting? waiting))
            return;
        if (end == MembershipEnd.Excluded)
            waiting.Ended.TrySetResult(null);
        else
            waiting.Ended.TrySetException(end.ToException(_host.Task.IsCompletedSuccessfully ? _host.Task.Result.Name : "", outcomeUnknown: true));
    }

    public ReadOnlyMemory<byte> SaveState() => save?.Invoke() ?? default;

    public void LoadState(ReadOnlyMemory<byte>? state) => load?.Invoke(state);

    // ---- executions

    private async Task ExecuteAsync(Assignment given, CancellationTokenSource stop)
    {
        ReplicaHost<CohortReplica> host = await _host.Task.ConfigureAwait(false);
        (AnswerKind kind, ReadOnlyMemory<byte> answer) = await ActAsync(host, given, stop.Token).ConfigureAwait(false);
        _running.TryRemove((given.Number, given.Part, given.Attempt), out _);
        try
        {
            Finish(host, given, kind, answer);
        }
        catch (MessageTooLargeException e)
        {
            Finish(host, given, AnswerKind.Failed, System.Text.Encoding.UTF8.GetBytes(e.Message));
        }
    }

    private async Task<(AnswerKind, ReadOnlyMemory<byte>)> ActAsync(ReplicaHost<CohortReplica> host, Assignment given, CancellationToken stop)
    {
        try
        {
            var context = new CohortExecution(given.Id, given.Execution, given.Attempt, given.Part, given.Parts, progress => ReportAsync(host, given, progress));
            return (AnswerKind.Result, await action(given.Request, context, stop).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return (AnswerKind.Cancelled, default);
        }
        catch (Exception e)
        {
            return (AnswerKind.Failed, System.Text.Encoding.UTF8.GetBytes($"{e.GetType().Name}: {e.Message}"));
        }
    }

    private static async ValueTask ReportAsync(ReplicaHost<CohortReplica> host, Assignment given, ReadOnlyMemory<byte> progress)
    {
        try
        {
            await host.WhenWritable().ConfigureAwait(false);
            host.Run((given, progress), static (replica, told) => replica.Report(told.given.Number, told.given.Part, told.given.Attempt, told.progress.Span));
        }
        catch (Exception e) when (IsOver(e))
        {
            // Another member does the work: the action is told by its token.
        }
    }

    private static void Finish(ReplicaHost<CohortReplica> host, Assignment given, AnswerKind kind, ReadOnlyMemory<byte> answer)
    {
        try
        {
            host.Run((given, kind, answer), static (replica, done) => replica.Finish(done.given.Number, done.given.Part, done.given.Attempt, done.kind, done.answer.Span));
        }
        catch (Exception e) when (IsOver(e))
        {
            // Another member does the work.
        }
    }

    private static void Withdraw(ReplicaHost<CohortReplica> host, ExecutionId id)
    {
        try
        {
            host.Run(id, static (replica, call) => replica.Withdraw(call));
        }
        catch (Exception e) when (IsOver(e))
        {
            // Then it runs to its end, and nobody asks for what comes of it.
        }
    }

    private static bool IsOver(Exception error) =>
        error is ExcludedException or NotMemberException or NodeStoppedException or InvalidOperationException; // disposed of, too
}
