// Routes events through the layers of one node in a fixed order: links, failures, membership, ordering, groups, requests.
// Keeps: nothing is emitted while the ordering delivers; what a delivery calls for is done right after it.
// Follows: protocol.md section 1.
using System.Collections.Immutable;
using Core.Groups.Protocol.Clients;
using Core.Groups.Protocol.Groups;
using Core.Groups.Protocol.Links;
using Core.Groups.Protocol.Membership;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Protocol.Primary;
using Core.Groups.Protocol.Requests;
using Core.Groups.Wire;

namespace Core.Groups.Protocol;

internal sealed class MachineCore : IFrameHandler, IMembershipUser, IOrderingSink, IMessageCarrier
{
    private static readonly TimeSpan Eager = TimeSpan.FromMilliseconds(50);
    private readonly Queue<(GroupOrder? Group, JointChange? Joint, bool IsFlush)> _owed = new();
    /// <summary>Changes of configuration data that are on their way, by sequence: their calls end when they are delivered.</summary>
    private readonly SortedDictionary<long, long> _configuring = [];
    private TimeSpan _askedAt = TimeSpan.FromDays(-1);
    private bool _isCarryingPlan;

    public MachineCore(NodeContext context, PeerIdentity own, LineageId lineage)
    {
        Context = context;
        context.IsFrozen = true;
        Channels = new ChannelTable(context, this);
        Membership = new MembershipService(context, Channels, this, own, lineage);
        Services = new Services(context, Channels) { Handler = OnService };
        Floors = new FloorTeller(context, Channels, Services);
        Groups = new GroupService(context, Services);
        Credit = new CreditService(context, Services, Groups);
        Calls = new CallQueue(context, Channels, Groups) { OnSent = OnSent, Fail = OnCallFailed };
        Flushes = new FlushTable(context, Calls);
        Contacts = new Contacts(context, Services, Groups, Calls);
        Credit.OnCallerConsumed = Contacts.OnConsumed;
        Requests = new RequestTable(context) { OnEnded = OnRequestEnded };
        Answers = new Answers(context, Requests, Calls, Groups.Deliveries);
        Callers = new Callers(context, Channels, Services, Groups, Requests);
        var queries = new ClientQueries(context, Groups.Queries);
        Groups.Queries.OnClientQuery = queries.OnEnded;
        Clients = new ClientSessions(context, Services, Groups.Directory, Callers, Requests, queries);
        Requests.OnClientCall = Clients.OnEnded;
        Groups.OnDropped = Credit.OnDropped;
        Groups.OnPaid = Credit.Owe;
        Groups.OnRenamed = (before, after) =>
        {
            Calls.Rename(before, after);
            Requests.Rename(before, after);
            Groups.Deliveries.Rename(before, after);
            Groups.Migrations.Rename(before);
        };
        Groups.HasCalls = Calls.Has;
        Groups.Flusher.WaitingSpread = Calls.WaitingSpread;
        Groups.HasBroadcast = Calls.IsBroadcastNext;
        Groups.Flusher.BeforeMarker = Calls.SendBroadcasts;
        Groups.Flusher.BeforeJointMarker = Calls.SendBroadcasts;
        Groups.OnViewChanged = OnViewChanged;
        Groups.OnEnded = OnGroupEnded;
    }

    public NodeContext Context { get; }
    public ChannelTable Channels { get; }
    public MembershipService Membership { get; }
    public Services Services { get; }
    public FloorTeller Floors { get; }
    public GroupService Groups { get; }
    public CreditService Credit { get; }
    public CallQueue Calls { get; }
    public FlushTable Flushes { get; }
    public RequestTable Requests { get; }
    public Answers Answers { get; }
    public Callers Callers { get; }
    public Contacts Contacts { get; }
    public ClientSessions Clients { get; }
    public ConfigurationChange Change => Membership.Change;
    /// <summary>This node voted itself out; the host hears of it when the last frames have been given to it.</summary>
    public bool HasLeft { get; private set; }

    // ---- the turn

