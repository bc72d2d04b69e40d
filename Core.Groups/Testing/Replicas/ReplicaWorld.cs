// The traffic of a cluster of replicas: what is called where, and what must hold at rest.
using Core.Groups.Replication;
using Core.Groups.Testing.Simulation;

namespace Core.Groups.Testing.Replicas;

/// <summary>The replicas of one simulated cluster.</summary>
internal sealed class ReplicaWorld<TReplica>(ReplicaWorkload<TReplica> workload) : ITraffic where TReplica : Replica
{
    private readonly SortedDictionary<string, ReplicaSite<TReplica>> _sites = new(StringComparer.Ordinal);

    public IReadOnlyList<string> Groups => workload.Groups;

    public ISimulatedApplication CreateApplication(ApplicationSeat seat) =>
        new ReplicaApplication(seat, (process, group) => SiteOf(seat.Cluster, process.Id.Name, group));

    public void Do(Act act, SimulatedNode node, string group, SimulationRandom random)
    {
        if (node.Process is not { IsFrozen: false, Application: { IsStopping: false } application } process) return;
        ReplicaSite<TReplica> site = SiteOf(((ReplicaApplication)application).Cluster, process.Id.Name, group);
        for (int count = act == Act.Burst ? random.Between(2, 20) : 1; count > 0 && site.IsUp; count--)
        {
            if (act == Act.Request && workload.Ask is { } ask) ask(site, random);
            else if (site.IsMember) workload.Act(site, random);
        }
    }

    public IEnumerable<string> Differences(SimulatedCluster cluster)
    {
        ReplicaSite<TReplica>[] members = [.. _sites.Values.Where(site => site.IsMember)];
        foreach (IGrouping<string, ReplicaSite<TReplica>> group in members.GroupBy(site => site.Group))
        {
            ReplicaSite<TReplica> first = group.First();
            byte[]? state = workload.ComparesStates ? Save(first) : null;
            foreach (ReplicaSite<TReplica> other in group)
            {
                View view = other.Slot!.View, firstView = first.Slot!.View;
                if (view.Id != firstView.Id || view.Number != firstView.Number || !view.Members.SequenceEqual(group.Select(site => site.Self).OrderBy(view.RankOf)))
                    yield return $"{group.Key} is in view {view.Number} ({view.Id}) [{string.Join(' ', view.Members)}] at {other.Self}, in {firstView.Number} ({firstView.Id}) at {first.Self}.";
                if (state is not null && Save(other) is { } otherState && !state.AsSpan().SequenceEqual(otherState))
                {
                    yield return $"The states of {group.Key} differ: {first.Self} has {state.Length} bytes, {other.Self} {otherState.Length}, " +
                        $"and they differ from byte {state.AsSpan().CommonPrefixLength(otherState)} on.";
                }
            }
        }

        foreach (string sentence in workload.Check?.Invoke(members) ?? []) yield return sentence;
    }

    /// <summary>The place of a node in a group.</summary>
    public ReplicaSite<TReplica> SiteOf(SimulatedCluster cluster, string node, string group)
    {
        string key = $"{group} {node}";
        if (!_sites.TryGetValue(key, out ReplicaSite<TReplica>? site))
            _sites.Add(key, site = new ReplicaSite<TReplica>(cluster, node, group, workload.Create));
        return site;
    }

    private static byte[]? Save(ReplicaSite<TReplica> site)
    {
        byte[]? state = null;
        site.Run(replica => state = replica.Save().ToArray());
        return state;
    }
}
