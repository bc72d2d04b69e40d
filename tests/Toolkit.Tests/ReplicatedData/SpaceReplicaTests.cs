// What one delivery does to a space, in the orders that the primitives allow; and that members that got the same hold the same.
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.ReplicatedData;
using Toolkit.ReplicatedData.Space;

namespace Toolkit.Tests.ReplicatedData;

public sealed class SpaceReplicaTests
{
    private readonly HandDrivenSpace _space = new("a", "b", "c");

    [Fact]
    public void Total_updates_have_one_order_and_versions_without_gaps()
    {
        ulong x = _space[0].Open(ObjectKind.Variable, "x");
        long first = _space[0].Set(x, "", "1");
        long second = _space[1].Set(x, "", "2");
        Assert.Null(_space[0].Read(x, "")); // not before its delivery
        _space.Settle();
        Assert.Equal((1, 2), (_space[0].Results[first].Version, _space[1].Results[second].Version));
        Assert.All(_space.Members, m => Assert.Equal("2", m.Read(x, "")));
        _space.AssertAllEqual();
    }

    [Fact]
    public void Of_those_who_swap_the_same_version_one_succeeds()
    {
        ulong x = _space[0].Open(ObjectKind.Variable, "x");
        long[] calls = [.. _space.Members.Select((m, i) => m.Set(x, "", $"{i}", expected: 0))];
        _space.Settle();
        Assert.Equal([true, false, false], _space.Members.Select((m, i) => m.Results[calls[i]].Applied));
        Assert.Equal(1, _space[2].Results[calls[2]].Version); // what is there
        long next = _space[2].Set(x, "", "next", expected: 1), wrong = _space[1].Set(x, "", "wrong", expected: 999);
        _space.Settle();
        Assert.Equal((true, false), (_space[2].Results[next].Applied, _space[1].Results[wrong].Applied));
        _space.AssertAllEqual();
    }

    [Fact]
    public void A_removed_key_comes_back_with_a_higher_version()
    {
        ulong d = _space[0].Open(ObjectKind.Dictionary, "d");
        _space[0].Set(d, "k", "1");
        _space[0].Call(call => _space[0].Replica.Update(call, new Operation { Kind = OperationKind.Remove, Object = d, Expected = 1, Key = HandDrivenMember.Bytes("k") }));
        long again = _space[1].Set(d, "k", "2", expected: 0);
        _space.Settle();
        Assert.True(_space[1].Results[again] is { Applied: true, Version: 3 });
        _space.AssertAllEqual();
    }

    [Fact]
    public void A_causal_update_is_read_here_at_once_and_everywhere_after_what_its_sender_saw()
    {
        ulong x = _space[0].Open(ObjectKind.Variable, "x", UpdateMode.Causal);
        _space[0].SetCausally(x, "", "1");
        Assert.Equal(("1", null), (_space[0].Read(x, ""), _space[1].Read(x, "")));
        _space.Deliver(to: 1, from: 0);
        _space[1].SetCausally(x, "", "2");
        _space.Settle();
        Assert.All(_space.Members, m => Assert.Equal("2", m.Read(x, "")));
        _space.AssertAllEqual();
    }

    [Fact]
    public void Causal_updates_that_race_end_alike_at_all_members_whatever_came_first()
    {
        ulong d = _space[0].Open(ObjectKind.Dictionary, "d", UpdateMode.Causal);
        _space[0].SetCausally(d, "k", "a");
        _space[1].SetCausally(d, "k", "b");
        _space[2].RemoveCausally(d, "k");
        _space.Deliver(to: 2, from: 0);
        _space.Deliver(to: 2, from: 1);
        _space.Deliver(to: 1, from: 2);
        _space.Deliver(to: 0, from: 1);
        _space.AssertAllEqual();
        Assert.Null(_space[0].Read(d, "k")); // c's: of equal versions the last name
        _space.ChangeView([]);
        Assert.Empty(_space[1].Replica.Find(d)!.Slots); // and no trace of it after a view
        _space.AssertAllEqual();
    }

