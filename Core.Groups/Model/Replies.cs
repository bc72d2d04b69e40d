namespace Core.Groups;

/// <summary>How many replies a request waits for. A member that fails counts as answered (and is named as failed).</summary>
public readonly record struct Replies
{
    private Replies(ReplyKind kind, int number)
    {
        Kind = kind;
        Number = number;
    }

    internal enum ReplyKind : byte { None, First, Count, Majority, All }

    internal ReplyKind Kind { get; }

    /// <summary>The number given to <see cref="Count"/>; 0 for the other kinds.</summary>
    public int Number { get; }

    /// <summary>No reply: the request ends when it is accepted.</summary>
    public static Replies None => default;

    /// <summary>The first reply, whoever sends it.</summary>
    public static Replies First => new(ReplyKind.First, 0);

    /// <summary>Replies from more than half of the members of the view in which the request is delivered.</summary>
    public static Replies Majority => new(ReplyKind.Majority, 0);

    /// <summary>Replies from all members.</summary>
    public static Replies All => new(ReplyKind.All, 0);

    /// <summary>Replies from so many members, or from all if there are fewer.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="n"/> is less than 1.</exception>
    public static Replies Count(int n)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(n, 1);
        return new(ReplyKind.Count, n);
    }

    /// <summary>How many answers of other members would do in a view of so many members.</summary>
    internal int Needed(int members) => Kind switch
    {
        ReplyKind.None => 0,
        ReplyKind.First => 1,
        ReplyKind.Count => Math.Min(Number, members),
        ReplyKind.Majority => (members / 2) + 1,
        _ => members,
    };

    /// <summary>The kind's name, or the number.</summary>
    public override string ToString() => Kind == ReplyKind.Count ? Number.ToString() : Kind.ToString();
}
