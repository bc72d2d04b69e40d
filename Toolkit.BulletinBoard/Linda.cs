// The names of Linda for the operations of a board ("Exploiting virtual synchrony", section 4.3: best on a total board).
namespace Toolkit.BulletinBoard;

/// <summary>Linda's operations: <c>out in rd inp rdp</c>.</summary>
public static class Linda
{
    /// <summary>Posts a tuple.</summary>
    public static ValueTask<OperationId> OutAsync(this Board board, params Field[] tuple) => NotNull(board).PostAsync(tuple);

    /// <summary>Waits for a tuple that matches, and takes it.</summary>
    public static ValueTask<BoardItem> InAsync(this Board board, Template template, CancellationToken ct = default) => NotNull(board).TakeAsync(template, ct: ct);

    /// <summary>Waits for a tuple that matches; it stays.</summary>
    public static ValueTask<BoardItem> RdAsync(this Board board, Template template, CancellationToken ct = default) => NotNull(board).ReadAsync(template, ct: ct);

    /// <summary>Takes a tuple that matches, if there is one.</summary>
    public static ValueTask<BoardItem?> InpAsync(this Board board, Template template, CancellationToken ct = default) => NotNull(board).TryTakeAsync(template, ct);

    /// <summary>A tuple that matches, if there is one; it stays.</summary>
    public static BoardItem? Rdp(this Board board, Template template) => NotNull(board).TryRead(template);

    private static Board NotNull(Board board) => board ?? throw new ArgumentNullException(nameof(board));
}
