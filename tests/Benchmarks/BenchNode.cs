// A child process: one node that does what the parent asks, and tells it what it measured.
using System.Diagnostics;
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;

namespace Benchmarks;

/// <summary>The measured node.</summary>
internal sealed class BenchNode(GroupNode node, ParentLink parent)
{
    /// <summary>The group of the measurements; its views are reported.</summary>
    public const string MainGroup = "/bench";

    private const int ParallelJoins = 32;

    private readonly Dictionary<string, ProcessGroup> _groups = [];
    private readonly Meter _meter = new(node);
    private readonly ManyGroups _many = new();
    private readonly ThinClients _clients = new();

    /// <summary>Answers until the parent is gone.</summary>
    public async Task RunAsync(CancellationToken ended)
    {
        parent.Report(new JsonObject { ["ev"] = "ready" });
        await foreach (JsonObject asked in parent.Said.ReadAllAsync(ended))
        {
            var answer = new JsonObject { ["re"] = (int)asked["id"]! };
            try
            {
                answer["result"] = await DoAsync(asked, ended);
            }
            catch (Exception e) when (e is GroupException or TimeoutException)
            {
                answer["error"] = e.Message;
            }

            parent.Report(answer);
        }
    }

    private Task<JsonObject> DoAsync(JsonObject asked, CancellationToken ended) => (string?)asked["do"] switch
    {
        "join" => JoinAsync((int)asked["groups"]!, ended),
        "throughput" => ThroughputAsync(
            Enum.Parse<Order>((string)asked["order"]!), (bool)asked["send"]!, (int)asked["size"]!, (double)asked["warmup"]!, (double)asked["seconds"]!, ended),
        "roundtrip" => RoundtripAsync((int)asked["warmup"]!, (int)asked["count"]!, ended),
        "usage" => UsageAsync((double)asked["seconds"]!, ended),
        ManyGroups.Name => _many.DoAsync(node, asked, ended),
        ThinClients.Name => _clients.DoAsync(node, asked, ended),
        { } name when Program.Toolkits.FirstOrDefault(t => t.Name == name) is { } toolkit => toolkit.DoAsync(node, parent, asked, ended),
        _ => throw new InvalidOperationException($"The parent asks for something unknown: {asked.ToJsonString()}"),
    };

    /// <summary>Joins the main group, and as many more as asked for.</summary>
    private async Task<JsonObject> JoinAsync(int groups, CancellationToken ended)
    {
        long start = Stopwatch.GetTimestamp();
        _groups[MainGroup] = await node.JoinAsync(MainGroup, new GroupOptions { Configure = Register, OnView = ReportView }, ended);
        using var room = new SemaphoreSlim(ParallelJoins);
        await Task.WhenAll(Enumerable.Range(1, groups - 1).Select(async i =>
        {
            await room.WaitAsync(ended);
            try
            {
                await node.JoinAsync($"/bench/{i}", new GroupOptions { Configure = group => group.IgnoreMessages() }, ended);
            }
            finally
            {
                room.Release();
            }
        }));
        return new JsonObject { ["seconds"] = Stopwatch.GetElapsedTime(start).TotalSeconds };
    }

    private async Task<JsonObject> ThroughputAsync(Order order, bool send, int size, double warmup, double seconds, CancellationToken ended)
    {
        // Whoever is ready first goes on a little, so that all measure while all send.
        const double After = 0.5;
        using var over = CancellationTokenSource.CreateLinkedTokenSource(ended);
        Task sending = send ? Task.Run(() => SendAsync(order, size, over.Token), ended) : Task.CompletedTask;
        await Task.Delay(TimeSpan.FromSeconds(warmup), ended);
        _meter.Begin();
        await Task.Delay(TimeSpan.FromSeconds(seconds), ended);
        JsonObject result = _meter.End();
        await Task.Delay(TimeSpan.FromSeconds(After), ended);
        await over.CancelAsync();
        await sending.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return result;
    }

    private async Task SendAsync(Order order, int size, CancellationToken over)
    {
        ProcessGroup group = _groups[MainGroup];
        byte[] body = new byte[Math.Max(size, Meter.StampSize)];
        while (!over.IsCancellationRequested)
        {
            Meter.Stamp(body);
            await group.SendAsync(order, body, over);
        }
    }

    private async Task<JsonObject> RoundtripAsync(int warmup, int count, CancellationToken ended)
    {
        byte[] body = new byte[Meter.StampSize];
        var latencies = new LatencyHistogram();
        for (int i = -warmup; i < count; i++)
        {
            long start = Stopwatch.GetTimestamp();
            await _groups[MainGroup].RequestAsync(Order.Fifo, body, Replies.All, TimeSpan.FromSeconds(10), ended);
            if (i >= 0)
                latencies.Record(Stopwatch.GetTimestamp() - start);
        }

        return latencies.ToJson();
    }

    /// <summary>What the process takes while nobody asks anything of it.</summary>
    private static async Task<JsonObject> UsageAsync(double seconds, CancellationToken ended)
    {
        // What the node holds, not what the joins before have left: an ordinary collection keeps the freed memory for later.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        long start = Stopwatch.GetTimestamp();
        await Task.Delay(TimeSpan.FromSeconds(seconds), ended);
        TimeSpan passed = Stopwatch.GetElapsedTime(start);
        return new JsonObject
        {
            ["resident_mib"] = Math.Round(Environment.WorkingSet / 1048576.0, 1),
            ["heap_mib"] = Math.Round(GC.GetTotalMemory(forceFullCollection: false) / 1048576.0, 1),
            ["cpu_percent_of_a_core"] = Math.Round(100 * ((Environment.CpuUsage.TotalTime - cpu) / passed), 2),
        };
    }

    private void Register(ProcessGroup group)
    {
        group.OnMessage(_meter.OnMessage);
        group.OnRequest(request => ValueTask.FromResult(request.Body));
    }

    // The stopwatch of all processes of a machine is the same clock.
    private ValueTask ReportView(View view)
    {
        parent.Report(new JsonObject
        {
            ["ev"] = "view",
            ["members"] = new JsonArray([.. view.Members.Select(m => (JsonNode)m.Name)]),
            ["at"] = Stopwatch.GetTimestamp(),
        });
        return default;
    }
}
