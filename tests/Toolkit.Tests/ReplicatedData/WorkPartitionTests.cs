// Work divided by rank and handed over: nothing is without an owner, whoever lags behind (figure 12).
using System.Collections.Immutable;
using Core.Groups;
using Toolkit.ReplicatedData;

namespace Toolkit.Tests.ReplicatedData;

public sealed class WorkPartitionTests
{
    private static readonly string[] Symbols = [.. Enumerable.Range('A', 26).Select(c => $"{(char)c}X")];
    private static readonly ImmutableArray<NodeId> Nodes = [.. "abcdef".Select(c => new NodeId($"worker-{c}", 1))];

    [Fact]
    public void A_member_that_takes_no_part_has_none()
    {
        var feed = new NodeId("feed", 1);
        var handover = New();
        handover.OnView(ViewOf(1) with { Members = [feed] });
        Assert.False(handover.IsResponsible(feed, "AX"));
        handover.OnView(ViewOf(2) with { Members = [feed, Nodes[0]] });
        Assert.True(handover.IsResponsible(Nodes[0], "AX"));
        Assert.False(handover.IsResponsible(feed, "AX"));
    }

    // All have acted by view `confirmed`; since then each has come as far as it happens to be.
    [Fact]
    public void No_stock_whose_ticker_lives_is_without_one_whoever_lags_behind()
    {
        View[] views = [ViewOf(1, 0, 1, 2), ViewOf(2, 1, 2), ViewOf(3, 1, 2, 3), ViewOf(4, 2, 3), ViewOf(5, 2, 3, 4, 5)];
        var random = new Random(12);
        for (int run = 0; run < 2000; run++)
        {
            int confirmed = random.Next(views.Length);
            int last = random.Next(confirmed, views.Length);
            Dictionary<NodeId, HandOver<string>> living = views[last].Members.ToDictionary(
                node => node, node => Play(node, views[..(random.Next(confirmed, last + 1) + 1)], switched: random.Next(2) == 0 ? confirmed : -1));
            foreach (string symbol in Symbols)
            {
                if (living.ContainsKey(views[confirmed].Members[PartOf(symbol, views[confirmed].Members.Length)]))
                    Assert.Contains(living, member => member.Value.IsResponsible(member.Key, symbol));
            }
        }
    }

    // Once all have seen a view, every stock has a ticker, whether the switch has come to a member or not.
    [Fact]
    public void A_view_that_all_have_seen_leaves_no_stock_without_a_ticker()
    {
        View[] views = [ViewOf(1, 0, 1, 2, 3), ViewOf(2, 1, 2, 3), ViewOf(3, 2, 3, 4)];
        foreach (int switched in (int[])[0b000, 0b001, 0b010, 0b101, 0b111])
        {
            Dictionary<NodeId, HandOver<string>> members = views[2].Members.ToDictionary(
                node => node, node => Play(node, views, switched: (switched >> views[2].RankOf(node) & 1) == 1 ? 2 : -1));
            foreach (string symbol in Symbols)
                Assert.Contains(members, member => member.Value.IsResponsible(member.Key, symbol));
        }
    }

    [Fact]
    public void Old_and_new_owner_overlap_until_the_switch_of_this_very_view()
    {
        HandOver<string> c = Play(Nodes[2], [ViewOf(1, 0, 1, 2), ViewOf(2, 1, 2)], switched: -1);
        HandOver<string> b = Play(Nodes[1], [ViewOf(1, 0, 1, 2), ViewOf(2, 1, 2)], switched: -1);
        Assert.True(b.IsResponsible(Nodes[1], "KX")); // primary of view 1, in the middle of the alphabet
        Assert.True(b.IsResponsible(Nodes[1], "AX")); // primary of view 2, and secondary of the one that is gone
        Assert.True(c.IsResponsible(Nodes[2], "ZX"));

        b.OnSwitch(1);
        Assert.True(b.IsUnderWay); // meant for an earlier view
        b.OnSwitch(2);
        Assert.False(b.IsUnderWay);
        Assert.True(b.IsResponsible(Nodes[1], "KX"));
        Assert.False(b.IsResponsible(Nodes[1], "ZX"));
    }

    [Fact]
    public void A_second_failure_during_a_hand_over_keeps_all_old_assignments()
    {
        HandOver<string> c = Play(Nodes[2], [ViewOf(1, 0, 1, 2), ViewOf(2, 1, 2), ViewOf(3, 2, 3)], switched: -1);
        c.OnSwitch(2);
        Assert.True(c.IsUnderWay);
        Assert.True(c.IsResponsible(Nodes[2], "ZX")); // only by the assignments of views 1 and 2
        c.OnSwitch(3);
        Assert.False(c.IsResponsible(Nodes[2], "ZX"));
    }

    private static HandOver<string> Play(NodeId node, View[] views, int switched)
    {
        var handover = New();
        foreach (View view in views.Where(v => v.Contains(node)))
        {
            handover.OnView(view);
            if (switched >= 0 && view.Number == switched + 1)
                handover.OnSwitch(view.Number);
        }

        return handover;
    }

    private static View ViewOf(long number, params int[] members) =>
        new(GroupId.None, "/work", number, $"v{number}", [.. members.Select(m => Nodes[m])], [], [], IsPrimary: true);

    private static HandOver<string> New() => new(PartOf, member => member.Name.StartsWith("worker", StringComparison.Ordinal));

    private static int PartOf(string symbol, int parts) => (symbol[0] - 'A') * parts / 26;
}
