// Many simulated runs of one story: the seeds that are usual, or those of the environment.
using Core.Groups.Replication;
using Core.Groups.Testing.Replicas;

namespace Toolkit.Tests.Replication;

/// <summary>More by hand: REPLICA_SEEDS=1..500 dotnet test tests/Toolkit.Tests -c Release --filter NewsSimulation.</summary>
internal static class ManySeeds
{
    private static readonly string[] Seeds = (Environment.GetEnvironmentVariable("REPLICA_SEEDS") ?? "1..8").Split("..");

    /// <summary>All of them are run; then those that went wrong are told together.</summary>
    public static void AllHold<TReplica>(string scenario, Func<long, ReplicaWorkload<TReplica>> story) where TReplica : Replica
    {
        List<string> failed = [];
        for (long seed = long.Parse(Seeds[0]); seed <= long.Parse(Seeds[1]); seed++)
        {
            ReplicaRun run = ReplicaSimulation.Run((ulong)seed, scenario, story(seed));
            if (run.Violations.Count > 0)
                failed.Add(run.ToString());
        }

        Assert.True(failed.Count == 0, string.Join('\n', failed));
    }
}
