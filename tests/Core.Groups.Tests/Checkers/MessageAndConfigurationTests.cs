using Core.Groups.Testing.Checkers;
using Core.Groups.Tracing;

namespace Core.Groups.Tests.Checkers;

/// <summary>EVS specifications 1 and 2: messages, configurations, primaries; and the filter.</summary>
public sealed class MessageAndConfigurationTests : CheckerTests
{
    private const string Partition = Three + """
        a send m1 fifo /g
        a,b deliver m1
        a,b trans c2 [a b]
        a,b conf c2 [a b] primary
        a,b view /g 2 v2 [a b] -c

        """;

    [Fact]
    public void A_sound_change_passes() => Passes(Partition + """
        a send m2 total /g
        a,b deliver m2
        c block
        c exclude
        a,b trans c3 [a b]
        a,b,c.2 conf c3 [a b c.2] primary
        a,b,c.2 view /g 3 v3 [a b c.2] +c.2
        c.2 state /g 3
        b send m3 safe /g
        a,b,c.2 deliver m3
        """, Primary with { Survivors = [.. Nodes("a", "b"), new NodeId("c", 2)] });

    [Fact]
    public void A_delivery_that_no_one_sent() => Finds("message", "which no one sent", Three + "b deliver m1");

    [Fact]
    public void A_delivery_without_a_send_is_forgiven_where_traces_are_incomplete() =>
        Passes(Three + "b deliver m1", Primary with { Incomplete = ["nobody"] });

    [Fact]
    public void A_double_delivery() => Finds("message", "b.1 delivered m1 twice", Three + """
        a send m1 reliable /g
        b deliver m1
        b deliver m1
        """);

    [Fact]
    public void Two_sends_of_one_id() => Finds("message", "which a.1 had sent already", Three + """
        a send m1 reliable /g
        b send m1 reliable /g
        """);

    [Fact]
    public void A_delivery_before_its_own_send() => Finds("message", "before it sent it", Three + """
        a deliver m1
        a send m1 reliable /g
        """);

    [Fact]
    public void A_delivery_as_something_else()
    {
        List<TraceEvent> events = TextHistory.ParseEvents(Three + "a send m1 total /g\nb deliver m1");
        events[^1] = events[^1] with { Order = Order.Safe };
        Assert.Contains(AllCheckers.Run(History.From(events), Primary), violation => violation.Message.Contains("another order", StringComparison.Ordinal));
    }

    [Fact]
    public void A_delivery_in_a_later_configuration() => Finds("delivery configuration", "b.1 delivered m1 in configuration c2", Three + """
        a send m1 reliable /g
        a,b,c trans c2 [a b c]
        a,b,c conf c2 [a b c] primary
        b deliver m1
        """);

    [Fact]
    public void A_delivery_in_an_earlier_configuration() => Finds("delivery configuration", "b.1 delivered m1 in configuration c1", Three + """
        a trans c2 [a b c]
        a conf c2 [a b c] primary
        a send m1 reliable /g
        b deliver m1
        """);

    [Fact]
    public void A_send_in_a_transitional_configuration() => Finds("delivery configuration", "EVS 1.4", Three + """
        a trans c2 [a b c]
        a send m1 reliable /g
        """);

    [Fact]
    public void A_send_before_any_configuration() => Finds("delivery configuration", "before any configuration", "a send m1 reliable /g");

    [Theory]
    [InlineData("b conf c1 [b a] primary", "different members")]
    [InlineData("b conf c1 [a b]", "do not agree on whether")]
    [InlineData("b conf c0 [a c]", "without being a member")]
    [InlineData("a conf c2 [a b] primary", "without a transitional configuration")]
    [InlineData("b trans c2 [b]", "without a regular configuration before")]
    [InlineData("a trans c2 [a]\na conf c1 [a b] primary", "twice (EVS 2.2)")]
    [InlineData("a trans c2 [a x]", "holds a node that was not in")]
    [InlineData("a trans c2 [a b]\na conf c2 [a] primary", "which follows it")]
    public void A_bad_configuration(string line, string words) => Finds("configuration", words, "a conf c1 [a b] primary\n" + line);

