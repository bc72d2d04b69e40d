// One channel of the news at one member: the topics that it carries, their back issues, and who here wants which.
// Keeps: totally ordered posts of a topic have the same numbers at all members, wherever its word moves; who subscribes gets the
// back issues and every later post, none twice; after an exclusion, what came meanwhile and is still kept.
// Follows: "History of virtual synchrony", how replication was used: topics mapped on few groups, and filtered.
using System.Diagnostics.CodeAnalysis;
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.News.Placement;

namespace Toolkit.News.Replication;

/// <summary>What the replica tells its face. Called between deliveries, one call at a time.</summary>
internal interface INewsEffects
{
    /// <summary>A call has ended.</summary>
    void Posted(long call, long number);

    /// <summary>A call has ended without effect: the topic is in another channel, or on its way.</summary>
    void Moved(long call);

    /// <summary>The membership ended before a call did.</summary>
    void Ended(long call, MembershipEnd end);

    /// <summary>Other words are here now, or other members.</summary>
    void Changed();
}

/// <summary>Who wants posts.</summary>
internal interface INewsSink
{
    bool Wants(string topic);

    void Add(NewsPost post);
}

/// <summary>What subscribers here had got of a word before it left.</summary>
/// <param name="By">The move by which this member saw it leave; 0: it was gone when this member came back.</param>
internal sealed record PassedOn(long By, IReadOnlySet<PostId> Known);

/// <summary>What the router has multicast in this membership, so that it does so once.</summary>
internal sealed class SentToChannel
{
    public long Close { get; set; }
    public long Open { get; set; }
    public long Tell { get; set; } = -1;
    public HashSet<(string Word, long Move)> Dropped { get; } = [];
}

/// <summary>One member's copy. The bodies of posts: sequence of the poster, order (and 128: it may come again), time in ms since 1970, topic, content.</summary>
[SuppressMessage("Performance", "CA1852", Justification = "Tests of the checkers derive broken channels.")]
internal class NewsReplica : Replica
{
    /// <summary>The answer to posts of others whose word is not here; no number of a post.</summary>
    public const long Elsewhere = 0;

    private const byte MayBeAgain = 128;
    private const int PartSize = 256 << 10;

    // What follows a sequence of 0, which no post has.
    private enum Control : byte { Close = 1, Part = 2, Open = 3, Drop = 4, Tell = 5 }

    private enum PostEnd { Unreadable, Elsewhere, Added }

    private readonly INewsEffects _effects;
    private readonly PostStore _store;
    private readonly List<INewsSink> _sinks = [];
    private readonly HashSet<long> _calls = [];
    private readonly Dictionary<string, List<KeptPost>?> _held = []; // words that came and are not shown yet; null: came with a state
    private readonly Dictionary<string, PassedOn> _passedOn = [];
    private readonly BodyWriter _body = new();
    private int _version;

    public NewsReplica(NewsOptions options, INewsEffects effects) : this(options, effects, channel: -1)
    {
    }

    /// <param name="channel">Which channel; negative: no words move, and all are here.</param>
    public NewsReplica(NewsOptions options, INewsEffects effects, int channel)
    {
        (_effects, _store) = (effects, new PostStore(options));
        Words = new WordTable(channel, options.Channels);
    }

    public INewsEffects Effects => _effects;

    public int Topics => _store.Count;

    public WordTable Words { get; }

    public SentToChannel Sent { get; private set; } = new();

    public bool IsOldest => Port.View.RankOf(Port.Self) == 0;

    /// <summary>Words that came, and whose posts are not shown to anybody here before <see cref="Show"/>.</summary>
    public IReadOnlyCollection<string> Held => _held.Keys;

    public IReadOnlyDictionary<string, PassedOn> PassedOn => _passedOn;

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

    // ---- calls

    public void Post(long call, NewsOrder order, DateTimeOffset time, string topic, ReadOnlySpan<byte> content)
    {
        Port.Multicast(PrimitiveOf(order), Format(_body, call, order, time, topic, content));
        _calls.Add(call);
    }

    /// <summary>From now on the sink gets what it wants, back issues first.</summary>
    public void Subscribe(INewsSink sink, int back, DateTimeOffset since)
    {
        Attach(sink);
        if (back == 0)
            return;
        foreach (Topic topic in _store.Topics.Where(t => sink.Wants(t.Name)).OrderBy(t => t.Name, StringComparer.Ordinal))
        {
            foreach (NewsPost post in BackOf(topic, back).Where(p => p.Time >= since))
                sink.Add(post);
        }
    }

    /// <summary>From now on the sink gets what it wants, first what it has missed of a word.</summary>
    public void GoOn(INewsSink sink, string word, IReadOnlySet<PostId> known)
    {
        Attach(sink);
        foreach (KeptPost kept in KeptOf(word).Where(p => sink.Wants(p.Post.Topic) && !known.Contains(p.Id)))
            sink.Add(kept.Post);
    }

    public void Unsubscribe(INewsSink sink)
    {
        _sinks.Remove(sink);
        _version++;
    }

