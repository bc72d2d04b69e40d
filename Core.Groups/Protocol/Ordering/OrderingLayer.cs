// Everything that is ordered in one configuration: numbers this node's messages, takes those of others, knows what is
// stable and settled, and keeps the causal past.
// Keeps: floors are promises: a total message that leaves after a frame has a higher timestamp than the frame's clock.
// Follows: protocol.md sections 3 and 4. Deviation: stable and settled prefixes are kept per sender, not per stream (as in
// the executable model): a link that stands still holds back what is known of its sender's other groups until the failure
// detector has judged it, which bounds the delay; correctness does not depend on it.
namespace Core.Groups.Protocol.Ordering;

/// <summary>Hands numbered messages to the links of the members.</summary>
internal interface IMessageCarrier
{
    /// <summary>A message of this node has its number; it is carried, and delivered here, right after.</summary>
    void OnNumbered(Message message);

    void Carry(int rank, Message message);
}

/// <summary>A message of a stream in the causal past of a call.</summary>
internal readonly record struct PastEntry(StreamState Stream, long Sequence);

internal sealed class OrderingLayer : IOrderingOracle
{
    private readonly SenderLog[] _logs;
    private readonly long[] _floors, _stable, _settled, _receivedBy, _deliveredBy, _pastTops;
    private readonly List<StreamState> _past = [];
    private readonly List<PastEntry> _named = [];
    private readonly IMessageCarrier _carrier;
    /// <summary>Gathered floors of epochs at which this node has not arrived.</summary>
    private readonly List<GatheredFloor> _earlyFloors = [];
    private int _sweepAt = 64;
    private long _sequence;

    public OrderingLayer(ConfigurationId id, int self, int members, long clock, IOrderingSink sink, IMessageCarrier carrier, WeakRules weak = WeakRules.None, int gatherAbove = int.MaxValue)
    {
        Id = id;
        Self = self;
        Clock = clock;
        Weak = weak;
        _carrier = carrier;
        _logs = new SenderLog[members];
        for (int i = 0; i < members; i++) _logs[i] = new SenderLog();
        _floors = new long[members];
        _stable = new long[members];
        _settled = new long[members];
        _receivedBy = new long[members];
        _deliveredBy = new long[members];
        _pastTops = new long[members];
        Engine = new DeliveryEngine(self, _logs, this, sink, id.ToString(), weak, gatherAbove: gatherAbove);
    }

    public ConfigurationId Id { get; }
    public int Self { get; }
    public int Members => _logs.Length;
    public long Clock { get; private set; }
    public WeakRules Weak { get; }
    public DeliveryEngine Engine { get; }
    public DestinationTable Destinations { get; } = new();
    public ReadOnlySpan<SenderLog> Logs => _logs;
    /// <summary>Groups whose members wait for this node's clock, with what they wait for.</summary>
    public Dictionary<GroupOrder, long> FloorsWanted { get; } = [];
    /// <summary>What all nodes wait for this node's clock to pass, for orders that span groups; 0: nothing.</summary>
    public long ClockWanted { get; set; }
    /// <summary>Nodes that get no message of such an order and whose clocks are waited for all the same: they are asked.</summary>
    public MemberSet Unaddressed { get; set; } = MemberSet.Empty;
    /// <summary>Senders of safe messages that are here: they are to be told at once what is received.</summary>
    public MemberSet SafeSenders { get; set; } = MemberSet.Empty;
    /// <summary>A safe message of this node has become stable: its destinations wait for that news.</summary>
    public bool HasStableNews { get; set; }

    /// <summary>The prefix of a sender's messages known to be received by all their destinations.</summary>
    public long StableOf(int rank) => _stable[rank];
    /// <summary>The prefix of a sender's messages known to be delivered by all their destinations.</summary>
    public long SettledOf(int rank) => _settled[rank];
    public long FloorOf(int rank) => _floors[rank];
    public long ReceivedBy(int rank) => _receivedBy[rank];

    public bool IsTransitional => false;
    public long Floor(int rank, GroupOrder group) => _floors[rank];
    public long Floor(int rank) => _floors[rank];
    public long Gathered(GroupOrder group) => group.Gathered?.Limit(_logs, Weak) ?? 0;
    public bool IsStable(Message message) => message.Sequence <= _stable[message.Sender];
    public bool IsStable(Dependency dependency) => dependency.Sequence <= _stable[dependency.Sender];

