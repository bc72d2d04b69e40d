using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Core.Groups.Protocol;
using Core.Groups.Testing.Simulation;

namespace Simulator;

/// <summary>Which runs are asked for: every seed of a range, in each of some scenarios.</summary>
/// <param name="Acts">The acts that are done; null: all.</param>
internal sealed record Selection(ulong First, ulong Last, IReadOnlyList<Scenario> Scenarios, IReadOnlySet<int>? Acts)
{
    /// <summary>Stands for a schedule without any act: the beginning and the end alone.</summary>
    public const string NoActs = "none";

    public bool IsSingle => First == Last && Scenarios.Count == 1;

    public IEnumerable<(ulong Seed, Scenario Scenario)> Runs()
    {
        for (ulong seed = First; ; seed++)
        {
            foreach (Scenario scenario in Scenarios) yield return (seed, scenario);
            if (seed == Last) yield break;
        }
    }

    public static bool TryParse(string seeds, string names, string acts, int? nodes, WeakRules weak, [NotNullWhen(true)] out Selection? selection, out string error)
    {
        selection = null;
        string[] ends = seeds.Split("..");
        if (ends.Length > 2 || !TryNumber(ends[0], out ulong first) || !TryNumber(ends[^1], out ulong last) || last < first)
        {
            error = $"'{seeds}' is neither a seed nor a range like 1..10000.";
            return false;
        }
        HashSet<int> numbers = [];
        foreach (string act in acts.Split(',', StringSplitOptions.RemoveEmptyEntries).Where(act => act != NoActs))
        {
            if (!int.TryParse(act, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
            {
                error = $"'{act}' is not the number of an act.";
                return false;
            }
            numbers.Add(number);
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
        if (nodes is < 2 or > 500)
        {
            error = $"A run has 2 to 500 nodes, not {nodes}.";
            return false;
        }
        error = scenarios.Count > 0 ? "" : "No scenario was named.";
        if (scenarios.Count > 0) selection = new(first, last, [.. scenarios.Distinct().Select(s => Vary(s, nodes, weak))], acts.Length > 0 ? numbers : null);
        return selection is not null;
    }

    private static Scenario Vary(Scenario scenario, int? nodes, WeakRules weak) => scenario with
    {
        Weak = weak,
        MinimumNodes = nodes ?? scenario.MinimumNodes,
        MaximumNodes = nodes ?? scenario.MaximumNodes,
    };

    private static bool TryNumber(string text, out ulong number) =>
        ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
