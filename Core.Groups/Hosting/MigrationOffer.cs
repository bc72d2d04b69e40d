// A member of a group would move to this node: what the protocol offers, and how the application takes it or not.
namespace Core.Groups.Hosting;

/// <summary>An offer of the protocol.</summary>
internal sealed record MigrationOffer(long Token, GroupId Group, string Name, NodeId From, int Generation);

/// <summary>Marks the mail that asks for a state as a whole.</summary>
internal sealed class WholeState
{
    public static readonly WholeState Wanted = new();
}
