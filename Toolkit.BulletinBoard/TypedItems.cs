// Items that are objects: the type's name and the object as its board's serializer writes it, two fields. Predicates run here, on the local copy alone.
using System.Buffers;

namespace Toolkit.BulletinBoard;

/// <summary>Objects on a board.</summary>
public static class TypedItems
{
    /// <summary>Posts an object. Its type's full name is the item's first field.</summary>
    public static ValueTask<OperationId> PostAsync<T>(this Board board, T value, TimeSpan lifetime = default, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(board);
        var written = new ArrayBufferWriter<byte>();
        board.Serializer.Serialize(value, written);
        return board.PostAsync([TypeName<T>.Value, written.WrittenSpan.ToArray()], lifetime, ct);
    }

    /// <summary>All objects of the type that fit, in the order in which they came.</summary>
    public static IReadOnlyList<T> List<T>(this Board board, Func<T, bool>? predicate = null)
    {
        ArgumentNullException.ThrowIfNull(board);
        return [.. board.List(TypeName<T>.Template).Select(item => Value<T>(board, item)).Where(v => predicate is null || predicate(v))];
    }

    /// <summary>Waits for an object that fits; it stays.</summary>
    /// <param name="board">The board.</param>
    /// <param name="predicate">Whether an object fits; called on this node alone, perhaps several times for one.</param>
    /// <param name="ct">Ends the wait.</param>
    public static async ValueTask<T> ReadAsync<T>(this Board board, Func<T, bool>? predicate = null, CancellationToken ct = default) =>
        Value<T>(board, await FindAsync(board, predicate, static (_, item, _) => ValueTask.FromResult<BoardItem?>(item), ct).ConfigureAwait(false));

    /// <summary>Waits for an object that fits, and takes it. Nobody else gets it.</summary>
    /// <param name="board">The board.</param>
    /// <param name="predicate">Whether an object fits; called on this node alone, perhaps several times for one.</param>
    /// <param name="ct">Ends the wait; nothing is taken then.</param>
    public static async ValueTask<T> TakeAsync<T>(this Board board, Func<T, bool>? predicate = null, CancellationToken ct = default) =>
        Value<T>(board, await FindAsync(board, predicate, static (board, item, ct) => board.TryTakeAsync(item.Id, ct), ct).ConfigureAwait(false));

    private static async ValueTask<BoardItem> FindAsync<T>(Board board, Func<T, bool>? predicate, Func<Board, BoardItem, CancellationToken, ValueTask<BoardItem?>> get, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(board);
        while (true)
        {
            Task appeared = board.WhenAppeared(); // before the look: nothing that comes in between is missed
            foreach (BoardItem item in board.List(TypeName<T>.Template))
            {
                if ((predicate is null || predicate(Value<T>(board, item))) && await get(board, item, ct).ConfigureAwait(false) is { } found)
                    return found;
            }

            await appeared.WaitAsync(ct).ConfigureAwait(false);
        }
    }

    private static T Value<T>(Board board, BoardItem item) => board.Serializer.Deserialize<T>(item[1].Bytes);

    private static class TypeName<T>
    {
        public static readonly string Value = typeof(T).FullName ?? typeof(T).Name;
        public static readonly Template Template = new(Value, Match.Any);
    }
}
