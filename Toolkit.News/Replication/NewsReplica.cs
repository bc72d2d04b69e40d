// One channel of the news at one member: the topics that it carries, their back issues, and who here wants which.
// Keeps: totally ordered posts of a topic have the same numbers at all members; who subscribes gets the back issues and every
// later post, none twice; after an exclusion, what came meanwhile and is still kept.
// Follows: "History of virtual synchrony", how replication was used: topics mapped on few groups, and filtered.
using System.Diagnostics.CodeAnalysis;
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.News.Replication;

/// <summary>What the replica tells its face. Called between deliveries, one call at a time.</summary>
internal interface INewsEffects
{
    /// <summary>A call has ended.</summary>
    void Posted(long call, long number);

    /// <summary>The membership ended before a call did.</summary>
    void Ended(long call, MembershipEnd end);
}

/// <summary>Who wants posts.</summary>
internal interface INewsSink
{
    bool Wants(string topic);

    void Add(NewsPost post);
}

/// <summary>One member's copy. The bodies of posts: sequence of the poster, order (and 128: it may come again), time in ms since 1970, topic, content.</summary>
[SuppressMessage("Performance", "CA1852", Justification = "Tests of the checkers derive broken channels.")]
internal class NewsReplica(NewsOptions options, INewsEffects effects) : Replica
{
    private const byte MayBeAgain = 128;
    private const int MostOutside = 4096;

    private readonly Dictionary<string, Topic> _topics = [];
    private Queue<(Topic Topic, long Place)> _arrivals = []; // all kept posts in their order, and some that are gone
    private readonly List<INewsSink> _sinks = [];
    private readonly Dictionary<(NodeId Poster, long Sequence), long> _outside = []; // the numbers of the last posts that may come again
    private readonly Queue<(NodeId Poster, long Sequence)> _outsideOrder = [];
    private readonly HashSet<long> _calls = [];
    private readonly BodyWriter _body = new();
    private long _lastPlace;
    private int _kept;
    private int _version;

    private sealed class Topic(string name)
    {
        public string Name => name;
        public long Last { get; set; }
        public Queue<(long Sequence, long Place, NewsPost Post)> Posts { get; } = [];

        /// <summary>Posts go in their order: what was before the first is gone.</summary>
        public bool IsGone(long place) => Posts.Count == 0 || Posts.Peek().Place > place;

        /// <summary>Who wants it, as of a version of the subscriptions.</summary>
        public INewsSink[] Sinks { get; set; } = [];
        public int Version { get; set; } = -1;
    }

    public INewsEffects Effects => effects;

    public int Topics => _topics.Count;

    /// <summary>Posts that were delivered here, and those that nobody here wanted.</summary>
    public long Delivered { get; private set; }
    public long Unwanted { get; private set; }

    /// <summary>
    /// What carries a post. Not the plain total order: a number that somebody was shown could then be given to another post, by those who go on without that node.
    /// </summary>
    public static Order PrimitiveOf(NewsOrder order) => order switch { NewsOrder.Total => Order.Safe, NewsOrder.Causal => Order.Causal, _ => Order.Fifo };

    /// <param name="mayBeAgain">Its poster may send it again, because the answer is lost: it is one post all the same.</param>
    public static ReadOnlySpan<byte> Format(
        BodyWriter body, long sequence, NewsOrder order, DateTimeOffset time, string topic, ReadOnlySpan<byte> content, bool mayBeAgain = false)
    {
        body.Reset().Varint(sequence);
        body.Byte((byte)((byte)order | (mayBeAgain ? MayBeAgain : 0)));
        body.Varint(Math.Max(0, time.ToUnixTimeMilliseconds()));
        body.Text(topic);
        body.Raw(content);
        return body.Written;
    }

    public void Post(long call, NewsOrder order, DateTimeOffset time, string topic, ReadOnlySpan<byte> content)
    {
        Port.Multicast(PrimitiveOf(order), Format(_body, call, order, time, topic, content));
        _calls.Add(call);
    }

