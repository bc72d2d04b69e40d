// The news: patterns, the replica delivery by delivery, and services on real nodes.
using System.Collections.Concurrent;
using System.Threading.Channels;
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.News;
using Toolkit.News.Replication;
using Toolkit.Tests.HandFed;

namespace Toolkit.Tests.NewsToolkit;

public sealed class NewsTests
{
    private const int Limit = 120_000; // milliseconds

    private static readonly int Seeds = int.TryParse(Environment.GetEnvironmentVariable("TOOLKIT_SEEDS"), out int seeds) ? seeds : 300;

    private sealed class Effects : INewsEffects
    {
        public Dictionary<long, long> Posts { get; } = [];

        public void Posted(long call, long number) => Posts.Add(call, number);

        public void Ended(long call, MembershipEnd end) { }

        public void Moved(long call) { }

        public void Changed() { }
    }

    private sealed class Reader(string pattern) : INewsSink
    {
        private readonly TopicPattern _pattern = new(pattern);

        public List<NewsPost> Got { get; } = [];

        public bool Wants(string topic) => _pattern.Matches(topic);

        public void Add(NewsPost post) => Got.Add(post);
    }

    [Theory]
    [InlineData("markets.nyse.SUN", "markets.nyse.SUN", true)]
    [InlineData("markets.nyse.*", "markets.nyse.SUN", true)]
    [InlineData("markets.*.SUN", "markets.nyse.SUN", true)]
    [InlineData("markets.>", "markets.nyse.SUN", true)]
    [InlineData(">", "markets", true)]
    [InlineData("markets.>", "markets", false)]
    [InlineData("markets.*", "markets.nyse.SUN", false)]
    [InlineData("markets.nyse.SUN", "markets.nyse", false)]
    [InlineData("markets.nyse", "markets.nyse.SUN", false)]
    [InlineData("*.nyse", "marketsXnyse", false)]
    public void Patterns(string pattern, string topic, bool matches) => Assert.Equal(matches, new TopicPattern(pattern).Matches(topic));

    [Theory]
    [InlineData("")]
    [InlineData("a..b")]
    [InlineData("a.")]
    [InlineData("a b")]
    [InlineData("a.>.b")]
    [InlineData("a*")]
    public void What_is_no_pattern_is_refused(string pattern) => Assert.Throws<ArgumentException>(() => new TopicPattern(pattern));

    [Fact]
    public void Subscribers_get_back_issues_and_then_everything_and_nothing_else()
    {
        (HandFedGroup<NewsReplica> group, HandFedMember<NewsReplica>[] members) = Start(2);
        for (int i = 1; i <= 7; i++)
            Post(members[0], i, "a.x");
        Post(members[1], 8, "b.x");
        group.Settle();
        (Reader some, Reader all) = (new("a.*"), new(">"));
        members[1].Replica.Subscribe(some, 3, DateTimeOffset.MinValue);
        members[1].Replica.Subscribe(all, 0, DateTimeOffset.MinValue);
        Assert.Equal([5L, 6, 7], some.Got.Select(p => p.Number)); // five are kept, three were asked for
        Assert.Equal([3L, 4, 5, 6, 7], members[0].Replica.Back("a.x", 100).Select(p => p.Number));
        Post(members[1], 9, "a.x");
        Post(members[1], 10, "b.x");
        group.Settle();
        Assert.Equal([5L, 6, 7, 8], some.Got.Select(p => p.Number));
        Assert.Equal(["a.x", "b.x"], all.Got.Select(p => p.Topic));
        Assert.Equal(10, members[0].Replica.Unwanted);
        members[1].Replica.Unsubscribe(some);
        Post(members[0], 11, "a.x");
        group.Settle();
        Assert.Equal(4, some.Got.Count);
    }

    [Fact]
    public void Back_issues_outlive_their_poster_and_old_ones_go_first()
    {
        (HandFedGroup<NewsReplica> group, HandFedMember<NewsReplica>[] members) = Start(2);
        for (int i = 1; i <= 30; i++)
            Post(members[1], i, $"t{i % 10}");
        group.Settle();
        group.Exclude(members[1]);
        HandFedMember<NewsReplica> joiner = group.Join("c", () => new NewsReplica(Options, new Effects()));
        Assert.Equal(20, Enumerable.Range(0, 10).Sum(t => joiner.Replica.Back($"t{t}", 100).Length)); // no more are kept in a channel
        Assert.Equal([2L, 3], joiner.Replica.Back("t0", 100).Select(p => p.Number));
    }

    [Fact]
    public void Who_was_excluded_gets_what_it_missed_once()
    {
        (HandFedGroup<NewsReplica> group, HandFedMember<NewsReplica>[] members) = Start(2);
        var reader = new Reader(">");
        members[1].Replica.Subscribe(reader, 0, DateTimeOffset.MinValue);
        Post(members[0], 1, "a");
        group.Settle();
        group.Exclude(members[1]);
        Post(members[0], 2, "a");
        Post(members[0], 3, "a");
        group.Settle();
        group.Join("b", () => members[1].Replica);
        Assert.Equal([1L, 2, 3], reader.Got.Select(p => p.Number));
    }

