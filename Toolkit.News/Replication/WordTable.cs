// Which first words a channel carries, as all its members know it: a word leaves and comes by GBCASTs, so that every post, of whatever order,
// is before or after that at all members alike.
// Keeps: a word is carried by one channel at most; what a word that left had is kept until the move is done.
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.News.Replication;

/// <summary>The words of one channel.</summary>
/// <param name="channel">Its number; negative: it carries all there are, and none moves.</param>
/// <param name="channels">How many there are.</param>
internal sealed class WordTable(int channel, int channels)
{
    private readonly SortedDictionary<string, long> _came = new(StringComparer.Ordinal); // words that came, by which move; 0: by word of the directory
    private readonly SortedDictionary<string, long> _went = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, (long Move, ReadOnlyMemory<byte> Content)> _leaving = new(StringComparer.Ordinal);
    private readonly SortedDictionary<NodeId, (long Move, List<ReadOnlyMemory<byte>> Parts)> _coming = [];

    /// <summary>What the directory knew when it last told this channel which words it has; negative: it has not, and nothing is accepted.</summary>
    public long Told { get; private set; } = channel < 0 ? 0 : -1;

    /// <summary>The last move that a word came or went by.</summary>
    public long LastMove { get; private set; }

    /// <summary>The first words left whose contents are kept.</summary>
    public IEnumerable<(string Word, long Move)> Leaving => _leaving.Select(l => (l.Key, l.Value.Move));

    /// <summary>Words that came here by a move, or by word of the directory.</summary>
    public IEnumerable<string> Came => _came.Keys;

    /// <summary>Words that left.</summary>
    public IEnumerable<string> Went => _went.Keys;

    public bool CanMove => channel >= 0;

    /// <summary>The move by which a word came; -1: it did not.</summary>
    public long MoveOf(string word) => _came.GetValueOrDefault(word, -1);

    public static string WordOf(string topic) => topic.IndexOf('.', StringComparison.Ordinal) is > 0 and int end ? topic[..end] : topic;

    public bool Has(string word) =>
        channel < 0 || (Told >= 0 && (_came.ContainsKey(word) || (ChannelMap.ChannelOf(word, channels) == channel && !_went.ContainsKey(word))));

    public bool WentBy(string word, long move) => _went.TryGetValue(word, out long by) && by >= move;

    public bool CameBy(string word, long move) => _came.TryGetValue(word, out long by) && by >= move;

    public ReadOnlyMemory<byte>? ContentOf(string word, long move) => _leaving.TryGetValue(word, out var left) && left.Move == move ? left.Content : null;

    /// <summary>A word leaves. False: it has left by this move or a later one.</summary>
    public bool Close(string word, long move, ReadOnlyMemory<byte> content)
    {
        if (WentBy(word, move) || CameBy(word, move))
            return false;
        _came.Remove(word);
        _went[word] = move;
        _leaving[word] = (move, content);
        LastMove = Math.Max(LastMove, move);
        return true;
    }

    /// <summary>A part of what a word brings; the first one begins anew.</summary>
    public void AddPart(NodeId from, long move, bool isFirst, ReadOnlyMemory<byte> part)
    {
        if (isFirst)
            _coming[from] = (move, []);
        if (_coming.TryGetValue(from, out var coming) && coming.Move == move)
            coming.Parts.Add(part);
    }

    /// <summary>A word is here. Gives what it brings; null: it had come before, or left again.</summary>
    public ReadOnlyMemory<byte>? Open(NodeId from, string word, long move)
    {
        _coming.Remove(from, out var coming);
        if (WentBy(word, move) || CameBy(word, move) || coming.Parts is null || coming.Move != move)
            return null;
        bool isNew = !Has(word);
        _went.Remove(word);
        _leaving.Remove(word);
        _came[word] = move;
        LastMove = Math.Max(LastMove, move);
        return isNew ? coming.Parts.SelectMany(p => p.ToArray()).ToArray() : null;
    }

