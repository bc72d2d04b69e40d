// The news in the simulated cluster: posts of members and others, subscriptions that come and go, under every kind of trouble.
using Core.Groups;
using Core.Groups.Replication;
using Core.Groups.Testing.Replicas;
using Toolkit.News;
using Toolkit.News.Replication;
using Toolkit.Tests.Replication;

namespace Toolkit.Tests.NewsToolkit;

public sealed class NewsSimulationTests
{
    public static TheoryData<string> Scenarios => [.. ReplicaSimulation.Scenarios];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public void Subscribers_get_everything_once_and_in_its_order_whatever_fails(string scenario) =>
        ManySeeds.AllHold(scenario, _ => new NewsStory().Workload);

    [Fact]
    public void Runs_are_full_of_what_is_judged()
    {
        NewsStory[] stories = [.. Enumerable.Range(1, 20).Select(_ => new NewsStory())];
        for (int seed = 1; seed <= stories.Length; seed++)
            Assert.Empty(ReplicaSimulation.Run((ulong)seed, "mix", stories[seed - 1].Workload).Violations);
        Assert.True(stories.Sum(s => s.Received) > 1000, $"{stories.Sum(s => s.Received)} posts were received.");
        Assert.True(stories.Sum(s => s.Subscriptions) > 100, $"{stories.Sum(s => s.Subscriptions)} subscriptions.");
        Assert.True(stories.Sum(s => s.FromOutside) > 50, $"{stories.Sum(s => s.FromOutside)} posts from outside.");
        Assert.True(stories.Sum(s => s.AskedAgain) > 5, $"{stories.Sum(s => s.AskedAgain)} asked for again.");
        Assert.True(stories.Sum(s => s.AfterExclusions) > 1, $"{stories.Sum(s => s.AfterExclusions)} subscribers went on after an exclusion.");
    }

    [Theory]
    [InlineData(typeof(OthersLate), "comes after")]
    [InlineData(typeof(OthersLate), "elsewhere")]
    [InlineData(typeof(LosesAtFailures), "which its poster had seen")]
    [InlineData(typeof(LosesAtFailures), "members have different posts")]
    [InlineData(typeof(TellsAllAgain), "comes twice")]
    [InlineData(typeof(BelievesEverything), "comes twice")]
    public void A_broken_channel_is_found(Type broken, string violation) => Assert.Contains(
        Enumerable.Range(1, 60).SelectMany(seed => ReplicaSimulation.Run((ulong)seed, "mix", new NewsStory(broken).Workload).Violations),
        v => v.Contains(violation, StringComparison.Ordinal));

    /// <summary>What others send is carried out one message too late: no order is kept.</summary>
    internal sealed class OthersLate : NewsReplica
    {
        private readonly OneLate _late;

        public OthersLate(NewsOptions options, INewsEffects effects) : base(options, effects) => _late = new OneLate(base.OnMessage);

        protected override void OnMessage(in ReplicaMessage message) => _late.OnMessage(message, Port.Self);

        protected override void OnView(View view)
        {
            _late.CarryOut();
            base.OnView(view);
        }
    }

    /// <summary>The first message after a failure is not carried out.</summary>
    internal sealed class LosesAtFailures(NewsOptions options, INewsEffects effects) : NewsReplica(options, effects)
    {
        private bool _loses;

        protected override void OnMessage(in ReplicaMessage message)
        {
            if (!_loses)
                base.OnMessage(message);
            _loses = false;
        }

        protected override void OnView(View view)
        {
            _loses = !view.Left.IsEmpty;
            base.OnView(view);
        }
    }

    /// <summary>Who comes back after an exclusion is told everything.</summary>
    internal sealed class TellsAllAgain(NewsOptions options, INewsEffects effects) : NewsReplica(options, effects)
    {
        protected override void Load(ReadOnlyMemory<byte> state)
        {
            Initialize();
            base.Load(state);
        }
    }

    /// <summary>Posts that are asked for again are new ones.</summary>
    internal sealed class BelievesEverything(NewsOptions options, INewsEffects effects) : NewsReplica(options, effects)
    {
        protected override void OnMessage(in ReplicaMessage message) => base.OnMessage(New(message));

        protected override void OnRequest(in ReplicaMessage message, long token) => base.OnRequest(New(message), token);

        // The byte after the sequence (a varint: its last byte is below 128) says whether it may come again.
        private static ReplicaMessage New(in ReplicaMessage message)
        {
            byte[] body = message.Body.ToArray();
            body[Array.FindIndex(body, b => b < 128) + 1] &= 127;
            return new ReplicaMessage { From = message.From, Order = message.Order, Body = body };
        }
    }
}
