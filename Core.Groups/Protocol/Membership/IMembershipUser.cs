// What a configuration change asks of the layers above: carry out a plan, tell of groups, begin in a new configuration.
using System.Collections.Immutable;

namespace Core.Groups.Protocol.Membership;

internal interface IMembershipUser
{
    /// <summary>From now on nothing is sent or delivered until a configuration is installed.</summary>
    void OnFrozen();
    /// <summary>A plan is carried out from here on: its steps, and the transitional configuration between them.</summary>
    void BeginPlan();
    void EndPlan();
    /// <summary>Deliver the steps of a plan, in order.</summary>
    void Carry(IReadOnlyList<PlanStep> steps);
    /// <summary>The groups that others may not know as they are after the plan: those with members without state.</summary>
    ImmutableArray<GroupTold> Tell(RecoveryPlan plan);
    /// <summary>A new configuration begins: its ordering is to be made.</summary>
    void OnEntering(ConfigurationId id, int rank, int members, long clock);
    /// <summary>A configuration is installed; the ordering is new and empty. <paramref name="groups"/>: the groups as the plan left them, by the old ranks. Without <paramref name="told"/>: passed through, on the way to another one.</summary>
    void OnInstalled(IReadOnlyList<(Ordering.GroupOrder Group, ImmutableArray<NodeId> View)> groups, IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>>? told);
    /// <summary>Messages of members that go along, held until the configuration was known.</summary>
    void OnHeld(Links.Channel from, Links.FrameHeader header, ReadOnlyMemory<byte> records, bool silently);
    /// <summary>A message that another member forwarded in the recovery.</summary>
    void OnForwarded(ReadOnlyMemory<byte> record);
    /// <summary>The record of a message to forward.</summary>
    byte[] Forward(Ordering.Message message);
    /// <summary>This node voted itself out: it has stopped.</summary>
    void OnLeft();
    /// <summary>This incarnation is over.</summary>
    void OnExcluded(string reason, bool isLineageOver);
}
