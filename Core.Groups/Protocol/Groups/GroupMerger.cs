// Extended mode: when components meet, the groups of one name in them become one group, whatever their ids.
// Keeps: all members compute the same view from what all have told: the components' views one after the other, the one with the
// lowest rank in the configuration first; number above all of them; of several ids the lowest. Who has no state joins a side that has.
// Follows: protocol.md section 7 ("a name created in two components is one group after the merge"). First each component's view of
// those that go along is shown (the view of the transitional configuration), then the view of all.
using System.Collections.Immutable;
using Core.Groups.Protocol.Membership;
using Core.Groups.Protocol.Ordering;

namespace Core.Groups.Protocol.Groups;

internal sealed class GroupMerger(NodeContext context, GroupService groups, GroupTable<GroupMember> table)
{
    /// <summary>How many former ids of a group are remembered.</summary>
    private const int RememberedIds = 32;
    /// <summary>Former ids of this node's groups, and where they lead.</summary>
    private readonly Dictionary<GroupId, GroupMember> _formerly = [];

    /// <summary>The members of one component, as one of them told of them.</summary>
    private sealed record Part(GroupTold Told, (NodeId From, GroupTold Told)[] All)
    {
        public ImmutableArray<NodeId> Along => Told.Along;
        public bool IsReduced => Told.Along.Length < Told.View.Length;
        public long Number => IsReduced ? Told.Number + 1 : Told.Number;

        /// <summary>Which of the states of its component a member has; null: none.</summary>
        public int? SideOf(NodeId member)
        {
            foreach ((NodeId from, GroupTold told) in All)
            {
                if (from == member) return told.HasState ? told.Side : null;
            }
            if (Array.Exists(All, a => a.Told.Awaits(member))) return null;
            return Array.Find(All, a => a.Told.HasState).Told?.Side;
        }
    }

    /// <summary>Merges what is to be merged. The ids of this node's groups that were, as they were before.</summary>
    public HashSet<GroupId> Merge(IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>> told)
    {
        HashSet<GroupId> merged = [];
        var byName = told.SelectMany(t => t.Value.Where(g => !g.Along.IsEmpty), (t, g) => (From: t.Key, Told: g)).GroupBy(t => t.Told.Name);
        foreach (var entries in byName.OrderBy(e => e.Key, StringComparer.Ordinal))
        {
            Part[] parts = [.. entries.GroupBy(e => e.Told.Along[0]).OrderBy(p => context.RankOf(p.Key)).Select(p => new Part(p.First().Told, [.. p]))];
            var sides = new List<(int Part, int Side, List<NodeId> Members)>();
            SortedSet<NodeId> stateless = [];
            for (int i = 0; i < parts.Length; i++)
            {
                foreach (NodeId member in parts[i].Along)
                {
                    if (parts[i].SideOf(member) is not { } side)
                    {
                        stateless.Add(member);
                        continue;
                    }
                    int at = sides.FindIndex(s => s.Part == i && s.Side == side);
                    if (at >= 0) sides[at].Members.Add(member);
                    else sides.Add((i, side, [member]));
                }
            }
            if ((parts.Length == 1 && sides.Count <= 1) || Array.Find(parts, p => p.Along.Contains(context.Self)) is not { } own) continue;
            merged.Add(own.Told.Id);
            Merge(parts, own, [.. sides.Select(s => s.Members.ToImmutableArray())], stateless);
        }
        return merged;
    }

