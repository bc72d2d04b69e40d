// Decides what is deliverable: fifo, causal, total, causal-total, safe, GBCAST. The same code runs live and, on a copy of
// the groups with another oracle, in a recovery plan.
// Keeps: invariants 3, 4 and 5 of protocol.md within one configuration.
// Follows: protocol.md section 4; EVS 3.1. A message is delivered once: Done (live) or DoneInPlan (in a plan) says so.
namespace Core.Groups.Protocol.Ordering;

internal sealed class DeliveryEngine(int self, SenderLog[] logs, IOrderingOracle oracle, IOrderingSink sink, string configuration, WeakRules weak, int plan = 0, int gatherAbove = int.MaxValue)
{
    private readonly PendingMessages _pending = new(self);
    private readonly List<GroupOrder> _changing = [];
    private JointChanges? _joint;
    /// <summary>Announcements that let this node into a group, until their GBCAST takes it in: they may leave the log before.</summary>
    private readonly Dictionary<Dependency, Message> _invitations = [];

    public IReadOnlyCollection<GroupOrder> Groups => _pending.Groups;
    /// <summary>Safe messages that are here and not delivered: what is stable is waited for.</summary>
    public int UndeliveredSafe { get; private set; }
    public bool IsIdle => _pending.IsEmpty && _changing.Count == 0 && _joint is not { Open.Count: > 0 };

    private JointChanges Joint => _joint ??= new JointChanges(self, _pending, weak);

    public void Add(GroupOrder group)
    {
        _pending.Groups.Add(group.Id, group);
        if (group.Announcement is not null) _changing.Add(group);
    }

    public GroupOrder? Find(GroupId id) => _pending.Groups.Find(id);

    /// <summary>A copy with the groups as they are and nothing pending: its owner routes what is not delivered.</summary>
    public DeliveryEngine Fork(IOrderingOracle otherOracle, IOrderingSink otherSink, int otherPlan)
    {
        var fork = new DeliveryEngine(self, logs, otherOracle, otherSink, configuration, weak, otherPlan);
        foreach (GroupOrder group in _pending.Groups) fork.Add(group.Fork());
        foreach ((Dependency id, Message invitation) in _invitations) fork._invitations.Add(id, invitation);
        foreach (JointChange joint in _joint?.Open ?? [])
        {
            if (joint.Announcement is not { } announcement) continue;
            JointChange copy = fork.Joint.Find(joint.Id);
            copy.Announcement = announcement;
            copy.FinishSent = joint.FinishSent;
            copy.IsVoid = joint.IsVoid;
            copy.Groups.AddRange(joint.Groups.Select(g => fork.Find(g.Id)!));
        }
        return fork;
    }

    public bool IsDone(Message message) => message.Done || (plan != 0 && message.DoneInPlan == plan);

    /// <summary>Takes a message that is new here, in its sender's order, and delivers it if nothing is missing.</summary>
    public void Route(Message message)
    {
        Destination to = message.Destination;
        if (to.IsDirect)
        {
            AcceptCausal(null, message);
            return;
        }
        if (to.Spread is { } spread)
        {
            if (JointChanges.Concerns(message)) Joint.Take(message);
            else RouteSpread(message, spread);
            return;
        }
        if (message.Kind == MessageKind.Announcement && !to.Via.Contains(self))
        {
            MarkDone(message);       // a joiner only needs to know it
            _invitations[new Dependency(message.Sender, message.Sequence)] = message;
            AdoptOrphans(to.Group);
            return;
        }
        if (!_pending.Groups.TryGet(to.Group, out GroupOrder? group))
        {
            _pending.AddOrphan(to.Group, message);
            AdoptOrphans(to.Group);
        }
        else if (to.Epoch == group.Epoch) Accept(group, message);
        else if (to.Epoch > group.Epoch) (group.Future ??= []).Add(message);
        else MarkDone(message);      // of an epoch in which this node had no part
    }

    /// <summary>A message to more than one group is delivered when each of its groups here is at its epoch.</summary>
    private void RouteSpread(Message message, SpreadDestination spread)
    {
        if (Array.Exists(spread.Parts, p => p.Via.Contains(self) && _pending.Groups.TryGet(p.Group, out GroupOrder? group) && p.Epoch < group.Epoch))
        {
            MarkDone(message);
            return;
        }
        DestinationPart[] mine = Array.FindAll(spread.Parts, p => p.Via.Contains(self) || IsAhead(p) || Before(p) is not null);
        _pending.Spread.Add(message, mine.Length);
        if (message.Kind == MessageKind.Safe) UndeliveredSafe++;
        if (!message.Kind.IsTotal()) _pending.Park(null, message, ProgressOf(message));
        foreach (DestinationPart part in mine) RoutePart(message, part);
        foreach (DestinationPart part in mine) AdoptOrphans(part.Group);
    }

