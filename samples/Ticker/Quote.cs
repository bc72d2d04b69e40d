namespace Ticker;

/// <summary>A quote, as the feed sends it and the clients get it.</summary>
/// <param name="Symbol">The stock.</param>
/// <param name="Number">1 for the first quote of the symbol, then one more each: by it duplicates and losses are known.</param>
/// <param name="Date">The trading day.</param>
/// <param name="Value">The price.</param>
/// <param name="Change">Against the day before, in percent.</param>
internal sealed record Quote(string Symbol, int Number, DateOnly Date, decimal Value, decimal Change)
{
    /// <summary>Where the clients of a symbol are found.</summary>
    public static string GroupOf(string symbol) => $"/quotes/{symbol}";
}