    [Fact]
    public void A_total_update_and_a_causal_one_that_race_end_alike_too()
    {
        ulong x = _space[0].Open(ObjectKind.Variable, "x", UpdateMode.Causal);
        long cas = _space[0].Set(x, "", "total", expected: 0);
        _space[1].SetCausally(x, "", "causal");
        _space.Deliver(to: 2, from: 1); // c gets the causal one first
        _space.Deliver(to: 1, from: 0); // b gets its own last
        _space.AssertAllEqual();
        Assert.True(_space[0].Results[cas].Applied); // decided by the order alone, not by what has come where
        Assert.All(_space.Members, m => Assert.Equal("total", m.Read(x, "")));
    }

    [Fact]
    public void A_condition_on_a_causal_value_is_judged_from_what_the_sender_saw()
    {
        ulong x = _space[0].Open(ObjectKind.Variable, "x", UpdateMode.Causal);
        long version = _space[0].SetCausally(x, "", "1");
        long good = _space[0].Set(x, "", "2", expected: version), bad = _space[0].Set(x, "", "3", expected: version + 7);
        _space.Settle();
        Assert.Equal((true, false), (_space[0].Results[good].Applied, _space[0].Results[bad].Applied));
        _space.AssertAllEqual();
    }

    [Fact]
    public void A_joiner_in_the_middle_of_everything_holds_what_the_others_hold()
    {
        ulong d = _space[0].Open(ObjectKind.Dictionary, "d"), c = _space[0].Open(ObjectKind.Dictionary, "c", UpdateMode.Causal);
        ulong n = _space[0].Open(ObjectKind.Counter, "n", UpdateMode.Causal), q = _space[0].Open(ObjectKind.Queue, "q");
        _space[0].Set(d, "k", "1");
        _space[1].SetCausally(c, "k", "1");
        _space[2].Replica.UpdateCausally(new Operation { Kind = OperationKind.Add, Object = n, Expected = Operation.Any, Number = 5 });
        _space[2].Call(call => _space[2].Replica.Update(call, new Operation { Kind = OperationKind.Enqueue, Object = q, Expected = Operation.Any, Value = HandDrivenMember.Bytes("i") }));
        Assert.Equal(5, _space[2].Replica.Find(n)!.SumAhead);
        _space[0].Call(call => _space[0].Replica.Lock(call, 1, true, d, "k"u8));
        _space[1].Set(d, "k", "waits");
        _space.ChangeView([], "d");
        Assert.Equal(4, _space.Members.Count);
        _space[0].Replica.Write(1, HandDrivenMember.SetOperation(d, "k", "2"));
        _space.Settle();
        Assert.Equal("1", _space[3].Read(d, "k"));
        _space[0].Call(call => _space[0].Replica.Commit(call, 1));
        _space.AssertAllEqual();
        Assert.Equal("waits", _space[3].Read(d, "k"));
        Assert.Equal((5, 0), (_space[3].Replica.Find(n)!.Sum, _space[2].Replica.Find(n)!.SumAhead));
    }

    [Fact]
    public void What_one_takes_from_a_queue_no_other_gets()
    {
        ulong q = _space[0].Open(ObjectKind.Queue, "q");
        long Run(int member, OperationKind kind, string value = "") => _space[member].Call(call => _space[member].Replica.Update(
            call, new Operation { Kind = kind, Object = q, Expected = Operation.Any, Value = HandDrivenMember.Bytes(value) }));
        Run(0, OperationKind.Enqueue, "i");
        long[] calls = [Run(1, OperationKind.Dequeue), Run(2, OperationKind.Dequeue)];
        _space.Settle();
        Assert.Equal("i", HandDrivenMember.Text(_space[1].Results[calls[0]].Taken!.Value!));
        Assert.False(_space[2].Results[calls[1]].Applied);
        _space.AssertAllEqual();
    }

