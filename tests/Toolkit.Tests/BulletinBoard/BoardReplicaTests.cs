// The board's replica, delivery by delivery.
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.BulletinBoard;
using Toolkit.BulletinBoard.Replication;
using Toolkit.Tests.HandFed;

namespace Toolkit.Tests.BulletinBoard;

public sealed class BoardReplicaTests
{
    private static readonly Template Job = new("job", Match.Any);

    private readonly BoardWorld _world = new(BoardConsistency.Total);

    [Theory]
    [InlineData(BoardConsistency.Total)]
    [InlineData(BoardConsistency.Causal)]
    public void An_item_is_taken_by_one_and_others_wait_for_the_next(BoardConsistency consistency)
    {
        var world = new BoardWorld(consistency);
        HandFedMember<BoardReplica>[] members = [world.Join("a"), world.Join("b"), world.Join("c")];
        world.Post(members[0], "job", 1);
        world.Group.Settle();
        long[] takes = [.. members.Select(m => world.Take(m, Job))];
        world.Group.Settle();
        Assert.Single(members, m => world.DeskOf(m).Done.Keys.Intersect(takes).Any());
        world.Post(members[0], "job", 2);
        world.Post(members[1], "job", 3);
        world.Group.Settle();
        Assert.Equal([1L, 2, 3], members.Select((m, i) => world.DeskOf(m).Done[takes[i]]![1].Whole).Order());
        Assert.All(members, m => Assert.Equal(0, m.Replica.Count));
    }

    [Fact]
    public void Those_who_wait_are_served_in_their_order()
    {
        HandFedMember<BoardReplica>[] members = Start(3);
        long[] takes = new long[3];
        foreach (int i in (int[])[2, 0, 1])
        {
            takes[i] = _world.Take(members[i], i == 0 ? new Template("job", Match.Range(0, 9)) : Job);
            _world.Group.Settle();
        }

        foreach (int number in (int[])[1, 2, 3])
            _world.Post(members[0], "job", number);
        _world.Group.Settle();
        Assert.Equal([2L, 3, 1], takes.Select((call, i) => _world.DeskOf(members[i]).Done[call]![1].Whole));
    }

    [Fact]
    public void A_take_without_waiting_says_at_once_that_there_is_nothing()
    {
        HandFedMember<BoardReplica>[] members = Start(2);
        long call = _world.Take(members[0], Job, waits: false);
        _world.Group.Settle();
        Assert.Null(_world.DeskOf(members[0]).Done[call]);
    }

    [Theory]
    [InlineData(BoardConsistency.Total)]
    [InlineData(BoardConsistency.Causal)]
    public void What_comes_to_a_caller_that_has_stopped_waiting_goes_back(BoardConsistency consistency)
    {
        var world = new BoardWorld(consistency);
        HandFedMember<BoardReplica>[] members = [world.Join("a"), world.Join("b")];
        world.Post(members[0], "job", 1);
        world.Group.Settle();
        foreach (bool holds in (bool[])[false, true])
        {
            long call = world.Take(members[1], Job, holds: holds); // on its way, and nobody waits any more
            Assert.True(members[1].Replica.Withdraw(call));
            world.Group.Settle();
            Assert.DoesNotContain(call, world.DeskOf(members[1]).Done.Keys);
            Assert.All(members, m => Assert.Equal("(job, 1)", world.ItemsOf(m)));
        }

        long waiting = world.Take(members[1], new Template("none"));
        world.Group.Settle();
        Assert.True(members[1].Replica.Withdraw(waiting));
        Assert.False(members[1].Replica.Withdraw(waiting));
        world.Group.Settle();
        world.Post(members[0], "none");
        world.Group.Settle();
        Assert.Contains("(none)", world.ItemsOf(members[0]));
    }

    [Theory]
    [InlineData(BoardConsistency.Total)]
    [InlineData(BoardConsistency.Causal)]
    public void What_is_held_comes_back_when_its_holder_fails_and_not_when_it_was_completed(BoardConsistency consistency)
    {
        var world = new BoardWorld(consistency);
        HandFedMember<BoardReplica>[] members = [world.Join("a"), world.Join("b"), world.Join("c")];
        world.Post(members[0], "job", 1);
        world.Post(members[0], "job", 2);
        world.Group.Settle();
        long first = world.Take(members[1], Job, holds: true);
        world.Group.Settle();
        long second = world.Take(members[2], Job, holds: true);
        world.Group.Settle();
        Assert.All(members, m => Assert.Equal((0, 2), (m.Replica.Count, m.Replica.Held)));
        members[1].Replica.Complete(world.Next(), first, [["result", 1], ["log", "done"]]);
        world.Group.Settle();
        Assert.Equal("(result, 1) (log, done)", world.ItemsOf(members[0]));
        world.Group.Exclude(members[2]);
        Assert.Equal(1, world.DeskOf(members[2]).LostHolds);
        Assert.All(world.Group.Members, m => Assert.Equal("(result, 1) (log, done) (job, 2)", world.ItemsOf(m)));

        // What was completed, or came back, cannot be completed again.
        long again = world.Next();
        members[1].Replica.Complete(again, first, [["result", 1]]);
        world.Group.Settle();
        Assert.Null(world.DeskOf(members[1]).Done[again]);
        Assert.NotEqual(0, second);
    }

