// Finds a short schedule that fails like a long one: parts of it are left out, as long as it still fails alike.
// Follows: Zeller's delta debugging (ddmin), on the acts of a scenario.
using System.Text.RegularExpressions;
using Core.Groups.Testing.Simulation;

namespace Simulator;

/// <summary>Makes failures readable.</summary>
internal static partial class Shrinker
{
    /// <summary>The shortest run that was found, and the numbers of its acts for <c>--acts</c>.</summary>
    public static SimulationResult Shrink(Scenario scenario, SimulationResult failed, out string acts)
    {
        string kind = Kind(failed);
        List<int> kept = [.. Enumerable.Range(0, failed.ActsDone)];
        SimulationResult best = failed;
        for (int chunk = Math.Max(1, kept.Count / 2); chunk > 0;)
        {
            // Single acts are tried until none can be left out any more.
            if (!Pass(chunk) || chunk > 1) chunk /= 2;
        }
        acts = kept.Count > 0 ? string.Join(',', kept) : Selection.NoActs;
        return best;

        bool Pass(int chunk)
        {
            bool smaller = false;
            for (int at = Math.Max(0, kept.Count - chunk); ; at = Math.Max(0, at - chunk))
            {
                List<int> fewer = [.. kept.Where((_, index) => index < at || index >= at + chunk)];
                SimulationResult result = SimulationRun.Run(scenario, failed.Seed, fewer.ToHashSet());
                if (fewer.Count < kept.Count && Kind(result) == kind)
                {
                    (kept, best, smaller) = (fewer, result, true);
                }
                if (at == 0) return smaller;
            }
        }
    }

    /// <summary>How the violation begins, without times, names and numbers.</summary>
    private static string Kind(SimulationResult result)
    {
        string text = result.Violations.Count == 0 ? "" : Details().Replace(result.Violations[0], "");
        return text[..Math.Min(text.Length, 45)];
    }

    [GeneratedRegex(@"\b[a-g]\b|[0-9.]+")]
    private static partial Regex Details();
}