    public int Unstable
    {
        get
        {
            int count = 0;
            foreach (SenderLog log in _logs) count += log.Count;
            return count;
        }
    }

    // ---- receiving

    /// <summary>A message from its sender's link. <see cref="Flush"/> follows when its frame is done.</summary>
    public void Take(Message message)
    {
        SenderLog log = _logs[message.Sender];
        if (message.Sequence <= log.Received) return;
        if (log.Find(message.Sequence) is not null)
        {
            log.Append(message);       // was forwarded before: now it is received directly as well
            return;
        }
        log.Append(message);
        Enter(message);
    }

    /// <summary>A message that another member held, in a recovery. It is only kept: the plan decides.</summary>
    public void TakeForwarded(Message message)
    {
        if (_logs[message.Sender].Insert(message)) Clock = Math.Max(Clock, message.Timestamp);
    }

    /// <summary>During a recovery messages of the members that go along are kept: the plan decides.</summary>
    public void TakeSilently(Message message)
    {
        if (message.Sequence <= _logs[message.Sender].Received) return;
        _logs[message.Sender].Append(message);
        Clock = Math.Max(Clock, message.Timestamp);
    }

    /// <summary>What a frame's header says of its sender; its clock counts after its records.</summary>
    public void OnHeader(int rank, long clock, long received, long delivered, long stable, long settled)
    {
        Clock = Math.Max(Clock, clock);
        _floors[rank] = Math.Max(_floors[rank], clock);
        _receivedBy[rank] = Math.Max(_receivedBy[rank], received);
        _deliveredBy[rank] = Math.Max(_deliveredBy[rank], delivered);
        _stable[rank] = Math.Max(_stable[rank], stable);
        _settled[rank] = Math.Max(_settled[rank], settled);
        _logs[rank].Trim(_stable[rank]);
    }

    /// <summary>Delivers what has become deliverable, and learns what of this node's own is stable and settled.</summary>
    public void Flush()
    {
        Engine.Pump();
        AdvanceOwn();
    }

    /// <summary>The prefix of a sender's messages that this node has delivered.</summary>
    public long DeliveredOf(int rank)
    {
        _logs[rank].AdvanceDone();
        return _logs[rank].DonePrefix;
    }

    // ---- gathered floors

    public void OnGathered(GatheredFloor told)
    {
        if (Engine.Find(told.Group) is not { } group || told.Epoch > group.Epoch) _earlyFloors.Add(told);
        else if (told.Epoch == group.Epoch) (group.Gathered ??= new()).Add(told);
    }

    /// <summary>A group is at a new epoch, of which the oldest member may have told already.</summary>
    public void OnEpoch(GroupOrder group)
    {
        if (_earlyFloors.Count == 0) return;
        foreach (GatheredFloor told in _earlyFloors.FindAll(t => t.Group == group.Id && t.Epoch == group.Epoch)) OnGathered(told);
        _earlyFloors.RemoveAll(t => t.Group == group.Id && t.Epoch <= group.Epoch);
    }

    /// <summary>At the gatherer: what the members of a group are to be told now; null: nothing.</summary>
    public GatheredFloor? Gather(GroupOrder group)
    {
        if (group.Gatherer is not { IsWanted: true } gatherer) return null;
        long floor = Clock;
        foreach (int rank in group.View)
        {
            if (rank != Self) floor = Math.Min(floor, _floors[rank]);
        }
        return gatherer.Tell(floor) is { } covered ? new GatheredFloor(group.Id, group.Epoch, floor, covered) : null;
    }

    private void Enter(Message message)
    {
        if (message.Timestamp > 0)
        {
            Clock = Math.Max(Clock, message.Timestamp);
            if (message.Destination.Spread is not null) ClockWanted = Math.Max(ClockWanted, message.Timestamp);
            else if (!message.Destination.IsDirect && Engine.Find(message.Destination.Group) is { } group) FloorsWanted[group] = message.Timestamp;
            if (message.Kind == MessageKind.Safe) SafeSenders = SafeSenders.With(message.Sender);
        }
        Engine.Route(message);
    }

