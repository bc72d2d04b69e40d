// Nodes with and without stable storage that die and are started again: the cluster works again by itself, with the survivor's state
// where there is one; what an operator can do where there is none.
namespace Core.Groups.Tests.Hosting;

public sealed class RestartTests
{
    private const int Limit = 120_000;

    /// <summary>The oldest, the youngest, or both ends die; who is left has the state, and the restarted ones take it over.</summary>
    [Theory(Timeout = Limit)]
    [InlineData(0, 1, false)]
    [InlineData(1, 0, false)]
    [InlineData(0, 2, false)]
    [InlineData(2, 1, false)]
    [InlineData(1, 0, true)]
    [InlineData(2, 0, true)] // two stores are a majority of what they remember, and have no state
    public async Task Two_of_three_are_killed_and_started_again_and_the_survivors_state_wins(int first, int second, bool isStored)
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3, isStored);
        int left = 3 - first - second;
        Member survivor = await Member.JoinAsync(cluster.Nodes[left], "/test/left");
        await survivor.SendAsync("one");
        await survivor.Group.FlushAsync().AsTask().WaitAsync(RealCluster.Patience);
        await cluster.CrashAsync(first);
        await cluster.CrashAsync(second);
        GroupNode[] again = await Task.WhenAll(cluster.RestartAsync(second), cluster.RestartAsync(first));
        await Task.WhenAll(again.Select(n => n.WaitForPrimaryAsync().AsTask())).WaitAsync(RealCluster.Patience);
        foreach (GroupNode node in again) Assert.Equal(["one"], (await Member.JoinAsync(node, "/test/left")).Texts);
        Assert.Equal(["one"], survivor.Texts);
    }

    [Theory(Timeout = Limit)]
    [InlineData(0, 1, 2)]
    [InlineData(2, 1, 0)]
    [InlineData(1, 2, 0)]
    public async Task All_three_are_killed_and_started_again_in_any_order_and_work_anew(int first, int second, int third)
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        Member before = await Member.JoinAsync(cluster.Nodes[0], "/test/all");
        await before.SendAsync("one");
        foreach (GroupNode node in cluster.Nodes) node.Crash();
        GroupNode[] again = [await cluster.RestartAsync(first), await cluster.RestartAsync(second), await cluster.RestartAsync(third)];
        await Task.WhenAll(again.Select(n => n.WaitForPrimaryAsync().AsTask())).WaitAsync(RealCluster.Patience);
        Member[] members = await Task.WhenAll(again.Select(n => Member.JoinAsync(n, "/test/all")));
        await members[0].SendAsync("two");
        foreach (Member member in members) Assert.Equal(["two"], await member.ReadAsync(1));
    }

    /// <summary>Two of three are gone for good: nothing turns the last one into a primary but its operator.</summary>
    [Fact(Timeout = Limit)]
    public async Task An_operator_forces_a_primary_where_a_majority_is_lost()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        Member member = await Member.JoinAsync(cluster.Nodes[2], "/test/forced");
        await member.SendAsync("one");
        await member.ReadAsync(1);
        cluster.Nodes[0].Crash();
        cluster.Nodes[1].Crash();
        Task sent = member.SendAsync("two").AsTask();
        await cluster.Nodes[2].WaitForBlockedAsync().AsTask().WaitAsync(RealCluster.Patience);
        await cluster.Nodes[2].ForcePrimaryAsync().AsTask().WaitAsync(RealCluster.Patience);
        await sent.WaitAsync(RealCluster.Patience);
        Assert.Equal(["two"], await member.ReadAsync(1));
        Member back = await Member.JoinAsync(await cluster.RestartAsync(0), "/test/forced");
        Assert.Equal(["one", "two"], back.Texts);
    }
}
