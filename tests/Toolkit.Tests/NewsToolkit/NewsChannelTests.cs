// Membership of channels follows the subscribers.
using System.Threading.Channels;
using Core.Groups;
using Toolkit.News;

namespace Toolkit.Tests.NewsToolkit;

public sealed class NewsChannelTests
{
    private const int Limit = 120_000; // milliseconds
    private const string Topic = "markets.nyse";

    private static readonly NewsOptions Options = new() { LeaveAfter = TimeSpan.FromMilliseconds(20) };
    private static readonly string Group = Options.GroupOf(ChannelMap.ChannelOf("markets", Options.Channels));

    [Fact(Timeout = Limit)]
    public async Task Who_wants_nothing_more_leaves_and_two_keep_the_back_issues()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(4);
        NewsService[] news = [.. nodes.All.Select(n => n.OpenNews(Options))];
        var subscriptions = new List<NewsSubscription>();
        foreach (NewsService service in news)
            subscriptions.Add(await service.SubscribeAsync(Topic, _ => default));
        await news[3].PostAsync(Topic, "one"u8.ToArray());
        await using IAsyncEnumerator<WatchEvent> watch = (await nodes[0].WatchGroupAsync(Group)).GetAsyncEnumerator();
        foreach (NewsSubscription subscription in subscriptions)
            await subscription.DisposeAsync();

        HashSet<string> left = [await NextLeaverAsync(watch), await NextLeaverAsync(watch)];
        Assert.Equal(["c", "d"], left.Order());
        Assert.Equal(2, await news[3].PostAsync(Topic, "two"u8.ToArray()).AsTask().WaitAsync(RealNodes.Patience)); // from outside

        Channel<NewsPost> got = Channel.CreateUnbounded<NewsPost>(); // a member again
        await using NewsSubscription again = await news[2].SubscribeAsync("markets.>", post => got.Writer.WriteAsync(post), new() { BackIssues = 10 });
        await news[3].PostAsync(Topic, "three"u8.ToArray());
        for (int number = 1; number <= 3; number++)
            Assert.Equal(number, (await got.Reader.ReadAsync().AsTask().WaitAsync(RealNodes.Patience)).Number);
        foreach (NewsService service in news)
            await service.DisposeAsync();
    }

    [Fact(Timeout = Limit)]
    public async Task A_node_that_posts_and_leaves_loses_no_post()
    {
        const int Posts = 300;
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        NewsService[] news = [.. nodes.All.Select(n => n.OpenNews(new NewsOptions { LeaveAfter = TimeSpan.FromMilliseconds(1) }))];
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        List<long> numbers = [];
        foreach (NewsService keeper in news[..2])
        {
            await keeper.SubscribeAsync(Topic, post =>
            {
                if (keeper != news[0]) return default;
                numbers.Add(post.Number);
                if (numbers.Count == Posts) all.SetResult();
                return default;
            });
        }

        for (int i = 0; i < Posts; i++) // a member now and then: it looks back, posts, and is gone
        {
            if (i % 20 == 0) await news[2].BackAsync(Topic, 1).AsTask().WaitAsync(RealNodes.Patience);
            await news[2].PostAsync(Topic, "x"u8.ToArray()).AsTask().WaitAsync(RealNodes.Patience);
        }

        await all.Task.WaitAsync(RealNodes.Patience);
        Assert.Equal(Enumerable.Range(1, Posts).Select(n => (long)n), numbers);
        foreach (NewsService service in news)
            await service.DisposeAsync();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100_000_000)]
    public async Task A_time_out_of_range_is_refused(int milliseconds)
    {
        await using RealNodes nodes = await RealNodes.StartAsync(1);
        Assert.ThrowsAny<ArgumentException>(() => nodes[0].OpenNews(new NewsOptions { LeaveAfter = TimeSpan.FromMilliseconds(milliseconds) }));
    }

    private static async Task<string> NextLeaverAsync(IAsyncEnumerator<WatchEvent> watch)
    {
        do
            Assert.True(await watch.MoveNextAsync().AsTask().WaitAsync(RealNodes.Patience));
        while (watch.Current.What != WatchKind.Left);
        return watch.Current.Node.Name;
    }
}
