// Whether the experts played a game: the parent makes the moves again by the rules.
using Samples.Shared;

namespace Chess;

/// <summary>The judgement.</summary>
/// <param name="Moves">The moves that the display made.</param>
/// <param name="Final">The position that it showed at last; null: the game did not end.</param>
/// <param name="Plies">How many moves the game was to have at most.</param>
/// <param name="Unseen">How often an expert read an item without having what it refers to.</param>
internal sealed record Verdict(IReadOnlyList<string> Moves, string? Final, int Plies, int Unseen) : IVerdict
{
    /// <summary>The first move that is not legal; null: all are.</summary>
    public string? Illegal { get; } = Replay(Moves, out _);

    /// <summary>All moves are legal and lead to the position shown, the game has its end, and nothing was read before what it refers to.</summary>
    public bool IsGood => Illegal is null && Unseen == 0 && Final == End.ToString() && (Moves.Count == Plies || End.Moves().Count == 0);

    private Position End
    {
        get
        {
            Replay(Moves, out Position end);
            return end;
        }
    }

    public IEnumerable<string> Lines()
    {
        yield return string.Join(' ', Moves);
        yield return $"moves {Moves.Count}, illegal {Illegal ?? "none"}, read before what they refer to {Unseen}";
        yield return $"verdict: {(IsGood ? "a game was played, and everybody saw causes before effects" : "THE GAME IS BROKEN")}";
    }

    private static string? Replay(IReadOnlyList<string> moves, out Position position)
    {
        position = Position.Start;
        foreach (string text in moves)
        {
            Move[] found = [.. position.Moves().Where(m => m.ToString() == text)];
            if (found.Length == 0)
                return text;
            position = position.After(found[0]);
        }

        return null;
    }
}
