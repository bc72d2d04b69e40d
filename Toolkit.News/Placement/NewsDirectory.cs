// Which channel carries which first word, who wants which words, and the move that is under way: the same at all nodes that have part in the news.
// Keeps: one move at a time; a word changes its place when the move is done, and at no other moment.
// Follows: "History of virtual synchrony", how replication was used: the mapping of topics on groups follows the subscribers.
using System.Collections.Immutable;
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.News.Placement;

/// <summary>A word is to change its channel.</summary>
internal sealed record WordMove(long Number, string Word, int From, int To);

/// <summary>The words that a node wants.</summary>
/// <param name="All">All there are.</param>
/// <param name="Words">In order, each once.</param>
internal sealed record WantedWords(bool All, ImmutableArray<string> Words)
{
    public static readonly WantedWords None = new(false, []);

    public bool Contains(string word) => All || Words.BinarySearch(word, StringComparer.Ordinal) >= 0;

    public bool IsSame(WantedWords other) => All == other.All && Words.SequenceEqual(other.Words);
}

/// <summary>What the directory holds at a moment.</summary>
/// <param name="Moved">Words that are not where their hash says.</param>
/// <param name="Move">The move that is under way.</param>
/// <param name="LastMove">The number of the last move that was begun.</param>
/// <param name="Ready">Who is ready for it.</param>
internal sealed record DirectoryLook(
    int Channels, NodeId Self, ImmutableArray<NodeId> Members, ImmutableSortedDictionary<string, int> Moved,
    ImmutableSortedDictionary<NodeId, WantedWords> Wants, WordMove? Move, long LastMove, ImmutableSortedSet<NodeId> Ready)
{
    /// <summary>The number of the last move that was done.</summary>
    public long LastDone => Move is null ? LastMove : LastMove - 1;

    /// <summary>What this node wants, as all know.</summary>
    public WantedWords Own => Wants.GetValueOrDefault(Self) ?? WantedWords.None;

    /// <summary>Whether all who want the word that moves are ready for it.</summary>
    public bool IsEverybodyReady => Move is { } move && Wants.All(w => !w.Value.Contains(move.Word) || Ready.Contains(w.Key));

    /// <summary>Who carries the move out: the oldest who wants the word and is ready for it; else the oldest.</summary>
    public NodeId? Mover => Move is not { } move ? null
        : Members.Where(m => Ready.Contains(m) && Wants.TryGetValue(m, out WantedWords? words) && words.Contains(move.Word)).Concat(Members).Select(m => (NodeId?)m).FirstOrDefault();

    public int PlaceOf(string word) => Moved.TryGetValue(word, out int place) ? place : ChannelMap.ChannelOf(word, Channels);
}

/// <summary>What the router has multicast in this membership, so that it does so once.</summary>
internal sealed class SentToDirectory
{
    public WantedWords Wishes { get; set; } = WantedWords.None;
    public long Ready { get; set; }
    public long Done { get; set; }
    public long Proposal { get; set; }
    public long Claim { get; set; }
}

/// <summary>The directory at one member. All that changes it is a safe multicast: it can be acted on.</summary>
/// <param name="channels">How many channels there are.</param>
/// <param name="changed">Told of every delivery, between deliveries.</param>
internal sealed class NewsDirectory(int channels, Action changed) : Replica
{
    private const int MostWords = 1_000_000;

    private enum Kind : byte { Wants = 1, Move = 2, Ready = 3, Done = 4, Claim = 5 }

    private readonly SortedSet<NodeId> _ready = [];
    private readonly BodyWriter _body = new();
    private ImmutableSortedDictionary<string, int> _places = Nothing.Places; // of words that are not where their hash says
    private ImmutableSortedDictionary<NodeId, WantedWords> _wants = Nothing.Wants;
    private WordMove? _move;
    private long _lastMove;

    public SentToDirectory Sent { get; private set; } = new();

    /// <summary>What it holds now.</summary>
    public DirectoryLook Look() => new(channels, Port.Self, Port.View.Members, _places, _wants, _move, _lastMove, [.. _ready]);

    // ---- calls

    public void Want(WantedWords words)
    {
        Begin(Kind.Wants);
        _body.Flag(words.All);
        _body.Varint(words.Words.Length);
        foreach (string word in words.Words)
            _body.Text(word);
        Port.Multicast(Order.Safe, _body.Written);
    }

    /// <summary>Proposes a move. It is void if another one is under way when it is delivered.</summary>
    public void Propose(string word, int to)
    {
        Begin(Kind.Move);
        _body.Text(word);
        _body.Varint(to);
        Port.Multicast(Order.Safe, _body.Written);
    }

    /// <summary>This node is where the word goes to, or wants it no more.</summary>
    public void Ready(long move) => MulticastNumber(Kind.Ready, move);

    /// <summary>The word is where it goes to.</summary>
    public void Done(long move) => MulticastNumber(Kind.Done, move);

    /// <summary>A channel knows of a move that is not known here: the directory was lost and is a new one. The words that came there are there.</summary>
    public void Claim(int channel, long lastMove, IReadOnlyCollection<string> words)
    {
        Begin(Kind.Claim);
        _body.Varint(channel);
        _body.Varint(lastMove);
        _body.Varint(words.Count);
        foreach (string word in words)
            _body.Text(word);
        Port.Multicast(Order.Safe, _body.Written);
    }

