// Transactions: locks, commits, deadlocks and the failure of the member that executes one, delivery by delivery.
using Core.Groups;
using Toolkit.ReplicatedData;
using Toolkit.ReplicatedData.Space;

namespace Toolkit.Tests.ReplicatedData;

public sealed class TransactionReplicaTests
{
    private readonly HandDrivenSpace _space = new("a", "b", "c");
    private readonly ulong _accounts;

    public TransactionReplicaTests()
    {
        _accounts = _space[0].Open(ObjectKind.Dictionary, "accounts");
        _space[0].Set(_accounts, "x", "100");
        _space[0].Set(_accounts, "y", "100");
        _space.Settle();
    }

    [Fact]
    public void Nobody_sees_a_transaction_before_its_commit_and_all_see_it_whole_after()
    {
        Lock(0, 1, "x", true);
        Lock(0, 1, "y", true);
        Write(0, 1, "x", "90");
        Write(0, 1, "y", "110");
        _space.Settle();
        Assert.All(_space.Members, m => Assert.Equal(("100", "100"), (m.Read(_accounts, "x"), m.Read(_accounts, "y"))));
        long commit = _space[0].Call(call => _space[0].Replica.Commit(call, 1));
        _space.Settle();
        Assert.True(_space[0].Results[commit].Applied);
        Assert.All(_space.Members, m => Assert.Equal(("90", "110"), (m.Read(_accounts, "x"), m.Read(_accounts, "y"))));
        _space.AssertAllEqual();
    }

    [Fact]
    public void Readers_share_and_a_writer_waits_for_them_first_come_first_served()
    {
        long first = Lock(0, 1, "x", false), second = Lock(1, 1, "x", false), writer = Lock(2, 1, "x", true), third = Lock(0, 2, "x", false);
        Assert.True(IsGranted(0, first) && IsGranted(1, second));
        Assert.False(IsGranted(2, writer));
        Assert.False(IsGranted(0, third)); // or the writer would starve
        Commit(0, 1);
        Assert.False(IsGranted(2, writer));
        Commit(1, 1);
        Assert.True(IsGranted(2, writer));
        Assert.False(IsGranted(0, third));
        Commit(2, 1);
        Assert.True(IsGranted(0, third));
        _space.AssertAllEqual();
    }

    [Fact]
    public void An_update_outside_waits_until_the_transaction_has_ended()
    {
        Lock(0, 1, "x", true);
        long update = _space[1].Set(_accounts, "x", "7");
        long other = _space[1].Set(_accounts, "y", "8");
        _space.Settle();
        Assert.False(_space[1].Results.ContainsKey(update));
        Assert.True(_space[1].Results.ContainsKey(other));
        Write(0, 1, "x", "90");
        Commit(0, 1);
        Assert.True(_space[1].Results[update].Applied);
        Assert.All(_space.Members, m => Assert.Equal("7", m.Read(_accounts, "x")));
        _space.AssertAllEqual();
    }

    [Fact]
    public void A_circle_of_two_is_broken_and_the_younger_gives_way()
    {
        Lock(0, 1, "x", true);
        Lock(1, 1, "y", true);
        long a = Lock(0, 1, "y", true);
        Assert.Empty(_space[0].Errors);
        long b = Lock(1, 1, "x", true);
        var deadlock = Assert.IsType<DeadlockException>(_space[1].Errors[b]);
        Assert.Equal("transaction 1 of b waits for transaction 1 of a waits for transaction 1 of b", deadlock.Cycle);
        Assert.True(IsGranted(0, a));
        Assert.Single(_space.Members.SelectMany(m => m.Errors));
        _space.AssertAllEqual();
    }

    [Fact]
    public void Two_readers_that_both_want_to_write_are_a_circle()
    {
        Lock(0, 1, "x", false);
        Lock(1, 1, "x", false);
        long a = Lock(0, 1, "x", true);
        Assert.False(IsGranted(0, a));
        long b = Lock(1, 1, "x", true);
        Assert.IsType<DeadlockException>(_space[1].Errors[b]);
        Assert.True(IsGranted(0, a));
    }

    [Fact]
    public void A_circle_through_a_batch_that_waits_is_broken_and_the_batch_is_made()
    {
        Lock(0, 1, "x", true);
        long batch = _space[1].Call(call => _space[1].Replica.UpdateAll(
            call, [HandDrivenMember.SetOperation(_accounts, "x", "1"), HandDrivenMember.SetOperation(_accounts, "y", "1")]));
        long a = Lock(0, 1, "y", true);
        Assert.IsType<DeadlockException>(_space[0].Errors[a]);
        Assert.True(_space[1].Results[batch].Applied);
        _space.AssertAllEqual();
    }