    /// <summary>A word that came is shown from now on; first the sinks get what it brought, but for what they have got.</summary>
    /// <param name="sinks">Those in this channel. Who saw the word leave by the move by which it came has all that it brought.</param>
    public void Show(string word, IReadOnlyList<(INewsSink Sink, PassedOn Got)> sinks)
    {
        if (!_held.Remove(word, out List<KeptPost>? since))
            return;
        KeptPost[] kept = KeptOf(word);
        foreach ((INewsSink sink, PassedOn got) in sinks)
        {
            foreach (KeptPost post in since is not null && Words.MoveOf(word) == got.By ? since : kept.Where(p => !got.Known.Contains(p.Id)))
            {
                if (sink.Wants(post.Post.Topic))
                    sink.Add(post.Post);
            }
        }
    }

    /// <summary>What had been got of words that left is of no use any more.</summary>
    public void ForgetPassedOn() => _passedOn.Clear();

    /// <summary>The last posts of a topic, the oldest first.</summary>
    public NewsPost[] Back(string topic, int count) => _store.Find(topic) is { } found ? [.. BackOf(found, count)] : [];

    private void Attach(INewsSink sink)
    {
        _sinks.Add(sink);
        _version++;
    }

    private static IEnumerable<NewsPost> BackOf(Topic topic, int count) => topic.Posts.Skip(Math.Max(0, topic.Posts.Count - count)).Select(p => p.Post);

    private KeptPost[] KeptOf(string word) => [.. _store.Of(word).SelectMany(t => t.Posts).OrderBy(p => p.Place)];

    // ---- moves

    /// <summary>A word is to leave.</summary>
    public void Close(WordMove move) => Send(Order.Group, Control.Close, move.Word, move.Number);

    /// <summary>A word is to come, with what it had.</summary>
    public void Open(WordMove move, ReadOnlyMemory<byte> content)
    {
        int at = 0;
        do
        {
            ReadOnlyMemory<byte> part = content[at..Math.Min(content.Length, at + PartSize)];
            BeginControl(Control.Part, move.Word, move.Number);
            _body.Flag(at == 0);
            _body.Raw(part.Span);
            Port.Multicast(Order.Safe, _body.Written);
            at += part.Length;
        }
        while (at < content.Length);
        Send(Order.Group, Control.Open, move.Word, move.Number);
    }

    /// <summary>What a word had that left is with others.</summary>
    public void Drop(string word, long move) => Send(Order.Safe, Control.Drop, word, move);

    /// <summary>What the directory says.</summary>
    public void Tell(long done, IReadOnlyCollection<string> here, IReadOnlyCollection<(string Word, long Move)> away)
    {
        BeginControl(Control.Tell, "", done);
        _body.Varint(here.Count);
        foreach (string word in here)
            _body.Text(word);
        _body.Varint(away.Count);
        foreach ((string word, long move) in away)
        {
            _body.Text(word);
            _body.Varint(move);
        }

        Port.Multicast(Order.Group, _body.Written);
    }

    private void Send(Order order, Control control, string word, long move)
    {
        BeginControl(control, word, move);
        Port.Multicast(order, _body.Written);
    }

    private void BeginControl(Control control, string word, long move)
    {
        _body.Reset().Varint(0);
        _body.Byte((byte)control);
        _body.Text(word);
        _body.Varint(move);
    }

    private void OnControl(in ReplicaMessage message, ref BodyReader reader)
    {
        var control = (Control)reader.Byte();
        (string word, long move) = (reader.Text(), reader.Varint());
        if (message.Order != (control is Control.Part or Control.Drop ? Order.Safe : Order.Group))
            return;
        switch (control)
        {
            case Control.Close:
                OnClose(word, move);
                break;
            case Control.Part:
                Words.AddPart(message.From, move, reader.Flag(), reader.Rest());
                break;
            case Control.Open when Words.Open(message.From, word, move) is { } content:
                if (_sinks.Count > 0)
                    _held[word] = [];
                var brought = new BodyReader(content);
                _store.Read(ref brought, static (_, _) => { });
                break;
            case Control.Drop:
                Words.Drop(word, move);
                break;
            case Control.Tell:
                OnTell(move, ref reader);
                break;
        }

        _effects.Changed();
    }

    private void OnClose(string word, long move)
    {
        var content = new BodyWriter(1024);
        _store.Write(content, word);
        if (!Words.Close(word, move, content.ToArray()))
            return;
        PassOn(word, move);
        _store.Remove(word);
    }

    private void OnTell(long done, ref BodyReader reader)
    {
        List<string> here = [];
        List<(string, long)> away = [];
        for (int left = reader.Count(); left > 0; left--)
            here.Add(reader.Text());
        for (int left = reader.Count(); left > 0; left--)
            away.Add((reader.Text(), reader.Varint()));
        foreach (string lost in Words.Tell(done, here, away) ?? [])
        {
            PassOn(lost, 0);
            _store.Remove(lost);
        }
    }

