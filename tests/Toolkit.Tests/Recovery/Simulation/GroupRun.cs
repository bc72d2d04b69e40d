using System.Collections.Immutable;
using Core.Groups;
using Toolkit.Recovery;

namespace Toolkit.Tests.Recovery.Simulation;

/// <summary>A question of one member to the journals of all, at one place among the group's events.</summary>
internal sealed class SimulatedQuestion(ReadOnlyMemory<byte> body, ImmutableArray<int> covers = default)
{
    private readonly HashSet<NodeId> _answers = [];
    private readonly int _thread = Environment.CurrentManagedThreadId;

    public ReadOnlyMemory<byte> Body => body;

    public byte Kind => body.Span[0];

    /// <summary>The updates that are stable when all have answered (a barrier).</summary>
    public ImmutableArray<int> Covers => covers.IsDefault ? [] : covers;

    /// <summary>Who has to answer; set when it has its place.</summary>
    public ImmutableArray<NodeId> Members { get; set; } = [];

    /// <summary>The state of the first member that had done what is asked: all others must have the same.</summary>
    public int[]? State { get; set; }

    public bool IsAnswered => Members.Length > 0 && Members.All(_answers.Contains);

    public static SimulatedQuestion Ask(byte kind) => new(JournalQuestion.Ask(kind));

    public void Answer(NodeId node)
    {
        if (Environment.CurrentManagedThreadId != _thread) throw new InvalidOperationException("A step of the simulation ran on another thread.");
        _answers.Add(node);
    }
}

/// <summary>One event of a group: exactly one of the three.</summary>
internal sealed record GroupEvent(View? View, int Update, NodeId From, SimulatedQuestion? Question);

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
            new View(new GroupId(id, id), name, ++_number, $"{name}{id}/{_number}", [.. _members], [.. joined], [.. left], IsPrimary: true), 0, default, null));
    }

    public void Update(NodeId from, int update) => Events.Add(new GroupEvent(null, update, from, null));

    public void Ask(NodeId from, SimulatedQuestion question)
    {
        question.Members = [.. _members];
        Events.Add(new GroupEvent(null, 0, from, question));
    }
}
