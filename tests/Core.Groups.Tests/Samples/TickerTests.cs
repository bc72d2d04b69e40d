using System.Collections.Immutable;
using System.Text.Json;
using Ticker;

namespace Core.Groups.Tests.Samples;

public sealed class TickerTests
{
    private static readonly string[] Symbols = [.. Enumerable.Range('A', 26).Select(c => $"{(char)c}X"), "zz", "3M", "€"];
    private static readonly ImmutableArray<NodeId> Nodes = [.. "abcdef".Select(c => new NodeId($"ticker-{c}", 1))];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public void Every_stock_has_a_primary_and_another_as_secondary(int members)
    {
        var assignment = new Assignment(1, Nodes[..members]);
        var primaries = new HashSet<NodeId>();
        foreach (string symbol in Symbols)
        {
            primaries.Add(assignment.PrimaryOf(symbol));
            Assert.Equal(members == 1, assignment.PrimaryOf(symbol) == assignment.SecondaryOf(symbol));
        }

        Assert.Equal(members, primaries.Count); // nobody is idle
    }

    [Fact]
    public void The_alphabet_is_divided_by_rank_as_in_figure_3()
    {
        var four = new Assignment(1, Nodes[..4]);
        Assert.Equal("aabbccdd", string.Concat("AFGMNSTZ".Select(c => four.PrimaryOf(c.ToString()).Name[^1])));
        Assert.Equal("bbccddaa", string.Concat("AFGMNSTZ".Select(c => four.SecondaryOf(c.ToString()).Name[^1])));
    }

    [Fact]
    public void A_member_that_is_no_ticker_has_no_part()
    {
        var feed = new NodeId("feed", 1);
        var handover = new Handover();
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
            Dictionary<NodeId, Handover> living = views[last].Members.ToDictionary(
                node => node, node => Play(node, views[..(random.Next(confirmed, last + 1) + 1)], switched: random.Next(2) == 0 ? confirmed : -1));
            foreach (string symbol in Symbols)
            {
                if (living.ContainsKey(new Assignment(0, views[confirmed].Members).PrimaryOf(symbol)))
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
            Dictionary<NodeId, Handover> members = views[2].Members.ToDictionary(
                node => node, node => Play(node, views, switched: (switched >> views[2].RankOf(node) & 1) == 1 ? 2 : -1));
            foreach (string symbol in Symbols)
                Assert.Contains(members, member => member.Value.IsResponsible(member.Key, symbol));
        }
    }

    [Fact]
    public void Old_and_new_owner_overlap_until_the_switch_of_this_very_view()
    {
        Handover c = Play(Nodes[2], [ViewOf(1, 0, 1, 2), ViewOf(2, 1, 2)], switched: -1);
        Handover b = Play(Nodes[1], [ViewOf(1, 0, 1, 2), ViewOf(2, 1, 2)], switched: -1);
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
        Handover c = Play(Nodes[2], [ViewOf(1, 0, 1, 2), ViewOf(2, 1, 2), ViewOf(3, 2, 3)], switched: -1);
        c.OnSwitch(2);
        Assert.True(c.IsUnderWay);
        Assert.True(c.IsResponsible(Nodes[2], "ZX")); // only by the assignments of views 1 and 2
        c.OnSwitch(3);
        Assert.False(c.IsResponsible(Nodes[2], "ZX"));
    }

    [Fact]
    public void Numbers_are_counted_once_and_the_missing_ones_are_known()
    {
        var numbers = new NumberSet();
        Assert.True(numbers.Add(1));
        Assert.True(numbers.Add(3));
        Assert.False(numbers.Add(3));
        Assert.False(numbers.Add(0));
        Assert.Equal((2, 3), (numbers.Count, numbers.MissingUpTo(5)));
        Assert.True(numbers.Add(2));
        Assert.Equal((3, 3), (numbers.UpTo, numbers.Count));
        Assert.Equal(0, numbers.MissingUpTo(2));
    }

