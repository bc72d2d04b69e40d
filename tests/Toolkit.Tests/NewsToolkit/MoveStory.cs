// Words that move between channels in a simulated run, and what is wrong with what subscribers got.
// Judged: nothing twice, nothing lost, numbers without gaps wherever a topic went, one number for one post, answered posts are there, posts from outside
// that are asked for again are there once; at rest each word is in one channel, the directory's.
using System.Text;
using Core.Groups;
using Core.Groups.Replication;
using Core.Groups.Testing.Replicas;
using Core.Groups.Testing.Simulation;
using Toolkit.News;
using Toolkit.News.Placement;
using Toolkit.News.Replication;

namespace Toolkit.Tests.NewsToolkit;

/// <summary>One run.</summary>
/// <param name="weakness">What is done wrong, for a test of the judge.</param>
internal sealed class MoveStory(MoveWeakness weakness = MoveWeakness.None)
{
    public const int Channels = 3;
    private const string Directory = "/directory";
    private static readonly NewsOptions Options = new() { Channels = Channels, BackIssues = 10_000 }; // nothing goes: what is missing is lost
    private static readonly string[] Words = ["a", "b", "c", "d"];

    private readonly MoveWeakness _weakness = weakness;
    private readonly Dictionary<string, Desk> _desks = [];
    private readonly HashSet<GroupId> _groups = [];
    private readonly Dictionary<(int Epoch, string Topic, long Number), string> _numbers = [];
    private readonly List<(NodeId Poster, byte[] Body, NewsOrder Order, string Topic)> _unanswered = [];
    private readonly List<string> _wrong = [];
    private long _last;

    public int Received { get; private set; }
    public int Moves { get; private set; }
    public int Returns { get; private set; }

    /// <summary>A group that is made anew has lost what it held: what was known before does not count after.</summary>
    private int Epoch => _groups.Count;

    public ReplicaWorkload<Replica> Workload => new()
    {
        Groups = [Directory, .. Enumerable.Range(0, Channels).Select(GroupOf)],
        Create = Create,
        Act = (site, random) => DeskOf(site).Act(random),
        Ask = (site, random) => DeskOf(site).Ask(random),
        Check = _ => [.. _wrong, .. _desks.Values.Where(d => d.IsUp).SelectMany(d => d.Check())],
        ComparesStates = false, // causal and fifo posts come in several orders
    };

    private static string GroupOf(int channel) => $"/{channel}";

    private Desk DeskOf(ReplicaSite<Replica> site) => _desks.TryGetValue(site.Node, out Desk? desk) ? desk : _desks[site.Node] = new Desk(this, site.Node);

    // A replica that is made again is that of another process: what subscribed there is gone.
    private Replica Create(ReplicaSite<Replica> site)
    {
        Desk desk = DeskOf(site);
        if (desk.Has(site.Group))
            desk = _desks[site.Node] = desk.End();
        return desk.Create(site);
    }

    private static string TextOf(NewsPost post) => Encoding.UTF8.GetString(post.Body.Span);

    /// <summary>One process's side.</summary>
    private sealed class Desk : INewsWorld
    {
        private readonly MoveStory _story;
        private readonly SortedDictionary<string, ReplicaSite<Replica>> _sites = new(StringComparer.Ordinal);
        private readonly List<Sink> _sinks = [];
        private readonly NewsRouter _router;
        private readonly SortedSet<string> _held = new(StringComparer.Ordinal) { Directory };
        private readonly Dictionary<long, (string Topic, string Text, NewsOrder Order)> _posting = [];
        private readonly List<(int Epoch, NodeId By, string Text)> _posted = [];
        private ReplicaSite<Replica>? _inside;
        private NodeId _self;

        /// <summary>Its subscriptions are over. Gives the one that follows.</summary>
        public Desk End()
        {
            _sinks.ForEach(s => s.IsOver = true);
            var next = new Desk(_story, Node);
            foreach ((string group, ReplicaSite<Replica> site) in _sites)
                next._sites.Add(group, site);
            return next;
        }

        public Desk(MoveStory story, string node)
        {
            (_story, Node) = (story, node);
            _router = new NewsRouter(this, Channels, TimeSpan.FromHours(1));
            foreach (string? word in (string?[])["a", "b", null, "d"])
            {
                var sink = new Sink(story, this, word);
                _sinks.Add(sink);
                _router.Add(sink.Route = new Route(sink, word, 10_000, DateTimeOffset.MinValue, () => sink.Begun = story.Epoch));
            }
        }

        public string Node { get; }
        public bool IsUp => _sites.Values.Any(s => s.IsUp);
        public TimeSpan Now => TimeSpan.Zero;
        public IEnumerable<int> Open => Enumerable.Range(0, Channels).Where(c => _sites.TryGetValue(GroupOf(c), out ReplicaSite<Replica>? site) && site.IsMember);

