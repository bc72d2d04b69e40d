using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Core.Groups.Testing.Simulation;

namespace Simulator;

/// <summary>Which runs are asked for: every seed of a range, in each of some scenarios.</summary>
internal sealed record Selection(ulong First, ulong Last, IReadOnlyList<Scenario> Scenarios)
{
    public bool IsSingle => First == Last && Scenarios.Count == 1;

    public IEnumerable<(ulong Seed, Scenario Scenario)> Runs()
    {
        for (ulong seed = First; ; seed++)
        {
            foreach (Scenario scenario in Scenarios) yield return (seed, scenario);
            if (seed == Last) yield break;
        }
    }

    public static bool TryParse(string seeds, string names, [NotNullWhen(true)] out Selection? selection, out string error)
    {
        selection = null;
        string[] ends = seeds.Split("..");
        if (ends.Length > 2 || !TryNumber(ends[0], out ulong first) || !TryNumber(ends[^1], out ulong last) || last < first)
        {
            error = $"'{seeds}' is neither a seed nor a range like 1..10000.";
            return false;
        }
        List<Scenario> scenarios = [];
        foreach (string name in names.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (name == "all") scenarios.AddRange(Core.Groups.Testing.Simulation.Scenarios.All);
            else if (Core.Groups.Testing.Simulation.Scenarios.Find(name) is { } scenario) scenarios.Add(scenario);
            else
            {
                error = $"There is no scenario '{name}'; --list shows them all.";
                return false;
            }
        }
        error = scenarios.Count > 0 ? "" : "No scenario was named.";
        if (scenarios.Count > 0) selection = new(first, last, [.. scenarios.Distinct()]);
        return selection is not null;
    }

    private static bool TryNumber(string text, out ulong number) =>
        ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
