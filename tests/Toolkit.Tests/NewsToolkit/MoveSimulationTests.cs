// Words move between channels in the simulated cluster, under every kind of trouble.
using Core.Groups.Testing.Replicas;
using Core.Groups.Testing.Simulation;
using Toolkit.Tests.Replication;

namespace Toolkit.Tests.NewsToolkit;

public sealed class MoveSimulationTests
{
    /// <summary>Those in which nobody leaves a group: a node has part in the directory as long as it has part in a channel.</summary>
    public static TheoryData<string> Scenarios =>
        [.. ReplicaSimulation.Scenarios.Where(s => Core.Groups.Testing.Simulation.Scenarios.Find(s)!.Weights.All(w => w.Act != Act.Leave))];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public void Subscribers_get_everything_once_wherever_words_move_and_whatever_fails(string scenario) =>
        ManySeeds.AllHold(scenario, _ => new MoveStory().Workload);

    [Fact]
    public void Runs_are_full_of_moves()
    {
        MoveStory[] stories = [.. Enumerable.Range(1, 20).Select(_ => new MoveStory())];
        for (int seed = 1; seed <= stories.Length; seed++)
            Assert.Empty(ReplicaSimulation.Run((ulong)seed, "one-way", stories[seed - 1].Workload).Violations);
        Assert.True(stories.Sum(s => s.Received) > 500, $"{stories.Sum(s => s.Received)} posts were received.");
        Assert.True(stories.Sum(s => s.Moves) > 40, $"{stories.Sum(s => s.Moves)} moves.");
        Assert.True(stories.Sum(s => s.Returns) > 1, $"{stories.Sum(s => s.Returns)} subscribers went on after an exclusion.");
    }

    [Theory]
    [InlineData(MoveWeakness.ShowsAtOnce, "comes twice")]
    public void A_broken_router_is_found(MoveWeakness weakness, string violation) => Assert.Contains(
        Enumerable.Range(1, 60).SelectMany(seed => ReplicaSimulation.Run((ulong)seed, "freeze", new MoveStory(weakness).Workload).Violations),
        v => v.Contains(violation, StringComparison.Ordinal));
}
