// Which messages go to more than one group, and which only look so.
using Core.Groups.Protocol;
using Core.Groups.Tracing;

namespace Core.Groups.Tests.Paper;

public sealed class SpreadTests
{
    /// <summary>
    /// As a message to the domain of all nodes it would have another boundary than the group: one member could deliver it in
    /// the regular configuration that another delivers in the transitional one (found by the simulator: stored-crashes 33).
    /// </summary>
    [Fact]
    public void A_message_to_one_group_and_to_members_of_it_is_a_message_of_that_group()
    {
        var cluster = new HandDrivenCluster("abc", new Dictionary<string, string> { ["g"] = "ab" });
        NodeId b = cluster["b"].Id, c = cluster["c"].Id;
        cluster["a"].Send(["g"], Order.Total, null, b);
        cluster.Quiet();
        Assert.All([cluster["a"], cluster["b"]], node => Assert.True(node.LastDelivery is { Body.Length: 8, Spread: null }));

        cluster["a"].Send(["g"], Order.Total, null, c);
        cluster.Quiet();
        Assert.All(cluster.Nodes, node => Assert.NotNull(node.LastDelivery.Spread));
    }

    /// <summary>Everybody gets it once, between the same messages, whatever group it is in, or none (the checkers judge the rest).</summary>
    [Theory]
    [InlineData("both a Group")]
    [InlineData("beside a Group g e")]
    [InlineData("send a Fifo g, send c Total h, both a Group, send a Group g, both a Causal, send b Group g, both c Group, both a Group")]
    [InlineData("both a Group, beside b Fifo g d, beside d Reliable h b, dl ad, dl ab, both c Group, dl cb, dl ca, beside d Total h b")]
    [InlineData("both a Group, leave b g, join e h, both c Group, rank a g, configure c h")]
    [InlineData("both a Group, dl ab, dl ad, dl bc, dl ba, crash a, dl bd, dl db")]
    public void A_GBCAST_to_several_groups_or_to_processes_beside_one_is_one_event(string acts) => Assert.Empty(new Schedule("abcde", "g=abc h=acd", acts).Run());

    [Fact]
    public void A_GBCAST_to_several_groups_is_delivered_once_in_each()
    {
        var cluster = new HandDrivenCluster("abcde", new Dictionary<string, string> { ["g"] = "abc", ["h"] = "acd" });
        cluster["a"].Send(["g", "h"], Order.Group, null, cluster["e"].Id);
        cluster.Quiet();
        Assert.All(cluster.Nodes, node => Assert.True(node.LastDelivery is { Order: Order.Group, Spread: not null }));
        Assert.Equal([2, 1, 2, 1, 0], cluster.Nodes.Select(n => n.LastDelivery.Spread!.Groups.Length));
        Assert.Empty(cluster.Judge());
    }

    /// <summary>
    /// It could come before the GBCAST that is delivered with the leave, where the leaver still waits for another member's finish (found by the
    /// simulator: overlapping 796).
    /// </summary>
    [Theory]
    [InlineData(nameof(WeakRules.None))]
    [InlineData(nameof(WeakRules.LeaverDeliversAtOnce))]
    public void Who_leaves_gets_a_message_of_the_next_epoch_as_a_single_process_behind_the_leave(string rule)
    {
        var weak = Enum.Parse<WeakRules>(rule);
        int violated = 0;
        foreach ((string leaver, string late, string sender) in (ReadOnlySpan<(string, string, string)>)[("a", "b", "c"), ("a", "c", "b"), ("b", "a", "c")])
        {
            for (int frames = 5; frames < 20; frames++)
            {
                foreach (string first in (string[])[$"leave {leaver} g, send {sender} Group g", $"send {sender} Group g, leave {leaver} g"])
                {
                    var schedule = new Schedule("abcd", "g=abc h=bd", $"{first}, some {frames}, hold {late}{leaver}, drain, beside {sender} Fifo g {leaver}, beside {sender} Causal g {leaver}, drain");
                    IReadOnlyList<string> violations = schedule.Run(weak);
                    if (weak == WeakRules.None) Assert.Empty(violations);
                    else violated += violations.Count > 0 ? 1 : 0;
                }
            }
        }
        Assert.Equal(weak != WeakRules.None, violated > 0);
    }

    /// <summary>
    /// A joiner did not know that an older joiner had no state yet, and sent: its message would have stood before the state
    /// of one of its groups (found by the simulator: overlapping 1378).
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_joiner_knows_who_has_no_state_yet(bool saysSoMeanwhile)
    {
        var cluster = new HandDrivenCluster("abc", new Dictionary<string, string> { ["g"] = "a", ["h"] = "a" });
        cluster["b"].IsSlow = true;
        cluster["b"].Join("g");
        cluster.Drain();
        cluster["c"].Join("g");
        cluster["c"].Join("h");
        if (saysSoMeanwhile)
        {
            cluster.DeliverSome(9);
            cluster["b"].SayLoaded();
        }
        cluster.Drain();
        cluster["c"].Send(["g", "h"], Order.Fifo, null);
        cluster.Drain();
        Assert.Equal(saysSoMeanwhile, cluster["b"].LastDelivery.Spread is not null);
        cluster["b"].SayLoaded();
        cluster.Quiet();
        Assert.NotNull(cluster["b"].LastDelivery.Spread);
        Assert.Empty(cluster.Judge());
    }

