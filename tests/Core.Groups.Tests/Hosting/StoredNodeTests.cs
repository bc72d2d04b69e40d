// Real nodes with stable stores: restarted, given the wrong directory, and on a disk that fails.
namespace Core.Groups.Tests.Hosting;

public sealed class StoredNodeTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("core-groups-nodes");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task All_are_killed_and_started_again_and_go_on_from_their_last_primary()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3, Stored);
        long epoch = cluster.Nodes.Max(n => n.Configuration!.Id.Epoch);
        NodeId[] before = [.. cluster.Nodes.Select(n => n.Id)];
        for (int i = 0; i < 3; i++) await cluster.CrashAsync(i);

        // One of three has no majority of the last primary, whatever it has forgotten or not. The last primary is that of all three, or, if
        // they found the time, of the two that died last: these have a majority of both.
        foreach (int index in (int[])[2, 1])
        {
            cluster.Nodes[index] = await GroupNode.StartAsync(cluster.OptionsOf(index, Stored));
            if (index == 2) Assert.True(cluster.Nodes[2].IsBlocked);
        }

        await Task.WhenAll(cluster.Nodes[1].WaitForPrimaryAsync().AsTask(), cluster.Nodes[2].WaitForPrimaryAsync().AsTask()).WaitAsync(RealCluster.Patience);
        Assert.All(new[] { 1, 2 }, i => Assert.True(cluster.Nodes[i].Id.Incarnation > before[i].Incarnation && cluster.Nodes[i].Configuration!.Id.Epoch > epoch));
    }

    [Fact]
    public async Task A_directory_serves_one_node_at_a_time_and_always_the_same()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(1, Stored);
        StableStoreException inUse = await Assert.ThrowsAsync<StableStoreException>(async () => await GroupNode.StartAsync(With(o => o.DataDirectory = Path.Combine(_folder.FullName, "a"))));
        Assert.Contains("in use", inUse.Message);
        await cluster.Nodes[0].StopAsync();
        StableStoreException others = await Assert.ThrowsAsync<StableStoreException>(async () => await GroupNode.StartAsync(With(o => o.DataDirectory = Path.Combine(_folder.FullName, "a"))));
        Assert.Contains("belongs to node 'a'", others.Message);
    }

    [Fact]
    public async Task Votes_that_cannot_be_read_are_refused()
    {
        await using (FileStableStore store = await FileStableStore.OpenAsync(_folder.FullName))
        {
            await store.WriteAsync("votes", new byte[] { 1, 2, 3, 4, 5, 6, 7, 8, 99 });
        }

        StableStoreException refused = await Assert.ThrowsAsync<StableStoreException>(async () => await GroupNode.StartAsync(With(o => o.DataDirectory = _folder.FullName)));
        Assert.Contains("format 99", refused.Message);
    }

    [Fact]
    public async Task An_incarnation_is_never_used_again_whatever_the_clock_says()
    {
        await using FileStableStore store = await FileStableStore.OpenAsync(_folder.FullName);
        await store.WriteAsync("votes", BitConverter.GetBytes(long.MaxValue / 2));
        await using GroupNode node = await GroupNode.StartAsync(With(o => o.StableStore = store));
        Assert.Equal((long.MaxValue / 2) + 1, node.Id.Incarnation);
        await node.WaitForPrimaryAsync().AsTask().WaitAsync(RealCluster.Patience);
        Assert.Equal(node.Id, node.Configuration!.Members.Single());
    }

    [Fact]
    public async Task A_node_whose_store_fails_ends_and_says_why()
    {
        var store = new FailingStore();
        await using GroupNode node = await GroupNode.StartAsync(With(o => o.StableStore = store));
        await node.WaitForPrimaryAsync().AsTask().WaitAsync(RealCluster.Patience);
        store.IsFull = true;
        await using GroupNode other = await GroupNode.StartAsync(With(o => (o.Name, o.Seeds) = ("y", [node.ListenAddress])));
        StableStoreException ended = await Assert.ThrowsAsync<StableStoreException>(() => node.Completion.WaitAsync(RealCluster.Patience));
        Assert.Equal("full", ended.Message);
    }

    private void Stored(GroupNodeOptions options) => options.DataDirectory = Path.Combine(_folder.FullName, options.Name);

    private static GroupNodeOptions With(Action<GroupNodeOptions> configure)
    {
        var options = new GroupNodeOptions { Name = "x", Heartbeat = TimeSpan.FromMilliseconds(50), SuspectAfter = TimeSpan.FromSeconds(20) }; // longer than a busy machine stands still
        configure(options);
        return options;
    }

    private sealed class FailingStore : IStableStore
    {
        public volatile bool IsFull;

        public ulong Id => 1;

        public ValueTask<ReadOnlyMemory<byte>?> ReadAsync(string name, CancellationToken ct) => ValueTask.FromResult<ReadOnlyMemory<byte>?>(null);

        public ValueTask WriteAsync(string name, ReadOnlyMemory<byte> value, CancellationToken ct) =>
            IsFull ? throw new StableStoreException("full") : ValueTask.CompletedTask;

        public ValueTask DeleteAsync(string name, CancellationToken ct) => throw new NotSupportedException();
        public ValueTask<IStableLog> OpenLogAsync(string name, CancellationToken ct) => throw new NotSupportedException();
        public ValueTask DeleteLogAsync(string name, CancellationToken ct) => throw new NotSupportedException();
        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
