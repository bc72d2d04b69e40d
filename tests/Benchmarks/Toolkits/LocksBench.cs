// Toolkit.Locks: acquire and release of free locks, local read locks, and the hand-over of a lock that all want.
using System.Diagnostics;
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;
using Toolkit.Locks;

namespace Benchmarks;

/// <summary>Locks.</summary>
internal sealed class LocksBench : ToolkitBench
{
    private const int Tasks = 16;

    private readonly DistributedLock[] _free = new DistributedLock[Tasks];
    private DistributedLock? _wanted;
    private DistributedReaderWriterLock? _shared;

    public override string Name => "locks";

    public override string Description => "Free locks from 1 and 16 tasks, local read locks, contended hand-over.";

    public override async Task<JsonObject> MeasureAsync(BenchCluster cluster, ToolkitRun run)
    {
        await AskAllAsync(cluster, run, "open");
        var result = new JsonObject { ["members"] = cluster.Members };
        result["uncontended_1_task"] = await AskAsync(cluster, run, 0, "free", new JsonObject { ["tasks"] = 1 });
        result["uncontended_16_tasks"] = await AskAsync(cluster, run, 0, "free", new JsonObject { ["tasks"] = Tasks });
        result["local_read_locks"] = await AskAsync(cluster, run, 0, "read");
        result["hand_over"] = HandOver(await AskAllAsync(cluster, run, "wanted"), run);
        return result;
    }

    public override async Task<JsonObject> DoAsync(GroupNode node, ParentLink parent, JsonObject asked, CancellationToken ended) => (string?)asked["step"] switch
    {
        "open" => await OpenAsync(node, ended),
        "free" => await LoadAsync(asked, (int)asked["tasks"]!, loop => PairAsync(_free[loop], ended), ended),
        "read" => await LoadAsync(asked, 1, async _ => (await _shared!.AcquireReadLockAsync(ct: ended)).Release(), ended),
        "wanted" => await WantedAsync(asked, ended),
        var step => throw new InvalidOperationException($"There is no step '{step}'."),
    };

    private async Task<JsonObject> OpenAsync(GroupNode node, CancellationToken ended)
    {
        for (int i = 0; i < Tasks; i++)
            _free[i] = await node.OpenLockAsync($"/bench/free/{i}", ended);
        _wanted = await node.OpenLockAsync("/bench/wanted", ended);
        _shared = await node.OpenReaderWriterLockAsync("/bench/shared", ended);
        return [];
    }

    private static async ValueTask<bool> PairAsync(DistributedLock free, CancellationToken ended)
    {
        await using LockHold hold = await free.AcquireAsync(ct: ended);
        return true;
    }

    // Each hold: its token, when it was had, when it was given back. The stopwatch of all processes of a machine is the same clock.
    private async Task<JsonObject> WantedAsync(JsonObject asked, CancellationToken ended)
    {
        var holds = new JsonArray();
        JsonObject result = await LoadAsync(asked, 1, async _ =>
        {
            LockHold hold = await _wanted!.AcquireAsync(ct: ended);
            long had = Stopwatch.GetTimestamp();
            holds.Add(new JsonArray(hold.FencingToken, had, Stopwatch.GetTimestamp()));
            return hold.Release();
        }, ended);
        result["holds"] = holds;
        return result;
    }

    // Tokens grow from hold to hold: sorted by them, each hold begins when the one before has ended.
    private static JsonObject HandOver(JsonObject[] results, ToolkitRun run)
    {
        (long Token, int By, long Had, long Released)[] holds =
        [
            .. results.SelectMany((r, by) => r["holds"]!.AsArray().Select(h => ((long)h![0]!, by, (long)h[1]!, (long)h[2]!))).OrderBy(h => h.Item1),
        ];
        var latencies = new LatencyHistogram();
        for (int i = 1; i < holds.Length; i++)
        {
            bool isWarm = Stopwatch.GetElapsedTime(holds[0].Had, holds[i].Had).TotalSeconds > run.Warmup;
            if (isWarm && holds[i].By != holds[i - 1].By)
                latencies.Record(holds[i].Had - holds[i - 1].Released);
        }

        return new JsonObject { ["per_second"] = results.Sum(r => (double)r["per_second"]!), ["us"] = latencies.ToJson() };
    }
}
