// The groups of a node: create, join, leave, views. Every change of a view is a GBCAST in the group, or a configuration.
// Keeps: all members see the same views in the same places among their messages; a joiner begins with the state.
// Follows: protocol.md section 7; "isis toolkit", joining. Operations that wait travel in one announcement.
using System.Collections.Immutable;
using Core.Groups.Protocol.Membership;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Tracing;

namespace Core.Groups.Protocol.Groups;

internal sealed class GroupService
{
    private readonly NodeContext _context;
    private bool _isCarryingPlan;
    private readonly GroupTable<GroupMember> _groups = new();
    private readonly Directory _directory;
    private readonly StateTransfers _states;
    private readonly Deliveries _deliveries;

    public GroupService(NodeContext context, Services services)
    {
        _context = context;
        _directory = new Directory(context, services, this);
        Announcer = new Announcer(context, this);
        Flusher = new GroupFlusher(context, this);
        Watches = new GroupWatches(context, services, this);
        Queries = new GroupQueries(context, services, this);
        Migrations = new Migrations(context, services, this);
        Merger = new GroupMerger(context, this, _groups);
        Teller = new GroupTeller(context, this);
        _states = new StateTransfers(context, services, this);
        _deliveries = new Deliveries(context);
    }

    public IReadOnlyCollection<GroupMember> Members => _groups;
    public Directory Directory => _directory;
    public GroupQueries Queries { get; }
    public Announcer Announcer { get; }
    public GroupFlusher Flusher { get; }
    public GroupMerger Merger { get; }
    public GroupTeller Teller { get; }
    public GroupWatches Watches { get; }
    public Migrations Migrations { get; }
    public StateTransfers States => _states;
    public Deliveries Deliveries => _deliveries;
    /// <summary>Whether calls of this node wait to be sent in a group: a leave lets them go first.</summary>
    public Func<GroupId, bool> HasCalls { get; set; } = static _ => false;
    /// <summary>Whether the next call of this node to a group is a GBCAST.</summary>
    public Func<GroupId, bool> HasBroadcast { get; set; } = static _ => false;
    /// <summary>Told of every view: who waits for a member's answer looks again.</summary>
    public Action<GroupMember> OnViewChanged { get; set; } = static _ => { };
    public Action<GroupMember> OnEnded { get; set; } = static _ => { };
    /// <summary>Told that a group has another id from now on.</summary>
    public Action<GroupId, GroupId> OnRenamed { get; set; } = static (_, _) => { };
    /// <summary>Told of a delivery that the application does not see, with its sender and its cost.</summary>
    public Action<GroupMember, NodeId, int> OnDropped { get; set; } = static (_, _, _) => { };
    /// <summary>Told of a group in which a sender is to hear of new credit.</summary>
    public Action<GroupMember> OnPaid { get; set; } = static _ => { };

    public GroupMember? Find(GroupId id) => _groups.Find(id);
    public GroupMember? Find(string name) => _groups.FindLowest(g => g.Name == name);
    public GroupOrder? OrderOf(GroupId id) => _context.Ordering?.Engine.Find(id);

    // ---- becoming a member

    /// <summary>This node is the first member.</summary>
    public void Create(GroupId id, string name, Directory.Join join)
    {
        OrderingLayer ordering = _context.Ordering!;
        string viewId = $"{id.High:x16}:{ordering.Id}:{id.Low & 0xFFFF:x}c";
        var order = new GroupOrder(id, name, [ordering.Self], 1, viewId);
        ordering.Engine.Add(order);
        GroupMember group = Enter(order, join, hasState: true);
        Show(group, [_context.Self], []);
        _context.Effects.LoadState(id, null);
        _directory.Tell(group);
        _directory.ServeEarlyJoins(group);
    }

    /// <param name="join">Null: the application gave the join up meanwhile; this node leaves again, and the application hears nothing.</param>
    private GroupMember Enter(GroupOrder order, Directory.Join? join, bool hasState)
    {
        var group = new GroupMember(order.Id, order.Name, isWanted: join is not null)
        {
            HasState = hasState, JoinCall = join?.Call ?? 0, Inspects = join?.Inspects ?? false, JoinedHere = true, CutEpoch = order.Epoch,
        };
        _groups.Add(order.Id, group);
        if (join is not null) _context.Effects.Joined(join.Call, order.Id, order.Name);
        else Leave(group, 0);
        group.View = ViewOf(order, [.. order.View.Select(_context.NodeAt)], [_context.Self], []);
        return group;
    }

