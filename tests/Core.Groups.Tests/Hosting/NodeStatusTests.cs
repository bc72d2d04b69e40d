using Core.Groups.Hosting;

namespace Core.Groups.Tests.Hosting;

public sealed class NodeStatusTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly NodeId Node = new("a", 1);

    private readonly NodeStatus _status = new();

    private void Install(bool primary, bool isBlocked) =>
        _status.OnConfiguration(new Configuration(new ConfigurationId(1, Node), false, [Node], primary), [new NodeInfo(Node, "a:1", "", 1)], isBlocked);

    [Fact]
    public async Task Primary_means_a_primary_configuration_that_is_not_blocked()
    {
        Assert.True(_status.IsBlocked);
        Task waiting = _status.WaitForPrimaryAsync(default).AsTask();
        Install(primary: true, isBlocked: true);
        Assert.False(waiting.IsCompleted);
        _status.OnBlocked(false);
        await waiting.WaitAsync(Patience);
        Assert.Equal("a:1", Assert.Single(_status.Members).Address);

        _status.Reset();
        Assert.Null(_status.Configuration);
        Task again = _status.WaitForPrimaryAsync(default).AsTask();
        Install(primary: false, isBlocked: false);
        Assert.False(again.IsCompleted);
        Assert.False(_status.IsBlocked);
        _status.Complete();
        await Assert.ThrowsAsync<NodeStoppedException>(() => again.WaitAsync(Patience));
    }

    [Fact]
    public async Task Every_configuration_is_told()
    {
        Install(primary: false, isBlocked: true);
        await using IAsyncEnumerator<Configuration> reader = _status.ReadConfigurations(default).GetAsyncEnumerator();
        Assert.True(await reader.MoveNextAsync());
        _status.OnBlocked(false); // a change of the state that is no configuration
        Install(primary: true, isBlocked: false);
        Assert.True(await reader.MoveNextAsync().AsTask().WaitAsync(Patience));
        Assert.True(reader.Current.IsPrimary);
        _status.Complete();
        Assert.False(await reader.MoveNextAsync().AsTask().WaitAsync(Patience));
    }
}
