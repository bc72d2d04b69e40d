// Random runs: requests from inside and outside, executions that end when chance wants, exclusions and joins at any moment.
using Toolkit.CoordinatorCohort;
using Toolkit.CoordinatorCohort.Replication;
using Toolkit.Tests.HandFed;

namespace Toolkit.Tests.CoordinatorCohort;

public sealed class CohortRandomTests
{
    // More by TOOLKIT_SEEDS=n.
    private static readonly int Seeds = int.TryParse(Environment.GetEnvironmentVariable("TOOLKIT_SEEDS"), out int seeds) ? seeds : 300;

    [Fact]
    public void Every_request_is_answered_once_with_its_result_and_all_members_hold_the_same()
    {
        for (int seed = 1; seed <= Seeds; seed++)
            Assert.Null(Run(seed) is { } broken ? $"seed {seed}: {broken}" : null);
    }

    [Fact]
    public void The_judge_sees_what_is_broken()
    {
        var asked = new Dictionary<ExecutionId, string> { [new(CohortWorld.Outside, 1)] = "X" };
        ExecutionId id = asked.Keys.Single();
        Assert.Contains("0 times", new CohortHistory().Judge(asked, []));
        Assert.Contains("2 times", new CohortHistory { Answered = { (id, "X"), (id, "X") } }.Judge(asked, []));
        Assert.Contains("not 'X'", new CohortHistory { Answered = { (id, "Y") } }.Judge(asked, []));
        Assert.Contains("never applied", new CohortHistory { Answered = { (id, "X") } }.Judge(asked, ["a"]));
        Assert.Contains("applied a result twice", new CohortHistory { Answered = { (id, "X") }, Applied = { ["a"] = [(id, "X"), (id, "X")] } }.Judge(asked, ["a"]));
        Assert.Contains("executed twice", new CohortHistory { Answered = { (id, "X") }, Executed = { (id, 0, default, 1), (id, 0, default, 1) } }.Judge(asked, []));
    }

    private static string? Run(int seed)
    {
        var random = new Random(seed);
        var world = new CohortWorld(random.Next(3) switch { 0 => CoordinatorRule.Hash, 1 => CoordinatorRule.LeastLoaded, _ => CoordinatorRule.Locality });
        HandFedMember<CohortReplica> survivor = world.Join("a"); // it sees everything
        int names = 1;
        for (int step = 0; step < 150; step++)
        {
            HandFedMember<CohortReplica> member = world.Group.Members[random.Next(world.Group.Members.Count)];
            switch (random.Next(10))
            {
                case < 2:
                    bool fromOutside = random.Next(2) == 0;
                    Execution execution = random.Next(4) switch { 0 => Execution.Redundant, 1 => Execution.Subdivided, _ => Execution.Coordinator };
                    world.Ask(fromOutside ? null : survivor, $"r{step}", execution, (Collation)random.Next(3));
                    break;
                case < 7:
                    world.Group.DeliverOne(random.Next);
                    break;
                case < 8:
                    world.FinishAny(random.Next);
                    break;
                case 8 when world.Group.Members.Count < 5:
                    world.Join($"m{names++}");
                    break;
                case 9 when member != survivor:
                    world.Group.Exclude(member);
                    break;
            }
        }

        for (int round = 0; world.Unanswered.Count > 0 || world.Group.Waiting > 0; round++)
        {
            if (round == 1000)
                return $"{world.Unanswered.Count} requests are never answered";
            world.Group.Settle();
            while (world.FinishAny(random.Next)) { }
            world.Group.Settle();
            foreach (ExecutionId id in world.Unanswered.Where(id => id.Caller == CohortWorld.Outside)) // whose answer died with its sender
                world.AskAgain(null, id, world.Asked[id].ToLowerInvariant(), world.Kinds[id]);
        }

        string[] digests = [.. world.Group.Members.Select(world.DigestOf).Distinct()];
        return digests.Length > 1 ? "members hold different results" : world.History.Judge(world.Asked, ["a"]);
    }
}
