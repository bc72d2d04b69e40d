// The parts of control records that all nodes tell alike: whom they reach, the last session, the proposal, groups and their views.
// Without it a change of n nodes would read n³ names at all of them together.
using System.Collections.Immutable;
using Core.Groups.Protocol.Primary;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Membership;

/// <summary>What a node has read of others lately.</summary>
internal sealed class KnownRecords
{
    public Recurring<ReachSet> Reach { get; } = new(ReachSet.Read);
    public Recurring<Session?> Session { get; } = new(Primary.Session.Read);
    public Recurring<Proposal> Proposal { get; } = new(Membership.Proposal.Read);
    public Recurring<GroupTold> Group { get; } = new(GroupTold.ReadGroup);
    public Recurring<IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>>> Table { get; } = new(ToldTable.Read);

    /// <summary>A change has ended: what was told in it does not come again.</summary>
    public void Forget()
    {
        Proposal.Clear();
        Group.Clear();
        Table.Clear();
    }
}
