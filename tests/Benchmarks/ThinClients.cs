// Very many clients at one node: how fast they connect, what an idle one takes there, what all of them get done, and how long it takes
// until all of them are served by another node after theirs was killed in the middle of their requests.
// The clients are in the parent's process, the nodes in processes of their own.
using System.Buffers.Binary;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Core.Groups;

namespace Benchmarks;

/// <summary>The measurement: what the parent does, and what each node does.</summary>
internal sealed class ThinClients
{
    /// <summary>Names the command, and the step for a node.</summary>
    public const string Name = "clients";

    private const string Path = "/bench/clients";
    private const int Nodes = 3, Crowded = 0, Spare = 1, Witness = 2;
    private const int ConnectsAtOnce = 64;
    private const int AloneRequests = 2000, AloneWarmup = 500;
    private const double LoadWarmup = 2;
    /// <summary>As long as the sign of life of each client takes.</summary>
    private const double IdleSeconds = 30;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly Lock _gate = new();
    private readonly Dictionary<int, int> _last = [];
    private long _delivered, _outOfOrder;

    /// <summary>In the parent: measures each number of clients with a fresh cluster.</summary>
    /// <param name="counts">How many clients.</param>
    /// <param name="seconds">How long all ask at once.</param>
    public static async Task<JsonObject> MeasureAsync(int[] counts, double seconds)
    {
        var rows = new JsonArray();
        foreach (int count in counts)
            rows.Add(await MeasureAsync(count, seconds));
        return new JsonObject { ["members"] = Nodes, ["clients"] = rows };
    }

    /// <summary>In a node's process: does a step. The object lives as long as the process.</summary>
    public async Task<JsonObject> DoAsync(GroupNode node, JsonObject asked, CancellationToken ended)
    {
        switch ((string?)asked["step"])
        {
            case "serve":
                await node.JoinAsync(Path, new GroupOptions { Configure = group => group.OnRequest(Answer) }, ended);
                return [];
            case "heap":
                return new JsonObject { ["bytes"] = Load.HeapBytes(), ["resident"] = Environment.WorkingSet };
            case "count":
                lock (_gate)
                    return new JsonObject { ["delivered"] = _delivered, ["out_of_order"] = _outOfOrder };
            case var step:
                throw new InvalidOperationException($"There is no step '{step}'.");
        }
    }

    // A request is the number of its client and its own: of each client they must come as 1, 2, 3, …, or one was lost or came twice.
    private ValueTask<ReadOnlyMemory<byte>> Answer(GroupMessage request)
    {
        int client = BinaryPrimitives.ReadInt32LittleEndian(request.Body.Span), number = BinaryPrimitives.ReadInt32LittleEndian(request.Body.Span[4..]);
        lock (_gate)
        {
            _delivered++;
            if (number != _last.GetValueOrDefault(client) + 1)
                _outOfOrder++;
            _last[client] = number;
        }

        return ValueTask.FromResult(request.Body);
    }

    private static async Task<JsonObject> MeasureAsync(int count, double seconds)
    {
        Console.Error.WriteLine($"{count} clients …");
        await using BenchCluster cluster = await BenchCluster.StartAsync(Nodes);
        await Task.WhenAll(AskAsync(cluster, Crowded, "serve"), AskAsync(cluster, Witness, "serve"));
        // All clients come to one node, because the other one that they know is not there yet.
        cluster[Spare].Kill();
        await cluster.WaitForViewWithoutAsync(Spare);
        JsonObject before = await AskAsync(cluster, Crowded, "heap");
        long start = Stopwatch.GetTimestamp();
        Caller[] callers = await ConnectAsync(cluster, count);
        double connecting = Stopwatch.GetElapsedTime(start).TotalSeconds;
        try
        {
            Console.Error.WriteLine($"connected in {connecting:F1} s");
            await Measurements.SettleAsync();
            JsonObject after = await AskAsync(cluster, Crowded, "heap");
            JsonObject idle = await cluster.AskAsync(Crowded, new JsonObject { ["do"] = "usage", ["seconds"] = IdleSeconds }, Patience);
            var row = new JsonObject
            {
                ["clients"] = count,
                ["connects_per_second"] = Math.Round(count / connecting),
                ["idle_cpu_percent_of_a_core"] = (double)idle["cpu_percent_of_a_core"]!,
                ["heap_bytes_per_idle_client"] = Each(before, after, "bytes", count),
                ["resident_bytes_per_idle_client"] = Each(before, after, "resident", count),
                ["one_request_us"] = await AloneAsync(callers),
                ["all"] = await LoadAsync(callers, seconds),
            };
            await cluster.RestartAsync(Spare);
            await AskAsync(cluster, Spare, "serve");
            row["killed"] = await FailAsync(cluster, callers);
            return row;
        }
        finally
        {
            await Task.WhenAll(callers.Select(c => c.Client.DisposeAsync().AsTask()));
        }
    }

