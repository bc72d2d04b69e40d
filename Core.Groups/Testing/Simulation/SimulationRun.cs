using System.Collections.Immutable;
using Core.Groups.Testing.Checkers;
using Core.Groups.Tracing;

namespace Core.Groups.Testing.Simulation;

/// <summary>What came of one seed in one scenario.</summary>
/// <param name="Violations">English sentences; none: all is well.</param>
/// <param name="Witnesses">The trace lines that show the first violation that a checker found.</param>
/// <param name="History">All traces, in the order of virtual time.</param>
/// <param name="Log">What was done to the cluster, and what the machines logged.</param>
internal sealed record SimulationResult(
    string Scenario, ulong Seed, IReadOnlyList<string> Violations, ImmutableArray<TraceEvent> Witnesses,
    IReadOnlyList<TraceEvent> History, IReadOnlyList<string> Log, Coverage Coverage, ulong Fingerprint, int ActsDone);

/// <summary>Runs a seed and judges it.</summary>
internal static class SimulationRun
{
    /// <summary>Runs the scenario with the seed to its end. Never throws: an exception is a violation.</summary>
    /// <param name="only">The numbers of the acts that are done; default: all.</param>
    /// <param name="traffic">What the cluster is for; null: the scripted application.</param>
    public static SimulationResult Run(Scenario scenario, ulong seed, IReadOnlySet<int>? only = null, ITraffic? traffic = null)
    {
        ScenarioDriver driver = new(scenario, seed, only, traffic);
        SimulatedCluster cluster = driver.Cluster;
        ImmutableArray<TraceEvent> witnesses = [];
        try
        {
            driver.Run();
            witnesses = Judge(cluster, isQuiet: true, scenario.Continuity);
        }
        catch (Exception exception)
        {
            cluster.Violate($"The run ended with {exception}");
        }
        cluster.Coverage.Events = cluster.Time.Executed;
        return new SimulationResult(
            scenario.Name, seed, cluster.Violations, witnesses, cluster.History, cluster.LogLines, cluster.Coverage,
            cluster.Fingerprint.Value, driver.ActsDone);
    }

    /// <summary>Adds what the checkers find in the history to the cluster's violations.</summary>
    /// <param name="isQuiet">Whether the cluster is at rest, so that everything must have been delivered.</param>
    /// <param name="continuity">What consecutive primaries must share; null: what votes show, on the nodes' disks or without disks.</param>
    /// <returns>The trace lines that show the first violation that was found.</returns>
    public static ImmutableArray<TraceEvent> Judge(SimulatedCluster cluster, bool isQuiet, PrimaryContinuity? continuity = null)
    {
        CheckOptions options = new()
        {
            IsPrimaryMode = !cluster.IsExtended,
            Electorate = [.. cluster.Seeds],
            Continuity = continuity ?? (cluster.Options.Disk is null ? PrimaryContinuity.VotesOrProof : PrimaryContinuity.MajorityOfNames),
            MinimumPrimaryWeight = continuity == PrimaryContinuity.None ? 1 : 0, // what is forced may hold less than the rest
            Leavers = [.. cluster.Leavers],
            SpanningBroadcasts = cluster.SpanningBroadcasts,
            Survivors = isQuiet && cluster.Violations.Count == 0
                ? [.. cluster.Nodes.Where(node => node.Process is not null).Select(node => node.Process!.Id)] : null,
        };
        IReadOnlyList<Violation> found = AllCheckers.Run(Checkers.History.From(cluster.History), options);
        foreach (Violation violation in found) cluster.Violate(violation.ToString());
        return found.Count > 0 ? found[0].Events : [];
    }
}
