// The calls of a simulated run on a channel of the news, and what is wrong with what came of them.
// Judged: one order and numbers without gaps of a topic's totally ordered posts, posters' orders, causality, nothing twice, nothing lost to
// who subscribed the whole time (exclusions included), exact back issues, posts from outside that are asked for again are there once.
using System.Globalization;
using System.Text;
using Core.Groups;
using Core.Groups.Replication;
using Core.Groups.Testing.Replicas;
using Core.Groups.Testing.Simulation;
using Toolkit.News;
using Toolkit.News.Replication;

namespace Toolkit.Tests.NewsToolkit;

/// <summary>One run.</summary>
/// <param name="replica">A broken replica in place of the real one.</param>
internal sealed class NewsStory(Type? replica = null)
{
    private static readonly NewsOptions Options = new() { BackIssues = 10_000 }; // nothing goes: what is missing is lost
    private static readonly string[] Topics = ["a.x", "a.y", "b.x", "b.y.z"];
    private static readonly string[] Patterns = [">", "a.*", "*.x", "b.>"];
    private static readonly TimeSpan AskAgainAfter = TimeSpan.FromMilliseconds(300);

    private readonly Dictionary<(GroupId Group, string Topic, long Number), string> _numbers = [];
    private readonly Dictionary<string, (GroupId Group, string[] Seen)> _pasts = [];
    private readonly Dictionary<ReplicaSite, Desk> _present = [];
    private readonly List<(NodeId Poster, byte[] Body, Order Order)> _unanswered = [];
    private readonly HashSet<string> _fromOutside = [];
    private readonly List<string> _wrong = [];
    private long _last;

    public int Received { get; private set; }
    public int Subscriptions { get; private set; }
    public int FromOutside => _fromOutside.Count;
    public int AskedAgain { get; private set; }
    public int AfterExclusions { get; private set; }

    public ReplicaWorkload<NewsReplica> Workload => new()
    {
        Groups = ["/channel#news"],
        Create = site => (NewsReplica)Activator.CreateInstance(replica ?? typeof(NewsReplica), Options, _present[site] = new Desk(this, site))!,
        Act = Act,
        Ask = Ask,
        Check = sites => [.. _wrong, .. Check(sites)],
        ComparesStates = false, // causal and fifo posts come in several orders: Check looks at the posts
    };

    // ---- calls

    private void Act(ReplicaSite<NewsReplica> site, SimulationRandom random)
    {
        int kind = random.Below(10);
        string topic = Topics[random.Below(Topics.Length)], pattern = Patterns[random.Below(Patterns.Length)];
        var order = (NewsOrder)random.Below(3);
        int back = random.Below(2) * random.Below(20);
        site.Run(replica =>
        {
            Desk desk = _present[site];
            desk.Begin(replica);
            switch (kind)
            {
                case < 7:
                    desk.Post(replica, order, topic);
                    break;
                case < 9:
                    desk.Subscribe(replica, pattern, back);
                    break;
                default:
                    desk.Unsubscribe(replica);
                    break;
            }
        });
    }

    // A node that is no member, or is one. It asks again with the same body if there was no answer, as long as it is the same incarnation.
    private void Ask(ReplicaSite<NewsReplica> site, SimulationRandom random)
    {
        int open = site.IsMember ? _unanswered.FindIndex(u => u.Poster == site.Self) : -1;
        if (open >= 0)
        {
            var (_, body, order) = _unanswered[open];
            _unanswered.RemoveAt(open);
            AskedAgain++;
            Request(site, body, order);
        }
        else
        {
            var order = (NewsOrder)random.Below(3);
            string id = IdOf(++_last);
            _fromOutside.Add(id);
            byte[] body = NewsReplica.Format(
                new BodyWriter(), _last, order, DateTimeOffset.UnixEpoch, Topics[random.Below(Topics.Length)], Encoding.UTF8.GetBytes(id), mayBeAgain: true).ToArray();
            Request(site, body, NewsReplica.PrimitiveOf(order));
            if (!random.Chance(0.2))
                return;
            AskedAgain++; // at once: both are under way
            Request(site, body, NewsReplica.PrimitiveOf(order));
        }
    }

