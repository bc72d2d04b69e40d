using Core.Groups.Replication;
using Core.Groups.Testing.Replicas;

namespace Toolkit.Tests.Replication;

/// <summary>Replicas in a simulated cluster that a test drives by hand.</summary>
public sealed class ReplicaClusterTests
{
    [Fact]
    public void The_majority_goes_on_and_the_others_get_its_state()
    {
        var effects = new Dictionary<string, Recorder>();
        var cluster = new ReplicaCluster<LogReplica>(1, 3, site => new LogReplica(effects[site.Node] = new Recorder()));
        cluster["a"].Run(log => log.Append(1, 10));
        Assert.True(cluster.RunUntil(() => effects["a"].Appended.Contains(1), TimeSpan.FromSeconds(1)));
        cluster.Partition(["a"], ["b", "c"]);
        cluster["a"].Run(log => log.Append(2, 20));
        cluster["b"].Run(log => log.Append(3, 30));
        Assert.True(cluster.RunUntil(() => effects["b"].Appended.Contains(3), TimeSpan.FromSeconds(10)));
        Assert.DoesNotContain(2, effects["a"].Appended);
        cluster.Settle();
        Assert.Equal(MembershipEnd.Excluded, effects["a"].Ended[2]);
        Assert.Equal([10, 30], cluster["a"].Replica!.Log);
    }

    [Fact]
    public void A_crashed_node_comes_back_with_another_replica()
    {
        var cluster = new ReplicaCluster<LogReplica>(2, 3, _ => new LogReplica(new Recorder()), "/x", "/y");
        LogReplica first = cluster["c", "/y"].Replica!;
        cluster["a", "/y"].Run(log => log.Append(1, 5));
        cluster.Crash("c");
        Assert.False(cluster["c", "/y"].IsMember);
        Assert.Throws<InvalidOperationException>(() => cluster["c", "/y"].Run(_ => { }));
        cluster.Start("c");
        cluster.Settle();
        Assert.NotSame(first, cluster["c", "/y"].Replica);
        Assert.Equal([5], cluster["c", "/y"].Replica!.Log);
        Assert.Empty(cluster["c", "/x"].Replica!.Log);
    }

    [Fact]
    public void A_leave_is_told_and_what_is_wrong_is_thrown()
    {
        var cluster = new ReplicaCluster<LogReplica>(3, 2, _ => new LogReplica(new Recorder()));
        LogReplica left = cluster["b"].Replica!;
        cluster.Leave("b", "/replica");
        cluster.Settle();
        Assert.Equal(MembershipEnd.Left, left.End);
        cluster["a"].Violate("the test says so");
        ReplicaViolationException error = Assert.Throws<ReplicaViolationException>(() => cluster.RunFor(TimeSpan.FromSeconds(1)));
        Assert.Contains("the test says so", error.Message, StringComparison.Ordinal);
        Assert.Contains("leave b", error.Message, StringComparison.Ordinal);
    }

    private sealed class Recorder : ILogEffects
    {
        public HashSet<long> Appended { get; } = [];
        public Dictionary<long, MembershipEnd> Ended { get; } = [];

        void ILogEffects.Appended(long call, int position) => Appended.Add(call);

        void ILogEffects.Flushed(long call)
        {
        }

        void ILogEffects.Woke()
        {
        }

        void ILogEffects.Ended(long call, MembershipEnd end) => Ended.Add(call, end);
    }
}
