// The coordinator-cohort replica, delivery by delivery.
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.CoordinatorCohort;
using Toolkit.CoordinatorCohort.Replication;
using Toolkit.Tests.HandFed;

namespace Toolkit.Tests.CoordinatorCohort;

public sealed class CohortReplicaTests
{
    private readonly CohortWorld _world = new();

    [Fact]
    public void One_member_executes_and_all_learn_the_result()
    {
        HandFedMember<CohortReplica>[] members = Start(3);
        ExecutionId id = _world.Ask(members[0], "x");
        _world.Group.Settle();
        HandFedMember<CohortReplica> coordinator = Assert.Single(members, m => _world.BenchOf(m).Running.Count == 1);
        Assert.Equal(1, _world.BenchOf(coordinator).Running[0].Attempt);
        _world.Finish(coordinator, 0);
        _world.Group.Settle();
        Assert.Equal([(id, "X")], _world.History.Answered);
        Assert.All(members, m => Assert.Equal(1, m.Replica.Remembered));
        Assert.Single(members.Select(_world.DigestOf).Distinct());
        Assert.Equal(1, coordinator.Replica.Executed);
    }

    [Fact]
    public void When_the_coordinator_fails_the_next_one_acts_and_what_the_dead_one_says_does_not_count()
    {
        HandFedMember<CohortReplica>[] members = Start(3);
        _world.Ask(null, "x");
        _world.Group.Settle();
        HandFedMember<CohortReplica> first = members.Single(m => _world.BenchOf(m).Running.Count == 1);
        _world.Group.Exclude(first);
        HandFedMember<CohortReplica> second = Assert.Single(_world.Group.Members, m => _world.BenchOf(m).Running.Count == 1);
        Assert.Equal(2, _world.BenchOf(second).Running[0].Attempt);
        _world.Finish(first, 0); // it wakes up late
        Assert.Empty(first.Outbox);
        _world.Finish(second, 0);
        _world.Group.Settle();
        Assert.Equal("X", Assert.Single(_world.History.Answered).Result);
    }

    // Found as requests that never end: a rule chose a joiner, whose state then said so.
    [Theory]
    [InlineData(Execution.Coordinator)]
    [InlineData(Execution.Subdivided)]
    public void A_joiner_executes_what_it_was_given_before_it_had_its_state(Execution execution)
    {
        var world = new CohortWorld(CoordinatorRule.LeastLoaded);
        HandFedMember<CohortReplica> first = world.Join("a");
        world.Ask(first, "x");
        world.Group.Settle(); // now "a" has something to do, and the next is the joiner's
        ExecutionId id = default;
        HandFedMember<CohortReplica> joiner = world.Join("b", beforeState: () =>
        {
            id = world.Ask(null, "y", execution, Collation.All);
            world.Group.Settle();
        });
        Assert.Equal(1, Assert.Single(world.BenchOf(joiner).Running).Attempt);
        while (world.FinishAny(_ => 0)) { }
        world.Group.Settle();
        world.AskAgain(null, id, "y", execution, Collation.All); // nobody may have answered: the joiner has no token of it
        world.Group.Settle();
        Assert.Empty(world.Unanswered);
        Assert.Equal(world.DigestOf(first), world.DigestOf(joiner));
    }

    [Fact]
    public void A_request_that_is_asked_again_is_not_executed_again()
    {
        HandFedMember<CohortReplica>[] members = Start(2);
        ExecutionId id = _world.Ask(null, "x");
        _world.AskAgain(null, id, "x");
        _world.Group.Settle();
        Assert.Single(_world.History.Executed);
        _world.FinishAny(_ => 0);
        _world.Group.Settle();
        _world.History.Answered.Clear();
        _world.AskAgain(null, id, "x");
        _world.Group.Settle();
        Assert.Equal([(id, "X")], _world.History.Answered);
        Assert.Single(_world.History.Executed);
        Assert.All(members, m => Assert.Equal(1, m.Replica.Remembered));
    }

