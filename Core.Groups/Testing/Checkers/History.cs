// All nodes' traces together, indexed for the checkers. Keeps: what the traces say and nothing else; lines that
// contradict each other are kept for the checkers to judge, never dropped, and never make the indexing fail.
using Core.Groups.Tracing;

namespace Core.Groups.Testing.Checkers;

/// <summary>A run of a cluster, as the traces of its nodes tell it. Immutable once made.</summary>
public sealed class History
{
    private readonly Dictionary<NodeId, NodeTrace> byNode;

    internal History(
        List<NodeTrace> traces, List<Message> messages, Dictionary<string, Message> byId, List<TraceEvent> repeatedSends, List<GroupView> views)
    {
        Traces = traces;
        Messages = messages;
        MessagesById = byId;
        RepeatedSends = repeatedSends;
        Views = views;
        byNode = traces.ToDictionary(trace => trace.Node);
    }

    /// <summary>The node incarnations that left a trace, by name and incarnation.</summary>
    public IEnumerable<NodeId> Nodes => Traces.Select(trace => trace.Node);

    /// <summary>How many events there are.</summary>
    public int Count => Traces.Sum(trace => trace.Events.Count);

    /// <summary>The events of one node, in its own order; empty for a node without a trace.</summary>
    public IReadOnlyList<TraceEvent> EventsOf(NodeId node) => byNode.TryGetValue(node, out NodeTrace? trace) ? trace.Events : [];

    internal IReadOnlyList<NodeTrace> Traces { get; }

    /// <summary>All messages: by sender and in the sender's order, then those without a send.</summary>
    internal IReadOnlyList<Message> Messages { get; }

    internal IReadOnlyDictionary<string, Message> MessagesById { get; }

    /// <summary>The sends of ids that another send had already used.</summary>
    internal IReadOnlyList<TraceEvent> RepeatedSends { get; }

    internal IReadOnlyList<GroupView> Views { get; }

    /// <summary>The history that events tell. Events of one node must stand in its own order; nodes may be mixed in any way.</summary>
    public static History From(IEnumerable<TraceEvent> events)
    {
        ArgumentNullException.ThrowIfNull(events);
        return HistoryBuilder.Build(events);
    }

    /// <summary>The history that the trace files of a folder tell.</summary>
    /// <exception cref="TraceFormatException">A file holds something that is not a trace.</exception>
    /// <exception cref="IOException">The folder or a file cannot be read.</exception>
    public static History FromFolder(string folder) => From(TraceReader.ReadFolder(folder).SelectMany(file => file.Events));

    internal NodeTrace? Find(NodeId node) => byNode.GetValueOrDefault(node);
}