    /// <summary>This node is leaving, and gets a message of an epoch without it as a single process: it stands behind the leave.</summary>
    private bool IsAhead(DestinationPart part) => !weak.Lacks(WeakRules.LeaverDeliversAtOnce) && _pending.Groups.TryGet(part.Group, out GroupOrder? group) && part.Epoch > group.Epoch;

    private JointChange? Before(DestinationPart part) => part.Via.Contains(self) ? null : _joint?.Before(part.Group, part.Epoch);

    private void RoutePart(Message message, DestinationPart part)
    {
        if (Before(part) is { } joint) joint.Behind.Add((message, part.Group));
        else if (!part.Via.Contains(self) && !IsAhead(part)) _pending.Spread.OnEntered(message);
        else if (!_pending.Groups.TryGet(part.Group, out GroupOrder? group)) _pending.AddOrphan(part.Group, message);
        else if (part.Epoch > group.Epoch) (group.Future ??= []).Add(message);
        else
        {
            _pending.Spread.OnEntered(message);
            group.Pending++;
            if (message.Sender == self) group.LastSent = group.LastSpread = message.Sequence;
            if (message.Kind.IsTotal() && message.Destination.Spread!.IsInGroupOrders) Enqueue(group, message);
        }
    }

    /// <summary>A message that waited for this group.</summary>
    private void RouteAgain(Message message, GroupId group)
    {
        if (message.Destination.Spread is not { } spread) Route(message);
        else if (_pending.Spread.Contains(message)) RoutePart(message, Array.Find(spread.Parts, p => p.Group == group)!);
    }

    /// <summary>Delivers all that has become deliverable.</summary>
    public void Pump()
    {
        bool progress;
        do
        {
            progress = false;
            for (int i = 0; i < _pending.WithTotals.Count; i++) progress |= PumpTotals(_pending.WithTotals[i]);
            if (!_pending.Spread.IsEmpty) progress |= PumpDomains();
            _pending.DropEmptyTotals();
            for (int i = 0; i < _pending.Streams.Count; i++) progress |= PumpWaiting(_pending.Streams[i]);
            if (_pending.Streams.Count > 0) _pending.Streams.RemoveAll(static s => s.Waiting!.Count == 0);
            for (int i = 0; i < _changing.Count; i++) progress |= PumpChange(_changing[i]);
            // Last, so that it stands behind all that is deliverable.
            for (int i = (_joint?.Open.Count ?? 0) - 1; i >= 0 && !progress; i--) progress = PumpJoint(_joint!.Open[i]);
            if (_changing.Count > 0) _changing.RemoveAll(static g => g.Announcement is null);
        }
        while (progress);
        _changing.LetGo();
    }

    private void Accept(GroupOrder group, Message message)
    {
        if (message.Sender == self) group.LastSent = message.Sequence;
        switch (message.Kind)
        {
            case MessageKind.Reliable or MessageKind.Fifo:
                StreamProgress stream = ProgressOf(message);
                if ((message.StreamIndex == stream.LastDone + 1 || DeliversGaps) && !_pending.IsBehindFifo(message)) Deliver(message, stream);
                else _pending.Park(group, message, stream);      // behind a message to other groups too; in a plan: nobody has its predecessor
                break;
            case MessageKind.Causal:
                AcceptCausal(group, message);
                break;
            case MessageKind.Group:
                (group.Casts ??= []).Add(message);
                break;
            case MessageKind.Marker or MessageKind.Finished:
                GroupFlush.Take(group, message, self, logs.Length);
                break;
            default:
                Enqueue(group, message);
                group.Pending++;
                if (message.Kind == MessageKind.Safe) UndeliveredSafe++;
                break;
        }
    }

    private void AcceptCausal(GroupOrder? group, Message message)
    {
        StreamProgress stream = ProgressOf(message);
        if (stream.Waiting is not { Count: > 0 } && IsCausallyReady(message, stream)) Deliver(message, stream);
        else _pending.Park(group, message, stream);
    }

    private bool DeliversGaps => plan != 0 && weak.Lacks(WeakRules.GapsAreDelivered);

