// Whole histories of spaces in simulated clusters under crashes, cuts, freezes, exclusions and joins, judged by their clients.
// More of them: SPACE_SEEDS=1..5000 dotnet test tests/Toolkit.Tests --filter SpaceSimulation
using System.Collections.Concurrent;
using Core.Groups.Testing.Replicas;
using Toolkit.ReplicatedData.Space;
using Xunit.Abstractions;

namespace Toolkit.Tests.ReplicatedData;

public sealed class SpaceSimulationTests(ITestOutputHelper output)
{
    private static readonly (int First, int Last) Seeds =
        Environment.GetEnvironmentVariable("SPACE_SEEDS")?.Split("..") is [var first, var last] ? (int.Parse(first), int.Parse(last)) : (1, 8);

    public static TheoryData<string> Scenarios => [.. ReplicaSimulation.Scenarios];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public void Clients_of_a_space_see_what_is_promised(string scenario)
    {
        (int calls, int transactions, int deadlocks, int givenUp) = (0, 0, 0, 0);
        for (int seed = Seeds.First; seed <= Seeds.Last; seed++)
        {
            (ReplicaRun run, SpaceHistory history) = Run((ulong)seed, scenario, Weakness.None);
            Assert.True(run.Violations.Count == 0, run.ToString());
            calls += history.Calls;
            transactions += history.Transactions;
            deadlocks += history.Deadlocks;
            givenUp += history.GivenUp;
        }

        output.WriteLine($"{calls} calls on the variable, {transactions} transactions, {deadlocks} deadlocks, {givenUp} updates given up");
        Assert.True(Seeds.Last - Seeds.First < 7 || (calls > 0 && transactions > 0)); // one seed alone may have had no chance
    }

    [Theory]
    [InlineData(nameof(Weakness.LocalReadsAreTakenForLinearizable), "no order of the calls")]
    [InlineData(nameof(Weakness.TransactionsReadBeforeTheyLock), "no order of the transactions")]
    [InlineData(nameof(Weakness.TransactionsReadBeforeTheyLock), "the bank at")]
    [InlineData(nameof(Weakness.TransactionsWriteHalf), "an audit found")]
    [InlineData(nameof(Weakness.WritersHaveSeenWhatIsNotThere), "a value of causal variable")]
    [InlineData(nameof(Weakness.AdditionsAreLost), "the counter at")]
    [InlineData(nameof(Weakness.GivenUpIsMadeAllTheSame), "was given up, and is made")]
    public void What_is_wrong_is_found(string weakness, string violation)
    {
        for (ulong seed = 1; seed <= 60; seed++)
        {
            (ReplicaRun run, _) = Run(seed, "mix", Enum.Parse<Weakness>(weakness));
            if (run.Violations.Any(v => v.Contains(violation, StringComparison.Ordinal))) return;
        }

        Assert.Fail("60 seeds have not found it.");
    }

    [Fact]
    public void The_same_seed_gives_the_same_history()
    {
        Assert.Equal(Run(3, "mix", Weakness.None).Run.Fingerprint, Run(3, "mix", Weakness.None).Run.Fingerprint);
    }

    private static (ReplicaRun Run, SpaceHistory History) Run(ulong seed, string scenario, Weakness weakness)
    {
        var history = new SpaceHistory(weakness);
        var drivers = new ConcurrentDictionary<SpaceReplica, SpaceDriver>();
        ReplicaRun run = ReplicaSimulation.Run(seed, scenario, new ReplicaWorkload<SpaceReplica>
        {
            Groups = ["/space"],
            Create = site =>
            {
                var driver = new SpaceDriver(site, history);
                var replica = new SpaceReplica(driver);
                drivers[replica] = driver;
                return replica;
            },
            Act = (site, random) => drivers[site.Replica!].Act(random),
            Check = sites => [.. history.Check(), .. sites.Where(s => s.IsMember).SelectMany(s => drivers[s.Replica!].CheckAtRest())],
        });
        return (run, history);
    }
}
