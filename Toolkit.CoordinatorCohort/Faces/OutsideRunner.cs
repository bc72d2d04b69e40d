// A caller that is no member, a node or a client: the request goes as it is to all members, and one of them answers.
// Keeps: exactly once as the caller sees it: whatever ends without an answer is asked again under the same id.
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.CoordinatorCohort.Replication;

namespace Toolkit.CoordinatorCohort.Faces;

/// <summary>How a caller reaches a group that it is no member of.</summary>
internal interface IOutside
{
    ValueTask<GroupReplies> RequestAsync(string group, Order order, ReadOnlyMemory<byte> body, CancellationToken ct);

    Task SendAsync(string group, Order order, ReadOnlyMemory<byte> body);

    /// <summary>Whether an error says that nothing is known of the call: it is asked again when <see cref="WhenBackAsync"/> completes.</summary>
    bool IsInterruption(GroupException error);

    ValueTask WhenBackAsync(CancellationToken ct);
}

internal sealed class OutsideNode(GroupNode node) : IOutside
{
    public ValueTask<GroupReplies> RequestAsync(string group, Order order, ReadOnlyMemory<byte> body, CancellationToken ct) =>
        node.RequestAsync(group, order, body, Replies.First, timeout: null, ct);

    public Task SendAsync(string group, Order order, ReadOnlyMemory<byte> body) => node.SendAsync(group, order, body, CancellationToken.None).AsTask();

    public bool IsInterruption(GroupException error) => error is ExcludedException;

    public ValueTask WhenBackAsync(CancellationToken ct) => node.WaitForPrimaryAsync(ct);
}

internal sealed class OutsideClient(GroupClient client) : IOutside
{
    public ValueTask<GroupReplies> RequestAsync(string group, Order order, ReadOnlyMemory<byte> body, CancellationToken ct) =>
        client.RequestAsync(group, order, body, Replies.First, timeout: null, ct);

    public Task SendAsync(string group, Order order, ReadOnlyMemory<byte> body) => client.SendAsync(group, order, body, CancellationToken.None).AsTask();

    public bool IsInterruption(GroupException error) => error is ClientForgottenException;

    public ValueTask WhenBackAsync(CancellationToken ct) => client.WaitUntilServedAsync(ct);
}

/// <summary>Asks a cohort from outside.</summary>
internal sealed class OutsideRunner(IOutside outside, string group) : ICohortRunner
{
    private static readonly TimeSpan ProgressPeriod = TimeSpan.FromMilliseconds(250);

    public async Task<CohortReply> RunAsync(ExecutionId id, RunOptions options, ReadOnlyMemory<byte> request, CancellationToken ct)
    {
        byte[] body = CohortFormat.Request(new BodyWriter(request.Length + 64), id, options.Execution, options.Collation, request.Span).ToArray();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(ct);
        if (options.OnProgress is { } onProgress)
            _ = AskProgressAsync(id, onProgress, ended.Token);
        try
        {
            while (true)
            {
                if (await TryAskAsync(body, ct).ConfigureAwait(false) is { } reply)
                    return reply;
            }
        }
        catch (OperationCanceledException)
        {
            _ = CancelAsync(id);
            throw;
        }
        finally
        {
            await ended.CancelAsync().ConfigureAwait(false);
        }
    }

    // Null: nobody who got it lives to answer, or this incarnation ended. Who comes next knows the id.
    private async Task<CohortReply?> TryAskAsync(byte[] body, CancellationToken ct)
    {
        GroupReplies replies;
        try
        {
            replies = await outside.RequestAsync(group, CohortFormat.RequestOrder, body, ct).ConfigureAwait(false);
        }
        catch (GroupException e) when (outside.IsInterruption(e))
        {
            await outside.WhenBackAsync(ct).ConfigureAwait(false);
            return null;
        }

        if (replies.Answers.Count == 0)
            return null;
        GroupReply answer = replies.Answers[0];
        return answer.IsError ? throw new InvalidOperationException($"{answer.From}: {System.Text.Encoding.UTF8.GetString(answer.Body.Span)}") : CohortFormat.ReadReply(answer.Body);
    }

    private async Task CancelAsync(ExecutionId id)
    {
        try
        {
            await outside.SendAsync(group, Order.Total, CohortFormat.Named(new BodyWriter(), CohortMessage.Cancel, id).ToArray()).ConfigureAwait(false);
        }
        catch (GroupException)
        {
            // Then it runs to its end, and nobody asks for what comes of it.
        }
    }

    private async Task AskProgressAsync(ExecutionId id, Action<ReadOnlyMemory<byte>> onProgress, CancellationToken ct)
    {
        byte[] query = CohortFormat.Named(new BodyWriter(), CohortMessage.Query, id).ToArray();
        ReadOnlyMemory<byte> last = default;
        using var timer = new PeriodicTimer(ProgressPeriod);
        try
        {
            while (await timer.WaitForNextTickAsync(ct).ConfigureAwait(false))
            {
                GroupReplies replies = await outside.RequestAsync(group, Order.Fifo, query, ct).ConfigureAwait(false);
                if (replies.Answers is [{ IsError: false, Body: { IsEmpty: false } body }, ..] && !body.Span.SequenceEqual(last.Span))
                    onProgress(last = body);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or GroupException)
        {
            // The call itself tells what is wrong.
        }
    }
}
