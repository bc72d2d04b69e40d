using Core.Groups.Testing.Checkers;

namespace Core.Groups.Tests.Checkers;

/// <summary>The checkers in extended mode: components that are no majority, their transitional configurations, and merges.</summary>
public sealed class ExtendedSynchronyTests : CheckerTests
{
    /// <summary>Three in one group, of which a is cut off while it and b send; nothing is wrong with it.</summary>
    private const string Parted = Three + """
        a send m1 safe /g
        b send m2 total /g
        a trans c2 [a]
        a deliver m1
        a conf c2 [a]
        a view /g 2 v2 [a] -b -c
        b,c trans c3 [b c]
        b,c deliver m2
        b,c conf c3 [b c]
        b,c view /g 2 w2 [b c] -a

        """;

    private const string Merged = Parted + """
        a trans c4 [a]
        b,c trans c4 [b c]
        a,b,c conf c4 [a b c]
        a view /g 3 v3 [a b c] +b +c
        b,c view /g 3 v3 [a b c] +a
        a,b,c state /g 3
        c send m3 total /g
        a,b,c deliver m3

        """;

    [Fact]
    public void A_cluster_that_parts_and_meets_passes() => Passes(Merged, Extended);

    [Fact]
    public void A_minority_that_does_not_deliver_its_own_message() =>
        Finds("self-delivery", "went on without delivering it (EVS 3)", Parted.Replace("a deliver m1\n", "", StringComparison.Ordinal), Extended);

    [Fact]
    public void A_safe_message_in_a_transitional_configuration_that_one_of_it_never_delivers() =>
        Finds("safe", "(EVS 7.1)", Parted.Replace("b send m2 total /g", "b send m2 safe /g", StringComparison.Ordinal).Replace("b,c deliver m2", "b deliver m2", StringComparison.Ordinal), Extended);

    [Fact]
    public void Two_that_go_on_together_and_deliver_differently() =>
        Finds("failure atomicity", "went with it", Parted.Replace("b,c deliver m2", "b deliver m2", StringComparison.Ordinal), Extended);

    [Fact]
    public void A_merged_view_in_two_orders() =>
        Finds("view", "do not agree", Merged.Replace("b,c view /g 3 v3 [a b c]", "b,c view /g 3 v3 [b c a]", StringComparison.Ordinal), Extended);

    [Fact]
    public void A_message_of_a_merged_view_that_one_side_never_delivers() =>
        Finds("quiet end", "never delivered m3", Merged.Replace("a,b,c deliver m3", "b,c deliver m3", StringComparison.Ordinal), Extended with { Survivors = Nodes("a", "b", "c") });

    [Fact]
    public void A_state_of_a_view_that_was_not_installed() =>
        Finds("state transfer", "which it had not installed", Merged.Replace("a,b,c state /g 3", "a,b,c state /g 4", StringComparison.Ordinal), Extended);

    [Fact]
    public void The_same_members_again_though_no_merge_was_interrupted() => Finds("view", "the members and their ranks are the same", Parted + """
        b,c trans c5 [b c]
        b,c conf c5 [b c]
        b,c view /g 3 w3 [b c]
        """, Extended);

    [Fact]
    public void The_same_members_again_take_up_a_merge_that_was_interrupted() => Passes(Merged + """
        a,b,c trans c5 [a b c]
        a,b,c conf c5 [a b c]
        a,b,c view /g 4 v4 [a b c]
        """, Extended);
}
