namespace Core.Groups.Testing.Replicas;

/// <summary>Something is wrong in a simulated cluster of replicas; the message says what, and shows the end of the log.</summary>
/// <param name="run">What happened so far.</param>
public sealed class ReplicaViolationException(ReplicaRun run) : Exception(run.ToString())
{
    /// <summary>What happened so far.</summary>
    public ReplicaRun Run { get; } = run;
}