    /// <summary>
    /// A total message to a group and to a process stands in the order of all nodes: a joiner that held it with the group's others
    /// would deliver a later one first (found by the simulator: mix 2005692).
    /// </summary>
    [Fact]
    public void A_total_message_beside_a_group_waits_for_its_joiners()
    {
        var cluster = new HandDrivenCluster("abcd", new Dictionary<string, string> { ["g"] = "ab", ["h"] = "bc" });
        cluster["d"].IsSlow = true;
        cluster["d"].Join("g");
        cluster.Drain();
        cluster["b"].Send(["g"], Order.Total, null, cluster["c"].Id);
        cluster.Drain();
        cluster["c"].Send(["h"], Order.Total, null, cluster["d"].Id);
        cluster.Drain();
        cluster["d"].SayLoaded();
        cluster.Quiet();
        Assert.Empty(cluster.Judge());
    }

    /// <summary>It needs a moment in which no GBCAST is open in any of its groups, and there may be none.</summary>
    [Theory]
    [InlineData(nameof(WeakRules.None), false, true)]
    [InlineData(nameof(WeakRules.None), true, true)]
    [InlineData(nameof(WeakRules.SpreadIsNotWaitedFor), false, false)]
    [InlineData(nameof(WeakRules.SpreadIsNotWaitedFor), true, false)]
    public void A_message_to_several_groups_comes_through_a_steady_stream_of_GBCASTs(string weak, bool gathers, bool leaves)
    {
        var cluster = new HandDrivenCluster("abc", new Dictionary<string, string> { ["g"] = "abc", ["h"] = "abc" }, Enum.Parse<WeakRules>(weak), gathers: gathers);
        Send();
        cluster.DeliverSome(20);
        cluster["a"].Send(["g", "h"], Order.Fifo, null);
        for (int frames = 0; frames < 3000 && !HasLeft(); frames += 10)
        {
            Send();
            cluster.Step(10);
        }
        Assert.Equal(leaves, HasLeft());
        cluster.Quiet();
        Assert.True(HasLeft());
        Assert.Empty(cluster.Judge());

        bool HasLeft() => cluster.History.Any(e => e is { Kind: TraceKind.Send, Order: Order.Fifo });

        void Send()
        {
            cluster["b"].Send("g", Order.Group);
            cluster["c"].Send("h", Order.Group);
        }
    }

    /// <summary>A causal call that must wait for its past waits for that only: what comes in meanwhile does not hold it up for ever.</summary>
    [Theory]
    [InlineData(nameof(WeakRules.None), true)]
    [InlineData(nameof(WeakRules.PastIsTakenAtDeparture), false)]
    public void The_past_of_a_call_is_fixed_when_it_is_made(string weak, bool leaves)
    {
        var cluster = new HandDrivenCluster("abc", new Dictionary<string, string> { ["g"] = "ab", ["h"] = "ac" }, Enum.Parse<WeakRules>(weak));
        cluster["b"].Send("g", Order.Fifo);
        cluster.Deliver("b", "a");
        cluster["a"].Send("h", Order.Causal);
        for (int i = 0; i < 20; i++)
        {
            cluster["b"].Send("g", Order.Fifo);
            cluster.Deliver("b", "a");      // the next one is here before it is known that the last one is settled
            cluster.Tick("a");
            cluster.Deliver("a", "b");
            cluster.Tick("b");
            cluster["b"].Send("g", Order.Fifo);
            cluster.Deliver("b", "a");
            cluster.Deliver("b", "a");
            cluster.Deliver("a", "c");
        }
        Assert.Equal(leaves, cluster["c"].LastDelivery.Order == Order.Causal);
        cluster.Quiet();
        Assert.Empty(cluster.Judge());
        Assert.Equal(Order.Causal, cluster["c"].LastDelivery.Order);
    }

    /// <summary>
    /// It was delivered on all markers: a had them, and delivered in the regular configuration; c had them too, but a message of h
    /// before it, which d had not answered, and could deliver both in the transitional configuration only.
    /// </summary>
    [Fact]
    public void A_GBCAST_to_several_groups_is_delivered_when_all_have_delivered_what_stands_before() => Assert.Empty(new Schedule("abcde", "g=ab h=bcde",
        "both b Group, dl ba, dl bc, dl bd, dl be, send e Total h, dl dc, hold dc, drain, sever ad, sever ae, sever ab, sever cb, sever cd, sever ce, steps 200",
        IsExtended: true).Run());

    /// <summary>A joiner has sent no finish of the GBCAST that let it in, and did not wait until all members had delivered that.</summary>
    [Fact]
    public void A_joiner_too_waits_until_all_have_delivered_the_last_GBCAST()
    {
        for (int frames = 15; frames < 28; frames++)
        {
            Assert.Empty(new Schedule("abcde", "g=abc h=de",
                $"join d g, some {frames}, hold cb, drain, both d Fifo, drain, sever ab, sever cb, sever db, sever ae, sever ce, sever de, steps 200", IsExtended: true).Run());
        }
    }
}
