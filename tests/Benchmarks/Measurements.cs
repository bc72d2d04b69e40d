// The measurements, each with processes of its own so that none inherits the other's heap.
using System.Diagnostics;
using System.Text.Json.Nodes;
using Core.Groups;

namespace Benchmarks;

/// <summary>What can be measured. Every method starts processes, measures, and ends them.</summary>
internal static class Measurements
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    // What the joins left to do is done by then, and what runs while nothing happens is compiled.
    private static readonly TimeSpan IdleSettling = TimeSpan.FromSeconds(20);

    /// <summary>Messages a second, when senders send as fast as credit allows.</summary>
    public static async Task<JsonObject> ThroughputAsync(Order order, int members, bool allSend, int size, double warmup, double seconds)
    {
        await using BenchCluster cluster = await BenchCluster.StartAsync(members);
        JsonObject[] results = await cluster.AskAllAsync(
            member => new JsonObject
            {
                ["do"] = "throughput", ["order"] = order.ToString(), ["send"] = allSend || member == 0,
                ["size"] = size, ["warmup"] = warmup, ["seconds"] = seconds,
            },
            Patience + TimeSpan.FromSeconds(warmup + seconds));
        return new JsonObject
        {
            ["order"] = order.ToString().ToLowerInvariant(),
            ["members"] = members,
            ["senders"] = allSend ? members : 1,
            ["size"] = size,
            ["messages_per_second_min"] = results.Min(r => (double)r["messages_per_second"]!),
            ["per_member"] = new JsonArray([.. results]),
        };
    }

    /// <summary>A FIFO multicast to all members and all their replies, when nothing else happens.</summary>
    public static async Task<JsonObject> RoundtripAsync(int members, int warmup, int count)
    {
        await using BenchCluster cluster = await BenchCluster.StartAsync(members);
        JsonObject latencies = await cluster.AskAsync(0, new JsonObject { ["do"] = "roundtrip", ["warmup"] = warmup, ["count"] = count }, Patience);
        return new JsonObject { ["members"] = members, ["roundtrip_us"] = latencies };
    }

    /// <summary>From a failure to the new view at all survivors.</summary>
    public static async Task<JsonObject> FailoverAsync(int members, int rounds, TimeSpan suspect)
    {
        await using BenchCluster cluster = await BenchCluster.StartAsync(members, suspect: suspect);
        var killed = new List<double>();
        var silent = new List<double>();
        for (int round = 0; round < rounds; round++)
        {
            int victim = round % members; // the oldest one too
            long start = Stopwatch.GetTimestamp();
            cluster[victim].Kill();
            killed.Add(Milliseconds(start, await cluster.WaitForViewWithoutAsync(victim)));
            await cluster.RestartAsync(victim);
        }

        for (int round = 0; round < rounds; round++)
        {
            int victim = round % members;
            long start = Stopwatch.GetTimestamp();
            cluster[victim].Freeze();
            silent.Add(Milliseconds(start, await cluster.WaitForViewWithoutAsync(victim)));
            cluster[victim].Thaw();
            await cluster.WaitForAllAsync();
        }

        return new JsonObject
        {
            ["members"] = members,
            ["suspect_ms"] = suspect.TotalMilliseconds,
            ["killed_ms"] = Summary(killed),
            ["silent_ms"] = Summary(silent),
        };
    }

    /// <summary>What a node takes that is a member of many groups in which nothing happens; and how fast it joined them.</summary>
    public static async Task<JsonObject> IdleAsync(int members, int groups, double seconds)
    {
        await using BenchCluster cluster = await BenchCluster.StartAsync(members, groups);
        JsonObject joins = Joins(cluster, groups);
        await SettleAsync();
        JsonObject[] usage = await cluster.AskAllAsync(_ => new JsonObject { ["do"] = "usage", ["seconds"] = seconds }, Patience + TimeSpan.FromSeconds(seconds));
        return new JsonObject { ["members"] = members, ["groups"] = groups, ["joins"] = joins, ["per_member"] = new JsonArray([.. usage]) };
    }

    /// <summary>Leaves the system alone until what the joins left to do is done.</summary>
    public static Task SettleAsync() => Task.Delay(IdleSettling);

    /// <summary>How fast groups are made and joined.</summary>
    public static async Task<JsonObject> GroupsAsync(int members, int groups)
    {
        await using BenchCluster cluster = await BenchCluster.StartAsync(members, groups);
        return new JsonObject { ["members"] = members, ["groups"] = groups, ["joins"] = Joins(cluster, groups) };
    }

    private static JsonObject Joins(BenchCluster cluster, int groups) => new()
    {
        ["created_per_second"] = Math.Round(groups / cluster.JoinSeconds[0]),
        ["joined_per_second"] = new JsonArray([.. cluster.JoinSeconds.Skip(1).Select(seconds => (JsonNode)Math.Round(groups / seconds))]),
    };

    private static JsonObject Summary(List<double> milliseconds)
    {
        double[] sorted = [.. milliseconds.Order()];
        return new JsonObject
        {
            ["median"] = sorted[sorted.Length / 2],
            ["worst"] = sorted[^1],
            ["all"] = new JsonArray([.. milliseconds.Select(m => (JsonNode)m)]),
        };
    }

    private static double Milliseconds(long start, long end) => Math.Round(Stopwatch.GetElapsedTime(start, end).TotalMilliseconds, 1);
}
