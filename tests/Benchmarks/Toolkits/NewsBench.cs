// Toolkit.News: posts of one node to subscribers at all, and what many topics take.
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;
using Toolkit.News;

namespace Benchmarks;

/// <summary>News.</summary>
internal sealed class NewsBench : ToolkitBench
{
    private const int Pipeline = 512;
    private const int FirstWords = 1000;
    private const int SomeWords = 100;
    private const int SmallPost = 100;
    private const string FloodTopic = "bench.flood";

    private readonly TaskCompletionSource _allTopics = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private NewsService? _news;
    private NewsService? _shared; // over another number of channels
    private NewsSubscription? _subscription;
    private long _received; // these two are written by the handler alone
    private int _topics;

    public override string Name => "news";

    public override string Description => "Posts to a subscriber at each member; many topics.";

    public override async Task<JsonObject> MeasureAsync(BenchCluster cluster, ToolkitRun run)
    {
        await AskAllAsync(cluster, run, "open");
        var result = new JsonObject { ["members"] = cluster.Members };
        foreach (NewsOrder order in Enum.GetValues<NewsOrder>())
        {
            foreach (int size in (int[])[SmallPost, 1024])
            {
                JsonObject[] got = await AskAllAsync(cluster, run, "flood", new JsonObject { ["order"] = order.ToString(), ["size"] = size });
                result[$"{order.ToString().ToLowerInvariant()}_{size}_bytes"] = new JsonObject
                {
                    ["received_per_second_min"] = got.Min(g => (double)g["per_second"]!),
                    ["per_member"] = new JsonArray([.. got]),
                };
            }
        }

        foreach (int channels in (int[])[16, 64, 256])
            result[$"false_traffic_{channels}_channels"] = await FalseTrafficAsync(cluster, run, channels);
        result["topics"] = new JsonArray([.. await AskAllAsync(cluster, run, "topics")]);
        return result;
    }

    private async Task<JsonObject> FalseTrafficAsync(BenchCluster cluster, ToolkitRun run, int channels)
    {
        await AskAllAsync(cluster, run, "share", new JsonObject { ["channels"] = channels, ["members"] = cluster.Members });
        await AskAllAsync(cluster, run, "post-shares");
        JsonObject[] unwanted = await AskAllAsync(cluster, run, "unwanted");
        return new JsonObject { ["unwanted_percent"] = Math.Round(unwanted.Average(u => (double)u["unwanted_percent"]!), 1) };
    }

    public override async Task<JsonObject> DoAsync(GroupNode node, ParentLink parent, JsonObject asked, CancellationToken ended) => (string?)asked["step"] switch
    {
        "open" => await OpenAsync(node, (int)asked["items"]!, ended),
        "flood" => await FloodAsync(asked, ended),
        "topics" => await TopicsAsync(asked, ended),
        "share" => await ShareAsync(node, asked, ended),
        "post-shares" => await PostSharesAsync(ended),
        "unwanted" => await UnwantedAsync(),
        var step => throw new InvalidOperationException($"There is no step '{step}'."),
    };

    private async Task<JsonObject> OpenAsync(GroupNode node, int topics, CancellationToken ended)
    {
        _news = node.OpenNews();
        _subscription = await _news.SubscribeAsync(">", post =>
        {
            Volatile.Write(ref _received, _received + 1);
            if (post.Topic != FloodTopic && ++_topics == topics)
                _allTopics.SetResult();
            return default;
        }, new() { MaximumWaiting = 1_000_000 }, ended);
        return [];
    }

    // All count what they receive; the first one posts, a little longer than it is counted.
    private async Task<JsonObject> FloodAsync(JsonObject asked, CancellationToken ended)
    {
        const double After = 0.5;
        byte[] body = new byte[(int)asked["size"]!];
        NewsOrder order = Enum.Parse<NewsOrder>((string)asked["order"]!);
        (double warmup, double seconds) = ((double)asked["warmup"]!, (double)asked["seconds"]!);
        Task posting = (int)asked["member"]! == 0
            ? Load.RunAsync(Pipeline, warmup, seconds + After, async _ => await _news!.PostAsync(FloodTopic, body, order, ended) > 0, ended)
            : Task.CompletedTask;
        JsonObject result = await Load.CountAsync(() => Volatile.Read(ref _received), warmup, seconds, ended);
        await posting;
        result["dropped"] = _subscription!.Dropped;
        return result;
    }

    // Each node subscribes to its share of the first words: no word has two subscribers, so what a channel brings of the others' is unwanted.
    private async Task<JsonObject> ShareAsync(GroupNode node, JsonObject asked, CancellationToken ended)
    {
        _shared = node.OpenNews(new NewsOptions { Channels = (int)asked["channels"]! });
        for (int word = (int)asked["member"]!; word < SomeWords; word += (int)asked["members"]!)
            await _shared.SubscribeAsync($"w{word}.>", _ => default, ct: ended);
        return [];
    }

    private async Task<JsonObject> PostSharesAsync(CancellationToken ended)
    {
        for (int word = 0; word < SomeWords; word++)
            await _shared!.PostAsync($"w{word}.topic", new byte[SmallPost], ct: ended);
        return [];
    }

    private async Task<JsonObject> UnwantedAsync()
    {
        NewsStatistics seen = _shared!.GetStatistics();
        await _shared.DisposeAsync();
        return new JsonObject { ["unwanted_percent"] = Math.Round(100.0 * seen.Unwanted / Math.Max(1, seen.Delivered), 1) };
    }

    // A topic each, with one post.
    private async Task<JsonObject> TopicsAsync(JsonObject asked, CancellationToken ended)
    {
        int topics = (int)asked["items"]!;
        long before = Load.HeapBytes();
        long start = Stopwatch.GetTimestamp();
        if ((int)asked["member"]! == 0)
        {
            byte[] body = new byte[SmallPost];
            int next = -1;
            await Task.WhenAll(Enumerable.Range(0, Pipeline).Select(_ => Task.Run(async () =>
            {
                while (Interlocked.Increment(ref next) is int i && i < topics)
                    await _news!.PostAsync(string.Create(CultureInfo.InvariantCulture, $"w{i % FirstWords}.topic{i}"), body, ct: ended);
            }, ended)));
        }

        await _allTopics.Task.WaitAsync(ended);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return new JsonObject
        {
            ["topics"] = topics,
            ["posts_per_second"] = Math.Round(topics / seconds),
            ["bytes_per_topic"] = Math.Round((Load.HeapBytes() - before) / (double)topics),
        };
    }
}
