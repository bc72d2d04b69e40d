// The faces of the coordinator-cohort tool: who serves, and who calls.
// Follows: "Exploiting virtual synchrony", section 3.4.
using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.CoordinatorCohort.Faces;
using Toolkit.CoordinatorCohort.Replication;

namespace Toolkit.CoordinatorCohort;

/// <summary>Gets requests executed by a cohort, each exactly once as its caller sees it. Members and others have the same face. May be used from any thread.</summary>
/// <typeparam name="TRequest">The requests.</typeparam>
/// <typeparam name="TResult">The results.</typeparam>
public interface ICohort<TRequest, TResult>
{
    /// <summary>
    /// Gets a request executed and gives its one result: that of the coordinator; of a redundant execution the first, or the one that
    /// most of the answers agree on. Failures of members cost time, nothing else.
    /// </summary>
    /// <param name="request">The request.</param>
    /// <param name="options">Null: one member executes, and the caller waits as long as it takes.</param>
    /// <param name="ct">Cancels the execution at the executing member.</param>
    /// <exception cref="ExecutionFailedException">The action threw.</exception>
    /// <exception cref="ResultForgottenException">This node was cut off for so long that the result is no longer remembered.</exception>
    /// <exception cref="NoMajorityException">The members' answers differ.</exception>
    /// <exception cref="TimeoutException">The time was over.</exception>
    /// <exception cref="GroupNotFoundException">Nobody serves this name.</exception>
    /// <exception cref="NotMemberException">This face was disposed of.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped; the request may be executed.</exception>
    ValueTask<TResult> RunAsync(TRequest request, RunOptions? options = null, CancellationToken ct = default);

    /// <summary>Gets a request executed and gives the answers of all parts, by their numbers. Errors are among the answers; else as <see cref="RunAsync"/>.</summary>
    /// <param name="request">The request.</param>
    /// <param name="options">Null: one member executes.</param>
    /// <param name="ct">Cancels the execution at the executing members.</param>
    ValueTask<IReadOnlyList<CohortAnswer<TResult>>> CollectAsync(TRequest request, RunOptions? options = null, CancellationToken ct = default);
}

/// <summary>How this member stands.</summary>
/// <param name="Executed">Executions that this node has finished.</param>
/// <param name="Results">Finished requests that are remembered here.</param>
/// <param name="Digest">Of all results remembered, in the order of their requests: the same at all members at rest.</param>
public readonly record struct CohortStatus(long Executed, int Results, string Digest);

/// <summary>A member of a cohort: it executes the requests that fall to it, and calls as any other.</summary>
/// <typeparam name="TRequest">The requests.</typeparam>
/// <typeparam name="TResult">The results.</typeparam>
public sealed class Cohort<TRequest, TResult> : ICohort<TRequest, TResult>, IAsyncDisposable
{
    private readonly ReplicaHost<CohortReplica> _host;
    private readonly CohortCalls<TRequest, TResult> _calls;

    private Cohort(ReplicaHost<CohortReplica> host, CohortCalls<TRequest, TResult> calls) => (_host, _calls) = (host, calls);

    /// <summary>The members in the order of their ranks.</summary>
    public View View => _host.View;

    /// <summary>Ends when this node serves no more and will not again; faults if <see cref="CohortOptions{TResult}.OnResult"/> threw.</summary>
    public Task Completion => _host.Completion;

    internal static async ValueTask<Cohort<TRequest, TResult>> ServeAsync(
        GroupNode node, string name, CohortAction<TRequest, TResult> action, CohortOptions<TResult> options, CancellationToken ct)
    {
        string group = CohortName.GroupOf(name);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaximumResults, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(options.ResultLifetime, TimeSpan.Zero, nameof(options));
        var coder = new CohortCoder<TResult>(options.Serializer);
        var runner = new MemberRunner(
            async (request, context, stop) => coder.Write(await action(options.Serializer.Deserialize<TRequest>(request), context, stop).ConfigureAwait(false)),
            options.OnResult is { } onResult ? record => onResult(new CohortResult<TResult>(record.Id, record.Number, coder.Read(record.ToReply()))) : null,
            options.SaveState, options.LoadState);
        bool isNew = false;
        ReplicaHost<CohortReplica> host = await ReplicaHost<CohortReplica>.OpenAsync(node, group, () =>
        {
            isNew = true;
            return new CohortReplica(new CohortSettings(options.Rule, options.MaximumResults, options.ResultLifetime), runner);
        }, ct).ConfigureAwait(false);
        if (!isNew)
        {
            await host.DisposeAsync().ConfigureAwait(false);
            throw new InvalidOperationException($"This node serves '{name}' already. Use the cohort that serves it.");
        }

        runner.Use(host);
        return new Cohort<TRequest, TResult>(host, new CohortCalls<TRequest, TResult>(CallerIdentity.Of(node), runner, options.Serializer));
    }

