// What every incarnation saw in a written scenario, in its own order: the expected half of a scenario file.
// Leaves out times, epochs and numbers of messages: what may change without a change of what is promised.
using System.Text;
using Core.Groups.Tracing;

namespace Core.Groups.Testing.Simulation;

/// <summary>Renders a history for a scenario file.</summary>
internal static class ScriptSummary
{
    public static string Of(SimulatedCluster cluster, IReadOnlyDictionary<ulong, string> labels)
    {
        Dictionary<string, string> names = cluster.DeliveredMessages
            .ToDictionary(pair => pair.Key.ToString(), pair => labels.GetValueOrDefault(pair.Value.Marker, "?"));
        StringBuilder text = new();
        foreach (var node in cluster.History.GroupBy(line => line.Node).OrderBy(node => node.Key))
        {
            text.Append(node.Key).Append('\n');
            TraceEvent? last = null;
            foreach (TraceEvent line in node.Where(IsShown))
            {
                bool goesOn = last is { Kind: TraceKind.Deliver } && line.Kind == TraceKind.Deliver && last.Group == line.Group;
                if (last is not null && !goesOn) text.Append('\n');
                text.Append(goesOn ? ' ' + Name(line, names) : "  " + Text(line, names));
                last = line;
            }
            if (last is not null) text.Append('\n');
        }
        foreach (string violation in cluster.Violations) text.Append("VIOLATION ").Append(violation).Append('\n');
        return text.ToString();
    }

    private static bool IsShown(TraceEvent line) => line.Kind is not (TraceKind.Send or TraceKind.Call);

    private static string Text(TraceEvent line, Dictionary<string, string> names) => line.Kind switch
    {
        TraceKind.Configuration =>
            $"{(line.IsTransitional ? "transitional" : "regular")} [{Members(line)}]{(line.IsPrimary ? " primary" : "")}",
        TraceKind.View => $"view {line.ViewNumber} of {line.Group} [{Members(line)}]",
        TraceKind.Deliver => $"deliver{(line.Group is null ? "" : " in " + line.Group)}: {Name(line, names)}",
        _ => TraceText.Describe(line),
    };

    /// <summary>Replies have no label; what a caller sent again is delivered in the trace alone.</summary>
    private static string Name(TraceEvent line, Dictionary<string, string> names) =>
        names.GetValueOrDefault(line.Message!, line.Group is null ? "(reply)" : "(again)");

    private static string Members(TraceEvent line) => string.Join(' ', line.Members);
}
