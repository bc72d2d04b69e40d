// Runs a selection on some threads. A run is one thread's alone; only the sums are shared.
using System.Diagnostics;
using System.Globalization;
using Core.Groups;
using Core.Groups.Testing.Simulation;

namespace Simulator;

/// <summary>Runs, counts, and reports.</summary>
internal sealed class Batch(Selection selection, bool verbose, bool stopOnFirst, bool shrink, DirectoryInfo? traceFolder)
{
    /// <summary>Of more violated runs than this only the count is printed.</summary>
    private const int MaximumLines = 20;

    private readonly Lock gate = new();
    private readonly SortedDictionary<string, int> runs = new(StringComparer.Ordinal);
    private readonly Coverage coverage = new();
    private int violated;
    private volatile bool stop;

    /// <summary>True: no violation.</summary>
    public bool Run(int parallel)
    {
        Stopwatch watch = Stopwatch.StartNew();
        Parallel.ForEach(selection.Runs(), new ParallelOptions { MaxDegreeOfParallelism = parallel }, (run, state) =>
        {
            if (stop) state.Stop();
            else Take(run.Scenario, SimulationRun.Run(run.Scenario, run.Seed, selection.Acts));
        });
        Summarize(watch.Elapsed);
        return violated == 0;
    }

    private void Take(Scenario scenario, SimulationResult result)
    {
        lock (gate)
        {
            if (stop) return;
            runs[result.Scenario] = runs.GetValueOrDefault(result.Scenario) + 1;
            coverage.Add(result.Coverage);
            if (verbose) Console.WriteLine(FailureReport.OneLine(result));
            if (verbose && selection.IsSingle) FailureReport.PrintAll(result);
            if (result.Violations.Count == 0) return;
            violated++;
            stop = stopOnFirst;
            if (violated == 1 && shrink) FailureReport.Print(scenario, Shrinker.Shrink(scenario, result, out string acts), acts);
            else if (violated == 1 || verbose) FailureReport.Print(scenario, result);
            else if (violated <= MaximumLines) Console.WriteLine(FailureReport.OneLine(result));
            if (traceFolder is not null) FailureReport.Write(result, traceFolder);
        }
    }

    private void Summarize(TimeSpan elapsed)
    {
        int total = runs.Values.Sum();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{total} runs, {violated} with a violation, in {elapsed.TotalSeconds:0.0} s: {total / elapsed.TotalSeconds:0} runs/s, {coverage.Events / elapsed.TotalSeconds:0} events/s"));
        Console.WriteLine("scenarios: " + string.Join(", ", runs.Select(run => $"{run.Key} {run.Value}")));
        Console.WriteLine($"configurations {coverage.Configurations}, views {coverage.Views}, blocks {coverage.Blocks}, exclusions {coverage.Exclusions}, "
            + $"crashes {coverage.Crashes}, broken connections {coverage.Resumes}, state transfers {coverage.StateTransfers}, requests {coverage.Requests} ({coverage.PassedOn} answers by others, {coverage.ReplyCopies} copies), deletions {coverage.Deletions}, refusals {coverage.Refusals}, moves {coverage.Moves}, watched changes {coverage.WatchedChanges}, client moves {coverage.ClientMoves}, answers to clients {coverage.ClientAnswers}, void state streams {coverage.StateRestarts}");
        Console.WriteLine("deliveries: " + string.Join(", ", Enum.GetValues<Order>().Select(order => $"{order} {coverage.Deliveries[(int)order]}")));
    }
}
