namespace Ticker;

/// <summary>To the ticker group: these quotes are sent to their clients, and no failure can undo that.</summary>
/// <param name="Quotes">Symbol and number of each.</param>
internal sealed record PublishedNotice(List<QuoteNumber> Quotes);

/// <summary>Names a quote.</summary>
internal sealed record QuoteNumber(string Symbol, int Number);