    [Fact]
    public void An_epoch_that_falls() => Finds("configuration", "The epoch fell", """
        a conf 7@a.1 [a] primary
        a trans 6@a.1 [a]
        a conf 6@a.1 [a] primary
        """);

    [Fact]
    public void A_member_of_a_transitional_configuration_that_came_from_elsewhere() => Finds("configuration", "did not come to", """
        a,b conf c1 [a b]
        b trans c2 [b]
        b conf c2 [b]
        a trans c3 [a b]
        b trans c3 [b]
        a,b conf c3 [a b]
        """, Extended);

    [Fact]
    public void Companions_through_different_transitional_configurations() => Finds("configuration", "through different transitional ones", """
        a,b conf c1 [a b]
        a trans ta [a]
        b trans tb [b]
        a,b conf c2 [a b]
        """, Extended);

    [Fact]
    public void One_transitional_configuration_that_leads_to_two() => Finds("configuration", "b.1 to configuration c3", """
        a,b conf c1 [a b]
        a,b trans t [a b]
        a conf c2 [a b]
        b conf c3 [a b]
        """, Extended);

    [Fact]
    public void Contradicting_orders_of_configurations() => Finds("configuration", "contradict each other", """
        a conf c1 [a b]
        a trans t1 [a]
        a conf c2 [a b]
        b conf c2 [a b]
        b trans t2 [b]
        b conf c1 [a b]
        """, Extended);

    [Fact]
    public void Two_primaries_at_once() => Finds("primary", "could be active at once", """
        a,b,c conf c1 [a b c] primary
        a,b trans c2 [a b]
        a,b conf c2 [a b] primary
        c trans c3 [c]
        c conf c3 [c] primary
        """);

    [Fact]
    public void Two_primaries_that_a_later_one_hides() => Finds("primary", "could be active at once", """
        a,b conf c1 [a b] primary
        a trans c2 [a]
        a conf c2 [a] primary
        a view /g 1 v1 [a] +a
        a send m1 fifo /g
        a deliver m1
        b trans c3 [b]
        b conf c3 [b] primary
        b view /h 1 w1 [b] +b
        b send m2 fifo /h
        b deliver m2
        a trans c4 [a]
        b trans c4 [b]
        a,b conf c4 [a b] primary
        """);

    /// <summary>Found by the simulator (mix 908744): b and c agreed to c2, of which only the stranger d lived to hear.</summary>
    [Theory]
    [InlineData("b block", true)]
    [InlineData("b fail", true)]
    [InlineData("b send m2 fifo /g", false)]
    [InlineData("b trans c3 [b]\nb conf c3 [b] primary\nb send m2 fifo /g", false)]
    [InlineData("b trans c3 [b]\nb conf c3 [b] primary\nb fail", true)]      // agreed to from c3
    public void A_primary_that_only_a_stranger_lived_to_complete(string end, bool passes)
    {
        string history = $"a,b,c conf c1 [a b c] primary\na fail\nc fail\n{end}\nd conf c2 [b c d] primary\nd view /g 1 v1 [d] +d\nd send m1 fifo /g\nd deliver m1";
        if (passes) Passes(history);
        else Finds("primary", "could be active at once", history);
    }

    [Theory]
    [InlineData("c block", true)]
    [InlineData("c view /g 1 v1 [c] +c\nc block", true)]
    [InlineData("c view /g 1 v1 [c] +c\nc send m1 fifo /g\nc deliver m1\nc block", false)]
    public void A_primary_that_ends_before_anything_is_done_in_it_was_never_active(string lines, bool passes)
    {
        string history = "a,b,c conf c1 [a b c] primary\na,b trans c2 [a b]\na,b conf c2 [a b] primary\nc trans c3 [c]\nc conf c3 [c] primary\n" + lines;
        if (passes) Passes(history);
        else Finds("primary", "could be active at once", history);
    }

