using Core.Groups.Tracing;

namespace Core.Groups.Testing.Simulation;

/// <summary>What came of one seed in one scenario.</summary>
/// <param name="Violations">English sentences; none: all is well.</param>
/// <param name="History">All traces, in the order of virtual time.</param>
/// <param name="Log">What was done to the cluster, and what the machines logged.</param>
internal sealed record SimulationResult(
    string Scenario, ulong Seed, IReadOnlyList<string> Violations, IReadOnlyList<TraceEvent> History, IReadOnlyList<string> Log,
    Coverage Coverage, ulong Fingerprint, int ActsDone);

/// <summary>Runs a seed and judges it.</summary>
internal static class SimulationRun
{
    /// <summary>Runs the scenario with the seed to its end. Never throws: an exception is a violation.</summary>
    /// <param name="only">The numbers of the acts that are done; default: all.</param>
    public static SimulationResult Run(Scenario scenario, ulong seed, IReadOnlySet<int>? only = null)
    {
        ScenarioDriver driver = new(scenario, seed, only);
        SimulatedCluster cluster = driver.Cluster;
        try
        {
            driver.Run();
        }
        catch (Exception exception)
        {
            cluster.Violate($"The run ended with {exception}");
        }
        cluster.Coverage.Events = cluster.Time.Executed;
        return new SimulationResult(
            scenario.Name, seed, cluster.Violations, cluster.History, cluster.LogLines, cluster.Coverage, cluster.Fingerprint.Value, driver.ActsDone);
    }
}
