// Toolkit.Recovery: logged updates against what the disk's fsync allows, and the way back from a total crash.
using System.Diagnostics;
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;
using Toolkit.Recovery;

namespace Benchmarks;

/// <summary>Logged groups.</summary>
internal sealed class LoggedBench : ToolkitBench
{
    private const string Group = "/bench/logged";
    private const int UpdateSize = 100;
    private const int Pipeline = 512;
    private const int Syncs = 200;
    private const int Piece = 1 << 20;

    private LoggedGroup? _group;

    public override string Name => "logged";

    public override string Description => "Logged updates of 100 bytes, stable on all members; from SIGKILL of all to serving again, by size of the state.";

    public override bool NeedsData => true;

    public override async Task<JsonObject> MeasureAsync(BenchCluster cluster, ToolkitRun run)
    {
        JsonObject[] disks = await AskAllAsync(cluster, run, "fsync");
        double syncs = disks.Min(d => (double)d["per_second"]!);
        await AskAllAsync(cluster, run, "open", new JsonObject { ["size"] = 0 });
        JsonObject updates = Sum(await AskAllAsync(cluster, run, "update"));
        var result = new JsonObject
        {
            ["members"] = cluster.Members, ["fsyncs_per_second_min"] = syncs, ["updates"] = updates,
            ["updates_per_fsync"] = Math.Round((double)updates["per_second"]! / syncs, 2),
        };
        var restarts = new JsonObject();
        (string, int)[] sizes = [("1_KB", 1 << 10), ("100_MB", 100 << 20), ("1_GB", 1 << 30)];
        foreach ((string name, int size) in sizes.Take(run.Items >= 100_000 ? 3 : 1)) // fewer items: a short run
            restarts[name] = await RestartAsync(cluster, run, size);
        result["serving_again_ms"] = restarts;
        return result;
    }

    public override async Task<JsonObject> DoAsync(GroupNode node, ParentLink parent, JsonObject asked, CancellationToken ended) => (string?)asked["step"] switch
    {
        "fsync" => await SyncAsync(node, ended),
        "open" => await OpenAsync(node, (int)asked["size"]!, ended),
        "update" => await LoadAsync(asked, Pipeline, async _ =>
        {
            await _group!.UpdateAsync(new byte[UpdateSize], ended);
            return true;
        }, ended),
        "close" => await CloseAsync(),
        var step => throw new InvalidOperationException($"There is no step '{step}'."),
    };

    private async Task<JsonObject> RestartAsync(BenchCluster cluster, ToolkitRun run, int size)
    {
        await AskAllAsync(cluster, run, "close");
        await AskAllAsync(cluster, run, "open", new JsonObject { ["size"] = size });
        long killed = Stopwatch.GetTimestamp();
        await cluster.RestartAllAsync();
        long primary = Stopwatch.GetTimestamp();
        Task<JsonObject>[] opening = [.. Enumerable.Range(0, cluster.Members).Select(member => AskAsync(cluster, run, member, "open", new JsonObject { ["size"] = size }))];
        await Task.WhenAny(opening);
        TimeSpan first = Stopwatch.GetElapsedTime(killed);
        JsonObject[] opened = await Task.WhenAll(opening);
        return new JsonObject
        {
            ["until_primary"] = Math.Round(Stopwatch.GetElapsedTime(killed, primary).TotalMilliseconds),
            ["until_one_serves"] = Math.Round(first.TotalMilliseconds),
            ["until_all_serve"] = Math.Round(Stopwatch.GetElapsedTime(killed).TotalMilliseconds),
            ["state_from"] = new JsonArray([.. opened.Select(o => o["from"]!.DeepClone())]),
            ["peak_mib_max"] = opened.Max(o => (long)o["peak_mib"]!),
        };
    }

    // One record after the other: each waits for its own fsync.
    private static async Task<JsonObject> SyncAsync(GroupNode node, CancellationToken ended)
    {
        await using IStableLog log = await node.StableStore!.OpenLogAsync("bench-fsync", ended);
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < Syncs; i++)
            await log.AppendAsync(new byte[UpdateSize]);
        return new JsonObject { ["per_second"] = Math.Round(Syncs / Stopwatch.GetElapsedTime(start).TotalSeconds, 1) };
    }

    // The state is made up as it is read, so that what the process holds is what the library holds.
    private async Task<JsonObject> OpenAsync(GroupNode node, int size, CancellationToken ended)
    {
        byte[] piece = new byte[Math.Min(size, Piece)];
        new Random(1).NextBytes(piece);
        _group = await node.JoinLoggedAsync($"{Group}/{size}", new GroupOptions
        {
            State = StateTransfer.Stream(
                () => ValueTask.FromResult(new StateSnapshot(Enumerable.Repeat((ReadOnlyMemory<byte>)piece, size == 0 ? 0 : size / piece.Length).ToAsyncEnumerable(), size)),
                async state =>
                {
                    long bytes = 0;
                    await foreach (ReadOnlyMemory<byte> part in state) bytes += part.Length;
                    if (bytes != size) throw new InvalidDataException($"The state has {bytes} bytes, not {size}.");
                }),
            Configure = group => group.OnMessage(_ => default),
        }, ct: ended);
        await _group.FlushAsync(ended);
        return new JsonObject { ["from"] = _group.StateOrigin.ToString(), ["peak_mib"] = Process.GetCurrentProcess().PeakWorkingSet64 >> 20 };
    }

    private async Task<JsonObject> CloseAsync()
    {
        await _group!.DisposeAsync();
        return [];
    }
}
