// Which messages go to more than one group, and which only look so.
using Core.Groups.Protocol;

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
    /// It could come before the GBCAST that is delivered with the leave (found by the simulator: overlapping 796).
    /// </summary>
    [Fact]
    public void Who_leaves_gets_a_message_of_the_next_epoch_as_a_single_process_behind_the_leave() =>
        Assert.Empty(new Schedule("abc", "g=bc h=ab", "leave c g, send b Group g, beside b Fifo g c").Run());

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
}
