// When is a cluster at rest? Judged from what machines and applications say of themselves (protocol, invariants 8, 9).
namespace Core.Groups.Testing.Simulation;

/// <summary>Names what keeps a cluster from being at rest.</summary>
internal static class Quiescence
{
    /// <summary>The obstacles as English phrases; none: all living nodes are at rest in one primary configuration.</summary>
    public static IEnumerable<string> Obstacles(SimulatedCluster cluster)
    {
        ConfigurationId? common = null;
        SimulatedNode[] living = [.. cluster.Nodes.Where(node => node.IsUp)];
        foreach (SimulatedNode node in living)
        {
            if (node.Process is not { } process)
            {
                yield return $"{node.Name} is about to start again";
                continue;
            }
            if (process.Application.IsStopping) yield return $"{process.Id} has not ended its stop";
            if (process.IsBlocked || process.Machine.IsBlocked) yield return $"{process.Id} is blocked";
            if (process.HasInputs) yield return $"{process.Id} has inputs";
            if (process.Machine.Configuration is not { } configuration)
            {
                yield return $"{process.Id} has no configuration";
                continue;
            }
            bool isFirst = common is null;
            common ??= configuration.Id;
            if (configuration.Id != common) yield return $"{process.Id} is in {configuration.Id} instead of {common}";
            if (!configuration.IsPrimary) yield return $"{configuration.Id} at {process.Id} is not primary";
            // Whoever is in the common configuration has its members: they are compared once.
            if ((isFirst || configuration.Id != common) && !SameNodes(configuration, living))
                yield return $"{process.Id} has the configuration [{string.Join(' ', configuration.Members)}]";
            // A suspicion is carried out in the end, also when its cause has gone.
            foreach (NodeId member in configuration.Members.Except(process.Machine.Reachable)) yield return $"{process.Id} suspects {member}";
            foreach (string left in Leftovers(process)) yield return $"{process.Id}: {left}";
        }
        foreach (string unserved in Unserved(cluster)) yield return unserved;
    }

    private static IEnumerable<string> Unserved(SimulatedCluster cluster)
    {
        foreach (SimulatedClient client in cluster.Clients)
        {
            foreach (string waiting in client.Calls.Waiting) yield return $"{client.Id}: {waiting}";
        }
    }

    private static IEnumerable<string> Leftovers(SimulatedProcess process)
    {
        Protocol.MachineStatistics statistics = process.Machine.Statistics;
        if (process.Machine.IsMerging) yield return "groups are merging";
        if (statistics.Queued != 0) yield return $"{statistics.Queued} sends are queued";
        if (statistics.Unstable != 0) yield return $"{statistics.Unstable} messages are kept";
        foreach (string unfinished in process.Application.Unfinished()) yield return unfinished;
    }

    private static bool SameNodes(Configuration configuration, SimulatedNode[] living) =>
        configuration.Members.Length == living.Length
        && living.All(node => node.Process is { } process && configuration.Members.Contains(process.Id));
}
