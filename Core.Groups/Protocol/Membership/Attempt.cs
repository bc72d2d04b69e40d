// One try at a configuration, as one participant sees it.
using System.Collections.Immutable;
using Core.Groups.Protocol.Primary;

namespace Core.Groups.Protocol.Membership;

internal sealed class Attempt(Proposal proposal)
{
    public Proposal Proposal => proposal;
    public ConfigurationId Id => proposal.Id;
    public SortedDictionary<NodeId, MemberStatus> Statuses { get; } = [];
    /// <summary>Who has sent all that others lacked.</summary>
    public HashSet<NodeId> Done { get; } = [];
    public SortedDictionary<NodeId, ImmutableArray<GroupTold>> Recovered { get; } = [];
    /// <summary>Until when the others may answer. It counts from this node's own Status: while that waits for the disk, nobody else is slow.</summary>
    public TimeSpan Deadline { get; set; }
    /// <summary>Forwarded messages that came before it was known who goes along.</summary>
    public List<(NodeId From, ReadOnlyMemory<byte> Record)> EarlyForwards { get; } = [];
    /// <summary>What was told of groups in configurations that not all members may have installed.</summary>
    public Dictionary<ConfigurationId, IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>>> Tables { get; } = [];

    /// <summary>All Statuses are here: the decision is made, and who goes along is known.</summary>
    public bool IsExchanging { get; set; }
    public PrimaryDecision? Decision { get; set; }
    public ImmutableArray<NodeId> Together { get; set; } = [];
    public RecoveryPlan? Chain { get; set; }
    public RecoveryPlan? Plan { get; set; }

    /// <summary>
    /// Another node's proposal would leave out somebody of this attempt who can be reached: the attempt has its time first,
    /// so that two that propose at once do not exclude each other's nodes.
    /// </summary>
    public bool IsCutShortBy(Proposal other, ReachSet reach) =>
        other.Id.Representative != Id.Representative && proposal.Members.Any(m => reach.Contains(m.Id) && !other.Includes(m.Id));

    public bool HasStatusOf(NodeId node) => Statuses.ContainsKey(node);
    public bool HasAllStatuses => Statuses.Count == proposal.Members.Length;
    public IEnumerable<NodeId> WithoutStatus => proposal.Members.Select(m => m.Id).Where(m => !HasStatusOf(m));

    public PrimaryDecision Decide(WeakRules weak) => proposal.IsForced
        ? PrimaryRule.Force(Voters, NewestInstalled, proposal.NewLineage)
        : PrimaryRule.Decide(Voters, proposal.HasElectorate, proposal.MinimumWeight, proposal.NewLineage, weak);

    /// <summary>
    /// Extended mode: whether the configuration is primary; nobody is blocked by it. Where everybody who knew the last state of a
    /// lineage is proven dead, those that remember it count as strangers (in primary mode they come back as such).
    /// </summary>
    public PrimaryDecision Label(WeakRules weak)
    {
        Voter[] voters = Voters;
        while (true)
        {
            PrimaryDecision decision = PrimaryRule.Decide(voters, proposal.HasElectorate, proposal.MinimumWeight, proposal.NewLineage, weak);
            if (decision.IsPrimary || decision.Ended is not { } ended) return decision;
            voters = [.. voters.Select(v => v with { Last = v.Last?.Lineage == ended ? null : v.Last, Attempts = [.. v.Attempts.Where(a => a.Lineage != ended)] })];
        }
    }

    /// <summary>The newest configuration that any of the participants is in.</summary>
    private ConfigurationId? NewestInstalled => Statuses.Values.Select(s => s.Installed).Where(i => i is not null).Max();

    /// <summary>
    /// Whether an attempt that this node recorded may have been completed by others. If what is decided here goes on from
    /// another session, the node's vote is given: it can only come back as a new incarnation.
    /// </summary>
    public bool IsPending(Session attempt) => PrimaryRule.IsPending(attempt, Voters);

    public Voter[] Voters =>
        [.. proposal.Members.Select(m => new Voter(m.Id, m.Weight, m.IsElector, !proposal.Leavers.Contains(m.Id), Statuses[m.Id].Last, Statuses[m.Id].Attempts, Statuses[m.Id].Memory))];

    /// <summary>The session that this attempt would be.</summary>
    public Session SessionOf(LineageId lineage) => new(lineage, Id,
        [.. proposal.Members.Where(m => !proposal.Leavers.Contains(m.Id)).Select(m => new SessionMember(m.Id, m.Weight, Statuses[m.Id].Memory, m.IsElector))]);
}