    [Theory]
    [InlineData(BoardConsistency.Total)]
    [InlineData(BoardConsistency.Causal)]
    public void Cleaning_up_after_a_process_is_one_guarded_operation(BoardConsistency consistency)
    {
        var world = new BoardWorld(consistency);
        HandFedMember<BoardReplica>[] members = [world.Join("a"), world.Join("b"), world.Join("c")];
        HandFedMember<BoardReplica> careful = members[1];
        world.Post(careful, "of b", 1);
        world.Post(careful, "of b", 2);
        world.PostWhen(careful, Guard.Failed(careful.Id), "gone", "b");
        careful.Replica.Clear(world.Next(), new Template("of b", Match.Any), Guard.Failed(careful.Id));
        world.Group.Settle();
        Assert.All(members, m => Assert.Equal(2, m.Replica.Count));
        Assert.Equal(4, world.DeskOf(careful).Done.Count); // accepted: all four calls have ended
        world.Group.Exclude(careful);
        world.Group.Settle();
        Assert.All(world.Group.Members, m => Assert.Equal("(gone, b)", world.ItemsOf(m)));
    }

    [Theory]
    [InlineData(BoardConsistency.Total)]
    [InlineData(BoardConsistency.Causal)]
    public void Guards_wait_for_counts_and_for_other_operations(BoardConsistency consistency)
    {
        var world = new BoardWorld(consistency);
        HandFedMember<BoardReplica>[] members = [world.Join("a"), world.Join("b")];
        OperationId three = world.PostWhen(members[0], Guard.Present(new Template("vote", Match.Any), 3), "enough");
        OperationId after = world.PostWhen(members[1], Guard.All(Guard.Finished(three), Guard.Any(Guard.Present(new Template("go")), Guard.Failed(members[0].Id))), "last");
        long read = world.Next();
        members[1].Replica.Read(read, new Template("vote", Match.Any), Guard.Finished(three));
        for (int vote = 1; vote <= 3; vote++)
        {
            Assert.DoesNotContain("enough", world.ItemsOf(members[0]));
            world.Post(members[1], "vote", vote);
            world.Group.Settle();
        }

        Assert.Contains("enough", world.ItemsOf(members[1]));
        Assert.Equal(1, world.DeskOf(members[1]).Done[read]![1].Whole);
        Assert.DoesNotContain("last", world.ItemsOf(members[1]));
        HandFedMember<BoardReplica> joiner = world.Join("c"); // what waits is part of the state
        world.Group.Exclude(members[0]);
        world.Group.Settle();
        Assert.EndsWith("(last)", world.ItemsOf(joiner));
        Assert.Single(joiner.Replica.InOrder, i => i.Id == after);
    }

    [Fact]
    public void A_guarded_operation_can_be_called_off()
    {
        HandFedMember<BoardReplica>[] members = Start(2);
        OperationId post = _world.PostWhen(members[0], Guard.Present(new Template("go")), "x");
        members[0].Replica.Cancel(_world.Next(), post.Sequence);
        _world.Post(members[1], "go");
        _world.Group.Settle();
        Assert.Equal("(go)", _world.ItemsOf(members[1]));
        Assert.Equal(2, _world.DeskOf(members[0]).Done.Count);
    }

    [Fact]
    public void Items_go_when_their_time_is_over_whoever_is_the_oldest_then()
    {
        HandFedMember<BoardReplica>[] members = Start(3);
        members[2].Replica.Post(_world.Next(), ["short"], TimeSpan.FromSeconds(10), null);
        members[2].Replica.Post(_world.Next(), ["long"], TimeSpan.Zero, null);
        _world.Group.Settle();
        _world.Group.Pass(TimeSpan.FromSeconds(9));
        _world.Group.Settle();
        Assert.Equal(2, members[1].Replica.Count);
        _world.Group.Exclude(members[0]);
        _world.Group.Pass(TimeSpan.FromSeconds(2));
        _world.Group.Settle();
        Assert.All(_world.Group.Members, m => Assert.Equal("(long)", _world.ItemsOf(m)));
    }

