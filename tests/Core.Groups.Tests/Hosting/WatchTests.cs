namespace Core.Groups.Tests.Hosting;

/// <summary>Watches over real nodes: what happens to a group and to nodes, as all that watch see it.</summary>
public sealed class WatchTests
{
    private const int Limit = 120_000; // milliseconds

    [Fact(Timeout = Limit)]
    public async Task All_that_watch_a_group_see_who_joins_leaves_and_fails_in_one_order()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(4);
        await Member.JoinAsync(cluster.Nodes[0], "/test/watch");
        IAsyncEnumerator<WatchEvent>[] watches =
        [
            (await cluster.Nodes[2].WatchGroupAsync("/test/watch")).GetAsyncEnumerator(), (await cluster.Nodes[3].WatchGroupAsync("/test/watch")).GetAsyncEnumerator(),
        ];
        Member b = await Member.JoinAsync(cluster.Nodes[1], "/test/watch");
        await SeeAsync("b", WatchKind.Joined);
        cluster.Nodes[0].Crash();
        await b.ViewOfAsync("b");
        await SeeAsync("a", WatchKind.Failed); // a watch that is slower than the group may find it deleted, and then sees the difference
        Member c = await Member.JoinAsync(cluster.Nodes[2], "/test/watch");
        await SeeAsync("c", WatchKind.Joined);
        await b.Group.LeaveAsync();
        await SeeAsync("b", WatchKind.Left);
        await cluster.Nodes[3].DeleteGroupAsync("/test/watch");
        await SeeAsync("c", WatchKind.Left);
        foreach (IAsyncEnumerator<WatchEvent> watch in watches) Assert.False(await watch.MoveNextAsync().AsTask().WaitAsync(RealCluster.Patience));
        await c.Group.Completion.WaitAsync(RealCluster.Patience);

        async Task SeeAsync(string node, WatchKind what)
        {
            foreach (IAsyncEnumerator<WatchEvent> watch in watches)
            {
                Assert.True(await watch.MoveNextAsync().AsTask().WaitAsync(RealCluster.Patience));
                Assert.Equal((node, what, "/test/watch"), (watch.Current.Node.Name, watch.Current.What, watch.Current.Group));
            }
        }
    }

    [Fact(Timeout = Limit)]
    public async Task A_node_that_stops_has_left_and_one_that_crashes_has_failed()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(5);
        using var stop = new CancellationTokenSource(RealCluster.Patience);
        IAsyncEnumerator<WatchEvent> all = cluster.Nodes[0].WatchNodes(ct: stop.Token).GetAsyncEnumerator(), e = cluster.Nodes[1].WatchNodes("e", stop.Token).GetAsyncEnumerator();
        await cluster.Nodes[3].StopAsync();
        Assert.True(await all.MoveNextAsync());
        Assert.Equal(("d", WatchKind.Left, null), (all.Current.Node.Name, all.Current.What, all.Current.Group));
        cluster.Nodes[4].Crash();
        Assert.True(await all.MoveNextAsync());
        Assert.True(await e.MoveNextAsync());
        Assert.Equal(("e", WatchKind.Failed), (all.Current.Node.Name, all.Current.What));
        Assert.Equal(all.Current, e.Current);
    }

    [Fact(Timeout = Limit)]
    public async Task A_watch_that_cannot_begin_or_is_given_up_ends()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(1);
        await Assert.ThrowsAsync<GroupNotFoundException>(() => cluster.Nodes[0].WatchGroupAsync("/none").AsTask().WaitAsync(RealCluster.Patience));
        await Member.JoinAsync(cluster.Nodes[0], "/test/watch");
        using var stop = new CancellationTokenSource();
        IAsyncEnumerator<WatchEvent> watch = (await cluster.Nodes[0].WatchGroupAsync("/test/watch", stop.Token)).GetAsyncEnumerator();
        IAsyncEnumerator<WatchEvent> nodes = cluster.Nodes[0].WatchNodes().GetAsyncEnumerator();
        ValueTask<bool> next = watch.MoveNextAsync(), nextNode = nodes.MoveNextAsync();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => next.AsTask().WaitAsync(RealCluster.Patience));
        await cluster.Nodes[0].StopAsync();
        Assert.False(await nextNode.AsTask().WaitAsync(RealCluster.Patience));
    }
}
