// Posts from clients, programs that are no nodes.
using System.Threading.Channels;
using Core.Groups;
using Toolkit.News;

namespace Toolkit.Tests.NewsToolkit;

public sealed class NewsPosterTests
{
    private const int Limit = 120_000; // milliseconds

    [Fact(Timeout = Limit)]
    public async Task A_client_posts_and_every_post_is_there_once_though_its_node_fails()
    {
        const int Posts = 60;
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        await using NewsService news = nodes[0].OpenNews();
        Channel<NewsPost> got = Channel.CreateUnbounded<NewsPost>();
        await using NewsSubscription subscription = await news.SubscribeAsync("markets.>", post => got.Writer.WriteAsync(post));
        var connect = new GroupClientOptions { Nodes = [nodes[1].ListenAddress, nodes[2].ListenAddress], ConnectTimeout = RealNodes.Patience };
        await using GroupClient client = await GroupClient.ConnectAsync(connect);
        NewsPoster poster = client.OpenNewsPoster();

        for (int i = 1; i <= Posts; i++)
        {
            if (i == Posts / 2) nodes.All.Single(n => n.Id == client.Server).Crash();
            Assert.Equal(i, await poster.PostAsync("markets.nyse.SUN", BitConverter.GetBytes(i)).AsTask().WaitAsync(RealNodes.Patience));
        }

        for (int i = 1; i <= Posts; i++)
        {
            NewsPost post = await got.Reader.ReadAsync().AsTask().WaitAsync(RealNodes.Patience);
            Assert.Equal((i, i, client.Id), (post.Number, BitConverter.ToInt32(post.Body.Span), post.From));
        }

        Assert.Equal(0, subscription.Dropped);
        Assert.False(got.Reader.TryRead(out _));
    }

    [Fact(Timeout = Limit)]
    public async Task A_post_that_nobody_would_get_is_refused()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(1);
        await using GroupClient client = await GroupClient.ConnectAsync(new GroupClientOptions { Nodes = [nodes[0].ListenAddress], ConnectTimeout = RealNodes.Patience });
        NewsPoster poster = client.OpenNewsPoster();
        await Assert.ThrowsAsync<GroupNotFoundException>(() => poster.PostAsync("markets.nyse", default).AsTask().WaitAsync(RealNodes.Patience));
        await Assert.ThrowsAsync<ArgumentException>(() => poster.PostAsync("markets.*", default).AsTask());
        Assert.ThrowsAny<ArgumentException>(() => client.OpenNewsPoster(new NewsOptions { Channels = 0 }));
    }
}
