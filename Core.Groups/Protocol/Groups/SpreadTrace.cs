// How a message to more than one group stands in the trace: all its groups, its label, the single processes beside them.
using System.Collections.Immutable;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Tracing;

namespace Core.Groups.Protocol.Groups;

internal static class SpreadTrace
{
    /// <summary>The line with the destination of the message, if that is more than one group or has a label; else as it is.</summary>
    public static TraceEvent To(this TraceEvent line, Destination destination, Func<MemberSet, ImmutableArray<string>> namesOf)
    {
        if (destination.Spread is not { } spread) return line;
        string[] groups = [.. spread.Parts.Select(p => p.Name)];
        MemberSet single = MemberSet.Empty;
        foreach (int rank in destination.Members)
        {
            if (!Array.Exists(spread.Parts, p => p.Via.Contains(rank))) single = single.With(rank);
        }
        return line with
        {
            Group = groups.Length == 1 ? groups[0] : null,
            Groups = groups.Length > 1 ? [.. groups] : [],
            To = namesOf(single),
            Label = spread.Label,
        };
    }
}