    private bool IsCausallyReady(Message message, StreamProgress stream)
    {
        if (DeliversGaps && oracle.IsTransitional) return true;
        if (message.StreamIndex != stream.LastDone + 1) return false;
        foreach (Dependency dependency in message.Dependencies)
        {
            if (!IsDone(dependency)) return false;
        }
        return true;
    }

    public bool IsDone(Dependency dependency)
    {
        SenderLog log = logs[dependency.Sender];
        if (log.IsDone(dependency.Sequence)) return true;
        return plan != 0 && log.Find(dependency.Sequence) is { } message && message.DoneInPlan == plan;
    }

    private bool PumpWaiting(StreamProgress stream)
    {
        bool progress = false;
        while (stream.Waiting!.TryPeek(out Message? message) && IsCausallyReady(message, stream) && !_pending.Spread.IsMissing(message) && !_pending.IsBehindFifo(message))
        {
            _pending.Dequeue(stream);
            Deliver(message, stream);
            progress = true;
        }
        return progress;
    }

    private long LimitOf(GroupOrder group)
    {
        long limit = long.MaxValue;
        foreach (int rank in group.View)
        {
            if (rank != self) limit = Math.Min(limit, oracle.Floor(rank, group));
        }
        return Math.Max(limit, oracle.Gathered(group));
    }

    /// <summary>A total message takes its place in a group's order.</summary>
    private void Enqueue(GroupOrder group, Message message)
    {
        _pending.Enqueue(group, message);
        if (group.View.Length > gatherAbove && group.View[0] == self) (group.Gatherer ??= new()).OnTotal(message);
    }

    /// <summary>Delivers what is ready in the orders that span groups.</summary>
    private bool PumpDomains()
    {
        bool progress = false;
        long limit = long.MaxValue;
        for (int rank = 0; rank < logs.Length; rank++)
        {
            if (rank != self) limit = Math.Min(limit, oracle.Floor(rank));
        }
        foreach (TotalQueue domain in _pending.Spread.Domains)
        {
            while (domain.TryPeek(out Message? message) && message.Timestamp <= limit && IsSpreadReady(message))
            {
                domain.Dequeue();
                SpreadDestination spread = message.Destination.Spread!;
                foreach (DestinationPart part in spread.Parts)
                {
                    if (spread.IsInGroupOrders && part.Via.Contains(self)) _pending.Groups.Find(part.Group)!.Totals!.Dequeue();
                }
                if (message.Kind == MessageKind.Safe) UndeliveredSafe--;
                _pending.Forget(message);
                if (message.Kind == MessageKind.Announcement) Announce(spread, message);
                else Deliver(message, ProgressOf(message));
                progress = true;
            }
        }
        if (progress) _pending.Spread.DropEmptyDomains();
        return progress;
    }

    /// <summary>Whether a total message at the head of its domain is at the head of its groups' orders too, and has nothing else to wait for.</summary>
    private bool IsSpreadReady(Message message)
    {
        if (_pending.Spread.IsMissing(message) || (message.Kind != MessageKind.Announcement && message.StreamIndex != ProgressOf(message).LastDone + 1)) return false;
        SpreadDestination spread = message.Destination.Spread!;
        foreach (DestinationPart part in spread.Parts)
        {
            if (!spread.IsInGroupOrders || !part.Via.Contains(self)) continue;
            GroupOrder group = _pending.Groups.Find(part.Group)!;
            if (!group.Totals!.TryPeek(out Message? first) || first != message || message.Timestamp > LimitOf(group)) return false;
        }
        return (!message.Kind.IsCausal() || IsCausallyReady(message, ProgressOf(message))) && (message.Kind != MessageKind.Safe || IsSafe(message));
    }

    private bool PumpTotals(GroupOrder group)
    {
        bool progress = false;
        long limit = LimitOf(group);
        while (group.Totals!.TryPeek(out Message? message) && message.Timestamp <= limit && message.Destination.Spread is null)
        {
            StreamProgress? stream = message.Kind == MessageKind.Announcement ? null : ProgressOf(message);
            if (stream is not null && message.StreamIndex != stream.LastDone + 1) break;
            if (message.Kind.IsCausal() && !IsCausallyReady(message, stream!)) break;
            if (message.Kind == MessageKind.Safe && !IsSafe(message)) break;
            group.Totals.Dequeue();
            group.Pending--;
            if (message.Kind == MessageKind.Safe) UndeliveredSafe--;
            progress = true;
            if (stream is null) Announce(group, message);
            else Deliver(message, stream);
        }
        return progress;
    }

