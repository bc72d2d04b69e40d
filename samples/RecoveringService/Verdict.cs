using System.Globalization;
using Samples.Shared;

namespace RecoveringService;

/// <summary>What came out.</summary>
/// <param name="Stable">The entries that were acknowledged.</param>
/// <param name="Ledgers">What each member has in the end.</param>
/// <param name="Kills">How many processes were killed.</param>
/// <param name="Moments">How many at which moment.</param>
/// <param name="TotalFailures">How often all were.</param>
/// <param name="Recoveries">The times from the start of the last process to the first member that serves again.</param>
internal sealed record Verdict(
    IReadOnlyCollection<string> Stable, IReadOnlyDictionary<string, string[]> Ledgers, int Kills, IReadOnlyDictionary<Moment, int> Moments, int TotalFailures, IReadOnlyList<TimeSpan> Recoveries) : IVerdict
{
    /// <summary>Acknowledged, and missing at some member.</summary>
    public int Lost => Ledgers.Values.Select(ledger => Stable.Except(ledger).Count()).DefaultIfEmpty(Stable.Count).Max();

    /// <summary>There more than once.</summary>
    public int Doubled => Ledgers.Values.Select(ledger => ledger.Length - ledger.Distinct().Count()).DefaultIfEmpty(0).Max();

    public bool AreEqual => Ledgers.Values.All(ledger => ledger.SequenceEqual(Ledgers.Values.First()));

    public bool IsGood => Stable.Count > 0 && Ledgers.Count > 0 && Lost == 0 && Doubled == 0 && AreEqual;

    public IEnumerable<string> Lines()
    {
        TimeSpan[] times = [.. Recoveries.Order()];
        yield return $"{Kills} processes were killed, {TotalFailures} times all of them";
        yield return $"of these during a checkpoint {At(Moment.Checkpoint)}, at the end of a part of the log {At(Moment.LogRoll)}, during a transfer of the state {At(Moment.Transfer)}";
        if (times.Length > 0) yield return string.Create(CultureInfo.InvariantCulture, $"serving again after {times[times.Length / 2].TotalSeconds:F2} s (median; at most {times[^1].TotalSeconds:F2} s), process start included");
        yield return $"acknowledged entries: {Stable.Count}, in the ledger: {Ledgers.Values.Select(l => l.Length).DefaultIfEmpty(0).Max()}, lost: {Lost}, doubled: {Doubled}";
        yield return AreEqual ? "all ledgers are equal" : "THE LEDGERS DIFFER";
        yield return IsGood ? "good" : "NOT GOOD";
    }

    private int At(Moment moment) => Moments.GetValueOrDefault(moment);
}
