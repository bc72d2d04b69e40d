// The experts and what they tell each other on a causal board. Positions are numbered; every item names the position that it is about.
//   ("position", n, squares, move)           the display, or the parent for the first one
//   ("move", n, move)  ("moves", n, count)   the generator
//   ("score", n, move, worth, by)  ("best", n, move, by)   an evaluator
// Keeps: nobody waits for an order: who reads an item has read all that its poster had read (causal consistency). Each expert checks that.
// Follows: "Exploiting virtual synchrony", 4.3: a display expert, a move generator and a move evaluator around a causally consistent board.
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;
using Toolkit.BulletinBoard;

namespace Chess;

/// <summary>What the experts have in common.</summary>
/// <param name="node">The node.</param>
/// <param name="parent">Told of what they do.</param>
internal abstract class Expert(GroupNode node, ParentLink parent)
{
    public const string BoardPath = "/chess";

    private int _unseen;

    /// <summary>How often an item referred to one that was not on this node's copy. Must stay 0.</summary>
    protected int Unseen => _unseen;

    protected GroupNode Node => node;

    protected ParentLink Parent => parent;

    /// <summary>Works until the token fires.</summary>
    public async Task RunAsync(CancellationToken ended)
    {
        await using Board board = await node.OpenBoardAsync(BoardPath, BoardConsistency.Causal, ended);
        parent.Report(new JsonObject { ["ev"] = "ready" });
        await WorkAsync(board, ended);
    }

    protected abstract Task WorkAsync(Board board, CancellationToken ended);

    protected static async Task<Position> PositionAsync(Board board, long number, CancellationToken ended) =>
        Position.Parse((await board.ReadAsync(new Template("position", number, Match.Any, Match.Any), ct: ended))[2].Text);

    protected void Check(bool isSeen)
    {
        if (!isSeen)
            _unseen++;
    }
}

/// <summary>Posts the legal moves of each position.</summary>
internal sealed class Generator(GroupNode node, ParentLink parent) : Expert(node, parent)
{
    protected override async Task WorkAsync(Board board, CancellationToken ended)
    {
        for (long number = 0; ; number++)
        {
            List<Move> moves = (await PositionAsync(board, number, ended)).Moves();
            foreach (Move move in moves)
                await board.PostAsync(["move", number, move.ToString()], ct: ended);
            await board.PostAsync(["moves", number, moves.Count], ct: ended);
        }
    }
}

/// <summary>Posts what each move is worth, and which is the best. Several do the same: the first is heard.</summary>
internal sealed class Evaluator(GroupNode node, ParentLink parent) : Expert(node, parent)
{
    protected override async Task WorkAsync(Board board, CancellationToken ended)
    {
        for (long number = 0; ; number++)
        {
            BoardItem all = await board.ReadAsync(new Template("moves", number, Match.Any), ct: ended);
            BoardItem? asked = board.TryRead(new Template("position", number, Match.Any, Match.Any));
            IReadOnlyList<BoardItem> moves = board.List(new Template("move", number, Match.Any));
            Check(asked is not null && moves.Count == all[2].Whole); // the generator had read the one and posted the others
            if (asked is null || moves.Count == 0)
                continue;
            await EvaluateAsync(board, number, Position.Parse(asked[2].Text), [.. moves.Select(m => m[2].Text)], ended);
            Parent.Report(new JsonObject { ["ev"] = "evaluated", ["number"] = number, ["unseen"] = Unseen });
        }
    }

    private async Task EvaluateAsync(Board board, long number, Position position, string[] moves, CancellationToken ended)
    {
        (string Move, int Worth)? best = null;
        foreach (Move move in position.Moves().Where(m => moves.Contains(m.ToString())))
        {
            Position after = position.After(move);
            int sign = position.IsWhite ? 1 : -1;
            int worth = after.Moves().Select(reply => sign * after.After(reply).Worth()).DefaultIfEmpty(Mate).Min(); // the best reply is the worst for us
            await board.PostAsync(["score", number, move.ToString(), worth, Node.Name], ct: ended);
            if (best is null || worth > best.Value.Worth)
                best = (move.ToString(), worth);
        }

        await board.PostAsync(["best", number, best!.Value.Move, Node.Name], ct: ended);
    }

    private const int Mate = 100_000;
}

/// <summary>Makes the best move, tells the parent, and posts the position that follows.</summary>
/// <param name="plies">After so many moves the game ends.</param>
internal sealed class Display(GroupNode node, ParentLink parent, int plies) : Expert(node, parent)
{
    protected override async Task WorkAsync(Board board, CancellationToken ended)
    {
        await Parent.Said.ReadAsync(ended); // all are there
        await board.PostAsync(["position", 0, Position.Start.ToString(), ""], ct: ended);
        var position = Position.Start;
        for (long number = 0; number < plies; number++)
        {
            if (await MoveAsync(board, number, position, ended) is not { } move)
                break;
            position = position.After(move);
            await board.PostAsync(["position", number + 1, position.ToString(), move.ToString()], ct: ended);
            Report("moved", move.ToString(), position);
        }

        Report("over", "", position);
        await Task.Delay(Timeout.Infinite, ended);
    }

    // Null: there is none, the game is over.
    private async Task<Move?> MoveAsync(Board board, long number, Position position, CancellationToken ended)
    {
        BoardItem all = await board.ReadAsync(new Template("moves", number, Match.Any), ct: ended);
        if (all[2].Whole == 0)
            return null;
        BoardItem best = await board.ReadAsync(new Template("best", number, Match.Any, Match.Any), ct: ended);
        int scores = board.List(new Template("score", number, Match.Any, Match.Any, best[3].Text)).Count;
        Check(scores == all[2].Whole); // whoever posted the best had posted these
        return position.Moves().Single(m => m.ToString() == best[2].Text);
    }

    private void Report(string what, string move, Position position) => Parent.Report(
        new JsonObject { ["ev"] = what, ["move"] = move, ["position"] = position.ToString(), ["unseen"] = Unseen });
}
