// What comes back beside the state, on real nodes: only what a log lacks where that is less, configuration data, views.
using Toolkit.Recovery;

namespace Toolkit.Tests.Recovery;

public sealed class CatchUpTests
{
    private static readonly TimeSpan Patience = RealNodes.Patience;

    [Fact]
    public async Task AMemberThatWasDownIsGivenOnlyWhatItsLogLacks()
    {
        await using var nodes = new LedgerNodes(3);
        await Task.WhenAll(nodes.StartAsync(0), nodes.StartAsync(1), nodes.StartAsync(2));
        await Task.WhenAll(nodes.All.Select(n => RecoveryManager.OpenAsync(n.Node).AsTask())).WaitAsync(Patience);
        await nodes[0].JoinAsync().WaitAsync(Patience);
        await nodes[0].Group.UpdateAsync(new string('x', 1 << 20)).AsTask().WaitAsync(Patience);
        await nodes[1].JoinAsync().WaitAsync(Patience);
        await nodes[2].JoinAsync().WaitAsync(Patience);
        Assert.Equal([StateOrigin.Begun, StateOrigin.Members, StateOrigin.Members], nodes.All.Select(n => n.Group.StateOrigin));
        await nodes[0].Group.DisposeAsync(); // b has the large state as its checkpoint
        await nodes[2].Group.UpdateAsync("two").AsTask().WaitAsync(Patience);
        await nodes.KillAsync(2);
        await nodes[1].Group.UpdateAsync("three").AsTask().WaitAsync(Patience);

        await nodes.StartAsync(2);
        await nodes[2].JoinAsync().WaitAsync(Patience);
        Assert.Equal(StateOrigin.LogOfMembers, nodes[2].Group.StateOrigin);
        Assert.Equal(nodes[1].Entries, nodes[2].Entries);
        await nodes[2].Group.UpdateAsync("four").AsTask().WaitAsync(Patience);
        foreach (int i in (int[])[1, 0, 2]) await nodes.KillAsync(i);

        await nodes.StartAndJoinAsync(0, 1, 2);
        foreach (int i in (int[])[0, 1, 2]) Assert.Equal(["two", "three", "four"], nodes[i].Entries[1..]);
    }

    [Fact]
    public async Task ConfigurationDataAndViewsComeBack()
    {
        await using var nodes = new LedgerNodes(3);
        await nodes.StartAndJoinAsync(0, 1, 2);
        await nodes[1].Group.Group.ConfigureAsync("half", "a to m").AsTask().WaitAsync(Patience);
        await nodes[2].Group.Group.ConfigureAsync("other", "n to z").AsTask().WaitAsync(Patience);
        await nodes[2].Group.Group.ConfigureAsync("half", null).AsTask().WaitAsync(Patience);
        await nodes[0].Group.UpdateAsync("one").AsTask().WaitAsync(Patience);
        foreach (int i in (int[])[0, 1, 2]) await nodes.KillAsync(i);

        await nodes.StartAndJoinAsync(1, 2, 0);
        foreach (int i in (int[])[0, 1, 2])
        {
            Assert.Equal(["other"], nodes[i].Group.Group.Configuration.Keys);
            Assert.Equal("n to z", nodes[i].Group.Group.Configuration["other"]);
        }

        LedgerNode restored = nodes.All.Single(n => n.Group.StateOrigin == StateOrigin.Log);
        Assert.Contains(restored.Views, view => view.Split(' ').Length == 3);
    }
}