    /// <summary>A node asks to be let in.</summary>
    public void Admit(GroupMember group, NodeId joiner)
    {
        (group.Joins ??= []).Add(joiner);
        Announcer.LookAgain(group);
    }

    public void Leave(GroupMember group, long call)
    {
        if (call != 0) (group.LeaveCalls ??= []).Add(call);
        group.IsLeaving = true;
        if (!group.IsAnnounced) Migrations.Fail(group, "the node left the group");
        Announcer.LookAgain(group);
    }

    // ---- GBCAST

    public void OnVoided(Message announcement, GroupId id)
    {
        if (announcement.Sender != _context.Ordering!.Self || Find(id) is not { } group) return;
        group.IsAnnounced = group.IsRankingAnnounced = false;
        Announcer.OnChanged(group);
    }

    /// <summary>A GBCAST is delivered. In a recovery plan donors are chosen later, when the configuration is installed.</summary>
    public void OnGroupChanged(GroupOrder order, Message announcement, Message? closing, int[] oldView)
    {
        ImmutableArray<NodeId> before = [.. oldView.Select(_context.NodeAt)], after = [.. order.View.Select(_context.NodeAt)];
        if (!after.Contains(_context.Self))
        {
            End(order, after, isDeleted: GroupChangeFormat.ReadOperations(announcement.Body).Any(o => o.Kind == GroupOperationKind.Delete));
            return;
        }
        ImmutableArray<NodeId> joined = [.. after.Where(n => !before.Contains(n))];
        if (Find(order.Id) is not { } group)
        {
            group = Enter(order, _directory.TakeJoin(order.Name), hasState: false);
            foreach (int rank in order.Loading) AwaitState(group, _context.NodeAt(rank));
        }
        else if (closing is not null)
        {
            _context.Ordering!.Remember(closing);
            order.LastFinish = new Dependency(closing.Sender, closing.Sequence);
        }
        group.Pieces = null;      // what is not whole in its epoch begins again in the next
        if (!group.HasState && !_isCarryingPlan) group.Held.Add(default);
        if (announcement.Sender == _context.Ordering!.Self) group.IsAnnounced = false;
        Announcer.Hold(group, order.Waiting);
        Announcer.EndRanking(group, announcement);
        foreach (NodeId joiner in joined) AwaitState(group, joiner);
        group.Awaiting?.RemoveWhere(n => !after.Contains(n));
        if (group.Joins?.RemoveWhere(after.Contains) > 0 && group.Joins.Count == 0) group.Joins = null;
        Announcer.OnChanged(group);
        group.View = ViewOf(order, after, joined, [.. before.Where(n => !after.Contains(n))]);
        _states.Streams.OnView(group);
        bool isRanked = joined.IsEmpty && group.View.Left.IsEmpty && !after.SequenceEqual(before);
        Show(group, joined, group.View.Left, isRanked: isRanked);
        if (!joined.IsEmpty || !group.View.Left.IsEmpty || isRanked) Watches.OnView(group, areFailed: false, _isCarryingPlan);
        if (_isCarryingPlan) return;
        _context.Ordering.Destinations.Forget(order.Id, order.Epoch);
        if (!joined.IsEmpty && GroupChangeFormat.DonorOf(announcement) == _context.Ordering.Self) _states.Begin(group, joined, order.Epoch);
        _states.TryInstall(group);
        if (after[0] == _context.Self) _directory.Tell(group);
    }

    private void AwaitState(GroupMember group, NodeId member)
    {
        if (!_states.TakeEarly(group.Id, member)) (group.Awaiting ??= []).Add(member);
    }

    /// <summary>Hands a view over, or holds it for a joiner that has no state yet (but its first).</summary>
    public void Show(GroupMember group, ImmutableArray<NodeId> joined, ImmutableArray<NodeId> left, bool isFirst = false, bool isRanked = false)
    {
        if (joined.IsEmpty && left.IsEmpty && !isRanked) return;
        group.Credit.SetMembers(group.View);
        if (!group.HasState && !_isCarryingPlan && !isFirst && !joined.Contains(_context.Self)) group.Held.Add(new HeldEvent(null, group.View));
        else _deliveries.View(group, group.View);
        OnViewChanged(group);
    }

    private View ViewOf(GroupOrder order, ImmutableArray<NodeId> members, ImmutableArray<NodeId> joined, ImmutableArray<NodeId> left) =>
        new(order.Id, order.Name, order.Number, order.ViewId, members, joined, left, IsPrimary);

    public bool IsPrimary => _context.Configuration!.IsPrimary;

