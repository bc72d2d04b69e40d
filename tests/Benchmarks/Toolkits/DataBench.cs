// Toolkit.ReplicatedData: local reads, and updates in each mode by all members at once, of values of 8 bytes.
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;
using Toolkit.ReplicatedData;

namespace Benchmarks;

/// <summary>Replicated data.</summary>
internal sealed class DataBench : ToolkitBench
{
    // So many updates of a member wait for their answers.
    private const int Pipeline = 1024;

    // Far apart enough for the loop to see its end.
    private const int ReadsAtOnce = 1000;

    private ReplicatedVariable<long>? _total;
    private ReplicatedVariable<long>? _causal;
    private ReplicatedDictionary<string, long>? _map;
    private ReplicatedSpace? _space;
    private long _seen;

    public override string Name => "data";

    public override string Description => "Replicated variables: local reads; updates by all members at once in each mode.";

    public override async Task<JsonObject> MeasureAsync(BenchCluster cluster, ToolkitRun run)
    {
        await AskAllAsync(cluster, run, "open");
        var result = new JsonObject { ["members"] = cluster.Members };
        result["local_reads"] = await AskAsync(cluster, run, 0, "read");
        result["local_reads_of_a_dictionary"] = await AskAsync(cluster, run, 0, "read-map");
        result["causal_updates"] = Sum(await AskAllAsync(cluster, run, "causal"));
        result["total_updates_ordered"] = Sum(await AskAllAsync(cluster, run, "total", new JsonObject { ["wait"] = "Ordered" }));
        result["total_updates_stable"] = Sum(await AskAllAsync(cluster, run, "total", new JsonObject { ["wait"] = "Stable" }));
        result["one_total_update"] = await AskAsync(cluster, run, 0, "one");
        result["linearizable_read"] = await AskAsync(cluster, run, 0, "fenced");
        return result;
    }

    public override async Task<JsonObject> DoAsync(GroupNode node, ParentLink parent, JsonObject asked, CancellationToken ended) => (string?)asked["step"] switch
    {
        "open" => await OpenAsync(node, ended),
        "read" => await ReadsAsync(asked, () => _seen = _total!.Value, ended),
        "read-map" => await ReadsAsync(asked, () => _map!.TryGetValue("key", out _seen), ended),
        "causal" => await LoadAsync(asked, 1, async _ => await _causal!.SetCausalAsync(++_seen, ended) > 0, ended),
        "total" => await TotalAsync(asked, Pipeline, Enum.Parse<UpdateWait>((string)asked["wait"]!), ended),
        "one" => await TotalAsync(asked, 1, UpdateWait.Stable, ended),
        "fenced" => await LoadAsync(asked, 1, async _ => (await _total!.ReadAsync(ended)).Version > 0, ended),
        var step => throw new InvalidOperationException($"There is no step '{step}'."),
    };

    private async Task<JsonObject> OpenAsync(GroupNode node, CancellationToken ended)
    {
        _space = await node.OpenSpaceAsync("/bench/data", ended);
        _total = await _space.OpenVariableAsync<long>("total", ct: ended);
        _causal = await _space.OpenVariableAsync<long>("causal", new() { Mode = UpdateMode.Causal }, ended);
        _map = await _space.OpenDictionaryAsync<string, long>("map", ct: ended);
        await _total.SetAsync(1, ct: ended);
        await _map.SetAsync("key", 1, ct: ended);
        return [];
    }

    private static async Task<JsonObject> ReadsAsync(JsonObject asked, Action read, CancellationToken ended)
    {
        JsonObject batches = await LoadAsync(asked, 1, _ =>
        {
            for (int i = 0; i < ReadsAtOnce; i++)
                read();
            return ValueTask.FromResult(true);
        }, ended);
        return new JsonObject { ["per_second"] = (double)batches["per_second"]! * ReadsAtOnce, ["cpu_us"] = (double)batches["cpu_us"]! / ReadsAtOnce };
    }

    private Task<JsonObject> TotalAsync(JsonObject asked, int loops, UpdateWait wait, CancellationToken ended) =>
        LoadAsync(asked, loops, async loop => await _total!.SetAsync(loop, wait, ct: ended) > 0, ended);
}
