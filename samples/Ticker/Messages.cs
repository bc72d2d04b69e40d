namespace Ticker;

/// <summary>To the ticker group: these quotes are sent to their clients, and no failure can undo that.</summary>
/// <param name="Quotes">Symbol and number of each.</param>
internal sealed record PublishedNotice(List<QuoteNumber> Quotes);

/// <summary>Names a quote.</summary>
internal sealed record QuoteNumber(string Symbol, int Number);

/// <summary>To the ticker group, by its oldest member: have you seen this view?</summary>
internal sealed record Poll(long View);

/// <summary>The answer to a <see cref="Poll"/>. It needs no contents: whoever gets the poll has seen the view.</summary>
internal sealed record PollAnswer;

/// <summary>To the ticker group: all members act by this view's assignment, the old ones end.</summary>
internal sealed record Switch(long View);