    private void End(GroupOrder order, ImmutableArray<NodeId> after, bool isDeleted)
    {
        if (!_groups.Remove(order.Id, out GroupMember? group)) return;
        group.WasDeleted = isDeleted;
        Migrations.OnEnded(group, new GroupInfo(order.Id, order.Name, order.Number, after));
        End(group, isDeleted ? GroupEnd.Deleted : GroupEnd.Left);
        if (!_isCarryingPlan && after.IsEmpty)
        {
            foreach (NodeId joiner in group.Joins ?? []) _directory.Refuse(joiner, group);      // to ask again: it will create the group
            _directory.TellGone(group);
        }
        if (!_isCarryingPlan)
        {
            Queries.OnEnded(group);
            Watches.OnEnded(group);
            _directory.OnEnded(group);
        }
        _context.Ordering!.Destinations.Forget(order.Id, order.Epoch);
    }

    // ---- messages

    /// <summary>A message of a group in its order: held for a joiner without state, gathered from its pieces, handed over.</summary>
    public void Deliver(GroupMember group, Message message)
    {
        if (!group.HasState)
        {
            if (_isCarryingPlan) Drop(group, message);
            else Hold(group, message);
            return;
        }
        if (_context.IsMerging)
        {
            HoldBack(group, message);
            return;
        }
        if ((message.Flags & MessageFlags.Configure) != 0)
        {
            if (group.Configuration.TryChange(message.Body, out string entry, out string? value)) _context.Effects.Configured(group.Id, entry, value);
            return;
        }
        ReadOnlyMemory<byte> body = message.Body;
        if (group.Pieces is not null || (message.Flags & MessageFlags.MorePieces) != 0)
        {
            if ((group.Pieces ??= new()).TryJoin(message, _context.Settings.MaximumMessageSize) is not { } whole) return;
            body = whole;
        }
        if (message.Caller is { } caller && !TryRemember(group, caller))
        {
            _deliveries.Repeated(group, message);
            OnDropped(group, _context.NodeAt(message.Sender), body.Length + CreditAccount.MessageOverhead);
            return;
        }
        if (message.Answer?.Only is { } only && only != _context.Self)
        {
            _deliveries.PassOver(group, message);
            OnDropped(group, _context.NodeAt(message.Sender), body.Length + CreditAccount.MessageOverhead);
            return;
        }
        if (message.Destination.Spread is not { } spread)
        {
            _deliveries.Message(group, message, body, null);
            return;
        }
        GroupMember[] mine = GroupsOf(spread);
        _deliveries.Message(group, message, body, new Spread([.. mine.Select(g => g.Id)], spread.Label));
        foreach (GroupMember other in mine)
        {
            // It is handed over, and its credit used, in one of the groups.
            if (other != group) OnDropped(other, _context.NodeAt(message.Sender), body.Length + CreditAccount.MessageOverhead);
        }
    }

    // A joiner may wait for a large state for long: the group goes on meanwhile.
    private void Hold(GroupMember group, Message message)
    {
        group.Held.Add(new HeldEvent(message, null));
        bool isPiece = (message.Flags & (MessageFlags.MorePieces | MessageFlags.Configure)) != 0;
        NodeId sender = _context.NodeAt(message.Sender);
        if (!isPiece && sender != _context.Self && group.Credit.TryPayAhead(sender, message.Body.Length + CreditAccount.MessageOverhead)) OnPaid(group);
    }

    /// <summary>What the sides remember of callers, and their configuration data, must be united before a message is looked at.</summary>
    private void HoldBack(GroupMember group, Message message) => _context.Held!.Later(() => Deliver(group, message));

    private bool TryRemember(GroupMember group, CallerStamp caller)
    {
        if (caller.Source.IsClient) _deliveries.Answers.Confirm(group.Id, caller);
        if (caller.Source.IsClient && _context.Settings.Weak.Lacks(WeakRules.ClientsAreNotRemembered)) return true;
        return group.Callers.TryRemember(caller, _context.Configuration!.Id.Epoch);
    }

    /// <summary>A message to more than one group: it is handed over once, in the first of its groups that this node is in. False: in none.</summary>
    public bool TryDeliver(SpreadDestination spread, Message message)
    {
        GroupMember[] mine = GroupsOf(spread);
        if (mine.Length == 0) return false;
        if ((message.Flags & MessageFlags.MorePieces) == 0)
        {
            foreach (GroupMember group in mine) Announcer.Hold(group, MessageFlags.None);
        }
        // Nobody sends such a message while a member of its groups has no state.
        Deliver(Array.Find(mine, static g => g.HasState) ?? mine[0], message);
        return true;
    }