    [Fact]
    public void A_new_incarnation_follows_the_old_one() => Passes("""
        a,b conf c1 [a b] primary
        a.2,b.2 conf c2 [a.2 b.2] primary
        """);

    // In the second one nothing was done: one member completed it on the way to the third, which holds a majority of it, not of the first.
    [Theory]
    [InlineData("[c d a]", true)]
    [InlineData("[c a b]", false)]
    public void A_majority_is_carried_over_what_was_completed_on_the_way(string between, bool passes)
    {
        string history = $"c,d,e conf c1 [c d e] primary\nc trans c2 [c]\nc conf c2 {between} primary\nc trans c3 [c]\na,b,c conf c3 [a b c] primary";
        IEnumerable<Violation> found = AllCheckers.Run(History.From(TextHistory.ParseEvents(history)), Primary with { Continuity = PrimaryContinuity.MajorityOfNames });
        Assert.Equal(passes, !found.Any(violation => violation.Message.Contains("does not hold what it must", StringComparison.Ordinal)));
    }

    // Who brought the first one's majority to the second died before it installed it (stored-crashes 21): c alone did, and was stopped at once.
    [Theory]
    [InlineData("[c b]", true)]
    [InlineData("[c d]", false)]
    public void A_majority_is_carried_over_what_its_bearer_did_not_live_to_install(string between, bool passes)
    {
        string history = $"a,b conf c1 [b a] primary\na fail\nb fail\nc conf c2 {between} primary\nc block\nc trans c3 [c]\nc conf c3 [c a.2] primary\na.2 conf c3 [c a.2] primary";
        IEnumerable<Violation> found = AllCheckers.Run(History.From(TextHistory.ParseEvents(history)), Primary with { Continuity = PrimaryContinuity.MajorityOfNames });
        Assert.Equal(passes, !found.Any(violation => violation.Message.Contains("does not hold what it must", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(PrimaryContinuity.MajorityOfIncarnations, "[a b.2 c.2]")]
    [InlineData(PrimaryContinuity.MajorityOfNames, "[a d e]")]
    public void A_primary_without_a_majority_of_the_last(PrimaryContinuity continuity, string members) => Finds("primary", "does not hold what it must", $"""
        a,b,c conf c1 [a b c] primary
        a trans c2 [a]
        a conf c2 {members} primary
        """, Primary with { Continuity = continuity });

    [Fact]
    public void A_tie_goes_to_the_lowest_rank()
    {
        CheckOptions majority = Primary with { Continuity = PrimaryContinuity.MajorityOfNames };
        Passes("a,b conf c1 [a b] primary\na trans c2 [a]\na conf c2 [a] primary", majority);
        Finds("primary", "does not hold what it must", "a,b conf c1 [a b] primary\nb trans c2 [b]\nb conf c2 [b] primary", majority);
    }

    [Fact]
    public void A_primary_with_too_little_of_the_electorate() => Finds("primary", "electorate", """
        a conf c1 [a x y] primary
        """, Primary with { Electorate = ["a", "b", "c"] });

    [Fact]
    public void A_line_after_exclusion() => Finds("filter", "wrote \"view\" after \"exclude\"", Partition + """
        c exclude
        c view /g 2 v2 [a b] -c
        """);

    [Fact]
    public void A_delivery_while_blocked() => Finds("filter", "wrote \"deliver\" while it was blocked", Partition + """
        c block
        c deliver m1
        """);

    [Fact]
    public void A_delivery_while_blocked_is_no_matter_in_extended_mode() => Passes(Three + """
        a send m1 fifo /g
        c block
        c deliver m1
        """, Extended);

    [Fact]
    public void An_unblock_without_a_block() => Finds("filter", "without being blocked", Three + "a unblock");

    [Fact]
    public void A_configuration_that_is_not_primary_in_primary_mode() => Finds("filter", "not primary", "a conf c1 [a]");
}
