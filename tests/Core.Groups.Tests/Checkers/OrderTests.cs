namespace Core.Groups.Tests.Checkers;

/// <summary>EVS specifications 5 and 6, FIFO, and GBCAST.</summary>
public sealed class OrderTests : CheckerTests
{
    [Fact]
    public void All_orders_kept_pass() => Passes(Three + """
        a send m1 causal /g
        a,b deliver m1
        b send m2 causal /g
        b deliver m2
        c deliver m1
        a,c deliver m2
        c send m3 total /g
        a send m4 fifo /g
        a deliver m4
        a,b,c deliver m3
        b,c deliver m4
        b send m5 group /g
        a,b,c deliver m5
        """, Primary with { Survivors = Nodes("a", "b", "c") });

    [Fact]
    public void Fifo_turned_round() => Finds("fifo", "b.1 delivered m1 after m2", Three + """
        a send m1 fifo /g
        a send m2 fifo /g
        b deliver m2
        b deliver m1
        """);

    [Fact]
    public void Reliable_messages_have_no_order() => Passes(Three + """
        a send m1 reliable /g
        a send m2 reliable /g
        b deliver m2
        b deliver m1
        """);

    [Fact]
    public void A_gap_in_a_stream() => Finds("fifo", "b.1 delivered m2 without m1", Three + """
        a send m1 fifo /g
        a send m2 fifo /g
        b deliver m2
        """);

    [Fact]
    public void Fifo_turned_round_between_overlapping_destinations() => Finds("fifo", "which a.1 sent later in /g", Three + """
        a,b,c view /h 1 w1 [a b c] +a +b +c
        b,c state /h 1
        a send m1 fifo /g,/h
        a send m2 fifo /g
        b deliver m2
        b deliver m1
        """);

    [Fact]
    public void A_joiner_may_begin_in_the_middle_after_a_configuration_change() => Passes("""
        a,b conf c1 [a b x] primary
        a view /g 1 v1 [a] +a
        a,b view /g 2 v2 [a b] +b
        a send m1 fifo /g
        a deliver m1
        a,b trans c2 [a b]
        a,b conf c2 [a b] primary
        b state /g 2
        a send m2 fifo /g
        a,b deliver m2
        a,b trans c3 [a b]
        a,b conf c3 [a b] primary
        """);

    [Fact]
    public void A_message_before_its_cause() => Finds("causal order", "c.1 delivered m2 before m1", Three + """
        a send m1 causal /g
        b deliver m1
        b send m2 causal /g
        c deliver m2
        c deliver m1
        """);

    [Fact]
    public void A_message_without_its_cause() => Finds("causal order", "c.1 delivered m2 without m1", Three + """
        a send m1 fifo /g
        b deliver m1
        b send m2 causal /g
        c deliver m2
        """);

    [Fact]
    public void A_chain_through_another_group() => Finds("causal order", "c.1 delivered m3 without m1", Three + """
        a,b view /h 1 w1 [a b] +a +b
        b state /h 1
        a send m1 causal /g
        a send m2 causal /h
        b deliver m2
        b send m3 causal /g
        c deliver m3
        """);

    [Fact]
    public void A_chain_ends_at_a_message_that_is_not_causal() => Passes(Three + """
        a,b view /h 1 w1 [a b] +a +b
        b state /h 1
        a send m1 fifo /g
        a send m2 fifo /h
        b deliver m2
        b send m3 causal /g
        c deliver m3
        """);

    [Fact]
    public void The_past_is_fixed_at_the_call()
    {
        const string Late = Three + """
            b call 1
            a send m1 causal /g
            b deliver m1
            b send m2 causal /g call=1
            c deliver m2
            """;
        Passes(Late);
        Finds("causal order", "c.1 delivered m2 without m1", Late.Replace("b call 1", "", StringComparison.Ordinal));
    }

    [Fact]
    public void An_earlier_call_is_in_the_past() => Finds("causal order", "c.1 delivered m2 without m1", Three + """
        a,b,c view /h 1 w1 [a b c] +a +b +c
        b,c state /h 1
        b call 1
        b call 2
        b send m2 causal /g call=2
        b send m1 causal /h call=1
        c deliver m2
        """);

    [Fact]
    public void A_sender_delivers_its_own_message_after_its_past() => Finds("causal order", "a.1 delivered m2 without m1", Three + """
        a send m1 total /g
        a send m2 causal /g
        a deliver m2
        """);

    [Fact]
    public void A_joiner_is_held_to_the_past_in_a_group_from_its_state_on()
    {
        const string Joiner = Three + """
            a view /h 1 w1 [a] +a
            a,c view /h 2 w2 [a c] +c
            a send m1 causal /h
            a send m2 causal /g
            c deliver m2
            c state /h 2
            c deliver m1
            """;
        Passes(Joiner);
        Finds("causal order", "c.1 delivered m2 before m1", Joiner.Replace("c deliver m2\nc state /h 2", "c state /h 2\nc deliver m2", StringComparison.Ordinal));
    }

    [Fact]
    public void A_group_broadcast_is_in_the_past_when_it_is_delivered()
    {
        Passes(Three + """
            a send m1 group /g
            a send m2 causal /g
            a,b,c deliver m2
            a,b,c deliver m1
            """);
        Finds("causal order", "c.1 delivered m2 without m1", Three + """
            a send m1 group /g
            a,b deliver m1
            b send m2 causal /g
            c deliver m2
            """);
    }

