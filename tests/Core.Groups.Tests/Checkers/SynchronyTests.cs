using System.Collections.Immutable;
using Core.Groups.Testing.Checkers;
using Core.Groups.Tracing;

namespace Core.Groups.Tests.Checkers;

/// <summary>EVS specifications 3, 4 and 7; views, virtual synchrony, state transfer; the quiet end.</summary>
public sealed class SynchronyTests : CheckerTests
{
    private const string Growth = """
        a,b,c conf c1 [a b c] primary
        a view /g 1 v1 [a] +a
        a send m1 fifo /g
        a deliver m1
        a,b view /g 2 v2 [a b] +b
        b state /g 2
        b send m2 causal /g
        a,b deliver m2
        a,b,c view /g 3 v3 [a b c] +c
        c state /g 3
        a send m3 total /g
        a,b,c deliver m3
        b leave /g
        a,c view /g 4 v4 [a c] -b

        """;

    [Fact]
    public void A_group_that_grows_and_shrinks_passes() => Passes(Growth + """
        c send m4 safe /g
        a,c deliver m4
        a,b,c trans c2 [a b c]
        a,b,c conf c2 [a b c] primary
        """, Primary with { Survivors = Nodes("a", "b", "c") });

    [Fact]
    public void Components_that_merge_pass_in_extended_mode() => Passes("""
        a,b conf c1 [a b]
        a,b view /g 1 v1 [a b] +a +b
        b state /g 1
        a trans c2 [a]
        a conf c2 [a]
        a view /g 2 v2 [a] -b
        b trans c3 [b]
        b conf c3 [b]
        b view /g 2 w2 [b] -a
        a trans c4 [a]
        b trans c4 [b]
        a,b conf c4 [a b]
        a,b view /g 3 v3 [a b] +b
        a send m1 total /g
        a,b deliver m1
        """, Extended with { Survivors = Nodes("a", "b") });

    [Fact]
    public void A_merge_may_bring_back_the_same_members_in_another_order() => Passes("""
        a,b conf c1 [a b]
        a,b view /g 1 v1 [a b] +a +b
        b state /g 1
        b trans c2 [b]
        b conf c2 [b]
        b view /g 2 v2 [b] -a
        a trans c3 [a]
        b trans c3 [b]
        a,b conf c3 [a b]
        a,b view /g 3 v3 [b a] +a
        """, Extended);

    [Fact]
    public void A_sender_that_goes_on_without_its_message() => Finds("self-delivery", "went on without delivering it", Three + """
        a send m1 total /g
        a,b,c trans c2 [a b c]
        a,b,c conf c2 [a b c] primary
        """);

    [Fact]
    public void A_sender_that_leaves_without_its_message() => Finds("self-delivery", "left that view without delivering it", Three + """
        c send m1 total /g
        c leave /g
        """);

    [Fact]
    public void A_sender_that_is_excluded_owes_nothing() => Passes(Three + """
        c send m1 total /g
        c block
        c exclude
        """);

    [Theory]
    [InlineData("a deliver m1\na,b,c trans c2 [a b c]")]
    [InlineData("a,b,c trans c2 [a b c]\na deliver m1")]
    [InlineData("a deliver m1\na,b,c trans c2 [a b c]\nb,c deliver m1")]
    public void Companions_that_delivered_different_messages(string change) => Finds("failure atomicity", "b.1 went with it", Three + $"""
        a send m1 reliable /g
        {change}
        a,b,c conf c2 [a b c] primary
        """);

    [Theory]
    [InlineData("/g label=L")]
    [InlineData("/g to=b")]
    [InlineData("to=a+b+c")]
    public void In_orders_that_span_groups_the_transitional_configuration_counts_with_the_regular_one(string to) => Passes(Three + $"""
        a send m1 total {to}
        a deliver m1
        a,b,c trans c2 [a b c]
        b,c deliver m1
        a,b,c conf c2 [a b c] primary
        """);

    /// <summary>Not where it was delivered in neither; unless the trace ends in between.</summary>
    [Fact]
    public void In_orders_that_span_groups_a_message_is_owed_until_the_transitional_configuration_ends()
    {
        const string History = Three + """
            a send m1 total /g label=L
            a,c deliver m1
            a,b,c trans c2 [a b c]
            """;
        Passes(History);
        Finds("failure atomicity", "b.1 went with it", History + "\na,b,c conf c2 [a b c] primary");
    }