    private void Request(ReplicaSite<NewsReplica> site, byte[] body, Order order)
    {
        NodeId poster = site.Self;
        bool isMember = site.IsMember;
        site.Request(order, body, Replies.First, AskAgainAfter, replies =>
        {
            if (isMember && replies is not { Answers: [{ IsError: false }, ..] })
                _unanswered.Add((poster, body, order));
        });
    }

    private static string IdOf(long call) => string.Create(CultureInfo.InvariantCulture, $"post {call}");

    // ---- what is wrong

    private IEnumerable<string> Check(IReadOnlyList<ReplicaSite<NewsReplica>> sites)
    {
        if (sites.Count == 0)
            yield break;
        GroupId group = sites[0].Slot!.Id;
        foreach (string topic in Topics)
        {
            string[][] total = [.. sites.Select(s => KeptOf(s.Replica!, topic).Where(p => p.Order == NewsOrder.Total).Select(p => $"{p.Number} {TextOf(p)}").ToArray())];
            string[][] all = [.. sites.Select(s => KeptOf(s.Replica!, topic).Select(TextOf).Order(StringComparer.Ordinal).ToArray())];
            if (total.Any(t => !t.SequenceEqual(total[0])))
                yield return $"members have the posts of {topic} in different orders";
            if (all.Any(a => !a.SequenceEqual(all[0])))
                yield return $"members have different posts of {topic}";
            if (all[0].Distinct().Count() < all[0].Length)
                yield return $"a post of {topic} is there twice";
        }

        foreach (string wrong in sites.SelectMany(s => _present[s].Check(s.Replica!, group)))
            yield return wrong;
    }

    private static NewsPost[] KeptOf(NewsReplica replica, string topic) => replica.Back(topic, int.MaxValue);

    private static string TextOf(NewsPost post) => Encoding.UTF8.GetString(post.Body.Span);

    /// <summary>One process's side: its subscriptions live as long as it does, through exclusions.</summary>
    private sealed class Desk(NewsStory story, ReplicaSite<NewsReplica> site) : INewsEffects
    {
        private readonly List<Sink> _sinks = [];
        private readonly Dictionary<long, (GroupId Group, NodeId By)> _posted = [];
        private NodeId? _self;

        /// <summary>At the first call here this process subscribes to everything.</summary>
        public void Begin(NewsReplica replica)
        {
            if (_self is null)
                Subscribe(replica, ">", 0);
            else if (_self != site.Self)
                story.AfterExclusions++;
            _self = site.Self;
        }

        public void Post(NewsReplica replica, NewsOrder order, string topic)
        {
            long call = ++story._last;
            GroupId group = site.Slot!.Id;
            if (order == NewsOrder.Causal)
                story._pasts[IdOf(call)] = (group, [.. Topics.SelectMany(t => KeptOf(replica, t)).Select(TextOf)]);
            replica.Post(call, order, DateTimeOffset.UnixEpoch, topic, Encoding.UTF8.GetBytes(IdOf(call)));
        }

        public void Subscribe(NewsReplica replica, string pattern, int back)
        {
            var sink = new Sink(story, site, pattern);
            string[] kept = [.. Topics.Where(sink.Wants).SelectMany(t => KeptOf(replica, t)).Select(TextOf)];
            string[] expected = [.. Topics.Where(sink.Wants).SelectMany(t => KeptOf(replica, t).TakeLast(back)).Select(TextOf)];
            replica.Subscribe(sink, back, DateTimeOffset.MinValue);
            if (!sink.Got.Select(g => TextOf(g.Post)).SequenceEqual(expected))
                story._wrong.Add($"{site.Self} asked for {back} back issues of {pattern} and got others");
            sink.Begin(kept);
            _sinks.Add(sink);
            story.Subscriptions++;
        }

        public void Unsubscribe(NewsReplica replica)
        {
            if (_sinks.Count < 2)
                return; // the first one stays
            replica.Unsubscribe(_sinks[^1]);
            _sinks.RemoveAt(_sinks.Count - 1);
        }

