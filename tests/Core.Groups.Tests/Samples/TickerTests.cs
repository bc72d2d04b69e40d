using System.Text.Json;
using Ticker;

namespace Core.Groups.Tests.Samples;

public sealed class TickerTests
{
    private static readonly string[] Symbols = [.. Enumerable.Range('A', 26).Select(c => $"{(char)c}X"), "zz", "3M", "€"];

    [Fact]
    public void The_alphabet_is_divided_by_rank_as_in_figure_3()
    {
        Assert.Equal("00112233", string.Concat("AFGMNSTZ".Select(c => Alphabet.PartOf(c.ToString(), 4))));
        foreach (int members in (int[])[1, 2, 3, 5])
            Assert.Equal(members, Symbols.Select(symbol => Alphabet.PartOf(symbol, members)).Distinct().Count()); // nobody is idle
        Assert.True(Alphabet.IsTicker(new NodeId("ticker2", 1)) && !Alphabet.IsTicker(new NodeId("feed", 1)));
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

    private static Quote QuoteOf(string symbol, int number) => new(symbol, number, new DateOnly(2007, 1, 3), 10, 0);
}
