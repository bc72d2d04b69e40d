// The multicasts that the application asks for: sent at once, or held while something stands in the way.
// Keeps: calls to one group leave in their order; a causal call waits for every earlier call of its node, and its past is
// fixed when it is made; a large message leaves in pieces, all in one epoch, or begins again.
// Follows: protocol.md sections 2 (pieces) and 3 (sending rule).
using System.Collections.Immutable;
using Core.Groups.Protocol.Groups;
using Core.Groups.Protocol.Links;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Tracing;

namespace Core.Groups.Protocol.Requests;

/// <summary>More than one group: several, or single processes beside them, or a label.</summary>
/// <param name="Groups">By rising id, each once.</param>
internal sealed record SpreadTarget(GroupId[] Groups, NodeId[] To, string? Label);

/// <summary>One multicast as the application asked for it.</summary>
internal readonly record struct Cast(
    long Call, GroupId Group, NodeId? To, MessageKind Kind, ReadOnlyMemory<byte> Body, MessageFlags Flags = 0, long RequestId = 0, CallerStamp? Caller = null,
    SpreadTarget? Spread = null, AnswerStamp? Answer = null)
{
    public bool Uses(GroupId group) => To is null && (Spread is null ? Group == group : Array.IndexOf(Spread.Groups, group) >= 0);

    /// <summary>The groups that it goes to; none for one to single processes.</summary>
    public GroupId[] Groups => To is not null ? [] : Spread?.Groups ?? [Group];

    /// <summary>Somebody waits to hear that it could not be sent.</summary>
    public bool IsAwaited => Call != 0 || Caller is not null || Answer is not null;

    /// <summary>The library's own: neither traced nor charged.</summary>
    public bool IsInternal => (Flags & MessageFlags.Configure) != 0;
}

internal sealed class CallQueue(NodeContext context, ChannelTable channels, GroupService groups)
{
    /// <summary>How many bytes of pieces may be on a link before the next piece waits.</summary>
    private const long PieceWindow = 256 << 10;

    private readonly LinkedList<Waiting> _waiting = [];
    private readonly Dictionary<GroupId, int> _waitingIn = [];
    private readonly HashSet<GroupId> _stopped = [];
    private (Cast Cast, long Number)? _emitting;
    private long _calls;

    private sealed class Waiting(Cast cast, PastEntry[]? past, long number)
    {
        public Cast Cast { get; set; } = cast;
        public PastEntry[]? Past { get; set; } = past;
        /// <summary>The number of the call in the trace.</summary>
        public long Number => number;
        /// <summary>How much of a large message has left.</summary>
        public int Sent { get; set; }
        public Destination? SentTo { get; set; }
    }

    private WeakRules Weak => context.Settings.Weak;
    public int Count => _waiting.Count;
    public long Sent { get; private set; }
    /// <summary>The number of the last call that had to wait.</summary>
    public long LastNumber => _calls;
    /// <summary>A causal call waits until something of its past is settled.</summary>
    public bool WaitsForPast { get; private set; }
    /// <summary>Told of each cast that was numbered, with its message.</summary>
    public Action<Cast, Message> OnSent { get; set; } = static (_, _) => { };

    /// <summary>Whether a call with this number or an earlier one waits.</summary>
    public bool HasUpTo(long number) => _waiting.First?.Value.Number <= number;

    public bool Has(GroupId group) => _waitingIn.ContainsKey(group);

    /// <summary>Whether a call to this group and others, or processes beside it, waits, and whether for nothing but GBCASTs.</summary>
    public MessageFlags WaitingSpread(GroupId group)
    {
        var flags = MessageFlags.None;
        if (!_waitingIn.ContainsKey(group)) return flags;
        foreach (Waiting waiting in _waiting)
        {
            if (waiting.Cast.Spread is not { } spread || !waiting.Cast.Uses(group)) continue;
            flags |= MessageFlags.SpreadWaits;
            if (Array.TrueForAll(spread.Groups, g => groups.Find(g) is { IsHalted: false } member && IsWhole(member))) flags |= MessageFlags.SpreadIsReady;
        }
        return flags;
    }

    /// <summary>Whether all members have the state.</summary>
    private static bool IsWhole(GroupMember group) => group.HasState && group.Awaiting is not { Count: > 0 };

    private bool MaySend => context.IsWorking && !context.IsMerging;

