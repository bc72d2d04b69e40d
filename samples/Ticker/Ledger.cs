// What the ticker group knows of the quotes: which are published, and those that are not, so that whoever takes over can
// publish them. It is the group's state: a ticker that joins gets it.
// Keeps: a quote is in the backlog from its delivery until some member has said that all its clients have it.
using System.Text.Json.Serialization;

namespace Ticker;

/// <summary>The replicated state of the ticker group. Not thread-safe.</summary>
internal sealed class Ledger
{
    /// <summary>Per symbol, the numbers of the quotes that are published.</summary>
    public Dictionary<string, NumberSet> Published { get; init; } = [];

    /// <summary>Per symbol, the quotes that are not, by number.</summary>
    public Dictionary<string, SortedDictionary<int, Quote>> Waiting { get; init; } = [];

    [JsonIgnore]
    public int PublishedCount => Published.Values.Sum(p => p.Count);

    /// <summary>A quote came from the feed. False: it is known already.</summary>
    public bool Add(Quote quote)
    {
        if (Knows(quote))
            return false;
        if (!Waiting.TryGetValue(quote.Symbol, out SortedDictionary<int, Quote>? waiting))
            Waiting.Add(quote.Symbol, waiting = []);
        waiting.Add(quote.Number, quote);
        return true;
    }

    /// <summary>A member has published a quote.</summary>
    public void MarkPublished(string symbol, int number)
    {
        if (!Published.TryGetValue(symbol, out NumberSet? published))
            Published.Add(symbol, published = new NumberSet());
        published.Add(number);
        Waiting.GetValueOrDefault(symbol)?.Remove(number);
    }

    /// <summary>Whether a quote has come, published or not.</summary>
    public bool Knows(Quote quote) => IsWaiting(quote) || Published.GetValueOrDefault(quote.Symbol)?.Contains(quote.Number) == true;

    public bool IsWaiting(Quote quote) => Waiting.GetValueOrDefault(quote.Symbol)?.ContainsKey(quote.Number) == true;

    /// <summary>A copy that later changes do not touch.</summary>
    public Ledger Copy() => new()
    {
        Published = Published.ToDictionary(p => p.Key, p => new NumberSet { UpTo = p.Value.UpTo, Beyond = [.. p.Value.Beyond] }),
        Waiting = Waiting.ToDictionary(w => w.Key, w => new SortedDictionary<int, Quote>(w.Value)),
    };

    /// <summary>The backlog of the symbols that a test admits.</summary>
    public IEnumerable<Quote> WaitingOf(Func<string, bool> symbols) =>
        Waiting.Where(w => symbols(w.Key)).SelectMany(w => w.Value.Values);
}
