// What a client has got. Keeps: a quote counts once, whoever published it and however often.
namespace Ticker;

/// <summary>Counts quotes by symbol and number. Not thread-safe.</summary>
internal sealed class Tally
{
    private readonly Dictionary<string, SymbolTally> _symbols = [];

    /// <summary>Distinct quotes.</summary>
    public long Received { get; private set; }

    /// <summary>Quotes that had come before.</summary>
    public long Duplicates { get; private set; }

    /// <summary>The longest time between two new quotes of one symbol.</summary>
    public TimeSpan LongestGap { get; private set; }

    /// <summary>The newest quote of every symbol.</summary>
    public IEnumerable<Quote> Newest => _symbols.Values.Select(s => s.Newest);

    /// <param name="now">A time that only grows.</param>
    /// <returns>False: it had come before.</returns>
    public bool Add(Quote quote, TimeSpan now)
    {
        if (!_symbols.TryGetValue(quote.Symbol, out SymbolTally? symbol))
            _symbols.Add(quote.Symbol, symbol = new SymbolTally(quote, now));
        if (!symbol.Numbers.Add(quote.Number))
        {
            Duplicates++;
            return false;
        }

        Received++;
        if (now - symbol.LastAt > LongestGap)
            LongestGap = now - symbol.LastAt;
        symbol.LastAt = now;
        if (quote.Number > symbol.Newest.Number)
            symbol.Newest = quote; // a late one is received, but no news
        return true;
    }

    /// <summary>How many of the quotes that were sent have not come.</summary>
    /// <param name="sent">Per symbol, the number of the last quote sent.</param>
    public long Lost(IReadOnlyDictionary<string, int> sent) =>
        sent.Sum(s => (long)(_symbols.TryGetValue(s.Key, out SymbolTally? symbol) ? symbol.Numbers.MissingUpTo(s.Value) : s.Value));

    private sealed class SymbolTally(Quote first, TimeSpan now)
    {
        public NumberSet Numbers { get; } = new();
        public TimeSpan LastAt { get; set; } = now;
        public Quote Newest { get; set; } = first;
    }
}