    [Fact]
    public void A_batch_is_made_whole_or_not_at_all()
    {
        ulong d = _space[0].Open(ObjectKind.Dictionary, "d");
        long one = _space[0].Call(call => _space[0].Replica.UpdateAll(call, [HandDrivenMember.SetOperation(d, "k", "1"), HandDrivenMember.SetOperation(d, "l", "1", 0)]));
        long two = _space[1].Call(call => _space[1].Replica.UpdateAll(call, [HandDrivenMember.SetOperation(d, "k", "2"), HandDrivenMember.SetOperation(d, "l", "2", 0)]));
        _space.Settle();
        Assert.Equal((true, false), (_space[0].Results[one].Applied, _space[1].Results[two].Applied));
        Assert.Equal(("1", "1"), (_space[2].Read(d, "k"), _space[2].Read(d, "l")));
    }

    [Fact]
    public void A_call_that_waits_for_stability_ends_with_a_flush_that_began_after_its_delivery()
    {
        ulong x = _space[0].Open(ObjectKind.Variable, "x");
        _space[0].Replica.Update(101, HandDrivenMember.SetOperation(x, "", "1"));
        _space.Settle();
        _space[0].Replica.Update(103, HandDrivenMember.SetOperation(x, "", "2"));
        _space.Settle();
        Assert.Single(_space[0].Flushes);
        Assert.False(_space[0].Results.ContainsKey(100));
        _space[0].Replica.OnFlushed(_space[0].Flushes[0]);
        Assert.True(_space[0].Results.ContainsKey(100));
        Assert.False(_space[0].Results.ContainsKey(102)); // it came after that flush had begun
        _space[0].Replica.OnFlushed(_space[0].Flushes[1]);
        Assert.True(_space[0].Results.ContainsKey(102));
    }

    [Fact]
    public void An_object_is_opened_as_it_was_made()
    {
        _space[0].Open(ObjectKind.Variable, "x", UpdateMode.Causal);
        Assert.Throws<InvalidOperationException>(() => _space[1].Open(ObjectKind.Variable, "x"));
        _space[1].Open(ObjectKind.Dictionary, "x"); // another kind is another object
    }

    [Fact]
    public void Bytes_that_are_anything_change_nothing_or_the_same_at_all()
    {
        ulong d = _space[0].Open(ObjectKind.Dictionary, "d");
        var random = new Random(5);
        _space[0].Set(d, "k", "1");
        byte[] real = _space[1].Inbox[0].Body;
        _space.Settle();
        for (int round = 0; round < 20_000; round++)
        {
            byte[] bytes = round % 2 == 0 ? [.. real] : new byte[random.Next(30)];
            if (round % 2 == 0)
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            else
                random.NextBytes(bytes);
            Order order = (Order)random.Next(7);
            foreach (HandDrivenMember member in _space.Members) member.Replica.OnMessage(new ReplicaMessage { From = _space[0].Id, Order = order, Body = bytes });
        }

        _space.AssertAllEqual();
    }

    [Fact]
    public void A_state_that_is_damaged_is_refused()
    {
        ulong d = _space[0].Open(ObjectKind.Dictionary, "d");
        _space[0].Set(d, "k", "1");
        _space[0].Call(call => _space[0].Replica.Lock(call, 1, true, d, "k"u8));
        _space[1].Set(d, "k", "2");
        _space.Settle();
        byte[] state = _space[0].Save();
        for (int length = 0; length < state.Length; length++) Assert.ThrowsAny<FormatException>(() => new SpaceReplica(_space[0]).Load(state.AsMemory(0, length)));
        var random = new Random(9);
        for (int round = 0; round < 20_000; round++)
        {
            byte[] bad = [.. state];
            bad[random.Next(bad.Length)] ^= (byte)(1 << random.Next(8));
            try
            {
                new SpaceReplica(_space[0]).Load(bad);
            }
            catch (FormatException)
            {
            }
        }
    }
}