    [Fact]
    public void A_circle_of_sends_and_deliveries() => Finds("causal order", "before it could have been sent", Three + """
        a deliver m2
        a send m1 causal /g
        b deliver m1
        b send m2 causal /g
        """);

    [Fact]
    public void Total_order_turned_round() => Finds("total order", "a.1 delivered m1 before m2, b.1 the other way round", Three + """
        a send m1 total /g
        b send m2 causal-total /g
        a deliver m1
        a,b deliver m2
        b deliver m1
        """);

    [Fact]
    public void Total_order_turned_round_at_a_node_that_fails() => Finds("total order", "c.1 the other way round", Three + """
        a send m1 total /g
        b send m2 total /g
        c deliver m2
        c deliver m1
        a,b deliver m1
        a,b deliver m2
        a,b trans c2 [a b]
        a,b conf c2 [a b] primary
        a,b view /g 2 v2 [a b] -c
        """);

    [Fact]
    public void A_circle_of_three() => Finds("total order", "though any two nodes agree", Three + """
        a send m1 total /g
        b send m2 total /g
        c send m3 total /g
        a deliver m1
        a deliver m2
        b deliver m2
        b deliver m3
        c deliver m3
        c deliver m1
        """);

    [Theory]
    [InlineData("label=L", true)]
    [InlineData("", false)]
    public void A_label_spans_groups(string label, bool isOrdered)
    {
        string text = Three + $"""
            a,b,c view /h 1 w1 [a b c] +a +b +c
            b,c state /h 1
            a send m1 total /g {label}
            b send m2 total /h {label}
            a,c deliver m1
            a,b,c deliver m2
            b deliver m1
            """;
        if (isOrdered)
            Finds("total order", "label L", text);
        else
            Passes(text);
    }

    [Theory]
    [InlineData("/g,/h", "/g", "(EVS 6, /g)")]
    [InlineData("/g,/h", "/h,/g", "(EVS 6, /g)")]
    [InlineData("/g,/h", "/k,/l", "several destinations")]
    [InlineData("/g to=c", "/k to=c", "several destinations")]
    [InlineData("/g,/h", "/k", null)]
    [InlineData("/g,/h label=L", "/g", null)]
    public void A_message_to_several_groups_stands_in_the_order_of_each(string first, string second, string? domain)
    {
        string text = Three + $"""
            a,b,c view /h 1 w1 [a b c] +a +b +c
            a,b,c view /k 1 x1 [a b c] +a +b +c
            a,b,c view /l 1 y1 [a b c] +a +b +c
            b,c state /h 1
            b,c state /k 1
            b,c state /l 1
            a send m1 total {first}
            b send m2 total {second}
            a,c deliver m1
            a,b,c deliver m2
            b deliver m1
            """;
        if (domain is null)
            Passes(text);
        else
            Finds("total order", domain, text);
    }

    [Fact]
    public void A_group_broadcast_stands_at_one_place_among_messages_to_several_groups() => Finds("group broadcast", "b.1 after it", Three + """
        a,b,c view /h 1 w1 [a b c] +a +b +c
        b,c state /h 1
        a send m1 reliable /h,/g
        b send m2 group /g
        a,c deliver m1
        a,b,c deliver m2
        b deliver m1
        """);

    [Fact]
    public void A_hole_in_the_total_order() => Finds("total order without holes", "c.1 delivered m2, but not m1", Three + """
        a send m1 total /g
        b send m2 total /g
        a,b deliver m1
        a,b,c deliver m2
        """);

    [Fact]
    public void A_hole_is_allowed_where_the_sender_was_left_behind()
    {
        const string Split = """
            a,b,c conf c1 [a b c]
            a,b,c view /g 1 v1 [a b c] +a +b +c
            b,c state /g 1
            a send m1 total /g
            b send m2 total /g
            a deliver m1
            a deliver m2
            b,c trans c2 [b c]
            b,c deliver m2
            b,c conf c2 [b c]
            b,c view /g 2 v2 [b c] -a
            """;
        Passes(Split, Extended);
        Finds("total order without holes", "c.1 delivered m2, but not m1", Split.Replace("b,c trans c2 [b c]\n", "", StringComparison.Ordinal), Extended);
    }

    /// <summary>c is no member of k, to which both messages go: it gets them by g.</summary>
    [Fact]
    public void A_group_broadcast_stands_at_one_place_for_who_is_not_in_its_group_too() => Finds("group broadcast", "before the GBCAST m2, c.1 after it", Three + """
        a,b view /k 1 x1 [a b] +a +b
        b state /k 1
        b send m1 fifo /k to=c
        a send m2 group /g,/k
        a,b deliver m1
        a,b,c deliver m2
        c deliver m1
        """);

    [Fact]
    public void A_message_on_two_sides_of_a_group_broadcast() => Finds("group broadcast", "before the GBCAST m2, b.1 after it", Three + """
        a send m1 reliable /g
        a deliver m1
        c send m2 group /g
        a,b deliver m2
        b deliver m1
        """);

    [Fact]
    public void A_message_missing_before_a_group_broadcast() => Finds("group broadcast", "but never m1", Three + """
        a send m1 reliable /g
        a deliver m1
        c send m2 group /g
        a,b deliver m2
        """);

    [Fact]
    public void Two_group_broadcasts_turned_round() => Finds("group broadcast", "before the GBCAST", Three + """
        a send m1 group /g
        b send m2 group /g
        a,b deliver m1
        a deliver m2
        c deliver m2
        c deliver m1
        """);
}
