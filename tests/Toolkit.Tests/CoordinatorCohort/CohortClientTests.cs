// Requests of clients, programs that are no nodes: their caller notices nothing of failures but time.
using System.Collections.Concurrent;
using Core.Groups;
using Toolkit.CoordinatorCohort;

namespace Toolkit.Tests.CoordinatorCohort;

public sealed class CohortClientTests
{
    private const int Limit = 120_000; // milliseconds

    [Fact(Timeout = Limit)]
    public async Task A_client_has_one_result_of_each_request_though_its_node_fails()
    {
        const int Requests = 40;
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        var begun = new ConcurrentDictionary<ExecutionId, int>();
        foreach (GroupNode node in nodes.All)
        {
            await node.ServeCohortAsync<int, int>("/square", (number, execution, _) =>
            {
                begun.AddOrUpdate(execution.Id, execution.Attempt, (_, last) => Math.Max(last, execution.Attempt));
                return ValueTask.FromResult(number * number);
            });
        }

        var connect = new GroupClientOptions { Nodes = [.. nodes.All.Select(n => n.ListenAddress)], ConnectTimeout = RealNodes.Patience };
        await using GroupClient client = await GroupClient.ConnectAsync(connect);
        CohortClient<int, int> cohort = client.CallCohort<int, int>("/square");
        for (int i = 0; i < Requests; i++)
        {
            if (i == Requests / 2) nodes.All.Single(n => n.Id == client.Server).Crash();
            Assert.Equal(i * i, await cohort.RunAsync(i).AsTask().WaitAsync(RealNodes.Patience));
        }

        Assert.Equal(Requests, begun.Count); // what was asked again is the same request
        Assert.All(begun.Keys, id => Assert.Equal(client.Id, id.Caller));
        await Assert.ThrowsAsync<GroupNotFoundException>(() => client.CallCohort<int, int>("/none").RunAsync(1).AsTask());
    }

    [Fact(Timeout = Limit)]
    public async Task A_client_hears_of_progress_errors_and_time_outs()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(1);
        var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var heard = new TaskCompletionSource<byte>(TaskCreationOptions.RunContinuationsAsynchronously);
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await nodes[0].ServeCohortAsync<string, int>("/work", async (kind, execution, stop) =>
        {
            if (kind == "fails") throw new InvalidOperationException("no");
            await execution.ReportAsync(new byte[] { 7 });
            if (kind == "progress") return await heard.Task;
            if (kind == "hangs") stop.Register(cancelled.SetResult);
            begun.TrySetResult();
            await Task.Delay(Timeout.Infinite, stop);
            return 0;
        });
        await using GroupClient client = await GroupClient.ConnectAsync(new GroupClientOptions { Nodes = [nodes[0].ListenAddress], ConnectTimeout = RealNodes.Patience });
        CohortClient<string, int> cohort = client.CallCohort<string, int>("/work");

        await Assert.ThrowsAsync<ExecutionFailedException>(() => cohort.RunAsync("fails").AsTask());
        Assert.Equal(7, await cohort.RunAsync("progress", new() { OnProgress = progress => heard.TrySetResult(progress.Span[0]) }).AsTask().WaitAsync(RealNodes.Patience));
        using var enough = new CancellationTokenSource();
        Task<int> hangs = cohort.RunAsync("hangs", ct: enough.Token).AsTask();
        await begun.Task.WaitAsync(RealNodes.Patience);
        await enough.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hangs.WaitAsync(RealNodes.Patience));
        await cancelled.Task.WaitAsync(RealNodes.Patience);
        await Assert.ThrowsAsync<TimeoutException>(() => cohort.RunAsync("is late", new() { Timeout = TimeSpan.FromMilliseconds(50) }).AsTask().WaitAsync(RealNodes.Patience));
    }
}
