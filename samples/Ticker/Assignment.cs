// Who is responsible for which stocks, computed alike by all members from the view alone: the alphabet is divided by rank
// ("The Isis project: a toolkit and META", figures 3 and 11).
using System.Collections.Immutable;
using Core.Groups;

namespace Ticker;

/// <summary>The division of the stocks that one view of the ticker group means.</summary>
/// <param name="View">The view's number.</param>
/// <param name="Members">The view's tickers by rank.</param>
internal sealed record Assignment(long View, ImmutableArray<NodeId> Members)
{
    private const int Letters = 26;
    private const string TickerPrefix = "ticker";

    /// <summary>The assignment of a view: its tickers. Other members have no part.</summary>
    public static Assignment Of(View view) => new(view.Number, [.. view.Members.Where(m => m.Name.StartsWith(TickerPrefix, StringComparison.Ordinal))]);

    public NodeId PrimaryOf(string symbol) => Members[PartOf(symbol)];

    /// <summary>The next in rank; with a single member: the primary itself.</summary>
    public NodeId SecondaryOf(string symbol) => Members[(PartOf(symbol) + 1) % Members.Length];

    // Part i of n holds the letters from 26*i/n on. What does not begin with a letter is spread over the alphabet.
    private int PartOf(string symbol)
    {
        char first = char.ToUpperInvariant(symbol[0]);
        int letter = first is >= 'A' and <= 'Z' ? first - 'A' : first % Letters;
        for (int part = Members.Length - 1; ; part--)
        {
            if (letter >= Letters * part / Members.Length)
                return part;
        }
    }
}