    private bool IsSafe(Message message)
    {
        if (weak.Lacks(WeakRules.SafeByFloors)) return true;
        if (!oracle.IsStable(message)) return false;
        foreach (Dependency dependency in message.Dependencies)
        {
            if (!oracle.IsStable(dependency)) return false;
        }
        return true;
    }

    private void Deliver(Message message, StreamProgress stream)
    {
        MarkDone(message);
        stream.LastDone = message.StreamIndex;
        sink.OnDelivered(message);
    }

    private void Announce(GroupOrder group, Message message)
    {
        MarkDone(message);
        if (group.Announcement is not null && weak.Lacks(WeakRules.SecondAnnouncementStands))
        {
            group.Operations = [.. group.Operations, .. GroupChangeFormat.ReadOperations(message.Body)];
            return;
        }
        if (group.Announcement is not null)
        {
            sink.OnVoided(message, group.Id);
            return;
        }
        group.Announcement = message;
        group.Operations = GroupChangeFormat.ReadOperations(message.Body);
        group.Loading = MemberSet.Empty;
        group.Waiting = MessageFlags.None;
        if (!_changing.Contains(group)) _changing.Add(group);
        if (!group.IsGatheredBy(self)) sink.OnAnnounced(group);      // the gatherer's marker comes when it has the others'
    }

    /// <summary>A GBCAST of more than one group: it opens in each of them in which none is open.</summary>
    private void Announce(SpreadDestination spread, Message message)
    {
        MarkDone(message);
        JointChange joint = Joint.Find(new Dependency(message.Sender, message.Sequence));
        joint.Announcement = message;
        foreach (DestinationPart part in spread.Parts)
        {
            if (!part.Via.Contains(self)) continue;
            GroupOrder group = _pending.Groups.Find(part.Group)!;
            if (group.Announcement is not null)
            {
                sink.OnVoided(message, group.Id);
                continue;
            }
            group.Announcement = message;
            joint.Groups.Add(group);
            if (!_changing.Contains(group)) _changing.Add(group);
        }
        sink.OnAnnounced(joint);
    }

    private bool PumpJoint(JointChange joint)
    {
        if (joint.Announcement is not { } announcement || !Joint.HasDeliveredBefore(joint)) return false;
        bool progress = false;
        if (!joint.FinishSent)
        {
            if (!oracle.IsTransitional && !Joint.HasAllMarkers(joint)) return false;
            joint.FinishSent = progress = true;
            sink.OnFlushed(joint);
        }
        if (!oracle.IsTransitional && !joint.Destination.Members.IsSubsetOf(joint.Finished) && !weak.Lacks(WeakRules.JointOnMarkers)) return progress;
        foreach (GroupOrder group in joint.Groups)
        {
            joint.Casts.AddRange(group.Casts ?? []);
            group.Casts = null;
        }
        DeliverCasts(joint.Casts);
        foreach (Message message in joint.OpenMessages) MarkDone(message);
        Joint.Remove(joint);
        foreach (GroupOrder group in joint.Groups)
        {
            group.Closing = joint.OwnFinish;
            group.Waiting = joint.Waiting;
            Change(group, announcement);
        }
        foreach ((Message message, GroupId group) in joint.Behind) RouteAgain(message, group);
        return true;
    }

    private bool PumpChange(GroupOrder group)
    {
        if (group.Announcement is not { Destination.Spread: null } announcement) return false;
        bool progress = false;
        if (GroupFlush.IsMarkerDue(group, self))
        {
            group.IsMarkerOwed = progress = true;
            sink.OnAnnounced(group);
        }
        if (!_pending.HasDelivered(group)) return progress;
        if (!group.ViewSet.Contains(self) && _joint?.Before(group.Id, group.Epoch) is not null) return false;      // a joiner
        if (GroupFlush.IsFinishDue(group, self, logs, oracle, weak))
        {
            group.FinishSent = progress = true;
            sink.OnFlushed(group);
        }
        if (!oracle.IsTransitional && !GroupFlush.IsOver(group, self, weak)) return progress;
        Change(group, announcement);
        return true;
    }