    /// <summary>The send of m1 is in no trace: where it was delivered, and only there, the two count as one.</summary>
    [Fact]
    public void What_spans_groups_and_was_sent_in_no_trace_excuses_only_where_it_was_delivered()
    {
        const string Later = Three + """
            x send m1 total /g label=L
            a,b,c deliver m1
            a,b,c trans c2 [a b c]
            a,b,c conf c2 [a b c] primary
            a send m2 total /g
            a deliver m2
            a,b,c trans c3 [a b c]
            b,c deliver m2
            a,b,c conf c3 [a b c] primary
            """;
        List<TraceEvent> events = TextHistory.ParseEvents(Later);
        events.RemoveAll(line => line.Node.Name == "x");
        Assert.Contains(AllCheckers.Run(History.From(events), Primary with { Incomplete = ["x"] }), violation => violation.Checker == "failure atomicity");
    }

    /// <summary>A call that did not leave there may have been a GBCAST to several groups, announced and not sent, or sent later.</summary>
    [Theory]
    [InlineData("b call 1", "", 1, true)]
    [InlineData("b call 1", "", 0, false)]
    [InlineData("b call 1\nb send m2 fifo /g call=1\na,b,c deliver m2", "", 1, false)]
    [InlineData("b call 1", "b send m2 group /g to=a call=1\na,b,c deliver m2", 1, true)]
    [InlineData("b call 1", "b send m2 group /g call=1\na,b,c deliver m2", 1, false)]
    public void Where_a_call_did_not_leave_the_transitional_configuration_counts_with_the_regular_one(string lines, string later, int asked, bool passes)
    {
        string text = Three + $"""
            a send m1 total /g
            {lines.Replace("\n", "\n            ", StringComparison.Ordinal)}
            a deliver m1
            a,b,c trans c2 [a b c]
            b,c deliver m1
            a,b,c conf c2 [a b c] primary
            {later.Replace("\n", "\n            ", StringComparison.Ordinal)}
            """;
        CheckOptions options = Primary with { SpanningBroadcasts = ImmutableDictionary<NodeId, int>.Empty.Add(new NodeId("b", 1), asked) };
        if (passes) Passes(text, options);
        else Finds("failure atomicity", "went with it", text, options);
        Finds("failure atomicity", "went with it", text, Primary);
    }

    [Fact]
    public void A_node_that_fails_owes_nothing() => Passes(Three + """
        a send m1 reliable /g
        a,c deliver m1
        a,c trans c2 [a c]
        a,c conf c2 [a c] primary
        a,c view /g 2 v2 [a c] -b
        """);

    [Fact]
    public void A_safe_message_that_one_never_delivers() => Finds("safe", "never delivered it (EVS 7.1)", Three + """
        a send m1 safe /g
        a deliver m1
        a,b trans c2 [a b]
        a,b conf c2 [a b] primary
        a,b view /g 2 v2 [a b] -c
        c trans c3 [c]
        c conf c3 [c]
        """, Extended);

    [Fact]
    public void A_safe_message_in_a_configuration_that_one_never_installed() => Finds("safe", "c.1 never installed (EVS 7.2)", """
        a,b conf c1 [a b c] primary
        a,b view /g 1 v1 [a b c] +a +b +c
        b state /g 1
        a send m1 safe /g
        a deliver m1
        """);

    [Fact]
    public void A_delivery_in_a_later_view() => Finds("virtual synchrony", "but it was sent in view 3", Growth.Replace("a,b,c deliver m3", "a,b deliver m3", StringComparison.Ordinal) + "c deliver m3");

    [Fact]
    public void A_message_missing_at_a_view_change() => Finds("virtual synchrony", "c.1 left that view together", Growth.Replace("a,b,c deliver m3", "a,b deliver m3", StringComparison.Ordinal));

    [Fact]
    public void A_message_missing_at_a_leaver() => Finds("virtual synchrony", "b.1 left that view together", Growth.Replace("a,b,c deliver m3", "a,c deliver m3", StringComparison.Ordinal));

    [Fact]
    public void A_joiner_without_state_owes_nothing_yet() => Passes(Growth.Replace("b state /g 2\nb send m2", "a send m2", StringComparison.Ordinal)
        .Replace("a,b deliver m2", "a deliver m2", StringComparison.Ordinal).Replace("c state", "b,c state", StringComparison.Ordinal));

    [Fact]
    public void A_joiner_owes_from_its_state_on() => Finds("virtual synchrony", "b.1 left that view together", Growth.Replace("a,b deliver m2", "a deliver m2", StringComparison.Ordinal));