    private static async Task<Caller[]> ConnectAsync(BenchCluster cluster, int count)
    {
        var callers = new Caller[count];
        await Parallel.ForAsync(0, count, new ParallelOptions { MaxDegreeOfParallelism = ConnectsAtOnce }, async (i, ct) => callers[i] = new Caller(i, await GroupClient.ConnectAsync(
            new GroupClientOptions { Cluster = BenchCluster.Name, Nodes = [cluster.AddressOf(Crowded), cluster.AddressOf(Spare)], ConnectTimeout = Patience }, ct)));
        return callers;
    }

    /// <summary>One request at a time, each of another client, while all are connected.</summary>
    private static async Task<JsonObject> AloneAsync(Caller[] callers)
    {
        var latencies = new LatencyHistogram();
        for (int i = -AloneWarmup; i < AloneRequests; i++)
        {
            long start = Stopwatch.GetTimestamp();
            await callers[(i + AloneWarmup) % callers.Length].AskAsync();
            if (i >= 0)
                latencies.Record(Stopwatch.GetTimestamp() - start);
        }

        return latencies.ToJson();
    }

    /// <summary>Every client asks again as soon as it is answered.</summary>
    private static Task<JsonObject> LoadAsync(Caller[] callers, double seconds) => Load.RunAsync(callers.Length, LoadWarmup, seconds, async i =>
    {
        await callers[i].AskAsync();
        return true;
    }, CancellationToken.None);

    /// <summary>Every client has a request under way when its node is killed, and makes one more: until all have both answers, and from another node.</summary>
    private static async Task<JsonObject> FailAsync(BenchCluster cluster, Caller[] callers)
    {
        Task[] asking = [.. callers.Select(c => Task.Run(c.AskAsync))];
        await Task.WhenAny(asking);
        cluster[Crowded].Kill();
        long start = Stopwatch.GetTimestamp();
        double[] answered = await Task.WhenAll(callers.Select(async (c, i) =>
        {
            await asking[i];
            await c.AskAsync();
            await c.Client.WaitUntilServedAsync();
            return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        })).WaitAsync(Patience);
        Array.Sort(answered);
        double changed = Stopwatch.GetElapsedTime(start, await cluster.WaitForViewWithoutAsync(Crowded)).TotalMilliseconds;
        long sent = callers.Sum(c => (long)c.Sent);
        JsonObject counted = await AskAsync(cluster, Witness, "count");
        return new JsonObject
        {
            ["view_ms"] = Math.Round(changed),
            ["median_ms"] = Math.Round(answered[answered.Length / 2]),
            ["all_ms"] = Math.Round(answered[^1]),
            ["served_by_the_spare_node"] = callers.Count(c => c.Client.Server?.Name == BenchCluster.NameOf(Spare)),
            ["requests_made_and_answered_in_all"] = sent,
            ["delivered"] = (long)counted["delivered"]!,
            ["lost_twice_or_out_of_order"] = (long)counted["out_of_order"]!,
        };
    }

    private static Task<JsonObject> AskAsync(BenchCluster cluster, int member, string step) =>
        cluster.AskAsync(member, new JsonObject { ["do"] = Name, ["step"] = step }, Patience);

    private static double Each(JsonObject before, JsonObject after, string what, int count) =>
        Math.Round(((double)after[what]! - (double)before[what]!) / count);

    /// <summary>A client, and the number of its last request. One request at a time.</summary>
    private sealed class Caller(int number, GroupClient client)
    {
        private readonly byte[] _body = new byte[8];

        public GroupClient Client => client;

        public int Sent { get; private set; }

        public async Task AskAsync()
        {
            Sent++;
            BinaryPrimitives.WriteInt32LittleEndian(_body, number);
            BinaryPrimitives.WriteInt32LittleEndian(_body.AsSpan(4), Sent);
            await client.RequestAsync(Path, Order.Total, _body, Replies.First);
        }
    }
}