    private void Change(GroupOrder group, Message announcement)
    {
        if (group.Casts is { } casts) DeliverCasts(casts);
        foreach (Message message in group.OpenMessages ?? []) MarkDone(message);
        GroupOperation[] operations = group.Operations;
        int[] oldView = group.View;
        Message? closing = group.Closing;
        // Named after the GBCAST, for components that part in the middle of it may deliver different ones (extended mode).
        group.Advance(GroupOrder.Apply(oldView, operations), $"{group.Id.High:x16}:{configuration}:{group.Epoch + 1}.{announcement.Sender}.{announcement.Sequence}");
        List<Message>? future = group.Future;
        group.Future = null;
        if (!group.ViewSet.Contains(self))
        {
            _pending.Groups.Remove(group.Id, out _);
            if (group.Totals is { } totals) totals.Clear();
            sink.OnGroupChanged(group, announcement, closing, operations, oldView);
            foreach (Message message in future ?? [])
            {
                if (message.Destination.Spread is { } spread && !Array.Exists(spread.Parts, p => p.Group == group.Id && p.Via.Contains(self))) RouteAgain(message, group.Id);
                else if (!weak.Lacks(WeakRules.LeaverDropsAll)) _pending.AddOrphan(group.Id, message);
            }
            AdoptOrphans(group.Id);
            return;
        }
        sink.OnGroupChanged(group, announcement, closing, operations, oldView);
        foreach (Message message in future ?? []) RouteAgain(message, group.Id);
    }

    /// <summary>
    /// What the application sends by GBCAST is delivered in the old view. Each sender's came before its marker, so all members
    /// have the same: whoever sent them, their order is that of the senders' ranks.
    /// </summary>
    private void DeliverCasts(List<Message> casts)
    {
        casts.Sort(static (a, b) => (a.Sender, a.Sequence).CompareTo((b.Sender, b.Sequence)));
        foreach (Message message in casts)
        {
            StreamProgress stream = ProgressOf(message);
            if (message.StreamIndex == stream.LastDone + 1 || DeliversGaps) Deliver(message, stream);
        }
    }

    /// <summary>A joiner orders as a member from the GBCAST on: it needs the announcement, and a finish, which tells it the view.</summary>
    private void AdoptOrphans(GroupId id)
    {
        foreach (Message finish in _pending.OrphansOf(id))
        {
            if (finish.Kind != MessageKind.Finished) continue;
            GroupChangeFormat.Finish told = GroupChangeFormat.ReadFinish(finish.Body);
            if (!_invitations.Remove(told.Announcement, out Message? announcement)) continue;
            _invitations.LetGo();
            GroupOperation[] operations = GroupChangeFormat.ReadOperations(announcement.Body);
            var group = new GroupOrder(id, told.GroupName, told.View, told.Number, told.ViewId)
            {
                Epoch = finish.Destination.Epoch, Announcement = announcement, Operations = operations, LastFinish = new Dependency(finish.Sender, finish.Sequence),
            };
            Add(group);
            IReadOnlyList<Message> mine = _pending.OrphansOf(id);
            _pending.RemoveOrphans(id);
            foreach (Message message in mine) RouteAgain(message, id);
            return;
        }
    }

    /// <summary>
    /// In a plan: gives up the messages that can never be delivered, because nobody has a dependency or the predecessor.
    /// With <paramref name="blocking"/>, also those that keep a GBCAST open. True: something was given up.
    /// </summary>
    public bool GiveUpLost(bool blocking)
    {
        HashSet<Message> alive = _pending.All();
        foreach (JointChange joint in _joint?.Open ?? []) alive.UnionWith(joint.Casts);
        HashSet<Message> lost = DeliversGaps ? [] : LostMessages.Find(alive, this, logs);
        if (blocking)
        {
            foreach (GroupOrder group in _changing) lost.UnionWith(alive.Where(m => LostMessages.HoldsUp(m, group)));
            foreach (JointChange joint in _joint?.Open ?? []) lost.UnionWith(alive.Where(m => JointChanges.HoldsUp(m, joint)));
        }
        if (lost.Count == 0) return false;
        _pending.Remove(lost);
        foreach (JointChange joint in _joint?.Open ?? []) joint.Casts.RemoveAll(lost.Contains);
        return true;
    }

    public StreamProgress ProgressOf(Message message)
    {
        StreamState stream = message.Destination.Stream(message.Sender, message.Kind.Class(), logs.Length);
        return plan == 0 ? stream.Live : stream.InPlan(plan);
    }

    private void MarkDone(Message message)
    {
        if (plan == 0) message.Done = true;
        else message.DoneInPlan = plan;
    }
}