    /// <summary>From now on the sink gets what it wants, back issues first.</summary>
    public void Subscribe(INewsSink sink, int back, DateTimeOffset since)
    {
        _sinks.Add(sink);
        _version++;
        if (back == 0)
            return;
        foreach (Topic topic in _topics.Values.Where(t => sink.Wants(t.Name)).OrderBy(t => t.Name, StringComparer.Ordinal))
        {
            foreach (NewsPost post in BackOf(topic, back).Where(p => p.Time >= since))
                sink.Add(post);
        }
    }

    public void Unsubscribe(INewsSink sink)
    {
        _sinks.Remove(sink);
        _version++;
    }

    /// <summary>The last posts of a topic, the oldest first.</summary>
    public NewsPost[] Back(string topic, int count) => _topics.TryGetValue(topic, out Topic? found) ? [.. BackOf(found, count)] : [];

    private static IEnumerable<NewsPost> BackOf(Topic topic, int count) => topic.Posts.Skip(Math.Max(0, topic.Posts.Count - count)).Select(p => p.Post);

    // ---- deliveries

    protected override void OnMessage(in ReplicaMessage message)
    {
        if (TryAdd(message, out long sequence, out long number) && message.From == Port.Self && _calls.Remove(sequence))
            effects.Posted(sequence, number);
    }

    protected override void OnRequest(in ReplicaMessage message, long token)
    {
        bool isRead = TryAdd(message, out _, out long number);
        if (Port.View.RankOf(Port.Self) != 0)
        {
            Port.NoReply(token); // if the oldest fails before it has answered, the poster asks again
        }
        else if (!isRead)
        {
            Port.Reply(token, "this is no post"u8, isError: true);
        }
        else
        {
            _body.Reset().Varint(number);
            Port.Reply(token, _body.Written);
        }
    }

    // What may come again is looked for first. That does not depend on how it comes: to a member that need not answer, a request is a message.
    private bool TryAdd(in ReplicaMessage message, out long sequence, out long number)
    {
        (sequence, number) = (0, 0);
        string name;
        NewsOrder order;
        bool mayBeAgain;
        DateTimeOffset time;
        var reader = new BodyReader(message.Body);
        try
        {
            sequence = reader.Varint();
            byte kind = reader.Byte();
            (order, mayBeAgain) = ((NewsOrder)(kind & ~MayBeAgain), (kind & MayBeAgain) != 0);
            long milliseconds = reader.Varint();
            name = reader.Text();
            bool isSound = milliseconds <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds() && name.Length <= TopicPattern.MaximumLength
                && order <= NewsOrder.Fifo && message.Order == PrimitiveOf(order);
            if (!isSound)
                return false;
            time = DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);
        }
        catch (FormatException)
        {
            return false; // nobody of this library wrote it, and all members pass it over alike
        }