    // ---- deliveries

    protected override void OnMessage(in ReplicaMessage message)
    {
        try
        {
            var reader = new BodyReader(message.Body);
            switch ((Kind)reader.Byte())
            {
                case Kind.Wants:
                    OnWants(message.From, ReadWants(ref reader));
                    break;
                case Kind.Move:
                    OnMove(reader.Text(), reader.Varint());
                    break;
                case Kind.Claim:
                    OnClaim(reader.Varint(), reader.Varint(), ref reader);
                    break;
                case Kind.Ready when _move is { } move && reader.Varint() == move.Number:
                    _ready.Add(message.From);
                    break;
                case Kind.Done when _move is { } move && reader.Varint() == move.Number:
                    Put(move.Word, move.To);
                    _move = null;
                    _ready.Clear();
                    break;
            }
        }
        catch (FormatException)
        {
            // Nobody of this library wrote it, and all members pass it over alike.
        }

        changed();
    }

    protected override void OnRequest(in ReplicaMessage message, long token)
    {
        if (Port.View.RankOf(Port.Self) != 0)
        {
            Port.NoReply(token);
            return;
        }

        try
        {
            _body.Reset().Varint(Look().PlaceOf(new BodyReader(message.Body).Text()));
            Port.Reply(token, _body.Written);
        }
        catch (FormatException)
        {
            Port.Reply(token, "this is no word"u8, isError: true);
        }
    }

    private void OnClaim(long channel, long lastMove, ref BodyReader reader)
    {
        if (lastMove <= _lastMove || channel >= channels)
            return;
        _move = null;
        _ready.Clear();
        _lastMove = lastMove;
        for (int left = reader.Count(); left > 0; left--)
            Put(reader.Text(), (int)channel);
    }

    private void OnWants(NodeId from, WantedWords words)
    {
        if (words.All || !words.Words.IsEmpty)
            _wants = _wants.SetItem(from, words);
        else
            _wants = _wants.Remove(from);
    }

    private void OnMove(string word, long to)
    {
        int place = Look().PlaceOf(word);
        if (_move is not null || to >= channels || place == to)
            return;
        _move = new WordMove(++_lastMove, word, place, (int)to);
        _ready.Clear();
    }

    private void Put(string word, int place) =>
        _places = place == ChannelMap.ChannelOf(word, channels) ? _places.Remove(word) : _places.SetItem(word, place);

    protected override void OnView(View view)
    {
        _wants = _wants.RemoveRange(_wants.Keys.Where(n => !view.Contains(n)).ToArray());
        _ready.RemoveWhere(n => !view.Contains(n));
        changed();
    }

    protected override void OnEnded(MembershipEnd end) => changed();

    // ---- the state

    protected override void Initialize() => Clear();

    protected override ReadOnlyMemory<byte> Save()
    {
        var body = new BodyWriter(1024);
        body.Varint(_lastMove);
        body.Varint(_places.Count);
        foreach ((string word, int place) in _places)
        {
            body.Text(word);
            body.Varint(place);
        }

        body.Varint(_wants.Count);
        foreach ((NodeId node, WantedWords words) in _wants)
        {
            body.Node(node);
            body.Flag(words.All);
            body.Varint(words.Words.Length);
            foreach (string word in words.Words)
                body.Text(word);
        }

        body.Flag(_move is not null);
        if (_move is { } move)
        {
            body.Text(move.Word);
            body.Varint(move.From);
            body.Varint(move.To);
        }

        body.Varint(_ready.Count);
        foreach (NodeId node in _ready)
            body.Node(node);
        return body.ToArray();
    }

    protected override void Load(ReadOnlyMemory<byte> state)
    {
        Clear();
        var reader = new BodyReader(state);
        _lastMove = reader.Varint();
        for (int left = reader.Count(); left > 0; left--)
            _places = _places.SetItem(reader.Text(), Channel(reader.Varint()));
        for (int left = reader.Count(); left > 0; left--)
            _wants = _wants.SetItem(reader.Node(), ReadWants(ref reader));
        if (reader.Flag())
            _move = new WordMove(_lastMove, reader.Text(), Channel(reader.Varint()), Channel(reader.Varint()));
        for (int left = reader.Count(); left > 0; left--)
            _ready.Add(reader.Node());
    }

    private int Channel(long number) => number < channels ? (int)number : throw new FormatException("There is no such channel.");

    private static WantedWords ReadWants(ref BodyReader reader)
    {
        bool all = reader.Flag();
        int count = reader.Count();
        if (count > MostWords)
            throw new FormatException("Too many words.");
        var words = new SortedSet<string>(StringComparer.Ordinal);
        for (int left = count; left > 0; left--)
            words.Add(reader.Text());
        return new WantedWords(all, [.. words]);
    }

    private void Clear()
    {
        _places = Nothing.Places;
        _wants = _wants.Clear();
        _ready.Clear();
        (_move, _lastMove) = (null, 0);
        Sent = new SentToDirectory();
    }

    private void MulticastNumber(Kind kind, long number)
    {
        Begin(kind);
        _body.Varint(number);
        Port.Multicast(Order.Safe, _body.Written);
    }

    private void Begin(Kind kind) => _body.Reset().Byte((byte)kind);
}
