// The chess sample: the rules, and the judgement of a game. That experts play one is seen by running the sample.
extern alias Chess;

using Chess::Chess;

namespace Core.Groups.Tests.Samples;

public sealed class ChessTests
{
    [Theory]
    [InlineData(1, 20)]
    [InlineData(2, 400)]
    [InlineData(3, 8902)]
    public void There_are_as_many_games_as_the_rules_allow(int plies, long games) => Assert.Equal(games, Games(Position.Start, plies));

    [Fact]
    public void A_mated_side_has_no_move_and_a_king_does_not_step_into_check()
    {
        Position mated = Play(Position.Start, "f2f3", "e7e5", "g2g4", "d8h4"); // fool's mate
        Assert.Empty(mated.Moves());
        Position open = Play(Position.Start, "e2e4", "e7e5", "d2d4", "f8b4"); // check by the bishop
        Assert.All(open.Moves(), m => Assert.DoesNotContain(open.After(m).Moves(), reply => open.After(m).After(reply).Worth() < -5000));
        Assert.Equal(["b1c3", "b1d2", "c1d2", "c2c3", "d1d2", "e1e2"], open.Moves().Select(m => m.ToString()).Order());
    }

    [Fact]
    public void A_pawn_becomes_a_queen_and_positions_survive_their_text()
    {
        Position almost = Position.Parse("....K..." + new string('.', 40) + "P......." + "....k..." + "w");
        Position after = Play(almost, "a7a8");
        Assert.Equal('Q', after.ToString()[56]);
        Assert.Equal(after.ToString(), Position.Parse(after.ToString()).ToString());
        Assert.Throws<FormatException>(() => Position.Parse("x"));
    }

    [Fact]
    public void A_verdict_wants_a_legal_game_to_its_end_and_causes_before_effects()
    {
        string[] moves = ["e2e4", "e7e5"];
        string final = Play(Position.Start, moves).ToString();
        Assert.True(new Verdict(moves, final, Plies: 2, Unseen: 0).IsGood);
        Assert.False(new Verdict(moves, final, Plies: 2, Unseen: 1).IsGood);
        Assert.False(new Verdict(moves, final, Plies: 3, Unseen: 0).IsGood); // it broke off
        Assert.False(new Verdict(moves, null, Plies: 2, Unseen: 0).IsGood);
        Assert.False(new Verdict(moves, Position.Start.ToString(), Plies: 2, Unseen: 0).IsGood);
        Assert.Equal("e4e6", new Verdict(["e2e4", "e7e5", "e4e6"], final, Plies: 3, Unseen: 0).Illegal);
    }

    private static long Games(Position position, int plies) => plies == 0 ? 1 : position.Moves().Sum(move => Games(position.After(move), plies - 1));

    private static Position Play(Position position, params string[] moves) =>
        moves.Aggregate(position, (now, text) => now.After(now.Moves().Single(m => m.ToString() == text)));
}
