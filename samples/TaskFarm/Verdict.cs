// Whether the run kept its promise, from the results that each process has on its copy of the board.
using System.Globalization;
using Samples.Shared;

namespace TaskFarm;

/// <summary>A result.</summary>
/// <param name="Job">Of which job.</param>
/// <param name="Answer">What came out.</param>
/// <param name="By">Who computed it.</param>
internal sealed record Result(long Job, long Answer, string By);

/// <summary>The judgement.</summary>
/// <param name="Jobs">How many jobs there were.</param>
/// <param name="Kills">How many processes were killed.</param>
/// <param name="Copies">The results at each process.</param>
internal sealed record Verdict(int Jobs, int Kills, IReadOnlyDictionary<string, IReadOnlyList<Result>> Copies) : IVerdict
{
    /// <summary>Jobs without a result at some process.</summary>
    public long Lost => Worst(results => Enumerable.Range(0, Jobs).Except(results.Select(r => (int)r.Job)).Count());

    /// <summary>Results beyond the first of a job, or of no job at all.</summary>
    public long Repeated => Worst(results => results.Count - results.Select(r => r.Job).Distinct().Count(job => job >= 0 && job < Jobs));

    /// <summary>Results that are not right.</summary>
    public long Wrong => Worst(results => results.Count(r => r.Answer != Job.Answer(r.Job)));

    /// <summary>Every job has one result, the right one, and all processes have the same.</summary>
    public bool IsGood => Copies.Count > 0 && Lost == 0 && Repeated == 0 && Wrong == 0 && Copies.Values.All(c => c.ToHashSet().SetEquals(Copies.Values.First()));

    public IEnumerable<string> Lines()
    {
        foreach (IGrouping<string, Result> of in Copies.Values.FirstOrDefault([]).GroupBy(r => r.By).OrderBy(g => g.Key, StringComparer.Ordinal))
            yield return Invariant($"{of.Key}: {of.Count()} results");
        yield return Invariant($"jobs {Jobs}, processes killed {Kills}");
        yield return Invariant($"lost {Lost}, repeated {Repeated}, wrong {Wrong}");
        yield return $"verdict: {(IsGood ? "every job has one result" : "JOBS WERE LOST OR REPEATED")}";
    }

    private long Worst(Func<IReadOnlyList<Result>, int> count) => Copies.Count == 0 ? Jobs : Copies.Values.Max(count);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