    private GroupMember[] GroupsOf(SpreadDestination spread)
    {
        int self = _context.Ordering!.Self;
        return [.. spread.Parts.Where(p => p.Via.Contains(self)).Select(p => Find(p.Group)).OfType<GroupMember>()];
    }

    // ---- configurations

    /// <summary>A configuration was installed: every group goes on with those that are in it.</summary>
    public void OnInstalled(IReadOnlyList<(GroupOrder Group, ImmutableArray<NodeId> View)> groups, IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>>? told)
    {
        _states.OnInstalled();
        foreach (GroupMember group in _groups) _deliveries.Answers.Forget(group.Id, group.Callers.Forget(IsGone, _context.Configuration!.Id.Epoch));
        if (told is null)
        {
            foreach ((GroupOrder order, ImmutableArray<NodeId> view) in groups) Continue(order, view, null);
            return;
        }
        Dictionary<GroupId, List<(NodeId From, GroupTold Told)>> byGroup = [];
        foreach ((NodeId from, ImmutableArray<GroupTold> list) in told)
        {
            foreach (GroupTold group in list)
            {
                if (!byGroup.TryGetValue(group.Id, out var entries)) byGroup.Add(group.Id, entries = []);
                entries.Add((from, group));
            }
        }
        HashSet<GroupId> merged = _context.Settings.IsExtended ? Merger.Merge(told) : [];
        foreach (GroupId id in merged) byGroup.Remove(id);
        foreach ((GroupOrder order, ImmutableArray<NodeId> view) in groups)
        {
            if (!merged.Contains(order.Id)) Continue(order, view, byGroup);
        }
        foreach (var (id, entries) in byGroup.OrderBy(e => e.Key))
        {
            GroupTold first = entries[0].Told;
            ImmutableArray<NodeId> view = GroupTeller.AlongOf(entries) ?? first.View;
            if (!_groups.Contains(id) && view.Contains(_context.Self)) Continue(new GroupOrder(id, first.Name, [], first.Number, first.ViewId), first.View, byGroup);
        }
        if (_context.IsFrozen) return;
        Merger.Begin();
        _directory.OnInstalled();
        Queries.OnInstalled();
        Migrations.OnInstalled();
        Watches.OnInstalled();
    }

    /// <summary>In extended mode the same incarnation of a caller may come back with its component: only a later one shows that it is gone.</summary>
    private bool IsGone(NodeId caller) => _context.RankOf(caller) < 0
        && (!_context.Settings.IsExtended || _context.Configuration!.Members.Any(m => m.Name == caller.Name && m.Incarnation > caller.Incarnation));

    /// <summary>This node is a member of a group by the others' plan, and learns of it only now.</summary>
    public GroupMember EnterByPlan(GroupOrder order) => Enter(order, _directory.TakeJoin(order.Name), hasState: false);

    /// <summary>A group begins in a configuration: what was under way in the one before is not any more.</summary>
    public void BeginAnew(GroupMember group, ImmutableArray<NodeId> view, SortedSet<NodeId> unloaded)
    {
        group.IsAnnounced = group.IsRankingAnnounced = false;
        group.HeldUntil = default;
        group.Awaiting = unloaded.Count == 0 ? null : unloaded;
        group.CutEpoch = 0;
        if (group.Migration is { } migration) migration.IsWelcome = migration.IsHalted = migration.IsReady = false;      // both sides ask again
        group.Deleters = group.Watchers = null;      // who asked asks again
        group.Joins?.RemoveWhere(n => _context.RankOf(n) < 0 || view.Contains(n));
        Announcer.OnChanged(group);
        group.Pieces = null;
    }

    /// <summary>The oldest member with the state sends it to those without.</summary>
    public void TransferState(GroupMember group, SortedSet<NodeId> stateless)
    {
        if (stateless.Count == 0) return;
        if (group.View.Members.First(n => !stateless.Contains(n)) == _context.Self) _states.Begin(group, [.. stateless], 0);
        else _states.TryInstall(group);
    }