    public void EndTurn()
    {
        bool more;
        do
        {
            Membership.EndTurn();
            if (Change.IsOver) break;
            more = Services.RunLocal();
            Groups.Directory.Tick();
            Groups.Queries.Tick();
            Groups.Watches.Tick();
            Requests.Tick();
            Groups.Announcer.Announce();
            bool clientsGoOn = Clients.Pump(Change.IsBlocked);
            Callers.Pump();
            foreach (Asker asker in Groups.Deliveries.TakeUnanswered()) Answers.Give(asker, default, MessageFlags.NoAnswer);
            foreach (var (asker, answer) in Groups.Deliveries.TakeAgain()) Answers.Give(asker, answer.Body, answer.IsError ? MessageFlags.Error : 0);
            more |= Calls.Pump();
            Settle();
            Contacts.Pump();
            more |= clientsGoOn || Services.HasLocal || Groups.Announcer.HasNews;
        }
        while (more);
        if (Context.IsWorking)
        {
            Groups.States.Pump(Channels);
            Credit.EndTurn();
            Flushes.Complete();
            Ask();
            Floors.Answer();
            Context.Ordering!.EndTurn();
        }
        Channels.EndTurn();
    }

    /// <summary>Delivers what is deliverable, sends what that calls for, until nothing is left.</summary>
    private void Settle()
    {
        if (!Context.IsWorking) return;
        OrderingLayer ordering = Context.Ordering!;
        ordering.Flush();
        while (_owed.Count > 0)
        {
            // All that is owed now, then one pass over what that lets through: there may be thousands of groups at it.
            for (int owing = _owed.Count; owing > 0; owing--) PayOwed(_owed.Dequeue());
            ordering.Flush();
        }
        _owed.LetGo();
    }

    private void PayOwed((GroupOrder? Group, JointChange? Joint, bool IsFlush) owed)
    {
        if (owed.Joint is { } joint)
        {
            if (owed.IsFlush) Groups.Flusher.OnFlushed(joint);
            else Groups.Flusher.OnAnnounced(joint);
            return;
        }
        GroupOrder group = owed.Group!;
        if (Context.Ordering!.Engine.Find(group.Id) != group || group.Announcement is null) return;
        if (!owed.IsFlush)
        {
            Groups.Flusher.OnAnnounced(group);
            return;
        }
        Floors.TellGathered(group);      // whoever has left when the GBCAST is delivered is told nothing more
        Groups.Flusher.OnFlushed(group);
    }

    private bool Waits => Calls.WaitsForPast || Callers.WaitsForPast || Clients.Waits || Contacts.Waits || Flushes.Waits || Groups.States.Waits
        || WaitsForSafe;

    /// <summary>What is stable of safe messages is told without asking; what they depend on is asked for where that is not n² questions.</summary>
    private bool WaitsForSafe => Context.Ordering is { Engine.UndeliveredSafe: > 0 } ordering && ordering.Members <= Context.Settings.GatherAbove;

    /// <summary>Somebody here waits for what is stable: the others are asked to tell at once.</summary>
    private void Ask()
    {
        if (!Waits || Context.Now - _askedAt < Context.Settings.AcknowledgementDelay) return;
        _askedAt = Context.Now;
        Context.EagerUntil = Context.Now + Eager;
        foreach (Channel channel in Channels.All)
        {
            if (channel.Rank < 0) continue;
            channel.Asks = true;
            channel.IsUrgent = true;
        }
    }

