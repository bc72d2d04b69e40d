namespace Core.Groups.Tests.Hosting;

/// <summary>Hundreds of groups at once, over real nodes: joined, lost with a member, deleted. Thousands are the benchmark's.</summary>
public sealed class ManyGroupsTests
{
    private const int Limit = 120_000; // milliseconds
    private const int Groups = 300;

    private static string[] Names => [.. Enumerable.Range(0, Groups).Select(i => $"/many/{i:d3}")];

    [Fact(Timeout = Limit)]
    public async Task Every_group_has_its_new_view_when_a_member_has_crashed_and_all_are_deleted_by_one_call()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        IReadOnlyList<ProcessGroup>[] joined = await Task.WhenAll(
            cluster.Nodes.Select((node, i) => node.JoinAllAsync(Names.Where((_, g) => g % 3 != i)).AsTask())).WaitAsync(RealCluster.Patience);
        Assert.Equal(Names.Where((_, g) => g % 3 != 1), joined[1].Select(g => g.Name));

        cluster.Nodes[2].Crash();
        await Task.WhenAll(joined[0].Concat(joined[1]).Select(group => WithoutAsync(group, "c"))).WaitAsync(RealCluster.Patience);
        Assert.Equal(Groups, await cluster.Nodes[0].DeleteAllAsync([.. Names, "/many/none"]).AsTask().WaitAsync(RealCluster.Patience));
        Assert.Empty(await cluster.Nodes[1].ListGroupsAsync());
    }

    [Fact(Timeout = Limit)]
    public async Task All_groups_are_joined_or_none()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(2);
        await cluster.Nodes[0].JoinAsync("/many/007", new GroupOptions { InspectJoin = (_, _) => ValueTask.FromResult<string?>("nobody") });
        await Assert.ThrowsAsync<JoinRefusedException>(() => cluster.Nodes[1].JoinAllAsync(Names).AsTask().WaitAsync(RealCluster.Patience));
        Assert.Equal(["/many/007"], await cluster.Nodes[1].ListGroupsAsync()); // the others have been left again, and are gone
        Assert.Equal(Groups - 1, (await cluster.Nodes[1].JoinAllAsync(Names.Where(n => n != "/many/007")).AsTask().WaitAsync(RealCluster.Patience)).Count);
    }

    private static async Task WithoutAsync(ProcessGroup group, string name)
    {
        await foreach (View view in group.Views())
        {
            if (view.Members.All(m => m.Name != name))
            {
                return;
            }
        }
    }
}
