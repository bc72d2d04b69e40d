// The rules of recovery against everything that can die at any moment: the journal, the log and the table that run in production, over
// an ideal group and simulated disks. Longer: RECOVERY_SEEDS=100000 dotnet test --filter RecoverySimulation
using Toolkit.Tests.Recovery.Simulation;

namespace Toolkit.Tests.Recovery;

public sealed class RecoverySimulationTests
{
    private static readonly int[][] Orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

    private static int Seeds(int usual) => int.TryParse(Environment.GetEnvironmentVariable("RECOVERY_SEEDS"), out int seeds) ? seeds : usual;

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(7)]
    public void NothingStableIsLostAndTheLastToFailDecide(int sites) => Alone(() =>
    {
        var seen = new Dictionary<string, int>();
        for (ulong seed = 1; seed <= (ulong)Seeds(400); seed++)
        {
            RecoveryWorld world = RecoverySchedules.Random(seed, sites);
            Assert.True(world.Violations.Count == 0, $"seed {seed}, {sites} sites: {Describe(world)}");
            foreach (GroupWorld group in world.Groups)
            {
                Add("restored", group.Restorations);
                Add("acknowledged", group.Acknowledged);
                Add("rolled back", group.RolledBack);
                if (sites > 1) Add("caught up", group.CaughtUp);
            }

            Add("repaired", world.Repaired);
        }

        Assert.True(seen.Values.All(n => n > 10), $"The schedules test little: {string.Join(", ", seen)}.");

        void Add(string what, int times) => seen[what] = seen.GetValueOrDefault(what) + times;
    });

    [Fact]
    public void EveryOrderOfThreeCrashesAtEveryStep() => Alone(() =>
    {
        int runs = 0;
        foreach (int[] order in Orders)
        {
            for (int first = 0; first < 130; first++)
            {
                foreach (int gap in Seeds(0) > 0 ? [.. Enumerable.Range(0, 40)] : (int[])[0, 1, 3, 8, 20])
                {
                    int[] restart = Orders[runs++ % Orders.Length];
                    RecoveryWorld world = RecoverySchedules.Crashes(order, [first, gap, (gap * 5) % 7], restart);
                    Assert.True(world.Violations.Count == 0, $"crash {string.Join(",", order)} after {first}, {gap}, restart {string.Join(",", restart)}: {Describe(world)}");
                }
            }
        }
    });

    [Theory]
    [InlineData(nameof(Weakness.StateBeforeView))]
    [InlineData(nameof(Weakness.AnsweredBeforeSynced))]
    [InlineData(nameof(Weakness.FirstRestores))]
    [InlineData(nameof(Weakness.ActsBeforeWrittenDown))]
    [InlineData(nameof(Weakness.FailedSyncIsTakenForDone))]
    [InlineData(nameof(Weakness.TornRecordsAreTaken))]
    public void ARuleThatIsLeftOutIsMissed(string weakness) => Alone(() =>
    {
        for (ulong seed = 1; seed <= 4000; seed++)
        {
            if (RecoverySchedules.Random(seed, 3, weakness: Enum.Parse<Weakness>(weakness)).Violations.Count > 0) return;
        }

        Assert.Fail($"Without the rule ({weakness}) nothing goes wrong: the checks are blind to it.");
    });

    private static string Describe(RecoveryWorld world) => $"{string.Join(" ", world.Violations)}\n{string.Join("\n", world.Log)}";

    // Continuations run where they are completed, on a thread that nothing takes them away from.
    private static void Alone(Action test)
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                test();
            }
            catch (Exception e)
            {
                failure = e;
            }
        }, maxStackSize: 256 << 20);
        thread.Start();
        thread.Join();
        if (failure is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
    }
}