        public bool Has(string group) => _sites.ContainsKey(group);

        public Replica Create(ReplicaSite<Replica> site)
        {
            _sites[site.Group] = site;
            return site.Group == Directory ? new NewsDirectory(Channels, () => _story.DeskOf(site).Changed(site)) : new NewsReplica(Options, new Effects(_story, site), int.Parse(site.Group[1..]));
        }

        // ---- the router's world

        public bool TryDirectory(Action<NewsDirectory> call) => TryRun(Directory, r => call((NewsDirectory)r));

        public bool TryChannel(int channel, Action<NewsReplica> call) => TryRun(GroupOf(channel), r => call((NewsReplica)r));

        public void Hold(int channel) => _held.Add(GroupOf(channel));

        public void Let(int channel) { } // who is there stays

        private bool TryRun(string group, Action<Replica> call)
        {
            if (!_sites.TryGetValue(group, out ReplicaSite<Replica>? site) || !site.IsMember)
                return false;
            if (_inside == site)
                call(site.Replica!);
            else
                site.Run(call);
            return true;
        }

        private void Changed(ReplicaSite<Replica> site)
        {
            if (_sites.Values.Prepend(site).FirstOrDefault(s => s.Slot is { IsLive: true }) is { } live)
                live.After(TimeSpan.FromMilliseconds(1), _ => Inside(live, Step));
        }

        public void Inside(ReplicaSite<Replica> site, Action act)
        {
            _inside = site;
            act();
            _inside = null;
        }

        public void Step()
        {
            NodeId self = _sites.Values.First().Self;
            if (_self.Name is not null && self != _self && _sinks.Exists(s => s.Begun is not null))
                _story.Returns++;
            _self = self;
            foreach (ReplicaSite<Replica> site in _sites.Values.Where(s => s.IsMember))
                _story._groups.Add(site.Slot!.Id);
            if (_story._weakness == MoveWeakness.ShowsAtOnce)
            {
                for (int channel = 0; channel < Channels; channel++)
                    TryChannel(channel, r => r.Held.ToList().ForEach(w => r.Show(w, [.. _sinks.Where(k => k.Route.Channels.Contains(channel)).Select(k => ((INewsSink)k, new PassedOn(0, new HashSet<PostId>())))])));
            }

            _router.Step();
            foreach (string group in _held)
                _sites.Values.First(s => s.IsUp).JoinGroup(group);
        }

        // ---- random calls

        public void Act(SimulationRandom random)
        {
            string word = Words[random.Below(Words.Length)];
            (string topic, var order, int to, bool moves) = ($"{word}.{random.Below(2)}", (NewsOrder)random.Below(3), random.Below(Channels), random.Below(4) == 0);
            Step();
            if (moves)
                TryDirectory(d => d.Propose(word, to));
            else
                Post(topic, $"post {++_story._last}", order);
        }

        private void Post(string topic, string text, NewsOrder order)
        {
            DirectoryLook? look = null;
            if (!TryDirectory(d => look = d.Look()))
                return;
            TryChannel(look!.PlaceOf(WordTable.WordOf(topic)), r =>
            {
                long call = ++_story._last;
                _posting[call] = (topic, text, order);
                r.Post(call, order, DateTimeOffset.UnixEpoch, topic, Encoding.UTF8.GetBytes(text));
            });
        }

        public void Ask(SimulationRandom random)
        {
            ReplicaSite<Replica>? site = _sites.Values.FirstOrDefault(s => s.IsMember);
            if (site is null)
                return;
            int open = _story._unanswered.FindIndex(u => u.Poster == site.Self);
            if (open < 0)
            {
                string topic = $"{Words[random.Below(Words.Length)]}.{random.Below(2)}";
                byte[] body = NewsReplica.Format(
                    new BodyWriter(), ++_story._last, NewsOrder.Total, DateTimeOffset.UnixEpoch, topic, Encoding.UTF8.GetBytes($"asked {_story._last}"), mayBeAgain: true).ToArray();
                _story._unanswered.Add((site.Self, body, NewsOrder.Total, topic));
                open = _story._unanswered.Count - 1;
            }

            var asked = _story._unanswered[open];
            DirectoryLook? look = null;
            if (!TryDirectory(d => look = d.Look()) || !_sites.TryGetValue(GroupOf(look!.PlaceOf(WordTable.WordOf(asked.Topic))), out ReplicaSite<Replica>? to))
                return;
            _story._unanswered.RemoveAt(open);
            to.Request(NewsReplica.PrimitiveOf(asked.Order), asked.Body, Replies.First, TimeSpan.FromMilliseconds(300), replies =>
            {
                if (replies is not { Answers: [{ IsError: false } answer, ..] } || new BodyReader(answer.Body).Varint() == NewsReplica.Elsewhere)
                    _story._unanswered.Add(asked);
            });
        }

