// What a participant of a configuration change tells of its groups with its Recovered: those that somebody may not know as they
// are after the plan, and, where components meet, all of them (the oldest of each that goes along tells).
// Follows: protocol.md section 5, step 4. Deviation: not all groups; a cluster may have thousands.
using System.Collections.Immutable;
using Core.Groups.Protocol.Membership;
using Core.Groups.Protocol.Ordering;

namespace Core.Groups.Protocol.Groups;

internal sealed class GroupTeller(NodeContext context, GroupService groups)
{
    /// <summary>The groups whose members may not all know them, or have their state, as they are after a plan.</summary>
    public ImmutableArray<GroupTold> Tell(RecoveryPlan plan)
    {
        Func<int[], ImmutableArray<NodeId>> nodes = context.NodesAt;
        bool isExtended = context.Settings.IsExtended;
        HashSet<NodeId> staying = isExtended ? [.. plan.Together.Where(n => plan.Peers.Any(p => p.Id == n))] : [];
        bool isMerge = isExtended && staying.Count < plan.Peers.Length;
        var told = ImmutableArray.CreateBuilder<GroupTold>();
        RecoveryPlan first = plan;
        while (first.Chain is { } earlier) first = earlier;
        bool isBefore = context.Settings.Weak.Lacks(WeakRules.GroupsBeforeThePlan) && context.Ordering is not null;
        PlanStep[] steps = isBefore ? [] : [.. first.Regular, .. first.Transitional];
        foreach (GroupOrder order in isBefore ? context.Ordering!.Engine.Groups : plan.Groups)
        {
            ImmutableArray<NodeId> view = nodes(order.View);
            GroupMember? group = groups.Find(order.Id);
            SortedSet<NodeId> awaiting = new(group?.Awaiting ?? []);
            foreach (PlanStep step in steps)
            {
                if (step.Group?.Id != order.Id) continue;
                awaiting.UnionWith(step.Operations.Where(o => o.IsJoin && !step.OldView.Contains(o.Rank)).Select(o => nodes([o.Rank])[0]));
            }
            bool hasState = group?.HasState ?? false;
            if (hasState && !group!.IsLoaded)
            {
                awaiting.Add(context.Self);
                group.IsToldUnloaded = true;
            }
            awaiting.IntersectWith(view);
            ImmutableArray<NodeId> along = isExtended ? [.. view.Where(staying.Contains)] : [];
            bool isTeller = isMerge && !along.IsEmpty && along[0] == context.Self;
            if (hasState && awaiting.Count == 0 && !group!.JoinedHere && !isTeller) continue;
            PlanStep? last = Array.FindLast(steps, s => s.Group?.Id == order.Id && s.Operations.Length > 0);
            ImmutableArray<NodeId> joined = last is null ? group?.View.Joined ?? [] : nodes([.. last.Group!.View.Except(last.OldView)]);
            ImmutableArray<NodeId> left = last is null ? group?.View.Left ?? [] : nodes([.. last.OldView.Except(last.Group!.View)]);
            if (ViewBeforeTheLastOnTheWay(plan, order) is { } before)
            {
                (joined, left) = ([], [.. nodes(before).Where(n => !view.Contains(n))]);
            }
            told.Add(new GroupTold(order.Id, order.Name, view, order.Number, order.ViewId, joined, left)
            {
                HasState = hasState, Awaiting = MemberSet.Of([.. Enumerable.Range(0, view.Length).Where(place => awaiting.Contains(view[place]))]),
                IsPrimary = last is not null || group is null ? context.Configuration!.IsPrimary : group.View.IsPrimary,
                Along = along, Side = group?.Merge is { } merge ? merge.Own + 1 : 0, Formerly = group?.Formerly ?? [],
            });
        }
        return told.ToImmutable();
    }

    /// <summary>The view before the last one that a configuration on the way has changed; null: none did.</summary>
    private static int[]? ViewBeforeTheLastOnTheWay(RecoveryPlan plan, GroupOrder order)
    {
        for (RecoveryPlan? link = plan.Chain; link is not null; link = link.Chain)
        {
            if (link.Groups.Find(g => g.Id == order.Id) is { } before && before.Number != order.Number) return before.View;
        }
        return null;
    }

    // ---- what others have told

    /// <summary>In extended mode: those of the group that come along, as they have told.</summary>
    public static ImmutableArray<NodeId>? AlongOf(List<(NodeId From, GroupTold Told)>? entries) =>
        entries?.Find(static e => !e.Told.Along.IsEmpty) is { Told: { } told } ? told.Along : null;

    public static bool SaysUnloaded(NodeId node, List<(NodeId From, GroupTold Told)>? told) =>
        told?.Exists(t => t.From == node && t.Told.Awaits(node)) == true;

    /// <summary>Those of a view that have no state: by their own word, or, where they say nothing, by what others know.</summary>
    public static SortedSet<NodeId> StatelessOf(ImmutableArray<NodeId> view, List<(NodeId From, GroupTold Told)>? told)
    {
        HashSet<NodeId> stateless = [];
        foreach ((_, GroupTold entry) in told ?? []) stateless.UnionWith(entry.Awaited);
        foreach ((NodeId from, GroupTold entry) in told ?? [])
        {
            if (entry.HasState) stateless.Remove(from);
            else stateless.Add(from);
        }
        return [.. view.Where(stateless.Contains)];
    }
}
