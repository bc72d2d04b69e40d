// What this node announces in its groups: joins that it was asked for, leaves, deletions, rankings, the application's GBCASTs.
// Keeps: one announcement of this node at a time in a group; what waits is looked at again when the one before is over; operations
// that can go together travel in one.
// Follows: protocol.md section 4 (GBCAST) and 7.
using Core.Groups.Protocol.Ordering;

namespace Core.Groups.Protocol.Groups;

internal sealed class Announcer(NodeContext context, GroupService groups)
{
    /// <summary>So long a group stands still at most for a message to it and others that does not come.</summary>
    private static readonly TimeSpan LongestHold = TimeSpan.FromMilliseconds(500);

    private readonly HashSet<GroupMember> _toAnnounce = [];

    /// <summary>Something may be announced that was not looked at yet.</summary>
    public bool HasNews { get; private set; }

    public void LookAgain(GroupMember group)
    {
        if (!IsChanging(group) && _toAnnounce.Add(group)) HasNews = true;
    }

    /// <summary>A GBCAST is over, of whatever kind: what stood behind it may be announced.</summary>
    public void OnChanged(GroupMember group)
    {
        if (HasToAnnounce(group)) LookAgain(group);
        HasNews = true;
    }

    /// <summary>
    /// A message to this group and others needs a moment in which no GBCAST is open in any of them and everybody has the state: while
    /// one waits, at any member, no join is announced in them until it comes, and nothing at all if it waits for no state. Else a
    /// steady stream of joins could hold it up for ever.
    /// </summary>
    public void Hold(GroupMember group, MessageFlags waiting)
    {
        group.IsHeldWholly = (waiting & MessageFlags.SpreadIsReady) != 0;
        if ((waiting & MessageFlags.SpreadWaits) != 0 && !context.Settings.Weak.Lacks(WeakRules.SpreadIsNotWaitedFor)) group.HeldUntil = context.Now + LongestHold;
        else if (group.HeldUntil != default)
        {
            group.HeldUntil = default;
            LookAgain(group);
        }
    }

    private bool IsHeld(GroupMember group) => group.HeldUntil > context.Now && !group.IsHalted;

    public TimeSpan Deadline()
    {
        TimeSpan deadline = TimeSpan.MaxValue;
        foreach (GroupMember group in _toAnnounce)
        {
            if (group.HeldUntil > context.Now && group.HeldUntil < deadline) deadline = group.HeldUntil;
        }
        return deadline;
    }

    public void Forget(GroupMember group) => _toAnnounce.Remove(group);

    /// <summary>Announces what waits, where nothing stands in the way.</summary>
    public void Announce()
    {
        HasNews = false;
        if (_toAnnounce.Count == 0 || !context.IsWorking) return;
        foreach (GroupMember group in _toAnnounce.OrderBy(g => g.Id).ToArray())
        {
            if (groups.OrderOf(group.Id) is not { } order)
            {
                _toAnnounce.Remove(group);
                continue;
            }
            if (IsChanging(group))
            {
                _toAnnounce.Remove(group);
                continue;
            }
            if (IsHeld(group) && (group.IsHeldWholly || !HasMoreThanJoins(group))) continue;
            bool mustStay = MustStay(group, order);
            if (mustStay && (group.IsHalted || !groups.HasBroadcast(group.Id))) continue;      // a donor stays until its state is on its way
            if (group.Joins?.Count > 0 && (!group.HasState || context.IsMerging) && !group.IsLeaving && group.Deleters is null) continue;
            _toAnnounce.Remove(group);
            Announce(group, order, mustStay);
        }
        _toAnnounce.LetGo();
    }

    private bool MustStay(GroupMember group, GroupOrder order)
    {
        bool isMoving = group.Migration is { IsWelcome: true };
        if (group.Deleters is not null || (!group.IsLeaving && !isMoving)) return false;
        if (group.Migration is { IsHalted: true, IsReady: var isReady }) return !isReady;
        if (groups.HasCalls(group.Id) || groups.States.IsDonor(group) || IsLastWithState(group)) return true;
        if (!isMoving || context.IsMerging) return isMoving;
        return order.View.Length == 1 && !HandOver(group, order);
    }

    /// <summary>Nobody else has the state: it goes to the target first, as it is when all that was sent is delivered, and nothing is sent from here on.</summary>
    /// <returns>False: not yet.</returns>
    private bool HandOver(GroupMember group, GroupOrder order)
    {
        if (order.Pending > 0) return false;
        group.Migration!.IsHalted = true;
        groups.States.BeginMigrant(group, group.Migration.To, order.Epoch + 1);
        return false;
    }

    /// <summary>One leaves and one joins; of the others one that has the state gives it.</summary>
    private void AddMove(GroupMember group, GroupOrder order, NodeId target, List<GroupOperation> operations)
    {
        operations.Add(new GroupOperation(GroupOperationKind.Leave, context.Ordering!.Self));
        operations.Add(new GroupOperation(GroupOperationKind.Join, context.RankOf(target)));
        foreach (int rank in order.View)
        {
            if (rank == context.Ordering.Self || group.Awaiting?.Contains(context.NodeAt(rank)) == true) continue;
            operations.Add(new GroupOperation(GroupOperationKind.Donate, rank));
            break;
        }
    }