    /// <param name="before">The group before, of which only the name, the number and the id of the view count.</param>
    /// <param name="told">Null: what this node knows itself.</param>
    private void Continue(GroupOrder before, ImmutableArray<NodeId> oldView, Dictionary<GroupId, List<(NodeId From, GroupTold Told)>>? told)
    {
        GroupId id = before.Id;
        List<(NodeId From, GroupTold Told)>? entries = told?.GetValueOrDefault(id);
        ImmutableArray<NodeId> view = GroupTeller.AlongOf(entries) ?? [.. oldView.Where(n => _context.RankOf(n) >= 0)];
        ImmutableArray<NodeId> left = [.. oldView.Where(n => !view.Contains(n))];
        SortedSet<NodeId> stateless = told is null ? [.. view.Where(n => KnowsNoState(n, Find(id)))] : GroupTeller.StatelessOf(view, entries);
        var order = new GroupOrder(id, before.Name, [.. view.Select(_context.RankOf)], left.IsEmpty ? before.Number : before.Number + 1,
            left.IsEmpty ? before.ViewId : $"{id.High:x16}:{_context.Configuration!.Id}:0");
        GroupMember? group = Find(id);
        if (stateless.Count == view.Length && told is not null)
        {
            if (group is not null) Lose(group);      // everybody with the state is gone, and so is the group
            return;
        }
        _context.Ordering!.Engine.Add(order);
        bool isNew = group is null;
        if (group is null)
        {
            group = EnterByPlan(order);
        }
        // Who was told that it has no state may not hear of it before the next change: then this member must speak for itself.
        group.JoinedHere = (told is null && group.JoinedHere) || !group.IsLoaded || group.IsToldUnloaded;
        SortedSet<NodeId> unloaded = [.. stateless.Concat(view.Where(n => GroupTeller.SaysUnloaded(n, entries)))];
        if (group.IsLoaded) unloaded.Remove(_context.Self);      // it was told before the application had it
        BeginAnew(group, view, unloaded);
        if (isNew)
        {
            // It joined by the others' plan, and learns of it only now.
            GroupTold first = entries![0].Told;
            group.View = new View(id, before.Name, before.Number, before.ViewId, oldView, first.Joined, first.Left, first.IsPrimary);
            Show(group, group.View.Joined, group.View.Left, isFirst: true);
        }
        if (!left.IsEmpty)
        {
            group.View = ViewOf(order, view, [], left);
            Show(group, [], left);
            Watches.OnView(group, areFailed: true, isFrozen: true);
        }
        if (_context.IsFrozen) return;
        if (group.IsToldUnloaded && group.IsLoaded) _states.TellLoaded(group);
        TransferState(group, stateless);
    }

    private bool KnowsNoState(NodeId node, GroupMember? group) =>
        group is not null && (node == _context.Self ? !group.HasState : group.Awaiting?.Contains(node) == true);

    /// <summary>
    /// A plan is carried out: a joiner without state gets a snapshot that is cut at the new configuration and covers what
    /// was held. Views are shown where they stand, messages dropped.
    /// </summary>
    public void BeginPlan()
    {
        _isCarryingPlan = true;
        foreach (GroupMember group in _groups)
        {
            if (group.Merge is { } merge) group.IsLoaded = merge.WasLoaded;      // given up: the next configuration sees the sides again
            group.Merge = null;
            foreach (HeldEvent held in group.Held)
            {
                if (held.View is not null) _deliveries.View(group, held.View);
                else if (held.Message is not null) Drop(group, held.Message);
            }
            group.Held.Clear();
        }
        Merger.OnEnded();
    }

    public void EndPlan() => _isCarryingPlan = false;

    private void Drop(GroupMember group, Message message)
    {
        if ((message.Flags & MessageFlags.Configure) != 0) return;
        bool isPiece = (message.Flags & MessageFlags.MorePieces) != 0;
        OnDropped(group, _context.NodeAt(message.Sender), message.Body.Length + (isPiece ? 0 : CreditAccount.MessageOverhead));
        _deliveries.Unanswered(message);
    }

    public void Lose(GroupMember group)
    {
        _groups.Remove(group.Id, out _);
        End(group, GroupEnd.Lost);
    }

    private void End(GroupMember group, GroupEnd end)
    {
        Announcer.Forget(group);
        Migrations.OnEnded(group, null);
        _states.Forget(group);
        Merger.Forget(group);
        _context.Trace(TraceKind.Leave, line => line with { Group = group.Name });
        if (group.IsWanted) _context.Effects.GroupLeft(group.Id, end);
        _deliveries.OnLeft(group);
        foreach (long call in group.LeaveCalls ?? []) _context.Effects.Completed(call, Outcome.Done);
        foreach ((long call, _) in group.Rankings ?? []) _context.Effects.Completed(call, Outcome.NotMember);
        OnEnded(group);
        if (group.Merge is null) return;
        group.Merge = null;
        Merger.OnEnded();
    }
}