    /// <inheritdoc/>
    public ValueTask<TResult> RunAsync(TRequest request, RunOptions? options = null, CancellationToken ct = default) => _calls.RunAsync(request, options ?? new(), ct);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<CohortAnswer<TResult>>> CollectAsync(TRequest request, RunOptions? options = null, CancellationToken ct = default) =>
        await _calls.CollectAsync(request, options ?? new(), ct).ConfigureAwait(false);

    /// <summary>How this member stands. Takes time with the number of results remembered.</summary>
    /// <exception cref="NotMemberException">This node serves no more.</exception>
    public CohortStatus GetStatus() => _host.Read(0, static (replica, _) => new CohortStatus(replica.Executed, replica.Remembered, DigestOf(replica)));

    /// <summary>Serves no more: what this member was executing is done by another one. The last member takes the memory of results with it.</summary>
    public ValueTask DisposeAsync() => _host.DisposeAsync();

    private static string DigestOf(CohortReplica replica)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var body = new BodyWriter();
        foreach (ExecutionRecord record in replica.Finished)
        {
            body.Reset().Varint(record.Number);
            CohortFormat.WriteRecord(body, record);
            hash.AppendData(body.Written);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 8));
    }
}

/// <summary>Calls a cohort from a node that need not be a member, or from a client.</summary>
/// <typeparam name="TRequest">The requests.</typeparam>
/// <typeparam name="TResult">The results.</typeparam>
public sealed class CohortClient<TRequest, TResult> : ICohort<TRequest, TResult>
{
    private readonly CohortCalls<TRequest, TResult> _calls;

    internal CohortClient(CallerIdentity identity, IOutside outside, string name, IPayloadSerializer serializer) =>
        _calls = new(identity, new OutsideRunner(outside, CohortName.GroupOf(name)), serializer);

    /// <inheritdoc/>
    public ValueTask<TResult> RunAsync(TRequest request, RunOptions? options = null, CancellationToken ct = default) => _calls.RunAsync(request, options ?? new(), ct);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<CohortAnswer<TResult>>> CollectAsync(TRequest request, RunOptions? options = null, CancellationToken ct = default) =>
        await _calls.CollectAsync(request, options ?? new(), ct).ConfigureAwait(false);
}

/// <summary>The way into the coordinator-cohort tool.</summary>
public static class CohortNodes
{
    /// <summary>This node executes requests to a cohort from now on. Completes when it is a member and has the group's memory of results.</summary>
    /// <param name="node">The node.</param>
    /// <param name="name">The cohort's path, such as <c>/search</c>.</param>
    /// <param name="action">Executes a request.</param>
    /// <param name="options">Null: the defaults.</param>
    /// <param name="ct">Gives it up.</param>
    /// <exception cref="ArgumentException">The name is none, or an option is wrong.</exception>
    /// <exception cref="InvalidOperationException">This node serves the name already.</exception>
    /// <exception cref="StateTransferException">The members have another rule.</exception>
    /// <exception cref="ExcludedException">The incarnation ended during the join.</exception>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public static ValueTask<Cohort<TRequest, TResult>> ServeCohortAsync<TRequest, TResult>(
        this GroupNode node, string name, CohortAction<TRequest, TResult> action, CohortOptions<TResult>? options = null, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(node);
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(action);
        return Cohort<TRequest, TResult>.ServeAsync(node, name, action, options ?? new(), ct);
    }

    /// <summary>Calls a cohort from this node, which need not serve it. Costs nothing until it is used.</summary>
    /// <param name="node">The node.</param>
    /// <param name="name">The cohort's path.</param>
    /// <param name="serializer">Null: JSON. The same as at the members.</param>
    /// <exception cref="ArgumentException">The name is none.</exception>
    public static CohortClient<TRequest, TResult> CallCohort<TRequest, TResult>(this GroupNode node, string name, IPayloadSerializer? serializer = null)
    {
        ArgumentNullException.ThrowIfNull(node);
        ArgumentNullException.ThrowIfNull(name);
        return new CohortClient<TRequest, TResult>(CallerIdentity.Of(node), new OutsideNode(node), name, serializer ?? JsonPayloadSerializer.Default);
    }

    /// <summary>Calls a cohort from a client: as from a node; a change of the node that serves the client costs time, nothing else.</summary>
    /// <param name="client">The client.</param>
    /// <param name="name">The cohort's path.</param>
    /// <param name="serializer">Null: JSON. The same as at the members.</param>
    /// <exception cref="ArgumentException">The name is none.</exception>
    public static CohortClient<TRequest, TResult> CallCohort<TRequest, TResult>(this GroupClient client, string name, IPayloadSerializer? serializer = null)
    {
        ArgumentNullException.ThrowIfNull(client);
        ArgumentNullException.ThrowIfNull(name);
        return new CohortClient<TRequest, TResult>(CallerIdentity.Of(client), new OutsideClient(client), name, serializer ?? JsonPayloadSerializer.Default);
    }
}

