// Clusters of more than a few dozen nodes: what a message costs there, and that nothing breaks. 200 nodes take minutes: they are run
// by the command in tests/Simulator (--scenario hundreds, --frames).
using Core.Groups.Protocol;
using Core.Groups.Testing.Simulation;

namespace Core.Groups.Tests.Simulation;

public sealed class LargeClusterTests
{
    /// <summary>Data, floors to the gatherer, floors from there, acknowledgements, and what is stable and settled: each n frames.</summary>
    private const int FramesPerMember = 8;
    /// <summary>The announcement is one, and markers and finishes go to the oldest member and from there to all.</summary>
    private const int FramesPerMemberOfAChange = 14;
    private const int Nodes = 36;

    [Fact]
    public void AMessageInALargeGroupCostsSomeFramesForEachMember()
    {
        FrameCounts gathered = LargeCluster.Measure(seed: 1, Nodes, new NodeSettings { Address = "" }.GatherAbove);
        Assert.InRange(gathered.Message, Nodes, FramesPerMember * Nodes);
        Assert.InRange(gathered.Safe, Nodes, (FramesPerMember + 1) * Nodes);
        Assert.InRange(gathered.Change, Nodes, FramesPerMemberOfAChange * Nodes);
    }

    [Fact]
    public void AboveTheLimitOnlyFloorsAreGathered()
    {
        FrameCounts direct = LargeCluster.Measure(seed: 1, nodes: 12, gatherAbove: 12), gathered = LargeCluster.Measure(seed: 1, nodes: 12, gatherAbove: 11);
        Assert.True(direct.Message > 12 * 11, $"{direct.Message} frames");      // everybody answers everybody
        Assert.True(gathered.Message < direct.Message, $"{gathered.Message} frames, and {direct.Message} without");
    }

    [Fact]
    public void DozensOfNodesKeepEveryPromise()
    {
        SimulationResult result = SimulationRun.Run(Scenarios.Hundreds with { MinimumNodes = Nodes, MaximumNodes = Nodes }, seed: 1);
        Assert.True(result.Violations.Count == 0, string.Join('\n', result.Violations));
        Assert.True(result.Coverage.Crashes > 0 && result.Coverage.Deliveries.Sum() > Nodes, "the run shows nothing");
    }
}