    [Theory]
    [InlineData("a,c view /g 4 v4 [a c] -b", "a view /g 4 v4 [a c] -b\nc view /g 4 v4 [c a] -b", "do not agree on view 4")]
    [InlineData("a,c view /g 4 v4 [a c] -b", "a view /g 4 v4 [a c] -b\nc view /g 4 v4 [a c] -x", "do not agree on who joined and who left")]
    [InlineData("a,c view /g 4 v4 [a c] -b", "a view /g 4 v4 [a c] -b\nc view /g 4 w4 [a c] -b", "From view 3")]
    [InlineData("a,c view /g 4", "a,c view /g 5", "the number did not rise by one")]
    [InlineData("a,c view /g 4 v4 [a c] -b", "a,c view /g 4 v4 [c a] -b", "changed their ranks")]
    [InlineData("a,c view /g 4 v4 [a c] -b", "a,c view /g 4 v4 [a c]", "who left is not what is missing")]
    [InlineData("a,b view /g 2 v2 [a b] +b", "a,b view /g 2 v2 [b a] +b", "does not rank behind")]
    [InlineData("a,b view /g 2 v2 [a b] +b", "a,b view /g 2 v2 [a b]", "who joined is not what is new")]
    [InlineData("b leave /g", "", "without being a member of it")]
    [InlineData("b leave /g", "b leave /g\nb leave /g", "without being a member of it")]
    [InlineData("b leave /g", "b leave /g\nb send m9 fifo /g", "b.1 sent m9 without being a member")]
    [InlineData("b leave /g", "a send m9 fifo /g\nb leave /g\nb deliver m9", "b.1 delivered m9 without being a member")]
    [InlineData("a,c view /g 4 v4 [a c] -b", "a,c view /g 4 v4 [a b c]", "the members and their ranks are the same")]
    public void A_bad_view(string good, string bad, string words)
    {
        string text = Growth.Replace(good, bad, StringComparison.Ordinal);
        if (bad.Length == 0)
            text += "b view /g 4 v4 [a c] -b";
        Finds("view", words, text);
    }

    /// <summary>An electorate, and votes that are forgotten with those who gave them.</summary>
    private static readonly CheckOptions Forgetful = Primary with { Electorate = ["a", "b", "c"], Continuity = PrimaryContinuity.VotesOrProof };

    /// <summary>a and c go on without b, and both die; b goes on with their next incarnations.</summary>
    private const string Forgotten = Three + """
        a,c trans c2 [a c]
        a,c conf c2 [a c] primary
        a,c view /g 2 v2 [a c] -b
        b trans c3 [b]
        b,a.2,c.2 conf c3 [b a.2 c.2] primary
        b view /g 2 w2 [b] -a -c
        """;

    [Fact]
    public void A_branch_that_all_who_knew_it_took_to_the_grave() => Assert.DoesNotContain(
        AllCheckers.Run(TextHistory.Parse(Forgotten), Forgetful), violation => violation.Checker == "view");

    [Fact]
    public void A_branch_that_somebody_alive_knows() => Finds("view", "From view 1", Forgotten.Replace("c.2", "x", StringComparison.Ordinal), Forgetful);

    [Fact]
    public void A_forgotten_branch_where_votes_are_not_forgotten() => Finds("view", "From view 1", Forgotten, Forgetful with { Continuity = PrimaryContinuity.MajorityOfNames });

    /// <summary>The leave of c is open when a and c go on without b, and die; b completes it with what a and c never had.</summary>
    private const string SameName = Three + """
        b send m1 total /g
        a,c trans c2 [a c]
        a,c view /g 2 v2 [a b] -c
        a,c conf c2 [a c] primary
        b trans c3 [b]
        b deliver m1
        b view /g 2 v2 [a b] -c
        b,a.2,c.2 conf c3 [b a.2 c.2] primary
        """;

    [Fact]
    public void A_view_of_one_name_on_a_forgotten_branch() => Assert.DoesNotContain(
        AllCheckers.Run(TextHistory.Parse(SameName), Forgetful), violation => violation.Checker == "virtual synchrony");

    [Fact]
    public void A_view_of_one_name_on_a_branch_that_somebody_alive_knows() =>
        Finds("virtual synchrony", "a.1 left that view together with it and did not", SameName.Replace("c.2", "x", StringComparison.Ordinal), Forgetful);

    [Fact]
    public void A_view_of_one_name_on_a_forgotten_branch_where_votes_are_not_forgotten() => Finds(
        "virtual synchrony", "a.1 left that view together with it and did not", SameName, Forgetful with { Continuity = PrimaryContinuity.MajorityOfNames });

    [Fact]
    public void A_view_that_a_companion_misses() => Finds("view", "c.1 went with it from there", Three + """
        a,c view /h 1 w1 [a c] +a +c
        c state /h 1
        a view /h 2 w2 [a c b] +b
        a,b,c trans c2 [a b c]
        c view /h 2 w2 [a c b] +b
        a,b,c conf c2 [a b c] primary
        """);

    [Fact]
    public void A_view_reached_from_different_views() => Finds("view", "from different views", """
        a,b conf c1 [a b c] primary
        a view /g 1 v1 [a b] +a +b
        b view /g 1 w1 [a b] +a +b
        a,b view /g 2 v2 [a b c] +c
        """);

