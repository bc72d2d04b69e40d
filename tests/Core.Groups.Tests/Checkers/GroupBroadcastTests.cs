using Core.Groups.Testing.Checkers;

namespace Core.Groups.Tests.Checkers;

/// <summary>The place of a GBCAST where not everybody gets all: nodes in one of its groups, in none, or elsewhere meanwhile.</summary>
public sealed class GroupBroadcastTests : CheckerTests
{
    /// <summary>d, in /h alone, was elsewhere when m1 came; /g is in one view all the time. (The schedule is in FoundScheduleTests.)</summary>
    private const string Merge = """
        a,b,d conf c1 [a b d]
        a,b view /g 1 v1 [a b] +a +b
        b state /g 1
        b,d view /h 1 w1 [b d] +b +d
        d state /h 1
        b send m1 fifo /g,/h
        a,b deliver m1
        a,b trans c2 [a b]
        a,b conf c2 [a b]
        b view /h 2 w2 [b] -d
        d trans c3 [d]
        d conf c3 [d]
        d view /h 2 x2 [d] -b
        a,b trans c4 [a b]
        d trans c4 [d]
        a,b,d conf c4 [a b d]
        b view /h 3 w3 [b d] +d
        d view /h 3 w3 [b d] +b
        b,d state /h 3
        b send m2 group /g,/h
        a,b,d deliver m2
        """;

    /// <summary>m1 and m3 go to c as a single process, the GBCAST m2 between them does not.</summary>
    private const string Beside = Three + """
        a,b view /k 1 x1 [a b] +a +b
        b state /k 1
        b send m1 fifo /k to=c
        a send m2 group /k
        a send m3 group /k to=c
        a,b deliver m1
        a,b deliver m2
        c deliver m1
        a,b,c deliver m3
        """;

    [Fact]
    public void Who_was_elsewhere_when_a_message_came_lacks_it_at_a_later_GBCAST() => Passes(Merge, Extended);

    [Fact]
    public void Who_came_along_may_not_lack_it() =>
        Finds("failure atomicity", "b.1 went with it", Merge.Replace("a,b deliver m1", "a deliver m1", StringComparison.Ordinal), Extended);

    [Fact]
    public void A_single_process_passes_over_the_GBCASTs_that_it_does_not_get() => Passes(Beside);

    [Theory]
    [InlineData("c deliver m1\na,b,c deliver m3", "a,b,c deliver m3\nc deliver m1", "before the GBCAST m3, c.1 after it")]
    [InlineData("c deliver m1\n", "", "before the GBCAST m3; c.1 delivered the GBCAST in the same configuration, but never m1")]
    public void What_stands_before_a_GBCAST_that_one_does_not_get_stands_before_the_next_that_it_gets(string good, string bad, string words) =>
        Finds("group broadcast", words, Beside.Replace(good, bad, StringComparison.Ordinal));

    [Fact]
    public void A_message_that_a_member_of_another_of_its_groups_lacks() => Finds("group broadcast", "c.1 delivered the GBCAST in the same configuration, but never m1", Three + """
        a,b view /k 1 x1 [a b] +a +b
        b state /k 1
        a,c view /h 1 w1 [a c] +a +c
        c state /h 1
        a send m1 fifo /k,/h
        a send m2 group /k to=c
        a,b deliver m1
        a,b,c deliver m2
        """);
}
