// Replicas on real protocol machines in a simulated world, under every kind of trouble that the protocol itself is tested with.
// Keeps: the same seed and workload give the same run, byte for byte. Violations come as sentences, never as exceptions.
using Core.Groups.Replication;
using Core.Groups.Testing.Simulation;

namespace Core.Groups.Testing.Replicas;

/// <summary>Runs replicas in a simulated cluster. Thread-safe: runs share nothing, so that seeds can be run in parallel.</summary>
public static class ReplicaSimulation
{
    /// <summary>The names of the scenarios: which troubles happen, and how often. All are of primary mode: in extended mode they would have several histories.</summary>
    public static IReadOnlyList<string> Scenarios { get; } = [.. Simulation.Scenarios.All.Where(scenario => !scenario.IsExtended).Select(scenario => scenario.Name)];

    /// <summary>
    /// Runs one seed: a phase of random calls, crashes, restarts, partitions, one-way cuts, freezes, broken connections, joins and
    /// leaves, as the scenario says; then everything is healed, and must come to rest within a bounded time with equal views and
    /// states, go on working, and come to rest again. All traces are judged by the protocol's own checkers, too.
    /// </summary>
    /// <param name="seed">Everything that is random comes from it.</param>
    /// <param name="scenario">One of <see cref="Scenarios"/>.</param>
    /// <param name="workload">What the test does; not used by another run.</param>
    /// <exception cref="ArgumentException">There is no such scenario.</exception>
    public static ReplicaRun Run<TReplica>(ulong seed, string scenario, ReplicaWorkload<TReplica> workload) where TReplica : Replica
    {
        ArgumentNullException.ThrowIfNull(workload);
        Scenario found = Simulation.Scenarios.Find(scenario)
            ?? throw new ArgumentException($"There is no scenario '{scenario}'. There are {string.Join(", ", Scenarios)}.", nameof(scenario));
        SimulationResult result = SimulationRun.Run(found, seed, traffic: new ReplicaWorld<TReplica>(workload));
        return new ReplicaRun(scenario, seed, result.Violations, result.Log, result.Fingerprint)
        {
            Crashes = result.Coverage.Crashes, Exclusions = result.Coverage.Exclusions,
            StateTransfers = result.Coverage.StateTransfers, Deliveries = result.Coverage.Deliveries.Sum(),
        };
    }
}