    /// <summary>A GBCAST is under way in the group: it is looked at again when that is over.</summary>
    private bool IsChanging(GroupMember group) => group.IsAnnounced || groups.OrderOf(group.Id) is { Announcement: not null };

    /// <summary>The others have joined, and it is not known of any that its application has the state: it could be lost with this node.</summary>
    private bool IsLastWithState(GroupMember group) =>
        group.IsLoaded && group.View.Members.Length > 1 && group.View.Members.All(m => m == context.Self || group.Awaiting?.Contains(m) == true);

    private bool HasToAnnounce(GroupMember group) => group.Joins?.Count > 0 || HasMoreThanJoins(group);

    private bool HasMoreThanJoins(GroupMember group) =>
        group.IsLeaving || group.Migration is { IsWelcome: true } || group.Deleters is not null || group.Rankings?.Count > 0 || groups.HasBroadcast(group.Id);

    private void Announce(GroupMember group, GroupOrder order, bool mustStay)
    {
        OrderingLayer ordering = context.Ordering!;
        var operations = new List<GroupOperation>();
        MemberSet destinations = order.ViewSet;
        if (group.Deleters is not null)
        {
            operations.Add(new GroupOperation(GroupOperationKind.Delete, ordering.Self));
        }
        else if (mustStay)
        {
            _toAnnounce.Add(group);      // only what it sends by GBCAST
        }
        else if (group.IsLeaving || group.Migration is { IsWelcome: true })
        {
            if (group.Migration is not { IsWelcome: true, To: var target }) operations.Add(new GroupOperation(GroupOperationKind.Leave, ordering.Self));
            else
            {
                AddMove(group, order, target, operations);
                destinations = destinations.With(context.RankOf(target));
            }
            foreach (NodeId joiner in group.Joins ?? []) groups.Directory.Refuse(joiner, group);      // the donor must stay
            group.Joins = null;
        }
        else if (group.Rankings?.Count > 0) AddRanking(group, order, operations);
        if (operations.Count == 0 && !group.IsLeaving && !IsHeld(group))
        {
            foreach (NodeId joiner in group.Joins ?? [])
            {
                int rank = context.RankOf(joiner);
                if (rank < 0 || order.ViewSet.Contains(rank)) continue;
                operations.Add(new GroupOperation(GroupOperationKind.Join, rank));
                destinations = destinations.With(rank);
            }
            if (operations.Count == 0) group.Joins = null;
        }
        if (operations.Count == 0 && !groups.HasBroadcast(group.Id))
        {
            if (group.Joins is not null) _toAnnounce.Add(group);      // they are held
            return;
        }
        group.IsAnnounced = true;
        Destination to = ordering.Destinations.Intern(order.Id, order.Epoch, destinations, order.ViewSet);
        MessageFlags flags = order.View.Length > context.Settings.GatherAbove ? MessageFlags.Gathered : MessageFlags.None;
        ordering.Emit(MessageKind.Announcement, to, GroupChangeFormat.WriteOperations([.. operations]), [], flags);
    }

    /// <summary>One announcement in several groups, in which nothing stands in the way at this node, for a GBCAST to all of them.</summary>
    public void Announce(Destination to)
    {
        GroupMember[] members = [.. to.Spread!.Parts.Select(p => groups.Find(p.Group)!)];
        if (Array.Exists(members, static g => g.IsAnnounced)) return;
        foreach (GroupMember group in members) group.IsAnnounced = true;
        context.Ordering!.Emit(MessageKind.Announcement, to, GroupChangeFormat.WriteOperations([]), []);
    }

    // ---- ranking

    /// <summary>The members are to be ranked in this order; who is not named follows, ranked as before.</summary>
    public void Rank(GroupMember group, long call, NodeId[] ranking)
    {
        (group.Rankings ??= []).Add((call, ranking));
        LookAgain(group);
    }

    public bool CancelRanking(long call)
    {
        foreach (GroupMember group in groups.Members)
        {
            if (group.Rankings?.FindIndex(r => r.Call == call) is not (>= 0 and var at) || (at == 0 && group.IsRankingAnnounced)) continue;
            group.Rankings.RemoveAt(at);
            return true;
        }
        return false;
    }

    /// <summary>The change is that each member leaves and joins again in the new order, in one step.</summary>
    private void AddRanking(GroupMember group, GroupOrder order, List<GroupOperation> operations)
    {
        while (group.Rankings is [var (call, ranking), ..])
        {
            int[] named = [.. ranking.Select(context.RankOf).Where(order.ViewSet.Contains).Distinct()];
            int[] view = [.. named, .. order.View.Where(rank => !named.Contains(rank))];
            if (!view.AsSpan().SequenceEqual(order.View))
            {
                foreach (int rank in view) operations.AddRange([new GroupOperation(GroupOperationKind.Leave, rank), new GroupOperation(GroupOperationKind.Join, rank)]);
                group.IsRankingAnnounced = true;
                return;
            }
            group.Rankings.RemoveAt(0);
            context.Effects.Completed(call, Outcome.Done);
        }
    }

    /// <summary>A GBCAST is delivered: if it was this node's ranking, that is done.</summary>
    public void EndRanking(GroupMember group, Message announcement)
    {
        if (announcement.Sender != context.Ordering!.Self || !group.IsRankingAnnounced) return;
        group.IsRankingAnnounced = false;
        context.Effects.Completed(group.Rankings![0].Call, Outcome.Done);
        group.Rankings.RemoveAt(0);
    }
}