    private void AdvanceOwn()
    {
        ReadOnlySpan<Message> own = _logs[Self].Messages;
        if (own.Length == 0) return;
        long stable = _stable[Self], settled = _settled[Self];
        for (int i = IndexAfter(own, stable); i < own.Length && Reached(own[i], _receivedBy); i++)
        {
            stable = own[i].Sequence;
            HasStableNews |= own[i].Kind == MessageKind.Safe;
        }
        for (int i = IndexAfter(own, settled); i < own.Length && own[i].Sequence <= stable && own[i].Done && Reached(own[i], _deliveredBy); i++) settled = own[i].Sequence;
        _stable[Self] = stable;
        _settled[Self] = settled;
        _logs[Self].Trim(Math.Min(stable, settled));
    }

    private static int IndexAfter(ReadOnlySpan<Message> messages, long sequence)
    {
        int low = 0, high = messages.Length;
        while (low < high)
        {
            int middle = (low + high) >> 1;
            if (messages[middle].Sequence <= sequence) low = middle + 1;
            else high = middle;
        }
        return low;
    }

    private bool Reached(Message message, long[] by)
    {
        foreach (int rank in message.Destination.Members)
        {
            if (rank != Self && by[rank] < message.Sequence) return false;
        }
        return true;
    }

    /// <summary>A copy of the ordering, for a recovery plan: the groups as they are, and every message that is not delivered.</summary>
    public DeliveryEngine Fork(IOrderingOracle oracle, IOrderingSink sink, int plan)
    {
        DeliveryEngine fork = Engine.Fork(oracle, sink, plan);
        foreach (SenderLog log in _logs)
        {
            foreach (Message message in log.Messages)
            {
                if (!message.Done) fork.Route(message);
            }
        }
        return fork;
    }

    // ---- sending

    /// <summary>The streams in this node's causal past that are not known to be settled.</summary>
    public PastEntry[] CapturePast()
    {
        SweepPast();
        var past = new PastEntry[_past.Count];
        for (int i = 0; i < past.Length; i++) past[i] = new PastEntry(_past[i], _past[i].PastSequence);
        return past;
    }

    /// <summary>The highest message of each sender, by rank, that this node has delivered or sent.</summary>
    public long[] CaptureTops() => [.. _pastTops];

    /// <summary>Whether everything up to the captured messages is stable: a snapshot that contains it may leave.</summary>
    public bool IsStable(long[] tops)
    {
        for (int rank = 0; rank < tops.Length; rank++)
        {
            if (tops[rank] > _stable[rank]) return false;
        }
        return true;
    }

    /// <summary>Whether everything in the captured past is delivered by all its destinations.</summary>
    public bool IsSettled(PastEntry[] past)
    {
        foreach (PastEntry entry in past)
        {
            if (entry.Sequence > _settled[entry.Stream.Sender]) return false;
        }
        return true;
    }

    /// <summary>
    /// The sending rule: a causal message leaves only when each unsettled message of its past goes at least to the same
    /// destinations. False: it has to wait.
    /// </summary>
    /// <param name="captured">The past at the call, if the call had to wait; this node's own messages since are added.</param>
    public bool TryGetDependencies(Destination to, MessageKind kind, PastEntry[]? captured, out Dependency[] dependencies)
    {
        dependencies = [];
        if (!kind.IsCausal()) return true;
        StreamState own = to.Stream(Self, kind.Class(), Members);
        _named.Clear();
        foreach (PastEntry entry in captured ?? [])
        {
            if (entry.Stream.Sender != Self && !TryName(entry.Stream, entry.Sequence, own, kind)) return false;
        }
        foreach (StreamState stream in _past)
        {
            if ((captured is null || stream.Sender == Self) && !TryName(stream, stream.PastSequence, own, kind)) return false;
        }
        if (Weak.Lacks(WeakRules.DependenciesPerSender)) _named.RemoveAll(n => _named.Exists(other => other.Stream.Sender == n.Stream.Sender && other.Sequence > n.Sequence));
        if (_named.Count == 0) return true;
        dependencies = new Dependency[_named.Count];
        own.Named ??= [];
        for (int i = 0; i < dependencies.Length; i++)
        {
            dependencies[i] = new Dependency(_named[i].Stream.Sender, _named[i].Sequence);
            own.Named[_named[i].Stream] = _named[i].Sequence;
        }
        return true;
    }