    [Fact]
    public void An_update_that_is_given_up_while_it_waits_is_not_made_and_holds_up_nobody()
    {
        Lock(0, 1, "x", true);
        long update = _space[1].Set(_accounts, "x", "7");
        _space.Settle();
        long other = Lock(2, 1, "x", true);
        Assert.Equal([new OwnerId(_space[0].Id, 1)], _space[1].Replica.BlockersOfUpdate(update));
        _space[1].Replica.Withdraw(update, "the circle");
        _space.Settle();
        Assert.Equal("the circle", Assert.IsType<DeadlockException>(_space[1].Errors[update]).Cycle);
        Commit(0, 1);
        Assert.True(IsGranted(2, other));
        Assert.All(_space.Members, m => Assert.Equal("100", m.Read(_accounts, "x")));
        _space.AssertAllEqual();
    }

    [Fact]
    public void An_update_that_is_made_before_it_is_given_up_stands()
    {
        Lock(0, 1, "x", true);
        long update = _space[1].Set(_accounts, "x", "7");
        _space.Settle();
        _space[0].Call(call => _space[0].Replica.Commit(call, 1)); // comes before what follows
        _space[1].Replica.Withdraw(update, "the circle");
        _space.Settle();
        Assert.True(_space[1].Results[update].Applied);
        Assert.Empty(_space[1].Errors);
        Assert.All(_space.Members, m => Assert.Equal("7", m.Read(_accounts, "x")));
        _space.AssertAllEqual();
    }

    [Fact]
    public void Waiting_in_a_line_is_no_circle()
    {
        Lock(0, 1, "x", true);
        Lock(1, 1, "y", true);
        Lock(2, 1, "x", true);
        Lock(1, 1, "x", false);
        Assert.All(_space.Members, m => Assert.Empty(m.Errors));
    }

    [Fact]
    public void When_the_executing_member_fails_nothing_of_its_transaction_remains()
    {
        Lock(0, 1, "x", true);
        Write(0, 1, "x", "90");
        long b = Lock(1, 1, "x", true);
        Assert.False(IsGranted(1, b));
        _space.ChangeView([0]);
        Assert.True(_space[0].Results.ContainsKey(b)); // that member is the first now
        Assert.All(_space.Members, m => Assert.Equal("100", m.Read(_accounts, "x")));
        _space.AssertAllEqual();
    }

    [Fact]
    public void A_commit_that_was_delivered_stands_though_its_member_fails()
    {
        Lock(0, 1, "x", true);
        Write(0, 1, "x", "90");
        _space[0].Call(call => _space[0].Replica.Commit(call, 1));
        _space.ChangeView([0], "d");
        Assert.All(_space.Members, m => Assert.Equal("90", m.Read(_accounts, "x")));
        _space.AssertAllEqual();
    }

    [Fact]
    public void An_abort_gives_the_locks_back()
    {
        Lock(0, 1, "x", true);
        Write(0, 1, "x", "90");
        long b = Lock(1, 1, "x", false);
        _space[0].Replica.Abort(1);
        _space.Settle();
        Assert.Equal("100", HandDrivenMember.Text(_space[1].Results[b].Taken!.Value!));
    }

    [Fact]
    public void Causal_objects_and_lists_are_refused()
    {
        ulong causal = _space[0].Open(ObjectKind.Variable, "v", UpdateMode.Causal), list = _space[0].Open(ObjectKind.List, "l");
        foreach (ulong target in (ulong[])[causal, list, 12345])
        {
            long call = _space[0].Call(call => _space[0].Replica.Lock(call, 9, true, target, []));
            _space.Settle();
            Assert.IsType<InvalidOperationException>(_space[0].Errors[call]);
        }
    }

    private long Lock(int member, long transaction, string key, bool exclusive)
    {
        long lockCall = _space[member].Call(call => _space[member].Replica.Lock(call, transaction, exclusive, _accounts, HandDrivenMember.Bytes(key).Span));
        _space.Settle();
        return lockCall;
    }

    private void Write(int member, long transaction, string key, string value) =>
        _space[member].Replica.Write(transaction, HandDrivenMember.SetOperation(_accounts, key, value));

    private void Commit(int member, long transaction)
    {
        _space[member].Call(call => _space[member].Replica.Commit(call, transaction));
        _space.Settle();
    }

    private bool IsGranted(int member, long call) => _space[member].Results.ContainsKey(call);
}
