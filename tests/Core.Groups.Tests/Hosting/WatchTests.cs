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
        List<WatchEvent>[] seen = [[], []];
        IAsyncEnumerable<WatchEvent>[] watches = [await cluster.Nodes[2].WatchGroupAsync("/test/watch"), await cluster.Nodes[3].WatchGroupAsync("/test/watch")];
        Task[] reading = [.. watches.Select(async (watch, i) =>
        {
            await foreach (WatchEvent happened in watch)
            {
                seen[i].Add(happened);
            }
        })];
        Member b = await Member.JoinAsync(cluster.Nodes[1], "/test/watch");
        cluster.Nodes[0].Crash();
        await b.ViewOfAsync("b");
        Member c = await Member.JoinAsync(cluster.Nodes[2], "/test/watch");
        await b.Group.LeaveAsync();
        await cluster.Nodes[3].DeleteGroupAsync("/test/watch");
        await Task.WhenAll(reading).WaitAsync(RealCluster.Patience);
        string[] expected = ["b Joined", "a Failed", "c Joined", "b Left", "c Left"];
        Assert.Equal(expected, seen[0].Select(e => $"{e.Node.Name} {e.What}"));
        Assert.Equal(expected, seen[1].Select(e => $"{e.Node.Name} {e.What}"));
        Assert.All(seen[0], e => Assert.Equal("/test/watch", e.Group));
        await c.Group.Completion.WaitAsync(RealCluster.Patience);
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