    private long SettledFor(int sender) => Weak.Lacks(WeakRules.DependenciesEndWhenStable) ? _stable[sender] : _settled[sender];

    /// <summary>Adds a message of the past to the dependencies, unless an earlier message of the own stream implies it.</summary>
    private bool TryName(StreamState stream, long sequence, StreamState own, MessageKind kind)
    {
        if (ReferenceEquals(stream, own) || sequence <= SettledFor(stream.Sender)) return true;
        if (!Weak.Lacks(WeakRules.NoSendingRule) && !own.Destination.Members.IsSubsetOf(stream.Destination.Members)) return false;
        bool implied = kind != MessageKind.Safe         // safe delivery looks at every dependency itself
            && own.Named is not null && own.Named.TryGetValue(stream, out long before) && before >= sequence;
        if (!implied) _named.Add(new PastEntry(stream, sequence));
        return true;
    }

    /// <summary>Numbers a message, hands it to the links of its destinations and takes it here.</summary>
    public Message Emit(MessageKind kind, Destination to, ReadOnlyMemory<byte> body, Dependency[] dependencies,
        MessageFlags flags = 0, long requestId = 0, CallerStamp? caller = null, AnswerStamp? answer = null)
    {
        StreamState stream = to.Stream(Self, kind.Class(), Members);
        var message = new Message
        {
            Sender = Self, Sequence = ++_sequence, Kind = kind, Destination = to, Timestamp = kind.IsTotal() ? ++Clock : 0,
            StreamIndex = kind.IsApplication() ? ++stream.LastIndex : 0, Dependencies = dependencies, Body = body,
            Flags = flags, RequestId = requestId, Caller = caller, Answer = answer,
        };
        SenderLog log = _logs[Self];
        log.Append(message);
        _carrier.OnNumbered(message);
        foreach (int rank in to.Members)
        {
            if (rank != Self) _carrier.Carry(rank, message);
        }
        // A GBCAST enters the past when it is delivered (through this node's own finish): its sender goes on meanwhile.
        if (kind.IsApplication() && kind != MessageKind.Group) Remember(stream, message.Sequence);
        if (to.Spread is not null && message.Timestamp > 0) AskUnaddressed(message);
        if (to.Members.Contains(Self)) Enter(message);
        else message.Done = true;
        return message;
    }

    /// <summary>Another node waits for this one's clock, which the frame that says so has moved far enough.</summary>
    public void OnClockWanted(long timestamp) => ClockWanted = Math.Max(ClockWanted, timestamp);

    private void AskUnaddressed(Message message)
    {
        ClockWanted = Math.Max(ClockWanted, message.Timestamp);
        for (int rank = 0; rank < Members; rank++)
        {
            if (rank != Self && !message.Destination.Members.Contains(rank)) Unaddressed = Unaddressed.With(rank);
        }
    }

    /// <summary>A delivered message (or the finish that stands for a delivered GBCAST) is in the causal past of what follows.</summary>
    public void Remember(Message message) =>
        Remember(message.Destination.Stream(message.Sender, message.Kind.Class(), Members), message.Sequence);

    private void Remember(StreamState stream, long sequence)
    {
        if (sequence > stream.PastSequence) stream.PastSequence = sequence;
        if (sequence > _pastTops[stream.Sender]) _pastTops[stream.Sender] = sequence;
        if (stream.InPast) return;
        stream.InPast = true;
        _past.Add(stream);
        if (_past.Count >= _sweepAt) SweepPast();
    }

    /// <summary>When nothing is under way the past is let go of: it would hold the destinations of groups that are idle.</summary>
    public void EndTurn()
    {
        if (_past.Count > 0 && Unstable == 0) SweepPast();
    }

    private void SweepPast()
    {
        _past.RemoveAll(stream =>
        {
            if (stream.PastSequence > SettledFor(stream.Sender)) return false;
            stream.InPast = false;
            return true;
        });
        _past.LetGo();
        _sweepAt = Math.Max(64, _past.Count * 2);
    }
}
