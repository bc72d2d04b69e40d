namespace Core.Groups;

/// <summary>One member's answer, in bytes.</summary>
/// <param name="From">Who answered.</param>
/// <param name="Body">The answer; for an error its message in UTF-8.</param>
/// <param name="IsError">Whether the member's handler threw, or it had none.</param>
public readonly record struct GroupReply(NodeId From, ReadOnlyMemory<byte> Body, bool IsError)
{
    /// <summary>The member to which the request went, if that one passed it on to another (<see cref="GroupMessage.PassOn"/>); else null.</summary>
    public NodeId? InPlaceOf { get; init; }
}

/// <summary>One member's answer as an object.</summary>
/// <typeparam name="T">The type of the answers.</typeparam>
/// <param name="From">Who answered.</param>
/// <param name="Value">The answer; default if there was an error.</param>
/// <param name="Error">Null, or what the member's handler threw, or why the answer could not be read.</param>
public readonly record struct GroupReply<T>(NodeId From, T? Value, string? Error)
{
    /// <summary>Whether there is an error in place of the answer.</summary>
    public bool IsError => Error is not null;

    /// <summary>The member to which the request went, if that one passed it on to another (<see cref="GroupMessage.PassOn"/>); else null.</summary>
    public NodeId? InPlaceOf { get; init; }
}

/// <summary>What a request came back with.</summary>
/// <param name="Answers">The answers, in the order in which they came.</param>
/// <param name="Failed">The members that failed or left without an answer.</param>
public sealed record GroupReplies(IReadOnlyList<GroupReply> Answers, IReadOnlyList<NodeId> Failed);

/// <summary>What a request came back with, as objects.</summary>
/// <typeparam name="T">The type of the answers.</typeparam>
/// <param name="Answers">The answers, in the order in which they came.</param>
/// <param name="Failed">The members that failed or left without an answer.</param>
public sealed record GroupReplies<T>(IReadOnlyList<GroupReply<T>> Answers, IReadOnlyList<NodeId> Failed);
