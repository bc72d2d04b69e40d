using Core.Groups.Protocol;
using Core.Groups.Testing.Checkers;
using Core.Groups.Testing.Simulation;
using Core.Groups.Tracing;

namespace Simulator;

/// <summary>What a person needs to find out why a run failed: the violation, how to see it again, and what came before.</summary>
internal static class FailureReport
{
    private const int LastLines = 60;
    private const int LastActs = 20;

    /// <summary>Acts, log lines and traces together: each begins with the time, in one width.</summary>
    public static IEnumerable<string> Merge(IEnumerable<string> log, IEnumerable<TraceEvent> history) =>
        log.Concat(history.Select(TraceText.Line)).OrderBy(line => line[..10], StringComparer.Ordinal);

    public static string OneLine(SimulationResult result) =>
        $"{result.Scenario} {result.Seed}: {(result.Violations.Count == 0 ? "ok" : "VIOLATION " + FirstLine(result.Violations[0]))} "
        + $"({result.History.Count} lines, fingerprint {result.Fingerprint:x16})";

    public static void Print(Scenario scenario, SimulationResult result, string acts = "")
    {
        string weak = scenario.Weak == WeakRules.None ? "" : $" --weak {scenario.Weak}";
        bool isChosen = scenario.MinimumNodes == scenario.MaximumNodes && scenario.MinimumNodes != Scenarios.Find(scenario.Name)?.MinimumNodes;
        string nodes = isChosen ? $" --nodes {scenario.MinimumNodes}" : "";
        Console.WriteLine($"VIOLATION in scenario {result.Scenario}, seed {result.Seed}:");
        foreach (string violation in result.Violations.Take(5)) Console.WriteLine("  " + violation);
        Console.WriteLine($"replay: dotnet run -c Release --project tests/Simulator -- --seeds {result.Seed} --scenario {result.Scenario}{(acts.Length > 0 ? " --acts " + acts : "")}{nodes}{weak} --verbose");
        Console.WriteLine("the last acts:");
        foreach (string line in result.Log.TakeLast(LastActs)) Console.WriteLine("  " + line);
        Console.WriteLine("the last lines of the traces up to the violation (times in milliseconds):");
        Console.Write(SpaceTime.Render(History.From(UpTo(result)), LastLines, result.Witnesses));
    }

    public static void PrintAll(SimulationResult result)
    {
        foreach (string line in Lines(result)) Console.WriteLine(line);
    }

    public static void Write(SimulationResult result, DirectoryInfo folder)
    {
        folder.Create();
        string path = Path.Combine(folder.FullName, $"{result.Scenario}-{result.Seed}.txt");
        File.WriteAllLines(path, result.Violations.Concat(Lines(result)));
    }

    /// <summary>The history up to the last line that shows the violation; all of it, if none shows it.</summary>
    private static IEnumerable<TraceEvent> UpTo(SimulationResult result)
    {
        int last = result.History.Count - 1;
        while (last >= 0 && !result.Witnesses.IsEmpty && !result.Witnesses.Contains(result.History[last])) last--;
        return last < 0 ? result.History : result.History.Take(last + 1);
    }

    private static IEnumerable<string> Lines(SimulationResult result) => Merge(result.Log, result.History);

    private static string FirstLine(string text) => text.Split('\n')[0];
}
