// A fixed set of seeds in every scenario. Many more are run by the command in tests/Simulator.
using Core.Groups.Testing.Simulation;

namespace Core.Groups.Tests.Simulation;

public sealed class SeedTests
{
    private const int Seeds = 25;

    public static TheoryData<string> Names => [.. Scenarios.All.Select(scenario => scenario.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void EverySeedKeepsEveryPromise(string name)
    {
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            SimulationResult result = SimulationRun.Run(Scenarios.Find(name)!, seed);
            Assert.True(result.Violations.Count == 0,
                $"--seeds {seed} --scenario {name}: {string.Join('\n', result.Violations)}");
        }
    }

    [Fact]
    public void TheSameSeedGivesTheSameRun()
    {
        SimulationResult first = SimulationRun.Run(Scenarios.Find("mix")!, 7), second = SimulationRun.Run(Scenarios.Find("mix")!, 7);
        Assert.NotEmpty(first.History);
        Assert.Equal(first.Fingerprint, second.Fingerprint);
        Assert.Equal(first.History.Select(TraceText.Line), second.History.Select(TraceText.Line));
        Assert.NotEqual(first.Fingerprint, SimulationRun.Run(Scenarios.Find("mix")!, 8).Fingerprint);
    }
}
