using Core.Groups.Testing.Checkers;

namespace Core.Groups.Tests.Checkers;

/// <summary>Primaries that fork, in the shapes in which each of the checker's excuses could hide them.</summary>
public sealed class ForkTests : CheckerTests
{
    private static readonly CheckOptions Electorate = Primary with { Electorate = ["a", "b", "c"] };
    private static readonly CheckOptions Forgetful = Electorate with { Continuity = PrimaryContinuity.VotesOrProof };
    private static readonly CheckOptions Stored = Electorate with { Continuity = PrimaryContinuity.MajorityOfNames };

    /// <summary>a goes on with b, who dies before it hears of it; b's next incarnation goes on with c.</summary>
    private const string RestartedVoter = """
        a,b,c conf c1 [a b c] primary
        b fail
        a trans c2 [a b]
        a conf c2 [a b] primary
        a view /g 1 v1 [a] +a
        a send m1 fifo /g
        a deliver m1
        c trans c3 [c]
        c,b.2 conf c3 [c b.2] primary
        c view /h 1 w1 [c] +c
        c send m2 fifo /h
        c deliver m2
        """;

    /// <summary>With stores b.2 has b's vote of c2, and not its rank's: it may not go on from c2 without a.</summary>
    [Fact]
    public void A_stored_vote_that_is_given_twice() => Finds("primary", "does not hold what it must", RestartedVoter, Stored);

    /// <summary>Without, c comes from c1: b is proven dead there, a is not.</summary>
    [Fact]
    public void A_restarted_node_is_no_vote() => Finds("primary", "not all that are missing are proven dead", RestartedVoter, Forgetful);

    [Fact]
    public void A_survivor_goes_on_when_all_that_are_missing_are_proven_dead() => Passes("""
        a,b,c conf c1 [a b c] primary
        a,b fail
        c trans c2 [c]
        c,a.2,b.2 conf c2 [c a.2 b.2] primary
        """, Forgetful);

    [Fact]
    public void A_survivor_that_goes_on_though_one_may_live() => Finds("primary", "not all that are missing are proven dead", """
        a,b,c conf c1 [a b c] primary
        a fail
        c trans c2 [c]
        c,a.2 conf c2 [c a.2] primary
        """, Forgetful);

    /// <summary>Each holds an incarnation that the other proves dead: whoever formed the second cannot have formed it after the first.</summary>
    [Fact]
    public void Each_of_two_proves_the_other_ended() => Finds("configuration", "contradict each other", """
        c conf c2 [a c b.2] primary
        d conf c3 [a.2 d b] primary
        """, Electorate);

    /// <summary>c1 ended on the way to c2, as all that are in both died; that says nothing of c3, which is beside c2.</summary>
    [Fact]
    public void An_excuse_of_one_primary_is_none_of_another() => Finds("primary", "could be active at once", """
        a,b,c conf c1 [a b c] primary
        b fail
        d,x conf c2 [b d x] primary
        d view /g 1 v1 [d] +d
        d send m1 fifo /g
        d deliver m1
        c trans c3 [c]
        c conf c3 [c a] primary
        c view /h 1 w1 [c] +c
        c send m2 fifo /h
        c deliver m2
        """);

    /// <summary>A member that is stopped in one primary went on to none; one that is active beside it is another thing.</summary>
    [Fact]
    public void Who_was_stopped_agreed_to_the_other_and_who_was_not_stopped_did_not() => Finds("primary", "could be active at once", """
        a,b,c conf c1 [a b c] primary
        b block
        d conf c2 [b c d] primary
        d view /g 1 v1 [d] +d
        d send m1 fifo /g
        d deliver m1
        """);

    [Fact]
    public void A_primary_below_the_minimum_that_was_left_at_once() => Finds("primary", "of the electorate's weight", """
        a,b,c conf c1 [a b c] primary
        c trans c2 [c]
        c conf c2 [c] primary
        c block
        """, Electorate);
}