    [Fact]
    public void An_update_changes_an_item_in_its_place_and_fails_when_it_is_gone()
    {
        HandFedMember<BoardReplica>[] members = Start(2);
        OperationId item = _world.Post(members[0], "x", 1);
        _world.Group.Settle();
        (long first, long second) = (_world.Next(), _world.Next());
        members[1].Replica.Update(first, item, ["y", 2]);
        _world.Group.Settle();
        Assert.Equal("(y, 2)", _world.ItemsOf(members[0]));
        Assert.Equal(item, members[0].Replica.Find(new Template("y", Match.Any))!.Id);
        Assert.Null(members[0].Replica.Find(new Template("x", Match.Any)));
        _world.Take(members[0], new Template("y", Match.Any));
        members[1].Replica.Update(second, item, ["z", 3]);
        _world.Group.Settle();
        Assert.Null(_world.DeskOf(members[1]).Done[second]);
    }

    [Fact]
    public void Templates_match_values_prefixes_and_ranges_of_the_same_kind()
    {
        var item = new BoardItem(default, ["move", 1.0, 2.5, true, "e4e5"], TimeSpan.Zero);
        Assert.True(new Template("move", 1, Match.Range(2, 3), true, Match.Prefix("e4")).Matches(item));
        Assert.False(new Template("move", 2, Match.Any, Match.Any, Match.Any).Matches(item));
        Assert.False(new Template("move", "1", Match.Any, Match.Any, Match.Any).Matches(item));
        Assert.False(new Template("move", Match.Any, Match.Any, Match.Any).Matches(item));
        Assert.True(new Template(Match.Range("a", "z"), Match.Any, Match.Any, Match.Any, Match.Range("e", "f")).Matches(item));
        Assert.Throws<ArgumentException>(() => Match.Range("a", 1));
        Assert.Throws<ArgumentException>(() => new Template());
    }

    [Fact]
    public void Among_many_items_only_those_with_the_first_fields_are_looked_at()
    {
        var store = new ItemStore();
        for (int i = 0; i < 100_000; i++)
            store.Add(new BoardItem(new OperationId(default, i), ["key", i, "x"], TimeSpan.Zero));
        var template = new Template("key", 99_999, Match.Any);
        long start = GC.GetAllocatedBytesForCurrentThread();
        long found = 0;
        for (int i = 0; i < 100_000; i++) // a scan of all would take minutes
            found += store.Find(template)!.Id.Sequence;
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - start, 0, 99_999); // nothing for each; the runtime's own work may be counted
        Assert.Equal(99_999L * 100_000, found);
        for (int i = 0; i < 100_000; i++)
            Assert.Equal(i, store.Remove(store.Find(new Template("key", Match.Any, "x"))!.Id)!.Id.Sequence);
        Assert.Equal(0, store.Count);
    }

    [Fact]
    public void Bytes_that_nobody_wrote_change_nothing_and_a_cut_state_is_refused()
    {
        HandFedMember<BoardReplica>[] members = Start(2);
        _world.Post(members[0], "x", 1, 2.5, true, new byte[] { 1, 2 });
        _world.PostWhen(members[0], Guard.All(Guard.Present(new Template("go", Match.Prefix("a"), Match.Range(1, 2)), 2), Guard.Failed(members[0].Id)), "y");
        _world.Take(members[1], Job);
        _world.Take(members[1], new Template(Match.Any, Match.Any, Match.Any, Match.Any, Match.Any), holds: true);
        _world.Group.Settle();
        byte[] state = members[0].Replica.Save().ToArray();
        for (int cut = 0; cut < state.Length; cut++)
            Assert.ThrowsAny<FormatException>(() => new BoardWorld(BoardConsistency.Total).Join("q").Replica.Load(state.AsMemory(0, cut)));
        HandFedMember<BoardReplica> other = _world.Join("c");
        Assert.Equal(members[0].Replica.Save().ToArray(), other.Replica.Save().ToArray());

        var random = new Random(1);
        for (int i = 0; i < 5000; i++)
        {
            byte[] body = new byte[random.Next(60)];
            random.NextBytes(body);
            foreach (HandFedMember<BoardReplica> member in _world.Group.Members)
                member.Replica.OnMessage(new ReplicaMessage { From = members[0].Id, Order = Order.CausalTotal, Body = body });
        }

        Assert.Single(_world.Group.Members.Select(m => Convert.ToHexString(m.Replica.Save().Span)).Distinct());
    }

    private HandFedMember<BoardReplica>[] Start(int members) => [.. Enumerable.Range(0, members).Select(i => _world.Join(((char)('a' + i)).ToString()))];
}