    public TimeSpan Deadline()
    {
        TimeSpan deadline = Min(Channels.Deadline, Membership.Deadline());
        deadline = Min(deadline, Min(Groups.Directory.Deadline(), Min(Groups.Announcer.Deadline(), Requests.Deadline())));
        deadline = Min(deadline, Min(Credit.Deadline(), Min(Groups.Queries.Deadline(), Groups.Watches.Deadline())));
        deadline = Min(deadline, Min(Callers.Deadline(), Clients.Deadline()));
        return Waits && Context.IsWorking ? Min(deadline, _askedAt + Context.Settings.AcknowledgementDelay) : deadline;
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    // ---- frames

    public void OnControl(Channel from, ref WireReader records)
    {
        while (!records.AtEnd && !Change.IsOver)
        {
            var kind = (ControlRecord)records.Byte();
            if (kind == ControlRecord.NameTaken) Context.Effects.NameTaken(records.Text());
            else if (kind == ControlRecord.Forward)
            {
                ConfigurationId id = records.Configuration();
                Change.OnForward(from.Id, id, records.Blob());
            }
            else Membership.OnControl(from, kind, ref records);
        }
    }

    public void OnData(Channel from, FrameHeader header, ReadOnlyMemory<byte> records)
    {
        if (Change.IsOver) return;
        bool isPresent = Context.Configuration is not null && from.Rank >= 0 && header.Configuration.Span.SequenceEqual(Context.ConfigurationBytes.Span);
        if (!isPresent || (Context.IsFrozen && !Context.Settings.Weak.Lacks(WeakRules.GoesOnAfterStatus)))
        {
            Change.OnFrame(from, header, records);
            return;
        }
        Change.OnSeenInstalled(from.Id);
        if (header.Asks) Context.EagerUntil = Context.Now + Eager;
        Take(from.Rank, header, records, silently: false);
    }

    private void Take(int rank, FrameHeader header, ReadOnlyMemory<byte> records, bool silently)
    {
        OrderingLayer ordering = Context.Ordering!;
        var reader = new WireReader(records);
        MessageRun run = default;
        while (!reader.AtEnd)
        {
            byte first = reader.Byte();
            if (first < MessageFormat.DestinationRecord)
            {
                Message message = MessageFormat.Read(ref reader, first, rank, ordering.Members, ref run);
                if (silently) ordering.TakeSilently(message);
                else ordering.Take(message);
            }
            else if (first == MessageFormat.DestinationRecord) run.Destination = MessageFormat.ReadDestination(ref reader, ordering.Destinations, ordering.Members);
            else
            {
                ReadOnlyMemory<byte> body = reader.Blob();
                if (!silently) Services.Receive(Context.NodeAt(rank), (ServiceRecord)first, body);
            }
        }
        ordering.OnHeader(rank, header.Clock, header.Received, header.Delivered, header.Stable, header.Settled);
        if (!silently) Settle();
    }

    public void OnLinkEstablished(Channel channel)
    {
        Membership.OnEstablished(channel);
        Membership.LookAgain();
    }

    public void OnLinkBroken(Channel channel, string reason)
    {
        Membership.OnLinkLost(channel, reason);
        Membership.LookAgain();
    }

    public bool IsRetained(NodeId peer) => Change.Concerns(peer);

    public void OnNumbered(Message message) => Calls.OnNumbered(message);

    public void Carry(int rank, Message message)
    {
        if (Channels.ByRank(rank) is { } channel) Channels.Data(channel, message);
    }

    private void OnService(NodeId from, ServiceRecord kind, ref WireReader reader)
    {
        switch (kind)
        {
            case ServiceRecord.Lookup: Groups.Directory.OnLookup(from, ref reader); break;
            case ServiceRecord.LookupReply: Groups.Directory.OnLookupReply(ref reader); break;
            case ServiceRecord.List: Groups.Directory.OnList(from, ref reader); break;
            case ServiceRecord.ListReply: Groups.Queries.OnListReply(ref reader); break;
            case ServiceRecord.Delete: Groups.Queries.OnDelete(from, ref reader); break;
            case ServiceRecord.DeleteReply: Groups.Queries.OnDeleteReply(ref reader); break;
            case ServiceRecord.Watch: Groups.Watches.OnWatch(from, ref reader); break;
            case ServiceRecord.WatchTold: Groups.Watches.OnTold(from, ref reader); break;
            case ServiceRecord.JoinRequest: Groups.Directory.OnJoinRequest(from, ref reader); break;
            case ServiceRecord.Migrate: Groups.Migrations.OnAsked(from, ref reader); break;
            case ServiceRecord.MigrateRefused: Groups.Migrations.OnRefused(from, ref reader); break;
            case ServiceRecord.MigrateReady: Groups.Migrations.OnReady(from, ref reader); break;
            case ServiceRecord.JoinRefused: Groups.Directory.OnJoinRefused(ref reader); break;
            case ServiceRecord.Report: Groups.Directory.OnReport(from, ref reader); break;
            case ServiceRecord.Update: Groups.Directory.OnUpdate(ref reader); break;
            case ServiceRecord.StateInstalled: Groups.States.OnLoadedBy(from, ref reader); break;
            case ServiceRecord.StateChunk: Groups.States.OnChunk(ref reader); break;
            case ServiceRecord.StateStream: Groups.States.Streams.OnPiece(from, ref reader); break;
            case ServiceRecord.StateTaken: Groups.States.Streams.OnTaken(from, ref reader); break;
            case ServiceRecord.StateFailed: Groups.States.OnFailed(ref reader); break;
            case ServiceRecord.Credit: Credit.OnTold(from, ref reader); break;
            case ServiceRecord.GatheredFloor: Context.Ordering!.OnGathered(GatheredFloor.Read(ref reader, Context.Ordering.Members)); break;
            case ServiceRecord.ClockWanted: Context.Ordering!.OnClockWanted(reader.Varint()); break;
            case ServiceRecord.ClientWanted: Clients.OnWanted(from, ref reader); break;
            case ServiceRecord.ClientYielded: Clients.OnYielded(from, ref reader); break;
            case ServiceRecord.CallerCast: Contacts.OnCast(from, ref reader); break;
            case ServiceRecord.CallerProgress: Callers.OnProgress(from, ref reader); break;
            default: throw new WireFormatException("A service record has no known kind.");
        }
    }

    // ---- ordering

    public void OnDelivered(Message message)
    {
        if (!_isCarryingPlan) Context.Ordering!.Remember(message);
        if (message.Answer is { } answer && answer.To == Context.Self) Answers.OnTold(message, answer);
        if (message.Destination.Spread is { } spread)
        {
            if (!Groups.TryDeliver(spread, message)) OnDirect(message);
        }
        else if (message.Destination.IsDirect) OnDirect(message);
        else if (Groups.Find(message.Destination.Group) is { } group) Groups.Deliver(group, message);
        if (message.Kind == MessageKind.Group && message.Sender == Context.Ordering!.Self && _configuring.Remove(message.Sequence, out long call))
            Context.Effects.Completed(call, Outcome.Done);
    }

    private void OnDirect(Message message)
    {
        if (Context.Settings.Tracing && (message.Flags & MessageFlags.MorePieces) == 0) Groups.Deliveries.TraceDirect(message);
        if (Groups.Deliveries.TryJoin(message) is not { } body) return;
        NodeId sender = Context.NodeAt(message.Sender);
        if (message.Answer?.To == Context.Self) return;      // told already
        if ((message.Flags & MessageFlags.Reply) == 0 || message.Answer is not null) Groups.Deliveries.Direct(message, body);
        else if ((message.Flags & MessageFlags.NoAnswer) != 0) Requests.OnNoAnswer(message.RequestId, sender, sender);
        else Requests.OnReply(message.RequestId, sender, new ReplyItem(sender, body, (message.Flags & MessageFlags.Error) != 0));
    }

    public void OnAnnounced(GroupOrder group) => _owed.Enqueue((group, null, false));

    public void OnFlushed(GroupOrder group) => _owed.Enqueue((group, null, true));

    public void OnAnnounced(JointChange joint) => _owed.Enqueue((null, joint, false));

    public void OnFlushed(JointChange joint) => _owed.Enqueue((null, joint, true));

    public void OnVoided(Message announcement, GroupId group) => Groups.OnVoided(announcement, group);

    public void OnGroupChanged(GroupOrder group, Message announcement, Message? closing, GroupOperation[] operations, int[] oldView)
    {
        Groups.OnGroupChanged(group, announcement, closing, oldView);
        Context.Ordering!.OnEpoch(group);
        Context.Ordering.FloorsWanted[group] = Context.Ordering.Clock;
    }

    // ---- membership

    public void OnFrozen() => _owed.Clear();

    public void BeginPlan()
    {
        _isCarryingPlan = true;
        Groups.BeginPlan();
    }

    public void EndPlan()
    {
        _isCarryingPlan = false;
        Groups.EndPlan();
    }

    public void Carry(IReadOnlyList<PlanStep> steps)
    {
        foreach (PlanStep step in steps)
        {
            if (step.Delivered is { } message) OnDelivered(message);
            else Groups.OnGroupChanged(step.Group!, step.Announcement!, null, step.OldView);
        }
    }

    public ImmutableArray<GroupTold> Tell(RecoveryPlan plan) => Groups.Teller.Tell(plan);

    public void OnEntering(ConfigurationId id, int rank, int members, long clock) =>
        Context.Ordering = new OrderingLayer(id, rank, members, clock, this, this, Context.Settings.Weak, Context.Settings.GatherAbove);

    public void OnInstalled(IReadOnlyList<(GroupOrder Group, ImmutableArray<NodeId> View)> groups, IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>>? told)
    {
        _owed.Clear();
        Services.Clear();
        Calls.OnInstalled();
        Contacts.OnInstalled();
        Callers.OnInstalled();
        Groups.OnInstalled(groups, told);
        Requests.OnGone(null, n => Context.RankOf(n) < 0 || (Context.Settings.IsExtended && !Context.CameAlong.Contains(n)));
        if (Context.IsFrozen) return;
        Clients.OnInstalled();
        Membership.OnInstalled();
        Credit.OnInstalled();
        Flushes.OnInstalled();
    }

    public void OnHeld(Channel from, FrameHeader header, ReadOnlyMemory<byte> records, bool silently)
    {
        int rank = Context.RankOf(from.Id);
        if (rank < 0) return;
        if (!silently) Change.OnSeenInstalled(from.Id);
        Take(rank, header, records, silently);
    }

    public byte[] Forward(Message message)
    {
        var content = new WireWriter();
        MessageRun run = default;
        content.Varint(message.Sender);
        content.Varint(message.StreamIndex);
        MessageFormat.Write(content, message, ref run);
        var record = new WireWriter(content.Length + 4);
        record.Blob(content.Written);
        return record.ToArray();
    }

    public void OnForwarded(ReadOnlyMemory<byte> record)
    {
        OrderingLayer ordering = Context.Ordering!;
        var reader = new WireReader(record);
        long sender = reader.Varint(), index = reader.Varint();
        if (sender >= ordering.Members || reader.Byte() != MessageFormat.DestinationRecord) throw new WireFormatException("A forwarded message is not one.");
        MessageRun run = new() { Destination = MessageFormat.ReadDestination(ref reader, ordering.Destinations, ordering.Members) };
        // GBCAST messages have no index, and the reader does not count them.
        ordering.TakeForwarded(MessageFormat.Read(ref reader, reader.Byte(), (int)sender, ordering.Members, ref run, index));
    }

    public void OnLeft() => HasLeft = true;

    public void OnExcluded(string reason, bool isLineageOver)
    {
        if (Membership.IsLeaving)
        {
            HasLeft = true;      // it is out, as it wanted
            return;
        }
        EndAll(Outcome.Excluded);
        Context.Effects.Excluded(reason, isLineageOver);
    }

    // ---- ends

    public void EndAll(Outcome outcome)
    {
        foreach (long call in Groups.Directory.EndAll().Concat(Groups.Migrations.EndCalls()).Concat(Groups.Queries.EndCalls()).Concat(Groups.Watches.EndAll())) Context.Effects.Completed(call, outcome);
        foreach (long call in Membership.EndForcing()) Context.Effects.Completed(call, outcome);
        Requests.EndAll(outcome);
        Calls.End(null, outcome);
        foreach (long call in _configuring.Values) Context.Effects.Completed(call, outcome);
        _configuring.Clear();
        Flushes.EndAll(outcome);
        foreach (GroupMember group in Groups.Members)
        {
            foreach (long call in group.LeaveCalls ?? []) Context.Effects.Completed(call, outcome);
            foreach ((long call, _) in group.Rankings ?? []) Context.Effects.Completed(call, outcome);
        }
    }

    private void OnSent(Cast cast, Message message)
    {
        if (cast.Caller is not null) Contacts.OnSent(cast, message);
        if (cast.Call == 0) return;
        if ((cast.Flags & MessageFlags.Configure) != 0) _configuring.Add(message.Sequence, cast.Call);
        else if (Requests.IsPending(cast.Call))
        {
            Requests.OnSent(cast.Call, Groups.Deliveries.AnswerersOf(message));
        }
        // A request that has ended while it was half sent is not told of again.
        else if ((cast.Flags & MessageFlags.Request) == 0) Context.Effects.Sent(cast.Call, Groups.Deliveries.IdOf(message));
    }

    private void OnCallFailed(Cast cast, Outcome outcome)
    {
        if (cast.Caller is not null) Contacts.OnFailed(cast);
        else if (cast.Answer is not null) Answers.OnFailed(cast, cast.Answer, outcome);
        else if (!Requests.End(cast.Call, outcome)) Context.Effects.Completed(cast.Call, outcome);
    }

    private void OnRequestEnded(long call, bool wasSent)
    {
        if (!wasSent) Calls.Cancel(call);
        Callers.Withdraw(call);
    }

    private void OnViewChanged(GroupMember group)
    {
        Requests.OnGone(group.Id, n => !group.View.Contains(n));
        Credit.Release(group);
    }

    private void OnGroupEnded(GroupMember group)
    {
        Groups.Directory.Retry(group.Name);
        Calls.End(group.Id, group.WasDeleted ? Outcome.Deleted : Outcome.NotMember);
        Contacts.OnGroupEnded(group.Id);
        Credit.OnEnded(group);
        Requests.OnGone(group.Id, static _ => true);
    }
}