    private void Merge(Part[] parts, Part own, ImmutableArray<ImmutableArray<NodeId>> sides, SortedSet<NodeId> stateless)
    {
        GroupTold told = own.Told;
        GroupMember? group = groups.Find(told.Id);
        if (sides.IsEmpty)
        {
            if (group is not null) groups.Lose(group);
            return;
        }
        GroupId id = parts.Min(p => p.Told.Id);
        ImmutableArray<NodeId> view = [.. parts.SelectMany(p => p.Along)];
        string viewId = $"{id.High:x16}:{context.Configuration!.Id}";
        var order = new GroupOrder(id, told.Name, [.. view.Select(context.RankOf)], 1 + parts.Max(p => p.Number), $"{viewId}:0");
        context.Ordering!.Engine.Add(order);
        if (group is null)
        {
            group = groups.EnterByPlan(order);
            ShowView(group, new View(id, told.Name, told.Number, told.ViewId, told.View, told.Joined, told.Left, told.IsPrimary), isFirst: true);
        }
        else if (group.Id != id) Rename(group, id);
        group.Formerly = [.. parts.SelectMany(p => p.Told.Formerly.Append(p.Told.Id)).Concat(group.Formerly).Where(i => i != id).Distinct().Order().Take(RememberedIds)];
        KnowFormer(group);
        if (own.IsReduced)
        {
            ImmutableArray<NodeId> left = [.. told.View.Where(n => !own.Along.Contains(n))];
            ShowView(group, new View(id, told.Name, own.Number, $"{viewId}:{own.Along[0].Name}", own.Along, [], left, groups.IsPrimary));
        }
        bool areSeveral = sides.Length > 1;
        groups.BeginAnew(group, view, areSeveral ? [.. view] : stateless);
        ImmutableArray<NodeId> joined = [.. view.Where(n => !own.Along.Contains(n))];
        ShowView(group, new View(id, told.Name, order.Number, order.ViewId, view, joined, [], groups.IsPrimary) { Sides = areSeveral ? sides : [] });
        if (areSeveral)
        {
            group.Merge = new GroupMerge(sides, IndexOf(sides, context.Self), group.IsLoaded, order.Number);
            group.IsLoaded = false;
            group.JoinedHere = true;
        }
        if (context.IsFrozen) return;
        if (areSeveral) groups.States.BeginMerge(group);
        else groups.TransferState(group, stateless);
    }

    private void ShowView(GroupMember group, View view, bool isFirst = false)
    {
        group.View = view;
        groups.Show(group, view.Joined, view.Left, isFirst: true, isRanked: true);      // also to a joiner: its state is cut after it
        if (!isFirst) groups.Watches.OnView(group, areFailed: true, isFrozen: true);
    }

    private static int IndexOf(ImmutableArray<ImmutableArray<NodeId>> sides, NodeId node)
    {
        for (int i = 0; i < sides.Length; i++)
        {
            if (sides[i].Contains(node)) return i;
        }
        return -1;
    }

    // ---- ids

    /// <summary>The present id of a group that an id leads to.</summary>
    public GroupId Resolve(GroupId id) => _formerly.Count > 0 && !table.Contains(id) && _formerly.TryGetValue(id, out GroupMember? group) ? group.Id : id;

    /// <summary>The group is merged with one that has this id.</summary>
    private void Rename(GroupMember group, GroupId id)
    {
        GroupId before = group.Id;
        table.Remove(before, out _);
        group.Id = id;
        table.Add(id, group);
        groups.OnRenamed(before, id);
        context.Effects.GroupRenamed(before, id);
    }

    /// <summary>The former ids of a group lead to it.</summary>
    public void KnowFormer(GroupMember group)
    {
        foreach (GroupId former in group.Formerly) _formerly[former] = group;
    }

    public void Forget(GroupMember group)
    {
        foreach (GroupId former in group.Formerly) _formerly.Remove(former);
    }

    // ---- how long the application is held back

    /// <summary>Nothing is shown to the application before the states of all merged groups are reconciled.</summary>
    public void Begin()
    {
        if (context.Held is { } held && table.Any(static g => g.Merge is not null)) held.Hold();
        foreach (GroupMember group in table.Where(static g => g.Merge is not null).ToArray()) groups.States.TryInstall(group);
    }

    /// <summary>A merge is over, or given up: with the last of them the application goes on.</summary>
    public void OnEnded()
    {
        if (!context.IsMerging || table.Any(static g => g.Merge is not null)) return;
        context.Held!.Release();
        foreach (GroupMember group in table) groups.Announcer.OnChanged(group);      // joins had to wait
    }
}
