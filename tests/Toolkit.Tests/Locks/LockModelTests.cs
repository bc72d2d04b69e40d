// The judges of locks must pass what is right and find what is wrong; and some rules of the replicas, delivery by delivery.
using Core.Groups;
using Core.Groups.Replication;
using Core.Groups.Testing.Histories;
using Toolkit.Locks.Replicas;
using Toolkit.Tests.HandFed;

namespace Toolkit.Tests.Locks;

public sealed class LockModelTests
{
    // node start end [acquire] or ]release, hold, token; w: weight, s: shared
    [Theory]
    [InlineData(1, "a 0 9 [1 t1; a 20 20 ]1 t1; b 10 29 [2 t2")]
    [InlineData(1, "a 0 9 [1 t3 s; b 10 19 [2 t1 s")]                         // of writers that have not held
    [InlineData(1, "a 0 9 [1 t1; a 5 ? ]1 t1; b 10 29 [2 t2")]               // it failed while it held
    [InlineData(3, "a 0 9 [1 t1 w2; b 0 9 [2 t2 w1; a 20 20 ]1 t1 w2; c 10 29 [3 t3 w2")]
    [InlineData(1, "a 0 9 [1 t1; a 10 10 ]1 t1; b 0 11 [2 t1 s; c 0 11 [3 t1 s; b 20 20 ]2 t1 s; c 21 21 ]3 t1 s; a 12 30 [4 t2")]
    public void What_an_order_explains_is_passed(int permits, string history) => Assert.Null(LinearizabilityChecker.Check(new HoldModel(permits), Parse(history)));

    [Theory]
    [InlineData(1, "a 0 9 [1 t1; a 30 30 ]1 t1; b 10 29 [2 t2")]             // two hold at once
    [InlineData(1, "a 0 9 [1 t2; a 10 10 ]1 t2; b 11 29 [2 t1")]             // a token goes back
    [InlineData(1, "a 0 9 [1 t1; a 10 10 ]1 t1; b 11 29 [2 t1")]             // a token twice
    [InlineData(3, "a 0 9 [1 t1 w2; b 0 9 [2 t2 w2")]                         // four permits of three
    [InlineData(3, "a 0 9 [1 t1 w1; c 0 9 [3 t3 w1; b 10 29 [2 t2 w1")]       // overtaken
    [InlineData(1, "a 0 9 [1 t2; a 10 10 ]1 t2; b 11 12 [2 t1 s")]           // a reader that has not heard of the writer before it
    [InlineData(1, "a 0 9 [1 t1; b 10 11 [2 t1 s; a 20 20 ]1 t1")]           // a reader beside a writer
    [InlineData(1, "b 0 9 [2 t0 s; c 0 9 [3 t0 s; b 10 10 ]2 t0 s; a 11 12 [1 t1; c 20 20 ]3 t0 s")] // a writer beside the second reader
    public void What_no_order_explains_is_found(int permits, string history) => Assert.NotNull(LinearizabilityChecker.Check(new HoldModel(permits), Parse(history)));

    [Fact]
    public void Overtaking_is_found()
    {
        NodeId a = new("a", 1), b = new("b", 1);
        Assert.Null(FairnessChecker.Check([(a, 1, 5), (b, 1, 4), (a, 2, 7)]));
        Assert.Contains("has overtaken call 1", FairnessChecker.Check([(a, 1, 7), (b, 1, 4), (a, 2, 5)]), StringComparison.Ordinal);
        Request first = new(a, 1, 1, isShared: false) { Ticket = 1 }, second = new(b, 1, 1, isShared: false) { Ticket = 2 };
        Assert.Null(FairnessChecker.Check(new QueueState([first], [second], 2), isLocal: false));
        Assert.Contains("was overtaken by call 1 of b.1", FairnessChecker.Check(new QueueState([second], [first], 2), isLocal: false), StringComparison.Ordinal);
        Assert.Contains("a writer of a.1 waits", FairnessChecker.Check(new QueueState([], [first], 1), isLocal: true), StringComparison.Ordinal);
    }

    // Found as writers that wait for what is free: a joiner got the writer with its state, and never said that it gives no more local reads.
    [Fact]
    public void A_writer_that_asks_between_a_joiners_view_and_its_state_holds()
    {
        var group = new HandFedGroup<ReadWriteReplica>();
        HandFedMember<ReadWriteReplica> first = group.Join("a", () => new ReadWriteReplica(() => 1));
        var writer = new Waiter();
        group.Join("b", () => new ReadWriteReplica(() => 2), beforeState: () =>
        {
            first.Replica.Ask(writer);
            group.Settle();
            Assert.Equal(0, writer.Grants);
        });
        group.Settle();
        Assert.Equal(1, writer.Grants);
    }

    // Found as members with different tickets: to one the withdrawal came before the pulse, to another after it.
    [Fact]
    public void What_may_give_out_a_ticket_or_not_is_agreed()
    {
        var group = new HandFedGroup<LockReplica>();
        HandFedMember<LockReplica> member = group.Join("a", () => new LockReplica(1, () => 1));
        var waiter = new Waiter();
        long call = member.Replica.Ask(waiter);
        Assert.Equal(Order.Safe, member.Outbox.Peek().Order);
        group.Settle();
        Assert.True(member.Replica.Wait(call, "c"));
        group.Settle();
        Assert.True(member.Replica.Release(call));
        Assert.Equal(Order.Safe, Assert.Single(member.Outbox).Order);
        group.Settle();
        call = member.Replica.Ask(waiter);
        group.Settle();
        Assert.True(member.Replica.Release(call));
        Assert.Equal(Order.Causal, Assert.Single(member.Outbox).Order); // of a hold: asynchronous
    }

    // A writer that waits may have no owner, and so tell nobody: who waits behind it waits for what it waits for.
    [Fact]
    public void A_reader_behind_a_writer_waits_for_the_readers_before_it()
    {
        var group = new HandFedGroup<ReadWriteReplica>();
        HandFedMember<ReadWriteReplica> member = group.Join("a", () => new ReadWriteReplica(() => 1));
        Assert.True(member.Replica.TryReadLocally(new Waiter(), out long reader, out _));
        long writer = member.Replica.Ask(new Waiter());
        long behind = member.Replica.Ask(new Waiter(), isShared: true);
        group.Settle();
        Blockers blockers = member.Replica.BlockersOf(behind)!.Value;
        Assert.Equal([writer, reader], blockers.Requests.Select(r => r.Call));
        Assert.Equal(2, blockers.Need);
        Assert.Equal([reader], member.Replica.BlockersOf(writer)!.Value.Requests.Select(r => r.Call));
    }

    private static List<TimedCall<HoldCall>> Parse(string history) =>
    [
        .. from line in history.Split("; ")
           let words = line.Split(' ')
           let weight = words.FirstOrDefault(w => w[0] == 'w')
           select new TimedCall<HoldCall>(
               words[0], long.Parse(words[1]), words[2] == "?" ? TimedCall<HoldCall>.NeverAnswered : long.Parse(words[2]),
               new HoldCall(words[3][1] - '0', words[3][0] == ']', words.Contains("s"), long.Parse(words[4][1..]), weight is null ? 1 : weight[1] - '0')),
    ];

    private sealed class Waiter : ILockWaiter
    {
        public int Grants { get; private set; }

        public void Granted(long token, bool pulsed) => Grants++;

        public void Refused() { }

        public void Lost() { }

        public void Ended(MembershipEnd end) { }
    }
}