    [Fact]
    public void What_is_forgotten_is_forgotten_by_all_and_never_executed_again()
    {
        var world = new CohortWorld(results: 8);
        HandFedMember<CohortReplica>[] members = [world.Join("a"), world.Join("b")];
        ExecutionId first = world.Ask(members[0], "0");
        for (int i = 1; i < 20; i++)
        {
            world.Ask(members[0], $"{i}");
            world.Group.Settle();
            while (world.FinishAny(_ => 0)) { }
            world.Group.Settle();
        }

        Assert.All(members, m => Assert.InRange(m.Replica.Remembered, 8, 9));
        Assert.Equal(world.DigestOf(members[0]), world.DigestOf(members[1]));
        world.History.Answered.Clear();
        world.AskAgain(members[0], first, "0");
        world.Group.Settle();
        Assert.Equal([(first, "")], world.History.Answered); // no answers: ResultForgottenException
        Assert.Equal(20, world.History.Executed.Count);

        // And by time, as the oldest member measures it.
        world.Group.Pass(TimeSpan.FromMinutes(6));
        world.Group.Settle();
        Assert.All(members, m => Assert.Equal(0, m.Replica.Remembered));
    }

    [Fact]
    public void A_subdivided_execution_gives_each_member_its_part_and_the_parts_of_the_failed_to_others()
    {
        HandFedMember<CohortReplica>[] members = Start(3);
        ExecutionId id = _world.Ask(members[0], "x", Execution.Subdivided);
        _world.Group.Settle();
        Assert.Equal([0, 1, 2], members.Select(m => Assert.Single(_world.BenchOf(m).Running).Part));
        _world.Finish(members[0], 0);
        _world.Group.Exclude(members[2]);
        _world.Finish(members[1], 0);
        _world.Group.Settle();
        Assert.Empty(_world.History.Answered);
        Assignment redone = Assert.Single(_world.Group.Members.SelectMany(m => _world.BenchOf(m).Running));
        Assert.Equal((2, 3, 2), (redone.Part, redone.Parts, redone.Attempt));
        _world.FinishAny(_ => 0);
        _world.Group.Settle();
        Assert.Equal(id, Assert.Single(_world.History.Answered).Id);
        Assert.Equal(3, members[0].Replica.Finished.Single().ToReply().Answers.Length);
    }

    [Theory]
    [InlineData(Collation.First, 1)]
    [InlineData(Collation.Majority, 2)]
    [InlineData(Collation.All, 3)]
    public void A_redundant_execution_ends_when_enough_have_answered(Collation collation, int needed)
    {
        HandFedMember<CohortReplica>[] members = Start(3);
        _world.Ask(members[0], "x", Execution.Redundant, collation);
        _world.Group.Settle();
        for (int i = 0; i < needed; i++)
        {
            Assert.Empty(_world.History.Answered);
            _world.Finish(members[i], 0);
            _world.Group.Settle();
        }

        Assert.Single(_world.History.Answered);
        Assert.All(members[needed..], m => Assert.Equal([(1L, m.View.RankOf(m.Id))], _world.BenchOf(m).Stopped));
    }

    [Fact]
    public void A_redundant_execution_does_not_wait_for_the_dead()
    {
        HandFedMember<CohortReplica>[] members = Start(3);
        _world.Ask(members[0], "x", Execution.Redundant, Collation.All);
        _world.Group.Settle();
        _world.Finish(members[0], 0);
        _world.Finish(members[1], 0);
        _world.Group.Settle();
        Assert.Empty(_world.History.Answered);
        _world.Group.Exclude(members[2]);
        Assert.Single(_world.History.Answered);
    }

    [Fact]
    public void A_cancellation_reaches_the_executing_member_and_the_one_that_takes_over()
    {
        HandFedMember<CohortReplica>[] members = Start(3);
        ExecutionId id = _world.Ask(members[0], "x");
        _world.Group.Settle();
        HandFedMember<CohortReplica> coordinator = members.Single(m => _world.BenchOf(m).Running.Count == 1);
        members[0].Replica.Withdraw(id);
        _world.Group.Settle();
        Assert.Equal([(1L, 0)], _world.BenchOf(coordinator).Stopped);
        _world.Group.Exclude(coordinator);
        _world.Group.Settle();
        Assert.Single(_world.History.Executed); // nobody begins what nobody wants
        Assert.All(_world.Group.Members, m => Assert.Equal(AnswerKind.Cancelled, m.Replica.Finished.Single().ToReply().Answers[0].Kind));
        Assert.Empty(_world.History.Answered);
    }

