using Core.Groups.Tracing;

namespace Core.Groups.Testing.Checkers;

/// <summary>What the checkers share.</summary>
internal static class CheckerExtensions
{
    /// <summary>A violation of this checker's property.</summary>
    internal static Violation Found(this IChecker checker, string message, params ReadOnlySpan<TraceEvent?> lines)
    {
        var events = new List<TraceEvent>(lines.Length);
        foreach (TraceEvent? line in lines)
        {
            if (line is not null)
                events.Add(line);
        }
        return new Violation(checker.Name, message, [.. events]);
    }

    /// <summary><c>[a.1 b.1]</c>.</summary>
    internal static string Text(this IEnumerable<NodeId> nodes) => "[" + string.Join(' ', nodes) + "]";

    /// <summary><c>[a b]</c>.</summary>
    internal static string Text(this IEnumerable<string> names) => "[" + string.Join(' ', names) + "]";

    /// <summary>
    /// Whether a node had to do what was due in a configuration: it went on to a next regular one, or it lives, in quiet
    /// and unblocked, at the end of the run. Otherwise it failed there (EVS: fail(c)).
    /// </summary>
    internal static bool WentOnFrom(this NodeTrace trace, Period period, CheckOptions options) =>
        period.NextRegular is not null
        || (options.Survivors?.Contains(trace.Node) == true && !trace.EndsBlocked && !options.Incomplete.Contains(trace.Node.Name));
}