    public void Submit(in Cast cast)
    {
        bool mayGo = (cast.To is not null || (_waitingIn.Count == 0 || !IsBehind(cast, _waitingIn.ContainsKey))) && (_waiting.Count == 0 || !cast.Kind.IsCausal() || Weak.Lacks(WeakRules.CausalCallsOvertake))
            && cast.Body.Length <= context.Settings.PieceSize && cast.Kind != MessageKind.Group;
        if (mayGo && TrySend(cast, null, 0)) return;
        Wait(cast);
        if (cast.Kind == MessageKind.Group && cast.Spread is null && groups.Find(cast.Group) is { } group) groups.Announcer.LookAgain(group);
    }

    private static bool IsBehind(in Cast cast, Predicate<GroupId> isHeld) => cast.Spread is null ? isHeld(cast.Group) : Array.Exists(cast.Spread.Groups, isHeld);

    private void Wait(in Cast cast)
    {
        PastEntry[]? past = cast.Kind.IsCausal() && !Weak.Lacks(WeakRules.PastIsTakenAtDeparture) && context.Ordering is { } ordering ? ordering.CapturePast() : null;
        long number = ++_calls;
        if (!cast.IsInternal) context.Trace(TraceKind.Call, line => line with { Call = number });
        _waiting.AddLast(new Waiting(cast, past, number));
        foreach (GroupId group in cast.Groups) _waitingIn[group] = _waitingIn.GetValueOrDefault(group) + 1;
    }

    /// <summary>Sends every waiting call that may go now. True: some did.</summary>
    public bool Pump()
    {
        WaitsForPast = false;
        if (_waiting.Count == 0 || !MaySend) return false;
        bool any = false, causalWaits = false;
        _stopped.Clear();
        for (LinkedListNode<Waiting>? node = _waiting.First, next; node is not null; node = next)
        {
            next = node.Next;
            Waiting waiting = node.Value;
            Cast cast = waiting.Cast;
            if (cast.To is null && IsBehind(cast, _stopped.Contains))
            {
                _stopped.UnionWith(cast.Groups);
                // What is behind a GBCAST is in the past of later calls, although the GBCAST is not before it is delivered.
                causalWaits |= cast.Kind != MessageKind.Group && !Weak.Lacks(WeakRules.CausalCallsOvertake);
                continue;
            }
            if (cast.Kind == MessageKind.Group)
            {
                any |= TryAskForBroadcast(node);
                continue;
            }
            bool sent = !(cast.Kind.IsCausal() && causalWaits)
                && (cast.Body.Length > context.Settings.PieceSize ? TrySendPieces(waiting) : TrySend(cast, waiting.Past, waiting.Number));
            if (sent)
            {
                if (node.List is not null) Remove(node);      // a request that failed has withdrawn itself
                any = true;
                continue;
            }
            causalWaits = !Weak.Lacks(WeakRules.CausalCallsOvertake);
            _stopped.UnionWith(cast.Groups);
        }
        return any;
    }

    // ---- GBCAST

    /// <summary>A GBCAST at the head of its group's calls: it leaves when one is open. True: it ended, for its group is gone.</summary>
    private bool TryAskForBroadcast(LinkedListNode<Waiting> node)
    {
        Cast cast = node.Value.Cast;
        if (cast.Spread is { } spread && groups.Find(cast.Group) is not null)
        {
            _stopped.UnionWith(cast.Groups);
            bool mayGo = TryFindDestination(cast, spread, out Destination? to, out bool isOver);
            if (isOver) Remove(node);
            else if (mayGo && to!.Spread is not null) groups.Announcer.Announce(to);
            else if (mayGo) groups.Announcer.LookAgain(groups.Find(cast.Group)!);
            return isOver;
        }
        if (groups.Find(cast.Group) is { } group)
        {
            _stopped.Add(cast.Group);
            if (context.Ordering!.Engine.Find(cast.Group)?.Announcement is null) groups.Announcer.LookAgain(group);
            return false;
        }
        Remove(node);
        GiveBack(cast);      // of its other groups (found by the simulator: mix 4024996)
        Fail(cast, Outcome.NotMember);
        return true;
    }

    /// <summary>Whether the next call to a group is a GBCAST that may go: nothing but an announcement stands in its way.</summary>
    public bool IsBroadcastNext(GroupId group) => MaySend && FirstIn(group) is { Value.Cast: { Kind: MessageKind.Group } cast } && IsPlain(cast);

    /// <summary>Whether a GBCAST goes to the members of one group only.</summary>
    private bool IsPlain(in Cast cast)
    {
        if (cast.Spread is not { } spread) return true;
        if (spread.Groups.Length > 1 || context.Ordering!.Engine.Find(cast.Group) is not { } order) return false;
        return Array.TrueForAll(spread.To, n => context.RankOf(n) is var rank && (rank < 0 || order.ViewSet.Contains(rank)));
    }

