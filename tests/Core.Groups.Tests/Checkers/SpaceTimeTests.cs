using Core.Groups.Testing.Checkers;

namespace Core.Groups.Tests.Checkers;

public sealed class SpaceTimeTests
{
    [Fact]
    public void A_delivery_stands_below_its_send_in_the_column_of_its_node()
    {
        History history = TextHistory.Parse("""
            b conf c1 [a b] primary
            b deliver m1
            b block
            a conf c1 [a b] primary
            a send m1 causal-total /g label=L
            """);
        string expected = """
                       | a.1                             | b.1
                   0.0 |                                 | conf c1 [a.1 b.1] primary
                   3.0 | conf c1 [a.1 b.1] primary       |
            >      4.0 | send m1 causal-total /g label L |
                   1.0 |                                 | deliver m1
                   2.0 |                                 | block

            """.ReplaceLineEndings("\n");
        Assert.Equal(expected, SpaceTime.Render(history, marked: [history.EventsOf(new NodeId("a", 1))[1]]));
    }

    [Fact]
    public void Only_the_last_events_are_shown_and_a_contradiction_does_not_stop_it()
    {
        History history = TextHistory.Parse("a conf c1 [a] primary\na deliver m1\na send m1 fifo /g");
        Assert.Equal("           | a.1\n       1.0 | deliver m1\n       2.0 | send m1 fifo /g\n", SpaceTime.Render(history, last: 2));
    }

    [Fact]
    public void No_event_renders_as_nothing() => Assert.Equal("\n", SpaceTime.Render(TextHistory.Parse("")));
}
