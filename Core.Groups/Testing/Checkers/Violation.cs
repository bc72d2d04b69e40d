using System.Collections.Immutable;
using Core.Groups.Tracing;

namespace Core.Groups.Testing.Checkers;

/// <summary>A promise that a history shows broken.</summary>
/// <param name="Checker">The checker that found it.</param>
/// <param name="Message">What is wrong, as an English sentence.</param>
/// <param name="Events">The trace lines that show it.</param>
public sealed record Violation(string Checker, string Message, ImmutableArray<TraceEvent> Events)
{
    /// <summary>The checker and the sentence.</summary>
    public override string ToString() => $"{Checker}: {Message}";
}

/// <summary>Judges one property of a history, from the traces alone.</summary>
public interface IChecker
{
    /// <summary>The name of the property.</summary>
    string Name { get; }

    /// <summary>The violations in the history; lazily, so that a caller can stop at the first.</summary>
    IEnumerable<Violation> Check(History history);
}
