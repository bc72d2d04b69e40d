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
    private NewsStatistics _before;
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
            result[$"false_traffic_{channels}_channels"] = await FalseTrafficAsync(cluster, run, new JsonObject { ["channels"] = channels, ["audience"] = 1, ["moves"] = false });
        foreach (int audience in (int[])[1, 2])
        {
            foreach (bool moves in (bool[])[false, true])
            {
                result[$"false_traffic_audience_{audience}{(moves ? "_moved" : "")}"] =
                    await FalseTrafficAsync(cluster, run, new JsonObject { ["channels"] = 16, ["audience"] = audience, ["moves"] = moves });
            }
        }

        result["topics"] = new JsonArray([.. await AskAllAsync(cluster, run, "topics")]);
        return result;
    }

    private async Task<JsonObject> FalseTrafficAsync(BenchCluster cluster, ToolkitRun run, JsonObject shares)
    {
        shares["members"] = cluster.Members;
        await AskAllAsync(cluster, run, "share", shares);
        await AskAllAsync(cluster, run, "settle", shares);
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
        "settle" => await SettleAsync(asked, ended),
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

    // Each first word is wanted by one node, or by two: what a channel brings of the others' is unwanted.
    private async Task<JsonObject> ShareAsync(GroupNode node, JsonObject asked, CancellationToken ended)
    {
        (int channels, int member) = ((int)asked["channels"]!, (int)asked["member"]!);
        _shared = node.OpenNews((bool)asked["moves"]!
            ? new NewsOptions { Path = $"/moving/{(int)asked["audience"]!}", Channels = channels, RebalanceAfter = TimeSpan.FromMilliseconds(200), LeaveAfter = TimeSpan.FromMilliseconds(200), Copies = (int)asked["audience"]! }
            : new NewsOptions { Path = $"/still/{(int)asked["audience"]!}", Channels = channels });
        for (int word = 0; word < SomeWords; word++)
        {
            if (AudienceOf(word, asked).Contains(member))
                await _shared.SubscribeAsync($"w{word}.>", _ => default, ct: ended);
        }

        return [];
    }

    private static IEnumerable<int> AudienceOf(int word, JsonObject asked) =>
        Enumerable.Range(word, (int)asked["audience"]!).Select(n => n % (int)asked["members"]!);

    // Until words with different audiences share no channel, and all have left what they do not want.
    private async Task<JsonObject> SettleAsync(JsonObject asked, CancellationToken ended)
    {
        long start = Stopwatch.GetTimestamp();
        bool IsSettled() => Enumerable.Range(0, SomeWords).GroupBy(w => _shared!.GroupOf($"w{w}.topic"))
            .All(c => c.Select(w => string.Join(' ', AudienceOf(w, asked).Order())).Distinct().Count() == 1);
        while ((bool)asked["moves"]! && !IsSettled())
            await Load.PassAsync(0.01, ended);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        await Load.PassAsync((bool)asked["moves"]! ? 1 : 0, ended);
        _before = _shared!.GetStatistics();
        return new JsonObject { ["seconds"] = Math.Round(seconds, 2) };
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
        return new JsonObject { ["unwanted_percent"] = Math.Round(100.0 * (seen.Unwanted - _before.Unwanted) / Math.Max(1, seen.Delivered - _before.Delivered), 1) };
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
