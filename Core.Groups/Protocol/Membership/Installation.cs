// The last step of a configuration change, in parts: the plan is carried out, the new configuration entered and told of.
// Keeps: what is delivered between two regular configurations stands before and in the transitional one, in the plan's order.
// Follows: protocol.md section 5, step 5.
using System.Collections.Immutable;
using Core.Groups.Protocol.Links;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Tracing;

namespace Core.Groups.Protocol.Membership;

internal sealed class Installation(NodeContext context, ChannelTable channels, IMembershipUser user)
{
    /// <summary>Installs the attempts that are gone on from, the oldest first: others may have installed them and shown their views.</summary>
    public void InstallChain(RecoveryPlan plan)
    {
        var chain = new Stack<(RecoveryPlan Plan, List<(GroupOrder, ImmutableArray<NodeId>)> Groups)>();
        for (RecoveryPlan? link = plan.Chain; link is not null; link = link.Chain) chain.Push((link, DescribeGroups(link)));
        foreach ((RecoveryPlan link, var groups) in chain)
        {
            CarryOut(link);
            Enter(link);
            Announce(link);
            user.OnInstalled(groups, null);
        }
    }

    /// <summary>Tells of the configuration that was entered.</summary>
    public void Announce(RecoveryPlan plan)
    {
        Trace(context.Configuration!);
        context.Effects.ConfigurationInstalled(context.Configuration!, plan.Peers, plan.Proposal.Leavers);
    }

    /// <summary>Delivers the rest of the old regular configuration, then the transitional configuration with the rest of all.</summary>
    public void CarryOut(RecoveryPlan plan)
    {
        if (context.Configuration is null) return;
        user.BeginPlan();
        user.Carry(plan.Regular);
        var transitional = new Configuration(plan.Proposal.Id, true, [.. plan.Together.Where(n => !plan.Proposal.Leavers.Contains(n))], IsPrimary: false);
        Trace(transitional);
        if (context.Settings.IsExtended) context.Effects.TransitionBegun(transitional);
        context.IsInTransition = context.Settings.IsExtended;
        user.Carry(plan.Transitional);
        context.IsInTransition = false;
        user.EndPlan();
    }

    public void Enter(RecoveryPlan plan)
    {
        context.CameAlong = plan.Together;
        ImmutableArray<NodeId> members = [.. plan.Peers.Select(m => m.Id)];
        context.Enter(new Configuration(plan.Proposal.Id, false, members, IsPrimary: plan.Session is not null));
        user.OnEntering(plan.Proposal.Id, members.IndexOf(context.Self), members.Length, Math.Max(plan.Clock, context.Ordering?.Clock ?? 0));
        channels.SetRanks(members);
    }

    /// <summary>The groups after the plan with their views as nodes: the ranks are those of the configuration before.</summary>
    public List<(GroupOrder, ImmutableArray<NodeId>)> DescribeGroups(RecoveryPlan plan) =>
        [.. plan.Groups.Select(g => (g, context.NodesAt(g.View)))];

    private void Trace(Configuration configuration) => context.Trace(TraceKind.Configuration, line => line with
    {
        ConfigurationId = configuration.IsTransitional ? $"{context.Configuration!.Id}>{configuration.Id}:{string.Join(',', configuration.Members)}" : configuration.Id.ToString(),
        IsTransitional = configuration.IsTransitional,
        Members = configuration.Members,
        IsPrimary = configuration.IsPrimary,
    });
}
