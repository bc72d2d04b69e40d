// Cohorts on real nodes.
using System.Collections.Concurrent;
using Core.Groups;
using Toolkit.CoordinatorCohort;

namespace Toolkit.Tests.CoordinatorCohort;

public sealed class CohortNodeTests
{
    private const int Limit = 120_000; // milliseconds

    [Fact(Timeout = Limit)]
    public async Task Members_and_others_get_their_results_and_all_members_hold_the_same()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(4);
        var applied = new ConcurrentDictionary<string, int>();
        Cohort<string, string>[] members = new Cohort<string, string>[3];
        for (int i = 0; i < 3; i++)
        {
            string name = nodes[i].Name;
            members[i] = await nodes[i].ServeCohortAsync<string, string>("/up", (text, _, _) => ValueTask.FromResult(text.ToUpperInvariant()), new()
            {
                OnResult = _ => applied.AddOrUpdate(name, 1, (_, n) => n + 1),
            });
        }

        ICohort<string, string>[] callers = [.. members, nodes[3].CallCohort<string, string>("/up")];
        string[] results = await Task.WhenAll(callers.SelectMany((caller, c) => Enumerable.Range(0, 50).Select(i => caller.RunAsync($"x{c}.{i}").AsTask()))).WaitAsync(RealNodes.Patience);
        Assert.Equal(callers.SelectMany((_, c) => Enumerable.Range(0, 50).Select(i => $"X{c}.{i}")), results);

        IReadOnlyList<CohortAnswer<string>> parts = await callers[3].CollectAsync("y", new() { Execution = Execution.Subdivided }).AsTask().WaitAsync(RealNodes.Patience);
        Assert.Equal([0, 1, 2], parts.Select(p => p.Part));
        Assert.Equal(["a", "b", "c"], parts.Select(p => p.By.Name));
        Assert.Equal("Z", await callers[0].RunAsync("z", new() { Execution = Execution.Redundant, Collation = Collation.Majority }).AsTask().WaitAsync(RealNodes.Patience));

        // One more each, so that what was told before is known to be here.
        await RealNodes.SeesAsync(() => members.Select(m => m.GetStatus()).All(s => s.Results == 202) && members.Select(m => m.GetStatus().Digest).Distinct().Count() == 1);
        Assert.Equal([202, 202, 202], applied.Values);
        Assert.Equal(200 + 3 + 3, members.Sum(m => m.GetStatus().Executed), tolerance: 1); // of the redundant one the third may have been stopped
    }

    [Fact(Timeout = Limit)]
    public async Task The_callers_notice_nothing_but_time_when_the_coordinator_dies()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        var started = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        var attempts = new ConcurrentQueue<(int Node, int Attempt)>();
        for (int i = 0; i < 2; i++)
        {
            int node = i;
            await nodes[i].ServeCohortAsync<string, string>("/up", async (text, execution, stop) =>
            {
                attempts.Enqueue((node, execution.Attempt));
                if (execution.Attempt == 1)
                {
                    started.TrySetResult(node);
                    await Task.Delay(Timeout.Infinite, stop);
                }

                return text.ToUpperInvariant();
            });
        }

        Task<string> call = nodes[2].CallCohort<string, string>("/up").RunAsync("x").AsTask();
        int first = await started.Task.WaitAsync(RealNodes.Patience);
        nodes[first].Crash();
        Assert.Equal("X", await call.WaitAsync(RealNodes.Patience));
        Assert.Equal([(first, 1), (1 - first, 2)], attempts);
    }

    [Fact(Timeout = Limit)]
    public async Task Errors_time_outs_and_progress_reach_the_caller()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using Cohort<string, string> member = await nodes[0].ServeCohortAsync<string, string>("/w", async (text, execution, stop) =>
        {
            if (text == "bad")
                throw new InvalidOperationException("no such thing");
            if (text == "half")
            {
                await execution.ReportAsync("half"u8.ToArray());
                stop.Register(stopped.SetResult);
            }

            await Task.Delay(Timeout.Infinite, stop);
            return text;
        });
        await Assert.ThrowsAsync<InvalidOperationException>(() => nodes[0].ServeCohortAsync<string, string>("/w", (text, _, _) => ValueTask.FromResult(text)).AsTask());

        foreach (ICohort<string, string> caller in (ICohort<string, string>[])[member, nodes[1].CallCohort<string, string>("/w")])
        {
            stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
            var told = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
            ExecutionFailedException failed = await Assert.ThrowsAsync<ExecutionFailedException>(() => caller.RunAsync("bad").AsTask().WaitAsync(RealNodes.Patience));
            Assert.Contains("no such thing", failed.Message);
            TimeSpan soon = TimeSpan.FromMilliseconds(50); // perhaps before it has begun
            var late = await Assert.ThrowsAsync<TimeoutException>(() => caller.RunAsync("long", new() { Timeout = soon }).AsTask().WaitAsync(RealNodes.Patience));
            Assert.Contains($"{soon}", late.Message);

            using var enough = new CancellationTokenSource();
            var options = new RunOptions { OnProgress = p => told.TrySetResult(System.Text.Encoding.UTF8.GetString(p.Span)) };
            Task<string> call = caller.RunAsync("half", options, enough.Token).AsTask();
            Assert.Equal("half", await told.Task.WaitAsync(RealNodes.Patience));
            await enough.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call.WaitAsync(RealNodes.Patience));
            await stopped.Task.WaitAsync(RealNodes.Patience);
        }

        await Assert.ThrowsAsync<GroupNotFoundException>(() => nodes[1].CallCohort<string, string>("/nobody").RunAsync("x").AsTask().WaitAsync(RealNodes.Patience));
    }

    [Fact(Timeout = Limit)]
    public async Task A_node_that_was_excluded_gets_the_result_of_what_it_asked_before()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3, RealNodes.SuspectsSoon);
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        int executed = 0;
        Cohort<string, string>[] members = new Cohort<string, string>[3];
        for (int i = 0; i < 3; i++)
        {
            members[i] = await nodes[i].ServeCohortAsync<string, string>("/up", async (text, _, _) =>
            {
                Interlocked.Increment(ref executed);
                begun.TrySetResult();
                await gate.Task;
                return text.ToUpperInvariant();
            }, new() { Rule = new CoordinatorRule("first", static _ => 0) });
        }

        Task<string> call = members[2].RunAsync("x").AsTask();
        await begun.Task.WaitAsync(RealNodes.Patience);
        await using (await nodes.FreezeAsync(2))
        {
            await RealNodes.SeesAsync(() => members[0].View.Members.Length == 2);
            gate.SetResult();
            await RealNodes.SeesAsync(() => members[1].GetStatus().Results == 1);
        }

        Assert.Equal("X", await call.WaitAsync(RealNodes.Patience));
        Assert.Equal(1, executed);
    }
}
