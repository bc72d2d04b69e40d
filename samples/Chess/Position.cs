// The rules of the game, as far as this sample needs them: all moves but castling and en passant; a pawn becomes a queen.
using System.Text;

namespace Chess;

/// <summary>A move: from square to square, 0 to 63, a1 first.</summary>
internal readonly record struct Move(int From, int To)
{
    /// <summary>As in <c>e2e4</c>.</summary>
    public override string ToString() => $"{NameOf(From)}{NameOf(To)}";

    private static string NameOf(int square) => $"{(char)('a' + (square % 8))}{(char)('1' + (square / 8))}";
}

/// <summary>The pieces, and whose turn it is. Immutable. Its text: 64 letters from a1 to h8 (capitals: white), then w or b.</summary>
internal sealed class Position
{
    private const char Empty = '.';

    private static readonly (int File, int Rank)[] Straight = [(1, 0), (-1, 0), (0, 1), (0, -1)];
    private static readonly (int File, int Rank)[] Diagonal = [(1, 1), (1, -1), (-1, 1), (-1, -1)];
    private static readonly (int File, int Rank)[] All = [.. Straight, .. Diagonal];
    private static readonly (int File, int Rank)[] Jumps = [(1, 2), (2, 1), (-1, 2), (-2, 1), (1, -2), (2, -1), (-1, -2), (-2, -1)];

    private readonly string _squares;

    private Position(string squares, bool isWhite) => (_squares, IsWhite) = (squares, isWhite);

    /// <summary>Where a game begins.</summary>
    public static Position Start { get; } = new("RNBQKBNR" + "PPPPPPPP" + new string(Empty, 32) + "pppppppp" + "rnbqkbnr", isWhite: true);

    /// <summary>Whether it is white's turn.</summary>
    public bool IsWhite { get; }

    /// <exception cref="FormatException">That is no position.</exception>
    public static Position Parse(string text) => text.Length == 65 && text[64] is 'w' or 'b'
        ? new(text[..64], text[64] == 'w')
        : throw new FormatException($"'{text}' is no position: 64 squares and w or b.");

    public override string ToString() => _squares + (IsWhite ? 'w' : 'b');

    /// <summary>All legal moves, in a fixed order; none: the game is over.</summary>
    public List<Move> Moves() => [.. Candidates().Where(move => !After(move).CanTakeKing())];

    /// <summary>The position after a move.</summary>
    public Position After(Move move)
    {
        char[] squares = _squares.ToCharArray();
        char piece = squares[move.From];
        bool becomesQueen = char.ToLowerInvariant(piece) == 'p' && move.To / 8 is 0 or 7;
        squares[move.To] = becomesQueen ? (IsWhite ? 'Q' : 'q') : piece;
        squares[move.From] = Empty;
        return new Position(new string(squares), !IsWhite);
    }

    /// <summary>What the position is worth to white, in hundredths of a pawn: pieces, and a little for those in the middle.</summary>
    public int Worth()
    {
        int worth = 0;
        for (int square = 0; square < 64; square++)
        {
            if (_squares[square] == Empty)
                continue;
            int middle = 6 - (int)(Math.Abs((square % 8) - 3.5) + Math.Abs((square / 8) - 3.5));
            int value = WorthOf(_squares[square]) + (char.ToLowerInvariant(_squares[square]) == 'k' ? 0 : middle * 3);
            worth += char.IsUpper(_squares[square]) ? value : -value;
        }

        return worth;
    }

    /// <summary>The board as people draw it.</summary>
    public string Draw()
    {
        var drawing = new StringBuilder();
        for (int rank = 7; rank >= 0; rank--)
            drawing.Append(rank + 1).Append("  ").AppendJoin(' ', _squares.Substring(rank * 8, 8).AsEnumerable()).AppendLine();
        return drawing.Append("   a b c d e f g h").ToString();
    }

    private static int WorthOf(char piece) => char.ToLowerInvariant(piece) switch { 'p' => 100, 'n' => 300, 'b' => 310, 'r' => 500, 'q' => 900, _ => 10_000 };

    private bool CanTakeKing() => Candidates().Any(move => char.ToLowerInvariant(_squares[move.To]) == 'k');

    // Moves of the pieces, whether or not they leave the own king to be taken.
    private IEnumerable<Move> Candidates()
    {
        for (int square = 0; square < 64; square++)
        {
            char piece = _squares[square];
            if (piece == Empty || char.IsUpper(piece) != IsWhite)
                continue;
            IEnumerable<int> targets = char.ToLowerInvariant(piece) switch
            {
                'p' => OfPawn(square),
                'n' => Along(square, Jumps, 1),
                'b' => Along(square, Diagonal, 7),
                'r' => Along(square, Straight, 7),
                'q' => Along(square, All, 7),
                _ => Along(square, All, 1),
            };
            foreach (int target in targets)
                yield return new Move(square, target);
        }
    }

    private IEnumerable<int> Along(int from, (int File, int Rank)[] directions, int steps)
    {
        foreach ((int file, int rank) in directions)
        {
            for (int step = 1; step <= steps && At(from, file * step, rank * step) is int target && !IsOwn(target); step++)
            {
                yield return target;
                if (_squares[target] != Empty)
                    break;
            }
        }
    }

    private IEnumerable<int> OfPawn(int from)
    {
        int forward = IsWhite ? 1 : -1;
        if (At(from, 0, forward) is int next && _squares[next] == Empty)
        {
            yield return next;
            if (from / 8 == (IsWhite ? 1 : 6) && At(from, 0, 2 * forward) is int second && _squares[second] == Empty)
                yield return second;
        }

        foreach (int side in (int[])[-1, 1])
        {
            if (At(from, side, forward) is int target && _squares[target] != Empty && !IsOwn(target))
                yield return target;
        }
    }

    private bool IsOwn(int square) => _squares[square] != Empty && char.IsUpper(_squares[square]) == IsWhite;

    private static int? At(int from, int files, int ranks)
    {
        (int file, int rank) = ((from % 8) + files, (from / 8) + ranks);
        return file is >= 0 and < 8 && rank is >= 0 and < 8 ? (rank * 8) + file : null;
    }
}
