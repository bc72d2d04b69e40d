// What a participant of a configuration change tells of a group, and how records carry it: what all its members tell alike apart
// from what only the teller can say.
using System.Collections.Immutable;
using Core.Groups.Protocol.Groups;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Membership;

/// <summary>A group as it is after a participant's plan, told where somebody may not know it: it has members without state.</summary>
/// <param name="Joined">Who joined with the view.</param>
/// <param name="Left">Who left with the view.</param>
internal sealed record GroupTold(GroupId Id, string Name, ImmutableArray<NodeId> View, long Number, string ViewId, ImmutableArray<NodeId> Joined, ImmutableArray<NodeId> Left)
{
    /// <summary>Whether the view stood in a primary configuration.</summary>
    public bool IsPrimary { get; init; } = true;
    /// <summary>In extended mode: those of the view that go along with the teller. Else empty.</summary>
    public ImmutableArray<NodeId> Along { get; init; } = [];
    /// <summary>Other ids that lead to the group.</summary>
    public ImmutableArray<GroupId> Formerly { get; init; } = [];

    // The teller's own:

    /// <summary>Whether the teller has the group's state.</summary>
    public bool HasState { get; init; }
    /// <summary>The members, by their places in <see cref="View"/>, that the teller does not know to have it.</summary>
    public MemberSet Awaiting { get; init; } = MemberSet.Empty;
    /// <summary>Which state the teller has, if the last merge of the group was interrupted: 0 the one of all, else one more than its side.</summary>
    public int Side { get; init; }

    /// <summary>The members that the teller does not know to have the state.</summary>
    public IEnumerable<NodeId> Awaited
    {
        get
        {
            foreach (int place in Awaiting) yield return View[place];
        }
    }

    public bool Awaits(NodeId node) => View.IndexOf(node) is >= 0 and var place && Awaiting.Contains(place);

    // ---- what all tell alike

    public void WriteGroup(WireWriter writer)
    {
        writer.Group(Id);
        writer.Text(Name);
        Services.WriteNodes(writer, View);
        writer.Varint(Number);
        writer.Text(ViewId);
        Services.WriteNodes(writer, Joined);
        Services.WriteNodes(writer, Left);
        writer.Flag(IsPrimary);
        Services.WriteNodes(writer, Along);
        writer.Varint(Formerly.Length);
        foreach (GroupId former in Formerly) writer.Group(former);
    }

    /// <summary>What all tell alike; <see cref="WithOwn"/> adds the rest.</summary>
    public static GroupTold ReadGroup(ref WireReader reader) =>
        new(reader.Group(), reader.Text(), Services.ReadNodes(ref reader), reader.Varint(), reader.Text(), Services.ReadNodes(ref reader), Services.ReadNodes(ref reader))
        {
            IsPrimary = reader.Flag(), Along = Services.ReadNodes(ref reader), Formerly = ReadGroups(ref reader),
        };

    // ---- the teller's own

    public void WriteOwn(WireWriter writer)
    {
        writer.Flag(HasState);
        writer.Members(Awaiting);
        writer.Varint(Side);
    }

    /// <summary>The same group, with what one teller says of itself.</summary>
    public GroupTold WithOwn(ref WireReader reader)
    {
        bool hasState = reader.Flag();
        MemberSet awaiting = reader.Members();
        if (awaiting.Limit > View.Length) throw new WireFormatException("A group waits for members that it does not have.");
        return this with { HasState = hasState, Awaiting = awaiting, Side = (int)Math.Min(reader.Varint(), int.MaxValue) };
    }

    private static ImmutableArray<GroupId> ReadGroups(ref WireReader reader)
    {
        var groups = ImmutableArray.CreateBuilder<GroupId>(reader.Count(16));
        for (int left = groups.Capacity; left > 0; left--) groups.Add(reader.Group());
        return groups.MoveToImmutable();
    }
}