    /// <summary>A GBCAST is open and this node's marker is owed: what waits for it leaves now, whoever announced it.</summary>
    public void SendBroadcasts(GroupOrder order)
    {
        while (IsBroadcastNext(order.Id)) SendBroadcast(FirstIn(order.Id)!, order.DestinationIn(context.Ordering!), []);
    }

    /// <summary>The same for a GBCAST of several groups: what goes to just these destinations leaves if it is open in all of them.</summary>
    public void SendBroadcasts(JointChange joint)
    {
        bool isOpen = joint.Groups.Count == joint.Destination.Spread!.Parts.Length || Weak.Lacks(WeakRules.JointIgnoresVoid);
        bool any;
        do
        {
            any = false;
            foreach (GroupOrder order in joint.Groups)
            {
                SendBroadcasts(order);
                if (!isOpen || !MaySend || FirstIn(order.Id) is not { Value.Cast: { Kind: MessageKind.Group, Spread: { } spread } } first) continue;
                if (!IsFor(spread, joint.Destination) || !Array.TrueForAll(spread.Groups, g => FirstIn(g) == first)) continue;
                SendBroadcast(first, joint.Destination, joint.Reference);
                any = true;
            }
        }
        while (any);
    }

    private bool IsFor(SpreadTarget target, Destination to)
    {
        SpreadDestination spread = to.Spread!;
        if (!target.Groups.AsSpan().SequenceEqual(Array.ConvertAll(spread.Parts, static p => p.Group))) return false;
        MemberSet all = spread.GroupMembers.Union(MemberSet.Of([.. target.To.Select(context.RankOf).Where(static r => r >= 0)]));
        return all.Equals(to.Members);
    }

    private void SendBroadcast(LinkedListNode<Waiting> first, Destination to, Dependency[] reference)
    {
        Remove(first);
        for (ReadOnlyMemory<byte> rest = first.Value.Cast.Body; ;)
        {
            // The group stands still until all is sent, so a large one does not wait for room on the links: credit bounds it.
            ReadOnlyMemory<byte> piece = first.Value.Cast.IsInternal ? rest : rest[..Math.Min(rest.Length, context.Settings.PieceSize)];
            rest = rest[piece.Length..];
            Emit(first.Value.Cast, first.Value.Number, to, piece, reference, isLast: rest.IsEmpty);
            if (rest.IsEmpty) break;
        }
    }

    private LinkedListNode<Waiting>? FirstIn(GroupId group)
    {
        if (!_waitingIn.ContainsKey(group)) return null;
        LinkedListNode<Waiting>? node = _waiting.First;
        while (node is not null && !node.Value.Cast.Uses(group)) node = node.Next;
        return node;
    }

    private void Remove(LinkedListNode<Waiting> node)
    {
        _waiting.Remove(node);
        foreach (GroupId group in node.Value.Cast.Groups)
        {
            int left = _waitingIn[group] - 1;
            if (left > 0) _waitingIn[group] = left;
            else _waitingIn.Remove(group);
        }
    }

    /// <summary>False: it has to wait. A cast that has lost its destination ends here with its error.</summary>
    private bool TrySend(in Cast cast, PastEntry[]? past, long number)
    {
        if (!TryFindDestination(cast, out Destination? to, out bool isOver)) return isOver;
        OrderingLayer ordering = context.Ordering!;
        if (!ordering.TryGetDependencies(to!, cast.Kind, past, out Dependency[] dependencies))
        {
            WaitsForPast = true;
            return false;
        }
        Emit(cast, number, to!, cast.Body, dependencies, isLast: true);
        return true;
    }

    /// <summary>Sends one piece of a call, mostly its only one: the last stands for the whole.</summary>
    private void Emit(in Cast cast, long number, Destination to, ReadOnlyMemory<byte> piece, Dependency[] dependencies, bool isLast)
    {
        OrderingLayer ordering = context.Ordering!;
        if (isLast)
        {
            _emitting = (cast, number);
            ordering.Emit(cast.Kind, to, piece, dependencies, cast.Flags, cast.RequestId, cast.Caller, cast.Answer);
        }
        else ordering.Emit(cast.Kind, to, piece, dependencies, MessageFlags.MorePieces | (cast.Flags & (MessageFlags.AnswerTo | MessageFlags.Reply)), answer: cast.Answer);
    }

