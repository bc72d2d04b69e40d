// A run as text: time goes down, one column per node (a space-time diagram, as in the papers).
// Keeps: a delivery stands below its send, and each node's lines stand in its own order; ties go by the nodes' own times.
using System.Globalization;
using System.Text;
using Core.Groups.Tracing;

namespace Core.Groups.Testing.Checkers;

/// <summary>Renders histories for failure reports.</summary>
public static class SpaceTime
{
    private const int WidestColumn = 44;

    /// <summary>The last events of a history, one a line, in columns by node. Lines that matter are marked with <c>&gt;</c>.</summary>
    /// <param name="history">The run.</param>
    /// <param name="last">How many events, at most.</param>
    /// <param name="marked">The events to mark, such as a violation's.</param>
    public static string Render(History history, int last = 60, IEnumerable<TraceEvent>? marked = null)
    {
        ArgumentNullException.ThrowIfNull(history);
        HashSet<TraceEvent> marks = new(marked ?? [], ReferenceEqualityComparer.Instance);
        List<(NodeTrace Trace, TraceEvent Line)> order = Order(history);
        List<(NodeTrace Trace, TraceEvent Line)> shown = order.GetRange(Math.Max(0, order.Count - last), Math.Min(last, order.Count));
        List<NodeTrace> columns = [.. shown.Select(item => item.Trace).Distinct().OrderBy(trace => trace.Index)];
        int[] widths = [.. columns.Select(trace => Math.Min(WidestColumn, shown.Where(item => item.Trace == trace)
            .Select(item => Text(item.Line).Length).Append(trace.ToString().Length).Max()))];
        var text = new StringBuilder();
        AppendRow(text, ' ', "", widths, [.. columns.Select(trace => trace.ToString())]);
        foreach ((NodeTrace trace, TraceEvent line) in shown)
        {
            var cells = new string[columns.Count];
            Array.Fill(cells, "");
            cells[columns.IndexOf(trace)] = Text(line);
            string time = line.Time.TotalMilliseconds.ToString("F1", CultureInfo.InvariantCulture);
            AppendRow(text, marks.Contains(line) ? '>' : ' ', time, widths, cells);
        }
        return text.ToString();
    }

    /// <summary>All events: by time where possible, but no delivery before its send.</summary>
    private static List<(NodeTrace Trace, TraceEvent Line)> Order(History history)
    {
        var order = new List<(NodeTrace Trace, TraceEvent Line)>(history.Count);
        var position = new int[history.Traces.Count];
        var ready = new PriorityQueue<NodeTrace, (TimeSpan, int)>();
        var waiting = new Dictionary<Message, List<NodeTrace>>();
        void Enqueue(NodeTrace trace) => ready.Enqueue(trace, (trace.Events[position[trace.Index]].Time, trace.Index));
        foreach (NodeTrace trace in history.Traces)
            Enqueue(trace);
        while (ready.TryDequeue(out NodeTrace? trace, out _))
        {
            TraceEvent line = trace.Events[position[trace.Index]];
            Message? message = line.Message is null ? null : history.MessagesById.GetValueOrDefault(line.Message);
            if (line.Kind == TraceKind.Deliver && message?.Sender is { } sender && position[sender.Index] <= message.SendIndex)
            {
                if (!waiting.TryGetValue(message, out List<NodeTrace>? waiters))
                    waiting.Add(message, waiters = []);
                waiters.Add(trace);
                continue;
            }
            order.Add((trace, line));
            if (++position[trace.Index] < trace.Events.Count)
                Enqueue(trace);
            if (line.Kind == TraceKind.Send && message is not null && waiting.Remove(message, out List<NodeTrace>? woken))
                woken.ForEach(Enqueue);
        }
        // What waits still is delivered before its send: no order is right, so these stand at the end.
        foreach (NodeTrace trace in history.Traces)
            order.AddRange(trace.Events.Skip(position[trace.Index]).Select(line => (trace, line)));
        return order;
    }

    private static string Text(TraceEvent line)
    {
        string where = line.Group ?? (line.Groups.IsEmpty ? line.To.IsEmpty ? "" : "to " + line.To.Text() : line.Groups.Text());
        return line.Kind switch
        {
            TraceKind.Configuration => $"{(line.IsTransitional ? "trans" : "conf")} {line.ConfigurationId} {line.Members.Text()}{(line.IsPrimary ? " primary" : "")}",
            TraceKind.View => $"view {where} {line.ViewNumber} {line.Members.Text()}",
            TraceKind.Send => $"send {line.Message} {TraceNames.Of(line.Order)} {where}{(line.Label is null ? "" : " label " + line.Label)}",
            TraceKind.Deliver => $"deliver {line.Message}",
            TraceKind.State => $"state {where} {line.ViewNumber}",
            TraceKind.Call => $"call {line.Call}",
            TraceKind.Leave => $"leave {where}",
            _ => TraceNames.Of(line.Kind),
        };
    }

    private static void AppendRow(StringBuilder text, char mark, string time, int[] widths, string[] cells)
    {
        const int TimeWidth = 9;
        IEnumerable<string> columns = cells.Select((cell, i) =>
            " | " + (cell.Length <= widths[i] ? cell : cell[..(widths[i] - 1)] + "…").PadRight(widths[i]));
        text.Append((mark + time.PadLeft(TimeWidth) + string.Concat(columns)).TrimEnd()).Append('\n');
    }
}
