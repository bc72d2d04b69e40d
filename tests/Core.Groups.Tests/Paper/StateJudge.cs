// Judges what a transferred state can hold. An application may make a group's state of all that its node has delivered, in whatever
// group, so a state is like a message of its donor: nobody lives on with it alone who was not there.
// Follows: protocol.md section 7 (a snapshot leaves when everything delivered before is stable) and invariant 5.
using Core.Groups.Testing.Checkers;
using Core.Groups.Tracing;

namespace Core.Groups.Tests.Paper;

internal sealed class StateJudge
{
    private readonly List<(byte[] State, NodeId Donor, int At)> _saved = [];
    private readonly List<(NodeId Joiner, NodeId Donor, int At)> _loaded = [];

    /// <param name="at">How many lines the history had.</param>
    public void OnSaved(NodeId donor, byte[] state, int at) => _saved.Add((state, donor, at));

    public void OnLoaded(NodeId joiner, ReadOnlyMemory<byte> state)
    {
        if (_saved.FindLast(saved => state.Span.SequenceEqual(saved.State)) is { State: not null } cut) _loaded.Add((joiner, cut.Donor, cut.At));
    }

    /// <summary>Who lives on without a message that a state can hold with which somebody else lives on.</summary>
    public List<string> Judge(IReadOnlyList<TraceEvent> lines, History history, IReadOnlyCollection<NodeId> living)
    {
        Dictionary<string, Message> messages = history.Messages.ToDictionary(message => message.Id);
        NodeTrace[] traces = [.. history.Traces.Where(trace => living.Contains(trace.Node))];
        var violations = new List<string>();
        foreach ((NodeId joiner, NodeId donor, int at) in _loaded.Where(loaded => living.Contains(loaded.Joiner)))
        {
            foreach (TraceEvent line in lines.Take(at).Where(line => line.Kind == TraceKind.Deliver && line.Node == donor))
            {
                Message message = messages[line.Message!];
                if (Array.Find(traces, trace => message.IsOwedBy(trace) && message.DeliveryAt(trace) is null) is { } without)
                    violations.Add($"The state that {joiner} got from {donor} can hold {message}, which {without} never delivered.");
            }
        }
        return violations;
    }
}
