// Words move between channels of real nodes while posts go on.
using System.Collections.Concurrent;
using Core.Groups;
using Toolkit.News;
using Toolkit.News.Placement;

namespace Toolkit.Tests.NewsToolkit;

public sealed class NewsMoveTests
{
    private const int Limit = 120_000; // milliseconds
    private const int Words = 12;

    private static readonly NewsOptions Options = new()
    {
        Channels = 4, RebalanceAfter = TimeSpan.FromMilliseconds(100), LeaveAfter = TimeSpan.FromMilliseconds(100), BackIssues = 100_000,
    };

    [Fact(Timeout = Limit)]
    public async Task Words_of_one_audience_come_together_while_posts_go_on_and_nothing_unwanted_comes_any_more()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        NewsService[] news = [.. nodes.All.Select(n => n.OpenNews(Options))];
        var got = new ConcurrentDictionary<(int Node, string Topic), ConcurrentQueue<long>>();
        int next = 0;
        using var over = new CancellationTokenSource();
        for (int i = 0; i < Words; i++)
        {
            string topic = $"w{i}.x";
            foreach (int node in (int[])[i % 3, (i + 1) % 3]) // each word is wanted by two of three
            {
                ConcurrentQueue<long> numbers = got[(node, topic)] = [];
                await news[node].SubscribeAsync($"w{i}.>", post =>
                {
                    numbers.Enqueue(post.Number);
                    return default;
                });
            }
        }

        Task posting = Task.Run(async () =>
        {
            for (; !over.IsCancellationRequested; next++)
                await news[next % 3].PostAsync($"w{next % Words}.x", "x"u8.ToArray());
        });

        // No channel has words of two audiences any more, and the third node has left it.
        await RealNodes.SeesAsync(() => Enumerable.Range(0, Words).GroupBy(i => news[0].GroupOf($"w{i}.x")).All(c => c.Select(i => i % 3).Distinct().Count() == 1));
        await over.CancelAsync();
        await posting.WaitAsync(RealNodes.Patience);
        foreach (((int node, string topic), ConcurrentQueue<long> numbers) in got)
        {
            int last = Enumerable.Range(0, next).Count(i => $"w{i % Words}.x" == topic); // all that was posted
            await RealNodes.SeesAsync(() => numbers.Count >= last);
            Assert.Equal(Enumerable.Range(1, last).Select(n => (long)n), numbers);
            Assert.Equal(last, (await news[node].BackAsync(topic, 1)).Single().Number);
        }

        Assert.Equal(next, Enumerable.Range(0, Words).Sum(i => got[(i % 3, $"w{i}.x")].Count));
        await RealNodes.SeesAsync(() => UnwantedOfAsync());
        foreach (NewsService service in news)
            await service.DisposeAsync();

        // Everybody has left what it does not want: what is posted from now on comes to those who want it.
        async Task<bool> UnwantedOfAsync()
        {
            long before = news.Sum(n => n.GetStatistics().Unwanted);
            for (int i = 0; i < Words; i++)
                await news[i % 3].PostAsync($"w{i}.x", "x"u8.ToArray());
            return news.Sum(n => n.GetStatistics().Unwanted) == before;
        }
    }

    [Fact(Timeout = Limit)]
    public async Task Posters_that_have_no_part_find_a_word_where_it_went()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        NewsService[] news = [.. nodes.All.Select(n => n.OpenNews(Options))];
        for (int i = 0; i < Words; i++)
            await news[i % 2].SubscribeAsync($"w{i}.>", static _ => default);
        for (int i = 0; i < Words; i++)
            Assert.Equal(1, await news[2].PostAsync($"w{i}.x", "x"u8.ToArray()).AsTask().WaitAsync(RealNodes.Patience));
        await RealNodes.SeesAsync(() => Enumerable.Range(0, Words).GroupBy(i => news[0].GroupOf($"w{i}.x")).All(c => c.Select(i => i % 2).Distinct().Count() == 1));
        for (int i = 0; i < Words; i++)
            Assert.Equal(2, await news[2].PostAsync($"w{i}.x", "x"u8.ToArray()).AsTask().WaitAsync(RealNodes.Patience));
        await using GroupClient client = await GroupClient.ConnectAsync(new GroupClientOptions { Nodes = [.. nodes[0].Seeds], ConnectTimeout = RealNodes.Patience });
        NewsPoster poster = client.OpenNewsPoster(Options);
        for (int i = 0; i < Words; i++)
            Assert.Equal(3, await poster.PostAsync($"w{i}.x", "x"u8.ToArray()).AsTask().WaitAsync(RealNodes.Patience));
    }

    [Fact]
    public void A_plan_brings_audiences_together_and_ends()
    {
        NodeId[] nodes = [.. "abcdef".Select(c => new NodeId($"{c}", 1))];
        var random = new Random(1);
        for (int seed = 0; seed < 50; seed++)
        {
            string[] words = [.. Enumerable.Range(0, 40).Select(i => $"w{i}")];
            var wants = nodes.ToDictionary(n => n, _ => new WantedWords(false, [.. words.Where(_ => random.Next(3) == 0).Order(StringComparer.Ordinal)]));
            var look = new DirectoryLook(
                8, nodes[0], [.. nodes], System.Collections.Immutable.ImmutableSortedDictionary.Create<string, int>(StringComparer.Ordinal),
                System.Collections.Immutable.ImmutableSortedDictionary.CreateRange(wants), null, 0, []);
            int moves = 0;
            while (WordPlan.Next(look) is var (word, to))
            {
                Assert.NotEqual(look.PlaceOf(word), to);
                look = look with { Moved = look.Moved.SetItem(word, to) };
                Assert.True(++moves <= 2 * words.Length, "The plan goes round in circles.");
            }
        }
    }
}