    /// <summary>The next pieces of a large message, as far as the links take them. True: it is sent whole.</summary>
    private bool TrySendPieces(Waiting waiting)
    {
        Cast cast = waiting.Cast;
        if (!TryFindDestination(cast, out Destination? to, out bool isOver)) return isOver;
        if (waiting.SentTo != to) waiting.Sent = 0;      // another epoch: it begins again, and its first pieces are void
        waiting.SentTo = to;
        OrderingLayer ordering = context.Ordering!;
        while (HasRoom(to!))
        {
            if (!ordering.TryGetDependencies(to!, cast.Kind, waiting.Past, out Dependency[] dependencies))
            {
                WaitsForPast = true;
                return false;
            }
            ReadOnlyMemory<byte> piece = cast.Body[waiting.Sent..Math.Min(cast.Body.Length, waiting.Sent + context.Settings.PieceSize)];
            waiting.Sent += piece.Length;
            bool isLast = waiting.Sent == cast.Body.Length;
            Emit(cast, waiting.Number, to!, piece, dependencies, isLast);
            if (isLast) return true;
        }
        return false;
    }

    private bool HasRoom(Destination to)
    {
        foreach (int rank in to.Members)
        {
            if (rank != context.Ordering!.Self && channels.Find(context.NodeAt(rank)) is { } channel && channel.Link.UnacknowledgedBytes + channel.OpenLength > PieceWindow) return false;
        }
        return true;
    }

    private bool TryFindDestination(in Cast cast, out Destination? to, out bool isOver)
    {
        to = null;
        isOver = false;
        if (!MaySend) return false;
        OrderingLayer ordering = context.Ordering!;
        if (cast.To is { } node)
        {
            int rank = context.RankOf(node);
            if (rank < 0) return !(isOver = true);
            MemberSet one = MemberSet.Empty.With(rank);
            to = ordering.Destinations.Intern(GroupId.None, 0, one, one);
            return true;
        }
        if (cast.Spread is { } spread) return TryFindDestination(cast, spread, out to, out isOver);
        if (groups.Find(cast.Group) is not { } member || ordering.Engine.Find(cast.Group) is not { } order)
        {
            if (cast.IsAwaited) Fail(cast, Outcome.NotMember);
            isOver = true;
            return false;
        }
        if (member.IsHalted || (order.Announcement is not null && !Weak.Lacks(WeakRules.SendsGoOnAfterMarker))) return false;      // a GBCAST is open: nothing is sent in the group
        to = order.DestinationIn(ordering);
        return true;
    }

    /// <summary>
    /// A message to more than one group waits for GBCASTs in any of them to be delivered by all members, and for all members
    /// to have the state: what it finds at a joiner must not stand before what the joiner still holds.
    /// </summary>
    private bool TryFindDestination(in Cast cast, SpreadTarget spread, out Destination? to, out bool isOver)
    {
        to = null;
        isOver = false;
        OrderingLayer ordering = context.Ordering!;
        var parts = new DestinationPart[spread.Groups.Length];
        MemberSet all = MemberSet.Empty;
        bool mayGo = true;
        for (int i = 0; i < parts.Length; i++)
        {
            GroupMember? group = groups.Find(spread.Groups[i]);
            GroupOrder? order = ordering.Engine.Find(spread.Groups[i]);
            if (group is null || order is null || (cast.Answer?.Only is { } handler && !group.View.Contains(handler)))
            {
                GiveBack(cast);
                if (cast.IsAwaited) Fail(cast, Outcome.NotMember);
                isOver = true;
                return false;
            }
            bool isSettled = order.LastFinish.Sequence <= ordering.SettledOf(order.LastFinish.Sender) || Weak.Lacks(WeakRules.SpreadIgnoresOpenChanges);
            WaitsForPast |= !isSettled && parts.Length > 1;
            // Of one group alone, in no order but its own, a joiner holds a message as it holds the others of the group. A total one
            // stands in the order of all nodes too, in which the joiner holds nothing back (found by the simulator: mix 2005692).
            bool isAlone = parts.Length == 1 && spread.Label is null && !cast.Kind.IsTotal() && cast.Kind != MessageKind.Group;
            mayGo &= !group.IsHalted && order.Announcement is null && (isAlone || IsWhole(group)) && (isSettled || parts.Length == 1);
            parts[i] = new DestinationPart(order.Id, order.Epoch, order.ViewSet, order.Name);
            all = all.Union(order.ViewSet);
        }
        foreach (NodeId node in spread.To)
        {
            if (context.RankOf(node) is >= 0 and var rank) all = all.With(rank);
        }
        if (!mayGo) return false;
        // Beside one group only its own members are named: a message of that group like any other, with its order and boundary.
        bool isPlain = parts is [var only] && spread.Label is null && all.Equals(only.Via);
        to = isPlain ? ordering.Engine.Find(parts[0].Group)!.DestinationIn(ordering) : ordering.Destinations.InternSpread(parts, all, spread.Label);
        return true;
    }

