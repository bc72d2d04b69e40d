using Core.Groups.Replication;

namespace Toolkit.CoordinatorCohort.Replication;

/// <summary>What a member is to execute.</summary>
internal readonly record struct Assignment(long Number, Execution Execution, int Part, int Parts, int Attempt, ExecutionId Id, ReadOnlyMemory<byte> Request);

/// <summary>What the replica tells its face. Called between deliveries, one call at a time.</summary>
internal interface ICohortEffects
{
    /// <summary>Execute this, and tell <see cref="CohortReplica.Finish"/>.</summary>
    void Execute(in Assignment assignment);

    /// <summary>What comes of an execution is not needed any more, or was cancelled.</summary>
    void Stop(long number, int part, int attempt);

    /// <summary>A request is answered, at this member as at all: it may update its copy.</summary>
    void Applied(ExecutionRecord record);

    /// <summary>A call has ended.</summary>
    void Completed(ExecutionId call, CohortReply reply);

    /// <summary>The execution that a call waits for has told how far it is.</summary>
    void Progressed(ExecutionId call, ReadOnlyMemory<byte> progress);

    /// <summary>The membership ended before a call did: the request may be executed by the others.</summary>
    void Ended(ExecutionId call, MembershipEnd end);

    /// <summary>The application's state, with everything applied so far.</summary>
    ReadOnlyMemory<byte> SaveState();

    /// <summary>Replaces the application's state. Null: it begins.</summary>
    void LoadState(ReadOnlyMemory<byte>? state);
}
