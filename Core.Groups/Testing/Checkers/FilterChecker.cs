// Exclusion and the filter (EVS section 5; invariant 7): an excluded incarnation does nothing more; in primary mode a
// blocked node shows its application nothing, sends nothing, and stays in the configuration that it had.
using Core.Groups.Tracing;

namespace Core.Groups.Testing.Checkers;

/// <summary>Nothing happens at a node that is excluded, failed or blocked.</summary>
internal sealed class FilterChecker(CheckOptions options) : IChecker
{
    public string Name => "filter";

    public IEnumerable<Violation> Check(History history) => history.Traces.SelectMany(Check);

    private IEnumerable<Violation> Check(NodeTrace trace)
    {
        TraceEvent? end = null, block = null;
        foreach (TraceEvent line in trace.Events)
        {
            string word = TraceNames.Of(line.Kind);
            if (end is not null)
            {
                yield return this.Found($"{trace} wrote \"{word}\" after \"{TraceNames.Of(end.Kind)}\": that incarnation was over.", end, line);
                break;
            }
            if (line.Kind is TraceKind.Exclude or TraceKind.Fail)
                end = line;
            if (!options.IsPrimaryMode)
                continue;
            if (block is not null && line.Kind is (TraceKind.Deliver or TraceKind.Send or TraceKind.View or TraceKind.State))
                yield return this.Found($"{trace} wrote \"{word}\" while it was blocked.", block, line);
            else if (line.Kind == TraceKind.Unblock && block is null)
                yield return this.Found($"{trace} was unblocked without being blocked.", line);
            else if (line is { Kind: TraceKind.Configuration, IsTransitional: false, IsPrimary: false })
                yield return this.Found($"{trace} installed {line.ConfigurationId}, which is not primary, in primary mode.", line);
            block = line.Kind switch { TraceKind.Block => line, TraceKind.Unblock => null, _ => block };
        }
    }
}
