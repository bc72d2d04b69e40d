// The topics of one channel at one member and their back issues.
// Keeps: bounds by topic and by channel, the oldest go first; numbers go on however much is gone.
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.News.Replication;

/// <summary>Names a post: its poster, and the poster's number for it.</summary>
internal readonly record struct PostId(NodeId Poster, long Sequence);

/// <summary>A post that is kept.</summary>
/// <param name="Place">Grows with each post at this member.</param>
internal readonly record struct KeptPost(PostId Id, long Place, NewsPost Post);

/// <summary>One topic.</summary>
internal sealed class Topic(string name)
{
    public string Name => name;

    public string Word { get; } = WordTable.WordOf(name);

    /// <summary>The number of the last post in total order.</summary>
    public long Last { get; set; }

    public Queue<KeptPost> Posts { get; } = [];

    /// <summary>Who wants it, as of a version of the subscriptions.</summary>
    public INewsSink[] Sinks { get; set; } = [];
    public int Version { get; set; } = -1;

    /// <summary>Posts go in their order: what was before the first is gone.</summary>
    public bool IsGone(long place) => Posts.Count == 0 || Posts.Peek().Place > place;
}

/// <summary>The store.</summary>
internal sealed class PostStore(NewsOptions options)
{
    /// <summary>What <see cref="Write"/> writes of an empty store.</summary>
    public static readonly byte[] Nothing = [0, 0, 0];

    private const int MostOutside = 4096;

    private readonly Dictionary<string, Topic> _topics = [];
    private Queue<(Topic Topic, long Place)> _arrivals = []; // all kept posts in their order, and some that are gone
    private readonly Dictionary<PostId, (long Number, string Word)> _outside = []; // the numbers of the last posts that may come again
    private readonly Queue<PostId> _outsideOrder = []; // and some that went with their word
    private long _lastPlace;
    private int _kept;

    public int Count => _topics.Count;

    public IEnumerable<Topic> Topics => _topics.Values;

    public Topic? Find(string name) => _topics.GetValueOrDefault(name);

    public Topic Obtain(string name)
    {
        if (!_topics.TryGetValue(name, out Topic? topic))
            _topics.Add(name, topic = new Topic(name));
        return topic;
    }

    public IEnumerable<Topic> Of(string word) => _topics.Values.Where(t => t.Word == word);

    /// <summary>A post that may come again and has: its number.</summary>
    public bool TryFindOutside(PostId id, out long number)
    {
        bool isThere = _outside.TryGetValue(id, out var found);
        number = found.Number;
        return isThere;
    }

    public void Remember(PostId id, long number, string word)
    {
        if (!_outside.TryAdd(id, (number, word)))
            return;
        _outsideOrder.Enqueue(id);
        while (_outsideOrder.Count > MostOutside)
            _outside.Remove(_outsideOrder.Dequeue());
    }

    public void Keep(Topic topic, PostId id, NewsPost post)
    {
        topic.Posts.Enqueue(new KeptPost(id, ++_lastPlace, post));
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
    }

    /// <summary>All that is kept of a word's topics goes.</summary>
    public void Remove(string word)
    {
        foreach (Topic topic in Of(word).ToArray())
        {
            _kept -= topic.Posts.Count;
            topic.Posts.Clear();
            _topics.Remove(topic.Name);
        }

        foreach (PostId id in _outside.Where(o => o.Value.Word == word).Select(o => o.Key).ToArray())
            _outside.Remove(id);
    }

    public void Clear()
    {
        _topics.Clear();
        _arrivals.Clear();
        _outside.Clear();
        _outsideOrder.Clear();
        (_kept, _lastPlace) = (0, 0);
    }

    /// <param name="word">Its topics only; null: all there are.</param>
    public void Write(BodyWriter body, string? word)
    {
        Topic[] topics = [.. _topics.Values.Where(t => word is null || t.Word == word).OrderBy(t => t.Name, StringComparer.Ordinal)];
        body.Varint(topics.Length);
        foreach (Topic topic in topics)
        {
            body.Text(topic.Name);
            body.Varint(topic.Last);
        }

        // In the order in which they came: so a joiner lets the oldest go as the others do.
        body.Varint(topics.Sum(t => t.Posts.Count));
        foreach ((int index, KeptPost kept) in topics.SelectMany((t, i) => t.Posts.Select(p => (i, p))).OrderBy(p => p.p.Place))
        {
            body.Varint(index);
            body.Node(kept.Post.From);
            body.Varint(kept.Id.Sequence);
            body.Byte((byte)kept.Post.Order);
            body.Varint(kept.Post.Number);
            body.Varint(kept.Post.Time.ToUnixTimeMilliseconds());
            body.Blob(kept.Post.Body.Span);
        }

        PostId[] outside = [.. _outsideOrder.Where(id => _outside.TryGetValue(id, out var post) && (word is null || post.Word == word))];
        body.Varint(outside.Length);
        foreach (PostId id in outside)
        {
            body.Node(id.Poster);
            body.Varint(id.Sequence);
            body.Varint(_outside[id].Number);
            body.Text(_outside[id].Word);
        }
    }

    /// <summary>Adds what <see cref="Write"/> wrote.</summary>
    /// <param name="kept">Told of every post.</param>
    /// <exception cref="FormatException">It did not.</exception>
    public void Read(ref BodyReader reader, Action<Topic, KeptPost> kept)
    {
        var topics = new Topic[reader.Count()];
        for (int i = 0; i < topics.Length; i++)
        {
            topics[i] = Obtain(reader.Text());
            topics[i].Last = Math.Max(topics[i].Last, reader.Varint());
        }

        for (int left = reader.Count(); left > 0; left--)
        {
            long index = reader.Varint();
            (NodeId from, long sequence, var order, long number) = (reader.Node(), reader.Varint(), (NewsOrder)reader.Byte(), reader.Varint());
            long milliseconds = reader.Varint();
            if (index >= topics.Length || order > NewsOrder.Fifo || milliseconds > DateTimeOffset.MaxValue.ToUnixTimeMilliseconds())
                throw new FormatException("A post has no topic, no known order, or no time.");
            var post = new NewsPost(topics[index].Name, from, order, number, DateTimeOffset.FromUnixTimeMilliseconds(milliseconds), reader.Blob());
            Keep(topics[index], new PostId(from, sequence), post);
            kept(topics[index], new KeptPost(new PostId(from, sequence), _lastPlace, post));
        }

        for (int left = reader.Count(); left > 0; left--)
            Remember(new PostId(reader.Node(), reader.Varint()), reader.Varint(), reader.Text());
    }
}