/// <summary>Answers as objects.</summary>
internal sealed class CohortCoder<TResult>(IPayloadSerializer serializer)
{
    public ReadOnlyMemory<byte> Write<T>(T value)
    {
        var output = new ArrayBufferWriter<byte>();
        serializer.Serialize(value, output);
        return output.WrittenMemory;
    }

    public IReadOnlyList<CohortAnswer<TResult>> Read(in CohortReply reply) => [.. reply.Answers.Select(ReadOne)];

    private CohortAnswer<TResult> ReadOne(Answer answer) => answer.Kind == AnswerKind.Result
        ? new(answer.By, answer.Attempt, answer.Part, serializer.Deserialize<TResult>(answer.Body), null)
        : new(answer.By, answer.Attempt, answer.Part, default, answer.Kind == AnswerKind.Failed ? Encoding.UTF8.GetString(answer.Body.Span) : "it was cancelled");
}

/// <summary>Calls as objects, over whatever runs them.</summary>
internal sealed class CohortCalls<TRequest, TResult>(CallerIdentity identity, ICohortRunner runner, IPayloadSerializer serializer)
{
    private readonly CohortCoder<TResult> _coder = new(serializer);

    public async ValueTask<TResult> RunAsync(TRequest request, RunOptions options, CancellationToken ct)
    {
        CohortReply reply = await AskAsync(request, options, ct).ConfigureAwait(false);
        Answer chosen = reply.Answers.FirstOrDefault(a => a.Kind == AnswerKind.Result) ?? reply.Answers[0];
        if (options.Execution == Execution.Subdivided && reply.Answers.Length > 1)
            throw new InvalidOperationException("A subdivided execution has a result per part. Use CollectAsync, and merge them.");
        if (options is { Execution: Execution.Redundant, Collation: not Collation.First })
        {
            chosen = reply.Answers.FirstOrDefault(a => 2 * reply.Answers.Count(b => b.Kind == a.Kind && b.Body.Span.SequenceEqual(a.Body.Span)) > reply.Answers.Length)
                ?? throw new NoMajorityException();
        }

        CohortAnswer<TResult> answer = _coder.Read(new CohortReply([chosen]))[0];
        return answer.Error is { } error ? throw new ExecutionFailedException(answer.By, error) : answer.Value!;
    }

    public async ValueTask<IReadOnlyList<CohortAnswer<TResult>>> CollectAsync(TRequest request, RunOptions options, CancellationToken ct) =>
        _coder.Read(await AskAsync(request, options, ct).ConfigureAwait(false));

    private async Task<CohortReply> AskAsync(TRequest request, RunOptions options, CancellationToken ct)
    {
        ExecutionId id = identity.Next();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        if (options.Timeout != Timeout.InfiniteTimeSpan)
            limit.CancelAfter(options.Timeout);
        CohortReply reply;
        try
        {
            reply = await runner.RunAsync(id, options, _coder.Write(request), limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            throw new TimeoutException($"The request was not answered within {options.Timeout}. It is cancelled; what it has done already stays.");
        }

        return reply.Answers.IsEmpty ? throw new ResultForgottenException(id) : reply;
    }
}