    [Fact]
    public void A_delivery_in_a_view_with_members_that_are_gone() => Finds("view", "which has members that are not in configuration c2", Three + """
        a,b trans c2 [a b]
        a,b conf c2 [a b] primary
        a send m1 fifo /g
        b deliver m1
        """);

    [Fact]
    public void A_delivery_before_the_state() => Finds("state transfer", "c.1 delivered m1 before it had the state", Growth.Replace("c state /g 3", "b send m1b fifo /g", StringComparison.Ordinal)
        .Replace("a,b,c deliver m3", "a,b,c deliver m1b\na,b,c deliver m3", StringComparison.Ordinal).Replace("m1b", "m1", StringComparison.Ordinal).Replace("a send m1 fifo /g\na deliver m1\n", "", StringComparison.Ordinal));

    [Theory]
    [InlineData("c state /g 3", "c state /g 2", "as of view 2, which it had not installed")]
    [InlineData("c state /g 3", "c state /g 3\nc state /g 3", "twice")]
    [InlineData("c state /g 3", "c state /g 3\na state /g 3", "a.1 made /g and yet got a state")]
    public void A_bad_state(string good, string bad, string words) => Finds("state transfer", words, Growth.Replace(good, bad, StringComparison.Ordinal));

    [Fact]
    public void A_state_without_a_view() => Finds("view", "b.1 has a line of /h", Growth + "b state /h 1");

    [Theory]
    [InlineData("a send m1 reliable /g\na,b deliver m1", "c.1 never delivered m1")]
    [InlineData("c block", "c.1 is still blocked")]
    [InlineData("c trans c2 [a b c]", "c.1 is in no regular configuration")]
    [InlineData("a,b,c trans c2 [a b c]\na,b,c conf c2 [a b c d] primary", "up and connected are")]
    [InlineData("a,b trans c2 [a b c]\na,b conf c2 [a b c] primary", "At the end a.1 is in configuration c2, c.1 in configuration c1")]
    [InlineData("a,b,c view /g 2 v2 [a b c d] +d", "has members that are gone")]
    [InlineData("a,b view /h 1 w1 [a b] +a +b", "b.1 never got the state")]
    [InlineData("a,b view /g 2 v2 [a b] -c", "At the end a.1 is in view 2")]
    public void A_bad_end(string lines, string words)
    {
        Finds("quiet end", words, Three + lines, Primary with { Survivors = Nodes("a", "b", "c") });
        Assert.DoesNotContain(AllCheckers.Run(TextHistory.Parse(Three + lines), Primary), violation => violation.Checker == "quiet end");
    }

    /// <summary>Strangers may begin again when most of the last primary failed; not when they were excluded although nobody had gone on.</summary>
    [Fact]
    public void What_most_members_knew_is_lost_with_most_of_them_only()
    {
        Finds("primary", "most of the primary configuration c1 had not failed: a.1, b.1 were excluded", """
            a,b,c conf c1 [a b c] primary
            c fail
            a,b exclude
            a.2,b.2,c.2 conf c2 [a.2 b.2 c.2] primary
            """, Forgetful);
        // a or b may have told c, before they died, of {a, b}, which may have formed.
        Passes("""
            a,b,c conf c1 [a b c] primary
            a,b fail
            c exclude
            a.2,b.2,c.2 conf c2 [a.2 b.2 c.2] primary
            """, Forgetful);
        Passes("""
            a,b,c conf c1 [a b c] primary
            b trans c2 [b a]
            b conf c2 [b a c.2] primary
            a exclude
            b fail
            a.2,b.2,c.2 conf c3 [a.2 b.2 c.2] primary
            """, Forgetful);
        const string Apart = """
            a,b conf c1 [a b] primary
            a fail
            a.2,c conf c2 [a.2 c] primary
            b exclude
            a.2,c exclude
            a.3,b.2,c.2 conf c3 [a.3 b.2 c.2] primary
            """;
        Passes(Apart, Forgetful);       // a.2 and c may have given way to b's lineage
        Finds("primary", "most of the primary configuration c2 had not failed: a.2, c.1 were excluded", Apart.Replace("a,b conf c1 [a b] primary\na fail\n", "", StringComparison.Ordinal).Replace("b exclude\n", "", StringComparison.Ordinal), Forgetful);
        Finds("primary", "most of the primary configuration c2 had not failed: a.2, c.1 were excluded", Apart.Replace("b exclude", "b trans c0 [b]\nb conf c0 [b a] primary\nb fail", StringComparison.Ordinal)
            .Replace("b.2", "b.3", StringComparison.Ordinal).Replace("[a.2 c] primary", "[a.2 c b.2] primary", StringComparison.Ordinal), Forgetful);
    }
}