    [Fact]
    public void What_comes_from_outside_twice_is_one_post()
    {
        (HandFedGroup<NewsReplica> group, HandFedMember<NewsReplica>[] members) = Start(2);
        var numbers = new List<long>();
        members[0].Replied = (_, body, _) => numbers.Add(new BodyReader(body!).Varint());
        byte[] post = NewsReplica.Format(new BodyWriter(), 5, NewsOrder.Total, DateTimeOffset.UnixEpoch, "a", "x"u8, mayBeAgain: true).ToArray();
        group.Request(new NodeId("outside", 1), post, Order.Safe);
        group.Request(new NodeId("outside", 1), post, Order.Safe);
        group.Request(new NodeId("other", 1), post, Order.Safe);
        group.Settle();
        Assert.Equal([1L, 1, 2], numbers);
        Assert.Equal(2, members[1].Replica.Back("a", 10).Length);
    }

    [Fact]
    public void All_subscribers_see_each_topic_alike_whoever_comes_and_goes()
    {
        for (int seed = 1; seed <= Seeds; seed++)
            Assert.Null(Run(seed) is { } broken ? $"seed {seed}: {broken}" : null);
    }

    [Fact]
    public void The_judge_sees_what_is_broken()
    {
        Assert.Contains("after 1, 3", Judge([1, 3]));
        Assert.Contains("after 2, 1", Judge([2, 1]));
        Assert.Contains("after 1, 1", Judge([1, 1]));
        Assert.Null(Judge([4, 5, 6]));
    }

    [Fact]
    public void Bytes_that_nobody_wrote_change_nothing_and_a_cut_state_is_refused()
    {
        (HandFedGroup<NewsReplica> group, HandFedMember<NewsReplica>[] members) = Start(2);
        Post(members[0], 1, "a.b");
        Post(members[0], 2, "a.c");
        group.Settle();
        byte[] state = members[0].Replica.Save().ToArray();
        for (int cut = 0; cut < state.Length; cut++)
            Assert.ThrowsAny<FormatException>(() => Start(1).Members[0].Replica.Load(state.AsMemory(0, cut)));
        var random = new Random(1);
        for (int i = 0; i < 5000; i++)
        {
            byte[] body = new byte[random.Next(30)];
            random.NextBytes(body);
            foreach (HandFedMember<NewsReplica> member in members)
                member.Replica.OnMessage(new ReplicaMessage { From = members[0].Id, Order = Order.Reliable, Body = body });
        }

        Assert.Equal(state, members[1].Replica.Save().ToArray());
    }

    [Fact(Timeout = Limit)]
    public async Task Posts_of_members_and_others_reach_all_subscribers_in_one_order()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(4);
        NewsService[] services = [nodes[0].OpenNews(), nodes[1].OpenNews(), nodes[2].OpenNews(), nodes[3].OpenNews()];
        Channel<NewsPost>[] got = new Channel<NewsPost>[3];
        await services[0].PostAsync("markets.nyse.SUN", "0"u8.ToArray()).AsTask().WaitAsync(RealNodes.Patience); // nobody listens yet
        for (int i = 0; i < 3; i++)
        {
            Channel<NewsPost> mine = got[i] = Channel.CreateUnbounded<NewsPost>();
            await services[i].SubscribeAsync("markets.>", post => mine.Writer.WriteAsync(post), new() { BackIssues = 10 }).AsTask().WaitAsync(RealNodes.Patience);
        }

        await Task.WhenAll(services.SelectMany(s => Enumerable.Range(0, 50).Select(i => s.PostAsync("markets.nyse.SUN", BitConverter.GetBytes(i)).AsTask()))).WaitAsync(RealNodes.Patience);
        var seen = new List<NewsPost[]>();
        foreach (Channel<NewsPost> channel in got)
        {
            var posts = new NewsPost[201];
            for (int i = 0; i < posts.Length; i++)
                posts[i] = await channel.Reader.ReadAsync().AsTask().WaitAsync(RealNodes.Patience);
            seen.Add(posts);
        }

