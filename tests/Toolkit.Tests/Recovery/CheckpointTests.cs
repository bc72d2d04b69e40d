// Numbered checkpoints, roll back, logged objects of toolkits, and the operator's decision, on real nodes.
using Core.Groups;
using Toolkit.Recovery;
using Toolkit.ReplicatedData;

namespace Toolkit.Tests.Recovery;

public sealed class CheckpointTests
{
    private static readonly TimeSpan Patience = RealNodes.Patience;

    [Fact]
    public async Task AllRollBackToOneCheckpointAndComeBackFromThere()
    {
        await using var nodes = new LedgerNodes(3);
        await nodes.StartAndJoinAsync(0, 1, 2);
        await nodes[0].Group.UpdateAsync("one").AsTask().WaitAsync(Patience);
        Assert.Equal(1, await nodes[1].Group.CheckpointAsync().AsTask().WaitAsync(Patience));
        await nodes[0].Group.UpdateAsync("two").AsTask().WaitAsync(Patience);
        Assert.Equal(2, await nodes[2].Group.CheckpointAsync().AsTask().WaitAsync(Patience));
        Assert.Equal([1, 2], nodes[0].Group.Status.Checkpoints);

        await nodes[2].Group.RollBackAsync(1).AsTask().WaitAsync(Patience);
        await nodes[0].Group.UpdateAsync("three").AsTask().WaitAsync(Patience);
        foreach (int i in (int[])[0, 1, 2])
        {
            await nodes[i].Group.FlushAsync().WaitAsync(Patience);
            Assert.Equal(["one", "three"], nodes[i].Entries);
        }

        foreach (int i in (int[])[0, 1, 2]) await nodes.KillAsync(i);
        await nodes.StartAndJoinAsync(2, 0, 1);
        Assert.Equal(["one", "three"], nodes[0].Entries);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => nodes[0].Group.RollBackAsync(9).AsTask());
    }

    [Fact]
    public async Task AMemberWithoutTheCheckpointDropsOutAndJoinsAgain()
    {
        await using var nodes = new LedgerNodes(3);
        await nodes.StartAndJoinAsync(0, 1, 2);
        await nodes[2].Group.DisposeAsync();
        await nodes[0].Group.UpdateAsync("one").AsTask().WaitAsync(Patience);
        await nodes[0].Group.CheckpointAsync().AsTask().WaitAsync(Patience);
        await nodes[2].JoinAsync().WaitAsync(Patience);
        await nodes[0].Group.UpdateAsync("two").AsTask().WaitAsync(Patience);
        Task dropped = nodes[2].Group.Group.Completion;

        await nodes[0].Group.RollBackAsync(1).AsTask().WaitAsync(Patience);
        await dropped.WaitAsync(Patience);
        await nodes[2].WaitForAsync(["one"]).WaitAsync(Patience);
    }

    [Fact]
    public async Task SeveralGroupsTakeOneCheckpointAndComeBackToItTogether()
    {
        await using var nodes = new LedgerNodes(3);
        await nodes.StartAndJoinAsync(0, 1, 2);
        var seconds = new List<string>[3];
        LoggedGroup[] second = await Task.WhenAll(((int[])[0, 1, 2]).Select(i => JoinSecondAsync(i).AsTask())).WaitAsync(Patience);
        LoggedGroup[] both = [nodes[1].Group, second[1]];
        await nodes[0].Group.UpdateAsync("one").AsTask().WaitAsync(Patience);
        Assert.Equal(1, await nodes[0].Group.CheckpointAsync().AsTask().WaitAsync(Patience)); // the groups' own numbers differ now
        await second[2].UpdateAsync("first").AsTask().WaitAsync(Patience);
        Assert.Equal(2, await both.CheckpointAsync().AsTask().WaitAsync(Patience));
        await nodes[0].Group.UpdateAsync("two").AsTask().WaitAsync(Patience);
        await second[0].UpdateAsync("second").AsTask().WaitAsync(Patience);

        await both.RollBackAsync(2).AsTask().WaitAsync(Patience);
        foreach (int i in (int[])[0, 1, 2])
        {
            await Task.WhenAll(nodes[i].Group.FlushAsync(), second[i].FlushAsync()).WaitAsync(Patience);
            Assert.Equal(["one"], nodes[i].Entries);
            Assert.Equal(["first"], seconds[i]);
            Assert.Contains(2, second[i].Status.Checkpoints);
        }

        ValueTask<LoggedGroup> JoinSecondAsync(int i) => nodes[i].Node.JoinLoggedAsync("/second", new GroupOptions
        {
            State = StateTransfer.Json(() => seconds[i], state => seconds[i] = state),
            Configure = group =>
            {
                seconds[i] = [];
                group.On<string>((entry, _) =>
                {
                    seconds[i].Add(entry);
                    return default;
                });
            },
        });
    }

    [Fact]
    public async Task AnOperatorGoesOnWithoutALostStore()
    {
        await using var nodes = new LedgerNodes(3);
        await nodes.StartAndJoinAsync(0, 1, 2);
        await nodes[0].Group.UpdateAsync("one").AsTask().WaitAsync(Patience);
        foreach (int i in (int[])[0, 1, 2]) await nodes.KillAsync(i);
        nodes.LoseStore(2);

        await Task.WhenAll(nodes.StartAsync(0), nodes.StartAsync(1), nodes.StartAsync(2));
        var waits = new TaskCompletionSource<LoggedGroupStatus>(TaskCreationOptions.RunContinuationsAsynchronously);
        Task[] joins = [nodes[0].JoinAsync(options: new LoggedGroupOptions
        {
            OnWaiting = s =>
            {
                if (s.Reason.Contains("another store", StringComparison.Ordinal)) waits.TrySetResult(s);
            },
        }), nodes[1].JoinAsync(), nodes[2].JoinAsync()];
        Assert.Equal(["c"], (await waits.Task.WaitAsync(Patience)).WaitingFor);
        RecoveryManager manager = await RecoveryManager.OpenAsync(nodes[1].Node);
        await manager.OverrideAsync("/ledger", ["a", "b"]).AsTask().WaitAsync(Patience);
        await Task.WhenAll(joins).WaitAsync(Patience);
        foreach (int i in (int[])[0, 1, 2]) Assert.Equal(["one"], nodes[i].Entries);
        await Assert.ThrowsAsync<InvalidOperationException>(() => manager.OverrideAsync("/ledger", ["a"]).AsTask());
    }

    [Fact]
    public async Task ALoggedDictionaryComesBack()
    {
        await using var nodes = new LedgerNodes(3);
        ReplicatedDictionary<string, int>[] stocks = await OpenAsync(nodes);
        await stocks[0].SetAsync("SUN", 51);
        await stocks[2].SetAsync("IBM", 120);
        await (await RecoveryManager.OpenAsync(nodes[2].Node)).FindObject("/stocks#dict")!.FlushAsync().WaitAsync(Patience);
        foreach (int i in (int[])[1, 0, 2]) await nodes.KillAsync(i);

        stocks = await OpenAsync(nodes);
        await stocks[1].SetAsync("DEC", 9);
        foreach (ReplicatedDictionary<string, int> copy in stocks)
        {
            Assert.Equal(51, (await copy.ReadAsync("SUN").AsTask().WaitAsync(Patience)).Value);
            Assert.Equal(120, (await copy.ReadAsync("IBM").AsTask().WaitAsync(Patience)).Value);
        }
    }

    private static async Task<ReplicatedDictionary<string, int>[]> OpenAsync(LedgerNodes nodes)
    {
        LedgerNode[] started = await Task.WhenAll(nodes.StartAsync(0), nodes.StartAsync(1), nodes.StartAsync(2));
        return await Task.WhenAll(started.Select(async n =>
        {
            n.Node.LogObjects(_ => true);
            return await n.Node.ReplicatedDictionaryAsync<string, int>("/stocks");
        })).WaitAsync(Patience);
    }
}
