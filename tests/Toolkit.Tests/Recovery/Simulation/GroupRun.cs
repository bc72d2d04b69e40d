using System.Collections.Immutable;
using Core.Groups;

namespace Toolkit.Tests.Recovery.Simulation;

/// <summary>A question of one member to the journals of all: the updates that it covers are stable when all have answered.</summary>
internal sealed class SimulatedBarrier(ImmutableArray<int> covers)
{
    private readonly HashSet<NodeId> _answers = [];

    public ImmutableArray<int> Covers => covers;

    /// <summary>Who has to answer; set when it has its place.</summary>
    public ImmutableArray<NodeId> Members { get; set; } = [];

    public bool IsAnswered => Members.Length > 0 && Members.All(_answers.Contains);

    public void Answer(NodeId node) => _answers.Add(node);
}

/// <summary>One event of a group: exactly one of the three.</summary>
internal sealed record GroupEvent(View? View, int Update, NodeId From, SimulatedBarrier? Barrier);

/// <summary>A process group as long as it has members: one sequence of events, which every member handles at its own pace.</summary>
internal sealed class GroupRun(string name, ulong id)
{
    private readonly List<NodeId> _members = [];
    private long _number;

    public List<GroupEvent> Events { get; } = [];

    public IReadOnlyList<NodeId> Members => _members;

    /// <summary>A view with these changes has its place.</summary>
    public void Change(IReadOnlyCollection<NodeId> joined, IReadOnlyCollection<NodeId> left)
    {
        _members.RemoveAll(left.Contains);
        _members.AddRange(joined);
        Events.Add(new GroupEvent(
            new View(new GroupId(id, id), name, ++_number, $"{id}/{_number}", [.. _members], [.. joined], [.. left], IsPrimary: true), 0, default, null));
    }

    public void Update(NodeId from, int update) => Events.Add(new GroupEvent(null, update, from, null));

    public void Ask(NodeId from, SimulatedBarrier barrier)
    {
        barrier.Members = [.. _members];
        Events.Add(new GroupEvent(null, 0, from, barrier));
    }
}
