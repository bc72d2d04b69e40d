// Topics and patterns of topics: words with dots between them.
using System.Text;

namespace Toolkit.News;

/// <summary>
/// A topic, <c>markets.nyse.SUN</c>, or a pattern: <c>*</c> stands for one word, <c>&gt;</c> at the end for one or more.
/// </summary>
public sealed class TopicPattern
{
    /// <summary>The longest topic, in bytes of UTF-8.</summary>
    public const int MaximumLength = 255;

    private readonly string[] _words;

    /// <summary>Reads a pattern.</summary>
    /// <exception cref="ArgumentException">It is none; the message says why.</exception>
    public TopicPattern(string pattern)
    {
        ArgumentNullException.ThrowIfNull(pattern);
        _words = pattern.Split('.');
        if (Encoding.UTF8.GetByteCount(pattern) > MaximumLength || _words.Any(w => w.Length == 0 || w.Any(c => char.IsWhiteSpace(c) || char.IsControl(c))))
            throw new ArgumentException($"'{pattern}' is no topic: that has words with dots between them, and {MaximumLength} bytes at most.", nameof(pattern));
        if (_words.Any(w => w.Length > 1 && w.AsSpan().ContainsAny("*>")) || _words.AsSpan(0, _words.Length - 1).Contains(">"))
            throw new ArgumentException($"'{pattern}' is no pattern: * stands for a whole word, and > for the last ones.", nameof(pattern));
        IsTopic = !_words.Any(w => w is "*" or ">");
    }

    /// <summary>Whether it names one topic.</summary>
    public bool IsTopic { get; }

    /// <summary>The first word; null: any.</summary>
    internal string? FirstWord => _words[0] is "*" or ">" ? null : _words[0];

    /// <summary>Whether a topic fits.</summary>
    public bool Matches(string topic)
    {
        ArgumentNullException.ThrowIfNull(topic);
        int word = 0;
        foreach (Range part in topic.AsSpan().Split('.'))
        {
            if (word == _words.Length)
                return false;
            if (_words[word] == ">")
                return true;
            if (_words[word] != "*" && !topic.AsSpan()[part].SequenceEqual(_words[word]))
                return false;
            word++;
        }

        return word == _words.Length;
    }

    /// <summary>The pattern as it was written.</summary>
    public override string ToString() => string.Join('.', _words);
}