        // ---- at rest

        public IEnumerable<string> Check()
        {
            DirectoryLook? look = null;
            if (!TryDirectory(d => look = d.Look()) || Open.Count() < Channels)
                yield break;
            if (look!.Move is { } move)
            {
                yield return $"at rest {Node} still waits for move {move.Number} of {move.Word} from {move.From} to {move.To}; ready: {string.Join(' ', look.Ready)}, mover {look.Mover}";
                yield break;
            }

            _story.Moves = Math.Max(_story.Moves, (int)look.LastMove);
            var kept = new Dictionary<string, NewsPost[]>();
            foreach (string word in Words)
            {
                int[] have = [.. Open.Where(c => this.Any(c, r => r.Words.Has(word)))];
                if (!have.SequenceEqual([look.PlaceOf(word)]))
                    yield return $"at {Node} {word} is in [{string.Join(' ', have)}], and the directory says {look.PlaceOf(word)}";
                TryChannel(look.PlaceOf(word), r => kept[word] = [.. Enumerable.Range(0, 2).SelectMany(t => r.Back($"{word}.{t}", int.MaxValue))]);
            }

            HashSet<string> there = [.. kept.Values.SelectMany(p => p).Select(TextOf)];
            if (there.Count < kept.Values.Sum(p => p.Length))
                yield return $"a post is there twice at {Node}";
            foreach ((_, _, string text) in _posted.Where(p => p.Epoch == _story.Epoch && p.By == look.Self && !there.Contains(p.Text)))
                yield return $"{text} of {Node} was answered, and it is not there";
            foreach (Sink sink in _sinks)
            {
                if (sink.Begun is null)
                    yield return $"a subscription of {Node} to {sink.Route.Word ?? "all"} never began";
                else if (sink.Begun == _story.Epoch && kept.Values.SelectMany(p => p).FirstOrDefault(p => sink.Wants(p.Topic) && !sink.Ids.Contains(TextOf(p))) is { } lost)
                    yield return $"{Node} subscribed to {sink.Route.Word ?? "all"} and never got {TextOf(lost)} of {lost.Topic}";
            }
        }

        /// <summary>What one channel tells.</summary>
        private sealed class Effects(MoveStory story, ReplicaSite<Replica> site) : INewsEffects
        {
            private Desk Of => story.DeskOf(site);

            public void Posted(long call, long number)
            {
                if (Of._posting.Remove(call, out var posted))
                    Of._posted.Add((story.Epoch, site.Self, posted.Text));
            }

            public void Moved(long call)
            {
                if (Of._posting.Remove(call, out var again) && site.Slot is { IsLive: true })
                    site.After(TimeSpan.FromMilliseconds(5), _ => Of.Inside(site, () => Of.Post(again.Topic, again.Text, again.Order)));
            }

            public void Ended(long call, MembershipEnd end) => Of._posting.Remove(call);

            public void Changed() => Of.Changed(site);
        }
    }

    /// <summary>One subscription.</summary>
    private sealed class Sink(MoveStory story, Desk desk, string? word) : INewsSink
    {
        private readonly Dictionary<string, (int Epoch, long Number)> _last = [];

        public Route Route { get; set; } = null!;

        /// <summary>In which epoch it began.</summary>
        public int? Begun { get; set; }

        public HashSet<string> Ids { get; } = [];

        public bool IsOver { get; set; }

        public bool Wants(string topic) => word is null || WordTable.WordOf(topic) == word;

        public void Add(NewsPost post)
        {
            string text = TextOf(post);
            if (IsOver)
                return;
            story.Received++;
            if (!Ids.Add(text))
                Wrong($"{text} of {post.Topic} comes twice");
            if (post.Order != NewsOrder.Total)
                return;
            if (!story._numbers.TryAdd((story.Epoch, post.Topic, post.Number), text) && story._numbers[(story.Epoch, post.Topic, post.Number)] != text)
                Wrong($"{text} is number {post.Number} of {post.Topic}, which was {story._numbers[(story.Epoch, post.Topic, post.Number)]} elsewhere");
            if (_last.TryGetValue(post.Topic, out var last) && last.Epoch == story.Epoch && post.Number != last.Number + 1)
                Wrong($"number {post.Number} of {post.Topic} comes after {last.Number}");
            _last[post.Topic] = (story.Epoch, post.Number);
        }

        private void Wrong(string what) => story._wrong.Add($"{desk.Node}, subscribed to {word ?? "all"}: {what}");
    }
}

/// <summary>What a run does wrong, for a test of the judge.</summary>
public enum MoveWeakness { None, ShowsAtOnce }