    // What is held has been shown to nobody.
    private void PassOn(string word, long by)
    {
        if (!Words.CanMove)
            return;
        bool isHeld = _held.Remove(word);
        HashSet<PostId> known = isHeld ? [] : [.. KeptOf(word).Select(p => p.Id)];
        if (_passedOn.TryGetValue(word, out PassedOn? before))
            known.UnionWith(before.Known);
        _passedOn[word] = new PassedOn(isHeld ? 0 : by, known);
    }

    // ---- deliveries

    protected override void OnMessage(in ReplicaMessage message)
    {
        try
        {
            var reader = new BodyReader(message.Body);
            long sequence = reader.Varint();
            if (sequence == 0)
            {
                OnControl(message, ref reader);
                return;
            }

            PostEnd end = TryAdd(message, sequence, ref reader, out long number);
            if (end == PostEnd.Unreadable || message.From != Port.Self || !_calls.Remove(sequence))
                return;
            if (end == PostEnd.Added)
                _effects.Posted(sequence, number);
            else
                _effects.Moved(sequence);
        }
        catch (FormatException)
        {
            // Nobody of this library wrote it, and all members pass it over alike.
        }
    }

    protected override void OnRequest(in ReplicaMessage message, long token)
    {
        (PostEnd end, long number) = (PostEnd.Unreadable, Elsewhere);
        try
        {
            var reader = new BodyReader(message.Body);
            if (reader.Varint() is > 0 and long sequence)
                end = TryAdd(message, sequence, ref reader, out number);
        }
        catch (FormatException)
        {
            // the answer says so
        }

        if (!IsOldest)
        {
            Port.NoReply(token); // if the oldest fails before it has answered, the poster asks again
        }
        else if (end == PostEnd.Unreadable)
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
    private PostEnd TryAdd(in ReplicaMessage message, long sequence, ref BodyReader reader, out long number)
    {
        byte kind = reader.Byte();
        (var order, bool mayBeAgain) = ((NewsOrder)(kind & ~MayBeAgain), (kind & MayBeAgain) != 0);
        long milliseconds = reader.Varint();
        string name = reader.Text();
        number = Elsewhere;
        bool isSound = milliseconds <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds() && name.Length <= TopicPattern.MaximumLength
            && order <= NewsOrder.Fifo && message.Order == PrimitiveOf(order);
        if (!isSound)
            return PostEnd.Unreadable;
        var id = new PostId(message.From, sequence);
        if (mayBeAgain && _store.TryFindOutside(id, out number))
            return PostEnd.Added;
        Topic? topic = _store.Find(name);
        if (topic is null && !Words.Has(WordTable.WordOf(name)))
            return PostEnd.Elsewhere;
        topic ??= _store.Obtain(name);
        number = order == NewsOrder.Total ? ++topic.Last : sequence;
        if (mayBeAgain)
            _store.Remember(id, number, topic.Word);
        var post = new NewsPost(topic.Name, message.From, order, number, DateTimeOffset.FromUnixTimeMilliseconds(milliseconds), reader.Rest());
        _store.Keep(topic, id, post);
        Deliver(topic, id, post);
        return PostEnd.Added;
    }

    private void Deliver(Topic topic, PostId id, NewsPost post)
    {
        Delivered++;
        if (_held.Count > 0 && _held.TryGetValue(topic.Word, out List<KeptPost>? held))
        {
            held?.Add(new KeptPost(id, 0, post));
            return;
        }

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
        Words.OnView(view);
        _effects.Changed();
    }

    protected override void Initialize()
    {
        Forget();
        _effects.Changed();
    }

    // What subscribers here have not got they get now; of words that came meanwhile, when it is known what they got elsewhere.
    protected override void Load(ReadOnlyMemory<byte> state)
    {
        var known = _store.Topics.Where(t => !_held.ContainsKey(t.Word)).GroupBy(t => t.Word)
            .ToDictionary(w => w.Key, w => w.SelectMany(t => t.Posts).Select(p => p.Id).ToHashSet());
        Forget();
        var reader = new BodyReader(state);
        Words.Read(ref reader);
        foreach (string word in known.Keys.Where(Words.Has))
            _passedOn.Remove(word);
        foreach (string word in _sinks.Count == 0 ? [] : Words.Came.Where(w => !known.ContainsKey(w)))
            _held[word] = null;
        _store.Read(ref reader, (topic, kept) =>
        {
            if (!known.TryGetValue(topic.Word, out HashSet<PostId>? seen) || !seen.Contains(kept.Id))
                Deliver(topic, kept.Id, kept.Post);
        });
        _effects.Changed();
    }

    private void Forget()
    {
        foreach (string word in _store.Topics.Select(t => t.Word).ToHashSet())
            PassOn(word, 0);
        _held.Clear();
        _store.Clear();
        Words.Clear();
        Sent = new SentToChannel();
    }

    protected override ReadOnlyMemory<byte> Save()
    {
        var body = new BodyWriter(4096);
        Words.Write(body);
        _store.Write(body, word: null);
        return body.ToArray();
    }

    protected override void OnEnded(MembershipEnd end)
    {
        long[] calls = [.. _calls.Order()];
        _calls.Clear();
        foreach (long call in calls)
            _effects.Ended(call, end);
        _effects.Changed();
    }
}
