// A set of members of one configuration, by rank. Immutable, and small: one word for up to 64 nodes.
using System.Numerics;

namespace Core.Groups;

internal sealed class MemberSet : IEquatable<MemberSet>
{
    public static readonly MemberSet Empty = new([]);

    private readonly ulong[] _words;

    private MemberSet(ulong[] words) => _words = words;

    public ReadOnlySpan<ulong> Words => _words;

    public static MemberSet FromWords(ReadOnlySpan<ulong> words)
    {
        int length = words.Length;
        while (length > 0 && words[length - 1] == 0) length--;
        return length == 0 ? Empty : new MemberSet(words[..length].ToArray());
    }

    public static MemberSet Of(ReadOnlySpan<int> ranks)
    {
        int highest = -1;
        foreach (int rank in ranks) highest = Math.Max(highest, rank);
        var words = new ulong[(highest >> 6) + 1];
        foreach (int rank in ranks) words[rank >> 6] |= 1UL << (rank & 63);
        return FromWords(words);
    }

    public bool Contains(int rank) =>
        rank >> 6 < _words.Length && rank >= 0 && (_words[rank >> 6] & (1UL << (rank & 63))) != 0;

    public int Count
    {
        get
        {
            int count = 0;
            foreach (ulong word in _words) count += BitOperations.PopCount(word);
            return count;
        }
    }

    /// <summary>One more than the highest rank in the set.</summary>
    public int Limit => _words.Length == 0 ? 0 : (_words.Length << 6) - BitOperations.LeadingZeroCount(_words[^1]);

    public MemberSet With(int rank)
    {
        if (Contains(rank)) return this;
        var words = new ulong[Math.Max(_words.Length, (rank >> 6) + 1)];
        _words.CopyTo(words, 0);
        words[rank >> 6] |= 1UL << (rank & 63);
        return new MemberSet(words);
    }

    public MemberSet Union(MemberSet other)
    {
        if (other.IsSubsetOf(this)) return this;
        if (IsSubsetOf(other)) return other;
        var words = new ulong[Math.Max(_words.Length, other._words.Length)];
        _words.CopyTo(words, 0);
        for (int i = 0; i < other._words.Length; i++) words[i] |= other._words[i];
        return new MemberSet(words);
    }

    public bool IsSubsetOf(MemberSet other)
    {
        if (ReferenceEquals(this, other)) return true;
        for (int i = 0; i < _words.Length; i++)
        {
            ulong theirs = i < other._words.Length ? other._words[i] : 0;
            if ((_words[i] & ~theirs) != 0) return false;
        }
        return true;
    }

    public bool Equals(MemberSet? other) => other is not null && _words.AsSpan().SequenceEqual(other._words);

    public override bool Equals(object? obj) => Equals(obj as MemberSet);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (ulong word in _words) hash.Add(word);
        return hash.ToHashCode();
    }

    /// <summary>The ranks in the set, in rising order.</summary>
    public Enumerator GetEnumerator() => new(_words);

    public struct Enumerator(ulong[] words)
    {
        private int _word = -1;
        private ulong _rest;

        public int Current { get; private set; }

        public bool MoveNext()
        {
            while (_rest == 0)
            {
                if (++_word >= words.Length) return false;
                _rest = words[_word];
            }
            Current = (_word << 6) + BitOperations.TrailingZeroCount(_rest);
            _rest &= _rest - 1;
            return true;
        }
    }
}