    [Fact]
    public void A_client_counts_duplicates_losses_and_the_longest_gap_of_a_symbol()
    {
        var tally = new Tally();
        Assert.True(tally.Add(QuoteOf("A", 1), TimeSpan.FromMilliseconds(0)));
        Assert.True(tally.Add(QuoteOf("B", 1), TimeSpan.FromMilliseconds(500)));
        Assert.True(tally.Add(QuoteOf("A", 3), TimeSpan.FromMilliseconds(100)));
        Assert.False(tally.Add(QuoteOf("A", 3), TimeSpan.FromMilliseconds(900)));
        Assert.True(tally.Add(QuoteOf("A", 2), TimeSpan.FromMilliseconds(350)));
        Assert.Equal((4L, 1L, 250d), (tally.Received, tally.Duplicates, tally.LongestGap.TotalMilliseconds));
        Assert.Equal(1 + 2 + 7, tally.Lost(new Dictionary<string, int> { ["A"] = 4, ["B"] = 3, ["C"] = 7 }));
        Assert.Equal(3, tally.Newest.Single(q => q.Symbol == "A").Number);
    }

    [Fact]
    public void A_verdict_rests_on_every_client()
    {
        var good = new ClientReport("client1", 100, 0, 3, 12.5);
        Assert.True(new Verdict(100, [good, good with { Name = "client2" }], []).IsGood);
        Assert.False(new Verdict(100, [good, new ClientReport("client2", 99, 1, 0, 40)], []).IsGood);
        Assert.False(new Verdict(100, [good with { Received = 101 }], []).IsGood); // more than was sent: the counts are wrong

        var silent = new Verdict(100, [good], ["client2"]);
        Assert.Equal((100L, false), (silent.Lost, silent.IsGood));
        Assert.Contains("client2: no report", silent.Lines());
    }

    [Fact]
    public void The_ledger_survives_its_transfer_and_knows_each_quote_once()
    {
        var ledger = new Ledger();
        Assert.True(ledger.Add(QuoteOf("A", 1)));
        Assert.True(ledger.Add(QuoteOf("A", 2)));
        Assert.False(ledger.Add(QuoteOf("A", 2)));
        ledger.MarkPublished("A", 1);
        ledger.MarkPublished("B", 1); // published before it came here

        Ledger copy = JsonSerializer.Deserialize<Ledger>(JsonSerializer.SerializeToUtf8Bytes(ledger))!;
        Assert.False(copy.Add(QuoteOf("A", 1)));
        Assert.False(copy.Add(QuoteOf("B", 1)));
        Assert.Equal([2], copy.WaitingOf(symbol => symbol == "A").Select(q => q.Number));
        Assert.Empty(copy.WaitingOf(symbol => symbol == "B"));
        Assert.Equal(2, copy.PublishedCount);
    }

    [Fact]
    public void Quotes_are_numbered_by_symbol_in_the_order_of_the_file()
    {
        List<Quote> quotes = QuoteSource.Read(
            ["\"\",\"Date\",\"stock\",\"value\",\"change\"", "\"1\",2007-01-03,\"AA\",23.95,-0.16", "\"2\",2007-01-03,\"BB\",80.5,1e-2", "", "\"3\",2007-01-04,\"AA\",24,0"]);
        Assert.Equal([("AA", 1), ("BB", 1), ("AA", 2)], quotes.Select(q => (q.Symbol, q.Number)));
        Assert.Equal((23.95m, new DateOnly(2007, 1, 3)), (quotes[0].Value, quotes[0].Date));
        Assert.Contains("Line 2", Assert.Throws<FormatException>(() => QuoteSource.Read(["header", "1,x,AA,1,1"])).Message);
    }

    [Fact]
    public void The_own_series_is_the_same_every_time()
    {
        Assert.Equal(QuoteSource.Own(), QuoteSource.Own());
        Assert.All(QuoteSource.Own(), q => Assert.True(q.Value > 0));
    }

    private static Handover Play(NodeId node, View[] views, int switched)
    {
        var handover = new Handover();
        foreach (View view in views.Where(v => v.Contains(node)))
        {
            handover.OnView(view);
            if (switched >= 0 && view.Number == switched + 1)
                handover.OnSwitch(view.Number);
        }

        return handover;
    }

    private static View ViewOf(long number, params int[] members) =>
        new(GroupId.None, "/tickers", number, $"v{number}", [.. members.Select(m => Nodes[m])], [], [], IsPrimary: true);

    private static Quote QuoteOf(string symbol, int number) => new(symbol, number, new DateOnly(2007, 1, 3), 10, 0);
}