    /// <summary>The move is done: what the word had is with others.</summary>
    public void Drop(string word, long move)
    {
        if (_leaving.TryGetValue(word, out var left) && left.Move <= move)
            _leaving.Remove(word);
    }

    /// <summary>Parts of who is gone will not be completed.</summary>
    public void OnView(View view)
    {
        foreach (NodeId gone in _coming.Keys.Where(n => !view.Contains(n)).ToArray())
            _coming.Remove(gone);
    }

    /// <summary>What the directory says: the words that are here though their hash says otherwise, and those that are not.</summary>
    /// <returns>Words that must be given up. Null: this is older than what is known here.</returns>
    public List<string>? Tell(long done, IReadOnlyCollection<string> here, IReadOnlyCollection<(string Word, long Move)> away)
    {
        if (Told >= 0 && done < LastMove)
            return null;
        // A word that is on its way is left to its move, if this channel knows its words already.
        HashSet<string> moving = Told < 0 ? [] : [.. away.Where(a => a.Move > done).Select(a => a.Word)];
        away = [.. away.Where(a => !moving.Contains(a.Word))];
        string[] before = [.. _came.Keys.Concat(away.Select(a => a.Word)).Where(Has)];
        foreach (string other in _came.Keys.Except(here).Where(w => !moving.Contains(w) && (ChannelMap.ChannelOf(w, channels) != channel || away.Any(a => a.Word == w))).ToArray())
            _came.Remove(other); // what came home stays marked as having come
        foreach (string word in here)
            _came.TryAdd(word, done);
        foreach (string other in _went.Keys.Except(away.Select(a => a.Word)).Where(w => !moving.Contains(w)).ToArray())
            _went.Remove(other);
        foreach ((string word, long move) in away)
            _went.TryAdd(word, move);
        (Told, LastMove) = (done, Math.Max(LastMove, done));
        return [.. before.Where(w => !Has(w))];
    }

    public void Clear()
    {
        _came.Clear();
        _went.Clear();
        _leaving.Clear();
        _coming.Clear();
        LastMove = 0;
        Told = channel < 0 ? 0 : -1;
    }

    public void Write(BodyWriter body)
    {
        body.Varint(Told + 1);
        body.Varint(LastMove);
        WriteWords(body, _came);
        WriteWords(body, _went);
        body.Varint(_leaving.Count);
        foreach ((string word, (long move, ReadOnlyMemory<byte> content)) in _leaving)
        {
            body.Text(word);
            body.Varint(move);
            body.Blob(content.Span);
        }

        body.Varint(_coming.Count);
        foreach ((NodeId from, (long move, List<ReadOnlyMemory<byte>> parts)) in _coming)
        {
            body.Node(from);
            body.Varint(move);
            body.Varint(parts.Count);
            foreach (ReadOnlyMemory<byte> part in parts)
                body.Blob(part.Span);
        }
    }

    public void Read(ref BodyReader reader)
    {
        Clear();
        Told = reader.Varint() - 1;
        LastMove = reader.Varint();
        ReadWords(ref reader, _came);
        ReadWords(ref reader, _went);
        for (int left = reader.Count(); left > 0; left--)
            _leaving[reader.Text()] = (reader.Varint(), reader.Blob());
        for (int left = reader.Count(); left > 0; left--)
        {
            (NodeId from, long move, List<ReadOnlyMemory<byte>> parts) = (reader.Node(), reader.Varint(), []);
            for (int count = reader.Count(); count > 0; count--)
                parts.Add(reader.Blob());
            _coming[from] = (move, parts);
        }
    }

    private static void WriteWords(BodyWriter body, SortedDictionary<string, long> words)
    {
        body.Varint(words.Count);
        foreach ((string word, long move) in words)
        {
            body.Text(word);
            body.Varint(move);
        }
    }

    private static void ReadWords(ref BodyReader reader, SortedDictionary<string, long> words)
    {
        for (int left = reader.Count(); left > 0; left--)
            words[reader.Text()] = reader.Varint();
    }
}