    [Fact]
    public void Progress_reaches_the_caller()
    {
        HandFedMember<CohortReplica>[] members = Start(2);
        _world.Ask(members[0], "x");
        _world.Group.Settle();
        HandFedMember<CohortReplica> coordinator = members.Single(m => _world.BenchOf(m).Running.Count == 1);
        coordinator.Replica.Report(1, 0, 1, "half"u8);
        coordinator.Replica.Report(1, 0, 2, "of another attempt"u8);
        _world.Group.Settle();
        Assert.Equal(["half"], _world.BenchOf(members[0]).Progress);
    }

    [Fact]
    public void The_least_loaded_executes_and_members_that_have_finished_say_so()
    {
        var world = new CohortWorld(CoordinatorRule.LeastLoaded);
        HandFedMember<CohortReplica>[] members = [world.Join("a"), world.Join("b"), world.Join("c")];
        for (int i = 0; i < 30; i++)
            world.Ask(members[0], $"{i}");
        world.Group.Settle();
        Assert.All(members, m => Assert.Equal(10, world.BenchOf(m).Running.Count));
        while (world.BenchOf(members[1]).Running.Count > 0)
            world.Finish(members[1], 0);
        world.Group.Settle();
        for (int i = 0; i < 6; i++)
            world.Ask(members[2], $"later {i}");
        world.Group.Settle();
        Assert.Equal(6, world.BenchOf(members[1]).Running.Count); // the others have ten
    }

    [Fact]
    public void The_callers_own_node_executes_by_locality()
    {
        var world = new CohortWorld(CoordinatorRule.Locality);
        HandFedMember<CohortReplica>[] members = [world.Join("a"), world.Join("b"), world.Join("c")];
        foreach (HandFedMember<CohortReplica> caller in members)
            world.Ask(caller, caller.Id.Name);
        world.Group.Settle();
        Assert.All(members, m => Assert.Equal(m.Id, Assert.Single(world.BenchOf(m).Running).Id.Caller));
    }

    [Fact]
    public void A_joiner_has_the_memory_and_another_rule_is_refused()
    {
        Start(1);
        ExecutionId id = _world.Ask(null, "x");
        _world.Group.Settle();
        _world.FinishAny(_ => 0);
        _world.Group.Settle();
        HandFedMember<CohortReplica> joiner = _world.Join("z");
        Assert.Equal(id, joiner.Replica.Finished.Single().Id);
        var other = new CohortWorld(CoordinatorRule.LeastLoaded).Join("q");
        Assert.Contains("'hash'", Assert.ThrowsAny<FormatException>(() => other.Replica.Load(joiner.Replica.Save())).Message);
    }

    [Fact]
    public void Bytes_that_nobody_wrote_change_nothing()
    {
        HandFedMember<CohortReplica>[] members = Start(2);
        ExecutionId id = _world.Ask(null, "x");
        _world.Group.Settle();
        byte[] state = members[0].Replica.Save().ToArray();
        var random = new Random(1);
        for (int i = 0; i < 5000; i++)
        {
            byte[] body = new byte[random.Next(40)];
            random.NextBytes(body);
            if (body.Length > 0)
                body[0] = (byte)(2 + random.Next(8)); // anything but a request, which anybody may make
            members[0].Replica.OnMessage(new ReplicaMessage { From = CohortWorld.Outside, Order = CohortFormat.RequestOrder, Body = body });
        }

        Assert.Equal(state, members[0].Replica.Save().ToArray());
        for (int cut = 0; cut < state.Length; cut++)
            Assert.ThrowsAny<FormatException>(() => new CohortWorld().Join("q").Replica.Load(state.AsMemory(0, cut)));
        Assert.Equal(id, _world.Unanswered.Single());
    }

    private HandFedMember<CohortReplica>[] Start(int members) => [.. Enumerable.Range(0, members).Select(i => _world.Join(((char)('a' + i)).ToString()))];
}
