// What every member knows of one request: who executes which part of it, and what has come of that.
using System.Collections.Immutable;
using Core.Groups;

namespace Toolkit.CoordinatorCohort.Replication;

/// <summary>What one member made of a request, or of its part of it.</summary>
internal sealed record Answer(int Part, NodeId By, int Attempt, AnswerKind Kind, ReadOnlyMemory<byte> Body);

/// <summary>What a caller gets. Empty: the request was executed once, and its result is no longer remembered.</summary>
internal readonly record struct CohortReply(ImmutableArray<Answer> Answers);

/// <summary>One part of an execution.</summary>
internal sealed class ExecutionPart(NodeId executor)
{
    public NodeId Executor { get; set; } = executor;
    public int Attempt { get; set; } = 1;
    public Answer? Answer { get; set; }
    public ReadOnlyMemory<byte> Progress { get; set; }

    /// <summary>Redundant: its member failed, and the others' answers do.</summary>
    public bool IsLost { get; set; }

    public bool IsOpen => Answer is null && !IsLost;
}

/// <summary>One request.</summary>
/// <param name="number">Its place among all requests of the group, from 1.</param>
internal sealed class ExecutionRecord(long number, ExecutionId id, Execution execution, Collation collation, ReadOnlyMemory<byte> request, ExecutionPart[] parts)
{
    public long Number => number;
    public ExecutionId Id => id;
    public Execution Execution => execution;
    public Collation Collation => collation;
    public ReadOnlyMemory<byte> Request { get; set; } = request;
    public ExecutionPart[] Parts => parts;
    public bool IsCancelled { get; set; }
    public bool IsComplete { get; set; }

    // Of this member alone: which callers outside wait for its answer, and when it was finished by this member's clock.
    public List<long> Tokens { get; } = [];
    public TimeSpan FinishedAt { get; set; }

    /// <summary>Whether what is there ends it.</summary>
    public bool HasEnough()
    {
        int open = parts.Count(p => p.IsOpen), answers = parts.Count(p => p.Answer is not null);
        if (open == 0)
            return true;
        return execution == Execution.Redundant && collation switch
        {
            Collation.First => parts.Any(p => p.Answer?.Kind == AnswerKind.Result),
            Collation.Majority => answers > parts.Length / 2,
            _ => false,
        };
    }

    public CohortReply ToReply() => new([.. parts.Select(p => p.Answer).OfType<Answer>()]);
}