        Assert.Equal(Enumerable.Range(1, 201).Select(n => (long)n), seen[0].Select(p => p.Number));
        Assert.All(seen, s => Assert.Equal(seen[0].Select(p => (p.From, p.Number)), s.Select(p => (p.From, p.Number))));
        Assert.Equal(100, (await services[3].BackAsync("markets.nyse.SUN", 1000)).Count);
    }

    [Fact(Timeout = Limit)]
    public async Task A_slow_subscriber_loses_posts_of_its_own_and_holds_up_nobody()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(1);
        await using NewsService news = nodes[0].OpenNews();
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var last = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var slow = new ConcurrentQueue<long>();
        NewsSubscription behind = await news.SubscribeAsync("a.b", async post =>
        {
            slow.Enqueue(post.Number);
            await gate.Task;
            throw new InvalidOperationException("counted");
        }, new() { MaximumWaiting = 10 });
        await using NewsSubscription quick = await news.SubscribeAsync("a.*", post =>
        {
            if (post.Number == 500)
                last.SetResult();
            return default;
        });
        for (int i = 0; i < 500; i++)
            await news.PostAsync("a.b", "x"u8.ToArray());
        await last.Task.WaitAsync(RealNodes.Patience);
        await behind.DisposeAsync();
        gate.SetResult();
        await behind.Completion.WaitAsync(RealNodes.Patience);
        Assert.Equal(500, slow.Count + behind.Dropped);
        Assert.Equal(slow.Count, behind.Errors);
        Assert.Equal(0, quick.Dropped);
        Assert.InRange(slow.Count, 10, 11);
        await Assert.ThrowsAsync<ArgumentException>(() => news.PostAsync("a.*", default).AsTask());
    }

    [Fact(Timeout = Limit)]
    public async Task A_subscriber_that_stands_still_holds_up_the_others_until_they_go_on_without_it()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3, RealNodes.SuspectsSoon);
        NewsService[] news = [.. nodes.All.Select(n => n.OpenNews())];
        Channel<long> got = Channel.CreateUnbounded<long>(), late = Channel.CreateUnbounded<long>();
        await using NewsSubscription quick = await news[1].SubscribeAsync("a.b", post => got.Writer.WriteAsync(post.Number));
        await using NewsSubscription slow = await news[2].SubscribeAsync("a.b", post => late.Writer.WriteAsync(post.Number));
        await using (await nodes.FreezeAsync(2))
        {
            Assert.Equal(1, await news[0].PostAsync("a.b", "x"u8.ToArray()).AsTask().WaitAsync(RealNodes.Patience));
            Assert.Equal(1, await got.Reader.ReadAsync().AsTask().WaitAsync(RealNodes.Patience));
        }

        Assert.Equal(1, await late.Reader.ReadAsync().AsTask().WaitAsync(RealNodes.Patience)); // it comes back, and gets what it missed
    }

    private static readonly NewsOptions Options = new() { BackIssues = 5, BackIssuesOfChannel = 20 };

    private static (HandFedGroup<NewsReplica> Group, HandFedMember<NewsReplica>[] Members) Start(int members)
    {
        var group = new HandFedGroup<NewsReplica>();
        return (group, [.. Enumerable.Range(0, members).Select(i => group.Join(((char)('a' + i)).ToString(), () => new NewsReplica(Options, new Effects())))]);
    }

    private static void Post(HandFedMember<NewsReplica> member, long call, string topic) => member.Replica.Post(call, NewsOrder.Total, DateTimeOffset.UnixEpoch, topic, "x"u8);

    // A subscriber has seen the numbers of a topic without a gap, in order, each once.
    private static string? Judge(IReadOnlyList<long> numbers)
    {
        for (int i = 1; i < numbers.Count; i++)
        {
            if (numbers[i] != numbers[i - 1] + 1)
                return $"after {numbers[i - 1]}, {numbers[i]}";
        }

        return null;
    }

    private static string? Run(int seed)
    {
        var random = new Random(seed);
        var group = new HandFedGroup<NewsReplica>();
        var readers = new List<Reader>();
        long call = 0;
        for (int step = 0; step < 200; step++)
        {
            if (group.Members.Count == 0 || (random.Next(20) == 0 && group.Members.Count < 5))
                group.Join($"m{step}", () => new NewsReplica(Options, new Effects()));
            HandFedMember<NewsReplica> member = group.Members[random.Next(group.Members.Count)];
            switch (random.Next(20))
            {
                case < 8:
                    Post(member, ++call, $"t{random.Next(3)}");
                    break;
                case 8:
                    group.Request(new NodeId("outside", 1), NewsReplica.Format(new BodyWriter(), ++call, NewsOrder.Total, default, "t0", "x"u8, mayBeAgain: true), Order.Safe);
                    break;
                case 9:
                    readers.Add(new Reader($"t{random.Next(3)}"));
                    member.Replica.Subscribe(readers[^1], random.Next(4), DateTimeOffset.MinValue);
                    break;
                case 10 when group.Members.Count > 1:
                    group.Exclude(member);
                    break;
                default:
                    group.DeliverOne(random.Next);
                    break;
            }
        }

        group.Settle();
        if (group.Members.Select(m => Convert.ToHexString(m.Replica.Save().Span)).Distinct().Count() > 1)
            return "members keep different back issues";
        return readers.Select(r => Judge([.. r.Got.Select(p => p.Number)])).FirstOrDefault(broken => broken is not null);
    }
}