    /// <summary>A message has its number. Of a large one its last piece stands for the whole.</summary>
    public void OnNumbered(Message message)
    {
        if (_emitting is not var (cast, number)) return;      // a message of a GBCAST, or a piece
        _emitting = null;
        if (cast.IsInternal)
        {
            OnSent(cast, message);
            return;
        }
        Sent++;
        if (cast.To is null)
        {
            (NodeId, long)? by = cast.Caller is { } stamp ? (stamp.Caller, cast.RequestId) : null;
            int size = cast.Body.Length + CreditAccount.MessageOverhead;
            if (cast.Spread is null) groups.Find(cast.Group)!.Credit.OnSent(size, by);
            else foreach (GroupId group in cast.Spread.Groups) groups.Find(group)!.Credit.OnSent(size, by);
        }
        if (context.Settings.Tracing) TraceSend(cast, message, number);
        OnSent(cast, message);
    }

    private void TraceSend(Cast cast, Message message, long number)
    {
        ImmutableArray<string> to = cast.To is null ? [] : groups.Deliveries.NamesOf(message.Destination.Members);
        string? name = groups.Find(message.Destination.Group)?.Name;
        context.Trace(TraceKind.Send, line => (line with
        {
            Message = groups.Deliveries.IdOf(message).ToString(),
            Order = cast.Kind.ToOrder(),
            Group = name,
            To = to,
            Call = number,
            For = cast.Caller?.Source.Id.Name,
        }).To(message.Destination, groups.Deliveries.NamesOf));
    }

    // ---- ends

    /// <summary>What the outside hears of a call that ends without being sent.</summary>
    public Action<Cast, Outcome> Fail { get; set; } = static (_, _) => { };

    public bool Cancel(long call)
    {
        for (LinkedListNode<Waiting>? node = _waiting.First; node is not null; node = node.Next)
        {
            if (node.Value.Cast.Call != call || node.Value.Sent > 0) continue;
            Remove(node);
            GiveBack(node.Value.Cast);
            return true;
        }
        return false;
    }

    /// <summary>A message that is never sent uses no credit.</summary>
    private void GiveBack(in Cast cast)
    {
        if (!cast.IsInternal) GiveBack(cast.Groups, cast.Body.Length);
    }

    public void GiveBack(SpreadTarget target, int bytes) => GiveBack(target.Groups, bytes);

    private void GiveBack(GroupId[] all, int bytes)
    {
        foreach (GroupId group in all)
        {
            if (groups.Find(group) is not null) context.Effects.CreditReleased(group, bytes + CreditAccount.MessageOverhead);
        }
    }

    /// <summary>A group has another id from now on.</summary>
    public void Rename(GroupId before, GroupId after)
    {
        if (!_waitingIn.Remove(before, out int count)) return;
        _waitingIn[after] = _waitingIn.GetValueOrDefault(after) + count;
        foreach (Waiting waiting in _waiting)
        {
            Cast cast = waiting.Cast;
            if (!cast.Uses(before)) continue;
            SpreadTarget? spread = cast.Spread is { } target ? target with { Groups = [.. target.Groups.Select(g => g == before ? after : g).Order()] } : null;
            waiting.Cast = cast with { Group = cast.Group == before ? after : cast.Group, Spread = spread };
        }
    }

    /// <summary>The node left a group, or everything (null) ends.</summary>
    public void End(GroupId? group, Outcome outcome)
    {
        for (LinkedListNode<Waiting>? node = _waiting.First, next; node is not null; node = next)
        {
            next = node.Next;
            Cast cast = node.Value.Cast;
            if (group is { } id && !cast.Uses(id)) continue;
            Remove(node);
            if (cast.Spread is not null) GiveBack(cast);      // of its other groups, in which this node still is
            if (cast.IsAwaited) Fail(cast, outcome);
        }
    }

    /// <summary>A new configuration: what callers that are not members have asked for they ask for again.</summary>
    public void WithdrawCallers()
    {
        for (LinkedListNode<Waiting>? node = _waiting.First, next; node is not null; node = next)
        {
            next = node.Next;
            if (node.Value.Cast.Caller is not null) Remove(node);
        }
    }

    /// <summary>A new configuration: everything of the past is settled, and pieces begin again.</summary>
    public void OnInstalled()
    {
        foreach (Waiting waiting in _waiting)
        {
            if (waiting.Past is not null) waiting.Past = [];
            waiting.Sent = 0;
            waiting.SentTo = null;
        }
    }
}
