// Whether the run kept its promise, from what the clients themselves have counted.
using System.Globalization;
using Samples.Shared;

namespace Ticker;

/// <summary>What one client reported at the end.</summary>
/// <param name="Gap">The longest time between two new quotes of one symbol, in milliseconds.</param>
internal sealed record ClientReport(string Name, long Received, long Lost, long Duplicates, double Gap);

/// <summary>The sum of all reports.</summary>
/// <param name="Sent">Quotes that the feed sent.</param>
/// <param name="Clients">The reports.</param>
/// <param name="Silent">Clients that did not report: nothing is known of what they got.</param>
internal sealed record Verdict(long Sent, IReadOnlyList<ClientReport> Clients, IReadOnlyList<string> Silent) : IVerdict
{
    public long Expected => Sent * (Clients.Count + Silent.Count);
    public long Received => Clients.Sum(c => c.Received);
    public long Lost => Clients.Sum(c => c.Lost) + (Sent * Silent.Count);
    public long Duplicates => Clients.Sum(c => c.Duplicates);
    public double LongestGap => Clients.Count == 0 ? 0 : Clients.Max(c => c.Gap);

    /// <summary>Nothing lost, and the counts agree with each other.</summary>
    public bool IsGood => Lost == 0 && Received == Expected;

    public IEnumerable<string> Lines()
    {
        foreach (ClientReport c in Clients)
            yield return Invariant($"{c.Name}: received {c.Received}, lost {c.Lost}, duplicates dropped {c.Duplicates}, longest gap {c.Gap:F0} ms");
        foreach (string name in Silent)
            yield return $"{name}: no report";
        yield return Invariant($"quotes sent {Sent}, to {Clients.Count + Silent.Count} clients");
        yield return Invariant($"received {Received} of {Expected}");
        yield return Invariant($"lost {Lost}");
        yield return Invariant($"duplicates dropped {Duplicates}");
        yield return Invariant($"longest gap {LongestGap:F0} ms");
        yield return $"verdict: {(IsGood ? "every quote reached every client" : "QUOTES WERE LOST")}";
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
