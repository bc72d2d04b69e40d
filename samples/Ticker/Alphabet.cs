// Which part of the stocks is whose: the alphabet is divided by rank ("The Isis project: a toolkit and META", figure 3).
using Core.Groups;
using Toolkit.ReplicatedData;

namespace Ticker;

/// <summary>The division of the stocks among the tickers.</summary>
internal static class Alphabet
{
    private const int Letters = 26;
    private const string TickerPrefix = "ticker";

    /// <summary>The partition of a member of the ticker group. Members that are no tickers have no part.</summary>
    public static WorkPartition<string> CreatePartition() => new(PartOf, IsTicker);

    public static bool IsTicker(NodeId member) => member.Name.StartsWith(TickerPrefix, StringComparison.Ordinal);

    /// <summary>Part i of n holds the letters from 26*i/n on. What does not begin with a letter is spread over the alphabet.</summary>
    public static int PartOf(string symbol, int parts)
    {
        char first = char.ToUpperInvariant(symbol[0]);
        int letter = first is >= 'A' and <= 'Z' ? first - 'A' : first % Letters;
        for (int part = parts - 1; ; part--)
        {
            if (letter >= Letters * part / parts)
                return part;
        }
    }
}
