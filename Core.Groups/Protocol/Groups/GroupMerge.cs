// A group whose members come from several components, or whose last merge was interrupted: its sides, each with a state of its
// own, and how far the exchange of their states is.
// Keeps: every member sees the same sides in the same order, so a deterministic Reconcile leads all to the same state.
// Follows: protocol.md sections 6 (extended mode) and 7.
using System.Collections.Immutable;
using Core.Groups.Protocol.Requests;

namespace Core.Groups.Protocol.Groups;

/// <summary>The parts of a group's state as it was transferred.</summary>
/// <param name="Callers">What is remembered of callers that are not members.</param>
/// <param name="Configuration">The configuration data.</param>
/// <param name="Formerly">Other ids that lead to the group.</param>
/// <param name="Application">What the application saved.</param>
internal sealed record GroupState(CallerMemory Callers, GroupConfiguration Configuration, ImmutableArray<GroupId> Formerly, ReadOnlyMemory<byte> Application);

/// <param name="sides">The members that share a state, by rank; the sides in the order of their oldest members.</param>
/// <param name="own">The side of this node; -1: it has no state yet.</param>
/// <param name="wasLoaded">Whether the application had the state of its side.</param>
/// <param name="view">The number of the view in which the sides met.</param>
internal sealed class GroupMerge(ImmutableArray<ImmutableArray<NodeId>> sides, int own, bool wasLoaded, long view)
{
    public long View => view;

    private readonly GroupState?[] _states = new GroupState?[sides.Length];
    private readonly bool[] _failed = new bool[sides.Length];

    public ImmutableArray<ImmutableArray<NodeId>> Sides => sides;
    public int Own => own;
    public bool WasLoaded { get; set; } = wasLoaded;

    /// <summary>Whether the state of each side is here, or known to be had from nobody.</summary>
    public bool IsComplete => Enumerable.Range(0, sides.Length).All(i => _states[i] is not null || _failed[i]);

    public void Add(int side, GroupState state) => _states[side] = state;

    /// <summary>The application there could not save it.</summary>
    public void Fail(int side) => _failed[side] = true;

    public GroupState? First => Array.Find(_states, static s => s is not null);

    /// <summary>For the application: all sides, in their order.</summary>
    public ImmutableArray<SideState> Describe() => [.. sides.Select((members, i) => new SideState(members, _states[i]?.Application))];

    /// <summary>What the sides know together: of callers everything, of configuration data the entry of the first side that has it.</summary>
    public (CallerMemory Callers, GroupConfiguration Configuration, ImmutableArray<GroupId> Formerly) Unite()
    {
        var callers = new CallerMemory();
        var configuration = new GroupConfiguration();
        foreach (GroupState? state in _states)
        {
            if (state is null) continue;
            callers.Unite(state.Callers);
            configuration.Unite(state.Configuration);
        }
        return (callers, configuration, [.. _states.SelectMany(s => s is null ? [] : s.Formerly).Distinct()]);
    }
}
