using System.Collections.Immutable;
using System.Globalization;
using Core.Groups;

namespace Toolkit.BulletinBoard;

/// <summary>Names one operation on a board, and the item that it posted, for ever.</summary>
/// <param name="Node">Who asked for it.</param>
/// <param name="Sequence">Its number among the operations of that node on the board.</param>
public readonly record struct OperationId(NodeId Node, long Sequence)
{
    /// <summary><c>node.incarnation/sequence</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Node}/{Sequence}");
}

/// <summary>An item on a board. Immutable: an update puts a new one in its place, with the same id.</summary>
/// <param name="Id">The operation that posted it.</param>
/// <param name="Fields">Its fields.</param>
/// <param name="Lifetime">How long it stays at most, from when the board's oldest member saw it; zero: as long as nobody takes it.</param>
public sealed record BoardItem(OperationId Id, ImmutableArray<Field> Fields, TimeSpan Lifetime)
{
    /// <summary>The most fields an item may have.</summary>
    public const int MaximumFields = 64;

    /// <summary>A field, from 0.</summary>
    public Field this[int index] => Fields[index];

    /// <summary><c>(field, field, …)</c>.</summary>
    public override string ToString() => $"({string.Join(", ", Fields)})";
}

/// <summary>What the operations on a board agree on. Chosen at its first use.</summary>
public enum BoardConsistency : byte
{
    /// <summary>One order of all operations at all members. The default.</summary>
    Total = 0,

    /// <summary>
    /// Whoever sees an item has seen all that its poster had seen; items posted at the same time come in any order. Posting waits for
    /// nobody. Takes and updates are agreed on all the same: an item is taken once.
    /// </summary>
    Causal = 1,
}
