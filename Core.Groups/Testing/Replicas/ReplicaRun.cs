using System.Text;

namespace Core.Groups.Testing.Replicas;

/// <summary>What came of one seed in one scenario.</summary>
/// <param name="Scenario">The name of the scenario.</param>
/// <param name="Seed">The seed: with it the run can be repeated, byte for byte.</param>
/// <param name="Violations">What was wrong, as English sentences, the first one first; none: all is well.</param>
/// <param name="Log">What was done to the cluster, and what nodes and test logged, with the time of the world.</param>
/// <param name="Fingerprint">A hash of all that was sent and seen: equal for equal runs.</param>
public sealed record ReplicaRun(string Scenario, ulong Seed, IReadOnlyList<string> Violations, IReadOnlyList<string> Log, ulong Fingerprint)
{
    /// <summary>How many crashes there were.</summary>
    public long Crashes { get; init; }

    /// <summary>How many times a node was excluded and came back.</summary>
    public long Exclusions { get; init; }

    /// <summary>How many states were transferred.</summary>
    public long StateTransfers { get; init; }

    /// <summary>How many messages were delivered, over all nodes.</summary>
    public long Deliveries { get; init; }

    /// <summary>Seed, scenario and violations, and the end of the log.</summary>
    public override string ToString()
    {
        var text = new StringBuilder().AppendLine($"Seed {Seed} of scenario '{Scenario}': {Violations.Count} violations.");
        foreach (string violation in Violations.Take(10)) text.AppendLine(violation);
        if (Violations.Count > 0) text.AppendLine("The last of the log:");
        foreach (string line in Violations.Count > 0 ? Log.TakeLast(40) : []) text.AppendLine(line);
        return text.ToString();
    }
}
