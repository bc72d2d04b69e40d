// Logged groups on real nodes: they come back from the logs of the last to fail.
using Core.Groups;
using Toolkit.Recovery;

namespace Toolkit.Tests.Recovery;

public sealed class LoggedGroupTests
{
    private static readonly TimeSpan Patience = RealNodes.Patience;

    [Fact]
    public async Task AllAreKilledAndTheGroupComesBackWithWhatWasAcknowledged()
    {
        await using var nodes = new LedgerNodes(3);
        await nodes.StartAndJoinAsync(0, 1, 2);
        await nodes[0].Group.UpdateAsync("one").AsTask().WaitAsync(Patience);
        await nodes[2].Group.UpdateAsync("two").AsTask().WaitAsync(Patience);
        foreach (int index in new[] { 1, 0, 2 }) await nodes.KillAsync(index);

        await nodes.StartAndJoinAsync(2, 1, 0);
        await nodes[1].Group.UpdateAsync("three").AsTask().WaitAsync(Patience);
        await nodes[0].Group.FlushAsync().WaitAsync(Patience);
        for (int i = 0; i < 3; i++) Assert.Equal(["one", "two", "three"], nodes[i].Entries);
    }

    [Fact]
    public async Task AMemberDoesNotMoveAndIsToldWhatToDoInstead()
    {
        await using var nodes = new LedgerNodes(3);
        LedgerNode[] started = [await nodes.StartAsync(0), await nodes.StartAsync(1), await nodes.StartAsync(2)];
        await Task.WhenAll(started[0].JoinAsync(), started[1].JoinAsync()).WaitAsync(Patience);
        await started[0].Group.UpdateAsync("one").AsTask().WaitAsync(Patience);
        var refused = await Assert.ThrowsAsync<MigrationFailedException>(() => started[0].Group.Group.MigrateAsync(started[2].Node.Id).AsTask().WaitAsync(Patience));
        Assert.Contains("join the group at the target, then leave it here", refused.Message);

        await started[2].JoinAsync().WaitAsync(Patience);
        await started[0].Group.DisposeAsync();
        await started[2].Group.UpdateAsync("two").AsTask().WaitAsync(Patience);
        await started[2].WaitForAsync(["one", "two"]).WaitAsync(Patience);
    }

    [Fact]
    public async Task ASurvivorCleansUpAfterAMemberThatFailedAndNotAfterOneThatLeft()
    {
        await using var nodes = new LedgerNodes(3);
        var failed = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        for (int i = 0; i < 3; i++) await nodes.StartAsync(i);
        await Task.WhenAll(nodes.All.Select(n => n.JoinAsync(options: new LoggedGroupOptions
        {
            OnMemberFailed = node =>
            {
                failed.TrySetResult($"{n.Node.Name} after {node.Name}");
                return default;
            },
        }))).WaitAsync(Patience);
        await nodes[2].Group.DisposeAsync();
        await nodes.KillAsync(2);
        await nodes.KillAsync(0);
        await Task.WhenAll(nodes.StartAsync(0), nodes.StartAsync(2)).WaitAsync(Patience);
        Assert.Equal("b after a", await failed.Task.WaitAsync(Patience));
    }

    [Fact]
    public async Task TheFirstToFailWaitsForTheLast()
    {
        await using var nodes = new LedgerNodes(3);
        await nodes.StartAndJoinAsync(0, 1, 2);
        await nodes[0].Group.UpdateAsync("one").AsTask().WaitAsync(Patience);
        await nodes[2].Group.DisposeAsync();
        await nodes[1].Group.UpdateAsync("two").AsTask().WaitAsync(Patience); // a view without c is logged
        foreach (int index in new[] { 0, 1, 2 }) await nodes.KillAsync(index);

        var waits = new TaskCompletionSource<LoggedGroupStatus>(TaskCreationOptions.RunContinuationsAsynchronously);
        LedgerNode[] early = await Task.WhenAll(nodes.StartAsync(1), nodes.StartAsync(2));
        Task joins = early[1].JoinAsync(options: new LoggedGroupOptions { OnWaiting = s => waits.TrySetResult(s) });
        LoggedGroupStatus status = await waits.Task.WaitAsync(Patience);
        Assert.Equal(LoggedGroupState.Waiting, status.State);
        Assert.Contains("a", status.WaitingFor);
        Assert.False(joins.IsCompleted);

        await nodes.StartAsync(0);
        await Task.WhenAll(joins, nodes[0].JoinAsync(), nodes[1].JoinAsync()).WaitAsync(Patience);
        for (int i = 0; i < 3; i++) Assert.Equal(["one", "two"], nodes[i].Entries);
    }
}
