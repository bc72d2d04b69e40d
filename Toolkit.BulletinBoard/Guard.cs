// When an operation runs: conditions on the board and on the failures of its members.
// Keeps: what a guard says depends on what was delivered alone; a node that failed counts as finished with all it ever began.
// Follows: "Exploiting virtual synchrony", section 4.3: operations "guarded by an expression describing events that must be
// completed before the operation is scheduled", with failures among the events.
using System.Collections.Immutable;
using Core.Groups;

namespace Toolkit.BulletinBoard;

internal enum GuardKind : byte { All = 0, Any = 1, Present = 2, Finished = 3, Failed = 4 }

/// <summary>A condition. Immutable.</summary>
public sealed class Guard
{
    internal const int MaximumDepth = 8;
    internal const int MaximumParts = 64;

    private Guard(GuardKind kind) => Kind = kind;

    internal GuardKind Kind { get; }
    internal ImmutableArray<Guard> Parts { get; private init; } = [];
    internal Template? Template { get; private init; }
    internal int Count { get; private init; }
    internal OperationId Operation { get; private init; }
    internal NodeId Node { get; private init; }

    /// <summary>So many items that match are on the board at once.</summary>
    public static Guard Present(Template template, int count = 1)
    {
        ArgumentNullException.ThrowIfNull(template);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        return new(GuardKind.Present) { Template = template, Count = count };
    }

    /// <summary>An operation has run: the post is on the board (or was), the take has its item, the guarded one was carried out; or its node is gone.</summary>
    public static Guard Finished(OperationId operation) => new(GuardKind.Finished) { Operation = operation };

    /// <summary>A node is no member of the board: it failed, was excluded, or left. True at once of one that never was.</summary>
    public static Guard Failed(NodeId node) => new(GuardKind.Failed) { Node = node };

    /// <summary>All of these.</summary>
    public static Guard All(params Guard[] guards) => Combine(GuardKind.All, guards);

    /// <summary>One of these.</summary>
    public static Guard Any(params Guard[] guards) => Combine(GuardKind.Any, guards);

    internal int Depth => 1 + (Parts.IsEmpty ? 0 : Parts.Max(p => p.Depth));

    private static Guard Combine(GuardKind kind, Guard[] guards)
    {
        ArgumentNullException.ThrowIfNull(guards);
        var made = new Guard(kind) { Parts = [.. guards] };
        return guards.Length is > 0 and <= MaximumParts && made.Depth <= MaximumDepth
            ? made
            : throw new ArgumentException($"A guard combines 1 to {MaximumParts} conditions, {MaximumDepth} deep at most.", nameof(guards));
    }
}