        public IEnumerable<string> Check(NewsReplica replica, GroupId group)
        {
            NewsPost[] kept = [.. Topics.SelectMany(t => KeptOf(replica, t))];
            foreach (Sink sink in _sinks)
            {
                foreach (NewsPost lost in kept.Where(p => sink.Wants(p.Topic) && sink.Misses(TextOf(p))))
                    yield return $"{site.Self} subscribed to {sink.Pattern} and never got {TextOf(lost)} of {lost.Topic}";
            }

            HashSet<string> there = [.. kept.Select(TextOf)];
            foreach ((long call, _) in _posted.Where(p => p.Value == (group, site.Self) && !there.Contains(IdOf(p.Key))))
                yield return $"{IdOf(call)} of {site.Self} was answered, and it is not there";
        }

        public void Posted(long call, long number) => _posted.Add(call, (site.Slot!.Id, site.Self));

        public void Ended(long call, MembershipEnd end) { }

        public void Moved(long call) { }

        public void Changed() { }
    }

    /// <summary>One subscription.</summary>
    private sealed class Sink(NewsStory story, ReplicaSite site, string pattern) : INewsSink
    {
        private readonly TopicPattern _pattern = new(pattern);
        private readonly HashSet<string> _ids = [];
        private readonly HashSet<string> _before = [];
        private readonly Dictionary<(GroupId, string), long> _lastNumber = [];
        private readonly Dictionary<(GroupId, NodeId, NewsOrder), long> _lastOfPoster = [];
        private bool _begun;

        public string Pattern => pattern;

        public List<(GroupId Group, NewsPost Post)> Got { get; } = [];

        public bool Wants(string topic) => _pattern.Matches(topic);

        /// <summary>The back issues are over; these were there.</summary>
        public void Begin(IEnumerable<string> kept)
        {
            _before.UnionWith(kept);
            _begun = true;
        }

        public bool Misses(string id) => !_ids.Contains(id) && !_before.Contains(id);

        public void Add(NewsPost post)
        {
            GroupId group = site.Slot!.Id;
            string id = TextOf(post);
            if (!_ids.Add(id))
                Wrong($"{id} comes twice");
            if (!Wants(post.Topic))
                Wrong($"{id} of {post.Topic} is not wanted");
            if (post.Order == NewsOrder.Total)
                CheckNumber(group, post, id);
            else if (_begun && !story._fromOutside.Contains(id)) // what is asked for again comes when it comes
                CheckPoster(group, post, id);
            if (_begun && pattern == ">" && story._pasts.TryGetValue(id, out (GroupId Group, string[] Seen) past) && past.Group == group)
                CheckPast(id, past.Seen);
            Got.Add((group, post));
            story.Received++;
        }

        private void CheckNumber(GroupId group, NewsPost post, string id)
        {
            if (!story._numbers.TryAdd((group, post.Topic, post.Number), id) && story._numbers[(group, post.Topic, post.Number)] != id)
                Wrong($"{id} is number {post.Number} of {post.Topic}, which was {story._numbers[(group, post.Topic, post.Number)]} elsewhere");
            if (_lastNumber.TryGetValue((group, post.Topic), out long last) && post.Number != last + 1)
                Wrong($"number {post.Number} of {post.Topic} comes after {last}");
            _lastNumber[(group, post.Topic)] = post.Number;
        }

        private void CheckPoster(GroupId group, NewsPost post, string id)
        {
            if (_lastOfPoster.TryGetValue((group, post.From, post.Order), out long last) && post.Number <= last)
                Wrong($"{id} comes after a later one of its poster");
            _lastOfPoster[(group, post.From, post.Order)] = post.Number;
        }

        private void CheckPast(string id, string[] seen)
        {
            if (seen.FirstOrDefault(Misses) is { } missing)
                Wrong($"{id} comes before {missing}, which its poster had seen");
        }

        private void Wrong(string what) => story._wrong.Add($"{site.Self}, subscribed to {pattern}: {what}");
    }
}