        if (mayBeAgain && _outside.TryGetValue((message.From, sequence), out number))
            return true;
        if (!_topics.TryGetValue(name, out Topic? topic))
            _topics.Add(name, topic = new Topic(name));
        number = order == NewsOrder.Total ? ++topic.Last : sequence;
        if (mayBeAgain)
            Remember(message.From, sequence, number);
        Keep(topic, sequence, new NewsPost(topic.Name, message.From, order, number, time, reader.Rest()), isNew: true);
        return true;
    }

    private void Remember(NodeId poster, long sequence, long number)
    {
        if (!_outside.TryAdd((poster, sequence), number))
            return;
        _outsideOrder.Enqueue((poster, sequence));
        if (_outsideOrder.Count > MostOutside)
            _outside.Remove(_outsideOrder.Dequeue());
    }

    private void Keep(Topic topic, long sequence, NewsPost post, bool isNew)
    {
        topic.Posts.Enqueue((sequence, ++_lastPlace, post));
        _arrivals.Enqueue((topic, _lastPlace));
        _kept++;
        if (topic.Posts.Count > options.BackIssues)
        {
            topic.Posts.Dequeue();
            _kept--;
        }

        while (_kept > options.BackIssuesOfChannel)
        {
            (Topic oldest, long place) = _arrivals.Dequeue();
            if (oldest.IsGone(place))
                continue;
            oldest.Posts.Dequeue();
            _kept--;
        }

        if (_arrivals.Count > (2 * _kept) + 64)
            _arrivals = new(_arrivals.Where(a => !a.Topic.IsGone(a.Place)));
        if (isNew)
            Deliver(topic, post);
    }

    private void Deliver(Topic topic, NewsPost post)
    {
        Delivered++;
        if (topic.Version != _version)
        {
            topic.Sinks = [.. _sinks.Where(s => s.Wants(topic.Name))];
            topic.Version = _version;
        }

        if (topic.Sinks.Length == 0)
            Unwanted++;
        foreach (INewsSink sink in topic.Sinks)
            sink.Add(post);
    }

    // ---- memberships

    protected override void OnView(View view)
    {
        // who posts and who subscribes is nobody else's business
    }

    protected override void Initialize() => Clear();

    protected override void Load(ReadOnlyMemory<byte> state)
    {
        HashSet<(NodeId, long)> known = [.. _topics.Values.SelectMany(t => t.Posts).Select(p => (p.Post.From, p.Sequence))];
        Clear();
        var reader = new BodyReader(state);
        var topics = new Topic[reader.Count()];
        for (int i = 0; i < topics.Length; i++)
        {
            topics[i] = new Topic(reader.Text()) { Last = reader.Varint() };
            _topics[topics[i].Name] = topics[i];
        }

        for (int left = reader.Count(); left > 0; left--)
        {
            long index = reader.Varint();
            (NodeId from, long sequence, var order, long number) = (reader.Node(), reader.Varint(), (NewsOrder)reader.Byte(), reader.Varint());
            long milliseconds = reader.Varint();
            if (index >= topics.Length || order > NewsOrder.Fifo || milliseconds > DateTimeOffset.MaxValue.ToUnixTimeMilliseconds())
                throw new FormatException("A post has no topic, no known order, or no time.");
            var post = new NewsPost(topics[index].Name, from, order, number, DateTimeOffset.FromUnixTimeMilliseconds(milliseconds), reader.Blob());
            Keep(topics[index], sequence, post, isNew: !known.Contains((from, sequence)));
        }

        for (int left = reader.Count(); left > 0; left--)
            Remember(reader.Node(), reader.Varint(), reader.Varint());
    }

    protected override ReadOnlyMemory<byte> Save()
    {
        var body = new BodyWriter(4096);
        Topic[] topics = [.. _topics.Values.OrderBy(t => t.Name, StringComparer.Ordinal)];
        body.Varint(topics.Length);
        foreach (Topic topic in topics)
        {
            body.Text(topic.Name);
            body.Varint(topic.Last);
        }

        // In the order in which they came: so a joiner lets the oldest go as the others do.
        body.Varint(_kept);
        foreach ((int index, long sequence, long _, NewsPost post) in topics.SelectMany((t, i) => t.Posts.Select(p => (i, p.Sequence, p.Place, p.Post))).OrderBy(p => p.Place))
        {
            body.Varint(index);
            body.Node(post.From);
            body.Varint(sequence);
            body.Byte((byte)post.Order);
            body.Varint(post.Number);
            body.Varint(post.Time.ToUnixTimeMilliseconds());
            body.Blob(post.Body.Span);
        }

        body.Varint(_outsideOrder.Count);
        foreach ((NodeId poster, long sequence) in _outsideOrder)
        {
            body.Node(poster);
            body.Varint(sequence);
            body.Varint(_outside[(poster, sequence)]);
        }

        return body.ToArray();
    }

    private void Clear()
    {
        _topics.Clear();
        _arrivals.Clear();
        _outside.Clear();
        _outsideOrder.Clear();
        _kept = 0;
        _lastPlace = 0;
    }

    protected override void OnEnded(MembershipEnd end)
    {
        long[] calls = [.. _calls.Order()];
        _calls.Clear();
        foreach (long call in calls)
            effects.Ended(call, end);
    }
}
