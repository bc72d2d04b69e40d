// Toolkit.CoordinatorCohort: requests from all members and from outside, and how long a caller waits when the coordinator that executes
// its request is killed.
using System.Diagnostics;
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;
using Toolkit.CoordinatorCohort;

namespace Benchmarks;

/// <summary>Coordinator and cohorts.</summary>
internal sealed class TasksBench : ToolkitBench
{
    private const string Path = "/bench/tasks";
    private const int Loops = 64;

    private Cohort<BenchTask, int>? _cohort;

    public override string Name => "tasks";

    public override string Description => "Requests to a cohort; fail-over after a SIGKILL of the busy coordinator.";

    public override async Task<JsonObject> MeasureAsync(BenchCluster cluster, ToolkitRun run)
    {
        await AskAllAsync(cluster, run, "serve");
        var result = new JsonObject { ["members"] = cluster.Members };
        result["requests"] = Sum(await AskAllAsync(cluster, run, "run", new JsonObject { ["loops"] = Loops }));
        result["one_request"] = await AskAsync(cluster, run, 0, "run", new JsonObject { ["loops"] = 1 });
        var waits = new LatencyHistogram();
        for (int round = 0; round < run.Rounds; round++)
            waits.Record(await FailOverAsync(cluster, run));
        result["failover_us"] = waits.ToJson();
        return result;
    }

    public override async Task<JsonObject> DoAsync(GroupNode node, ParentLink parent, JsonObject asked, CancellationToken ended) => (string?)asked["step"] switch
    {
        "serve" => await ServeAsync(node, parent, ended),
        "run" => await LoadAsync(asked, (int)asked["loops"]!, async loop => await _cohort!.RunAsync(new BenchTask(loop), ct: ended) == loop, ended),
        "hang" => await HangAsync(ended),
        var step => throw new InvalidOperationException($"There is no step '{step}'."),
    };

    private async Task<JsonObject> ServeAsync(GroupNode node, ParentLink parent, CancellationToken ended)
    {
        _cohort = await node.ServeCohortAsync<BenchTask, int>(Path, async (task, execution, stop) =>
        {
            if (task.DiesAt == execution.Attempt && execution.Id.Caller.Name != node.Name)
            {
                parent.Report(new JsonObject { ["ev"] = "executes" });
                await Task.Delay(Timeout.Infinite, stop); // until it is killed
            }

            return task.DiesAt == 0 ? task.Number : execution.Attempt;
        }, ct: ended);
        return [];
    }

    // A request that falls to the caller itself proves nothing: the next one.
    private async Task<JsonObject> HangAsync(CancellationToken ended)
    {
        while (await _cohort!.RunAsync(new BenchTask(0, DiesAt: 1), ct: ended) == 1)
        {
        }

        return new JsonObject { ["at"] = Stopwatch.GetTimestamp() };
    }

    /// <summary>The first member asks, whoever executes is killed: the time from there to the answer.</summary>
    private async Task<long> FailOverAsync(BenchCluster cluster, ToolkitRun run)
    {
        Task<int> executing = cluster.WhoSaysAsync("executes");
        Task<JsonObject> answered = AskAsync(cluster, run, 0, "hang");
        int victim = await executing.WaitAsync(run.StepPatience);
        long start = Stopwatch.GetTimestamp();
        cluster[victim].Kill();
        long wait = (long)(await answered)["at"]! - start;
        await cluster.RestartAsync(victim);
        await AskAsync(cluster, run, victim, "serve");
        return wait;
    }
}

/// <summary>A request.</summary>
/// <param name="Number">Given back.</param>
/// <param name="DiesAt">The attempt that never ends, unless the caller's node makes it; 0: none.</param>
internal sealed record BenchTask(int Number, int DiesAt = 0);
