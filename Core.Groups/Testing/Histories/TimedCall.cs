namespace Core.Groups.Testing.Histories;

/// <summary>A call on an object as its client saw it.</summary>
/// <param name="Client">Who called; for messages.</param>
/// <param name="Start">When it was called. Any unit, the same for all calls of a history.</param>
/// <param name="End">When it was answered; <see cref="NeverAnswered"/>: it may have had its effect at any time after its start, or never.</param>
/// <param name="Call">What was called and, if there was an answer, what was answered.</param>
internal readonly record struct TimedCall<TCall>(string Client, long Start, long End, TCall Call)
{
    public const long NeverAnswered = long.MaxValue;

    public bool IsAnswered => End != NeverAnswered;
}

/// <summary>What an object does when it is called one call at a time.</summary>
/// <typeparam name="TState">Its state: immutable, compared by value.</typeparam>
/// <typeparam name="TCall">A call with its answer.</typeparam>
internal interface ISequentialModel<TState, TCall>
{
    /// <summary>The state at the beginning.</summary>
    TState Initial { get; }

    /// <summary>Whether the call can have this answer in this state, and the state after it.</summary>
    /// <param name="answered">False: there was no answer, so any will do.</param>
    bool TryStep(TState state, TCall call, bool answered, out TState next);
}
