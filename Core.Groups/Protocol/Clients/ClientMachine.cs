// The client's side: one deterministic machine. Calls, frames and time in; frames and the ends of calls out.
// Keeps: every call ends once. What is open is sent again, in order, to the next node that serves the client; what no node
// remembers any more ends with an unknown outcome, and the client goes on as another.
// Follows: protocol.md section 7. It keeps its own calls; the nodes keep that each is delivered once.
using Core.Groups.Protocol.Groups;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Clients;

internal sealed class ClientMachine(NodeId self, IClientEffects effects)
{
    /// <summary>A node that has said nothing for so long, although the client waits, is asked whether it is there.</summary>
    private static readonly TimeSpan AskAfter = TimeSpan.FromSeconds(1);
    /// <summary>And has so long to say so.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);
    /// <summary>How long it may take until the last server has let the client go, or is known to be gone.</summary>
    private static readonly TimeSpan WelcomePatience = TimeSpan.FromSeconds(10);
    private const int AddressesTold = 200;
    private const int KeptTargets = 1000;

    private readonly SortedDictionary<long, Open> _open = [];
    private readonly Dictionary<long, Open> _byCall = [];
    private readonly Dictionary<string, Target> _targets = [];
    private readonly Queue<Open> _waiting = new();
    private readonly SortedSet<(TimeSpan At, long Sequence)> _deadlines = [];
    private readonly List<string> _used = [];
    private readonly ClientQuestions _questions = new(effects);
    private readonly WireWriter _writer = new();
    private PieceAssembly? _parts;
    private ClientWelcome? _welcome;
    private NodeId? _server;
    /// <summary>The address that the node was asked about.</summary>
    private string? _finds;
    private long _lastSequence, _epoch;
    private int _sentCalls;
    private long _sentBytes;
    private bool _isConnected;
    private TimeSpan _now, _heardAt, _saidAt, _connectedAt;
    private TimeSpan? _askedAt, _lostAt;
    /// <summary>How long the last server remembers the client.</summary>
    private TimeSpan _session;

    /// <summary>What an address is known to name, and the numbers of its open calls.</summary>
    private sealed class Target
    {
        public GroupId Group { get; set; }
        public SortedSet<long> Open { get; } = [];
    }

    private sealed class Open(long call, long sequence, string address, MessageKind kind, ReplyMode mode, int count, ReadOnlyMemory<byte> body)
    {
        public long Call => call;
        public long Sequence { get; set; } = sequence;
        public string Address => address;
        /// <summary>The group that it was sent to; another one of the same name never gets it.</summary>
        public GroupId Group { get; set; }
        public MessageKind Kind => kind;
        public ReplyMode Mode => mode;
        public int Count => count;
        public ReadOnlyMemory<byte> Body => body;
        public TimeSpan? Deadline { get; init; }
        public bool IsSent { get; set; }
        public bool WasSent { get; set; }
        public bool IsOver { get; set; }
        public List<ReplyItem> Replies { get; } = [];
    }

    public NodeId Self { get; private set; } = self;
    /// <summary>Whether a node serves it now.</summary>
    public bool IsServed => _welcome is not null;
    /// <summary>The largest message that the last node takes, in bytes.</summary>
    public int MaximumMessage { get; private set; } = int.MaxValue;

    // ---- calls

    /// <summary>A call to a group, by its name or its id in text. Ends with <see cref="IClientEffects.Ended"/>.</summary>
    public void Call(TimeSpan now, long call, string address, Order order, ReadOnlyMemory<byte> body, ReplyMode mode, int count, TimeSpan? timeout)
    {
        _now = now;
        var made = new Open(call, ++_lastSequence, address, order.ToKind(), mode, count, body) { Deadline = timeout is { } limit ? now + limit : null };
        if (made.Deadline is { } at) _deadlines.Add((at, made.Sequence));
        _byCall.Add(call, made);
        Keep(made);
        Pump();
    }

    /// <summary>A question about groups. Ends with <see cref="IClientEffects.Answered"/>.</summary>
    public void Ask(TimeSpan now, long call, ClientQuestionKind kind, string text)
    {
        _now = now;
        ClientQuestion question = _questions.Begin(call, kind, text);
        if (IsServed) Transmit(question.Write);
    }

    private void Keep(Open made)
    {
        _open.Add(made.Sequence, made);
        if (!_targets.TryGetValue(made.Address, out Target? target))
        {
            if (_targets.Count >= KeptTargets) ForgetIdleTargets();
            _targets.Add(made.Address, target = new Target());
        }
        target.Open.Add(made.Sequence);
        _waiting.Enqueue(made);
    }

    private void ForgetIdleTargets()
    {
        foreach (string idle in _targets.Where(t => t.Value.Open.Count == 0).Select(t => t.Key).ToArray()) _targets.Remove(idle);
    }

    /// <summary>The caller gives a call up: it ends as <see cref="Outcome.Cancelled"/>, and may have its effect all the same.</summary>
    public void Cancel(TimeSpan now, long call)
    {
        _now = now;
        if (_byCall.TryGetValue(call, out Open? open)) GiveUp(open, Outcome.Cancelled);
        else _questions.End(call, Outcome.Cancelled);
    }

    private void GiveUp(Open open, Outcome outcome)
    {
        if (open.IsSent) Send(ClientRecord.Cancel, open.Sequence);
        End(open, outcome, [], default);
        Pump();
    }

    private void End(Open open, Outcome outcome, IReadOnlyList<NodeId> failed, MessageId message)
    {
        open.IsOver = true;
        _byCall.Remove(open.Call);
        _open.Remove(open.Sequence);
        _targets[open.Address].Open.Remove(open.Sequence);
        if (open.Deadline is { } at) _deadlines.Remove((at, open.Sequence));
        if (open.IsSent)
        {
            _sentCalls--;
            _sentBytes -= open.Body.Length;
        }
        effects.Ended(open.Call, outcome, open.Replies, failed, message);
    }

    /// <summary>Sends what may leave: no more than the node has granted.</summary>
    private void Pump()
    {
        if (_welcome is not { } welcome) return;
        while (_waiting.TryPeek(out Open? next))
        {
            bool isTooLarge = next.Body.Length > welcome.MaximumMessage;
            bool mayGo = next.IsOver || isTooLarge || (_sentCalls < welcome.Calls && (_sentCalls == 0 || _sentBytes + next.Body.Length <= welcome.Bytes));
            if (!mayGo) return;
            if (!next.IsOver && !isTooLarge && !IsBound(next)) return;
            _waiting.Dequeue();
            if (next.IsOver) continue;
            if (isTooLarge) End(next, Outcome.TooLarge, [], default);
            else Send(next);
        }
    }

    /// <summary>Whether it is known which group a call goes to; else that is asked first, and what is behind it waits too: this happens once for an address.</summary>
    private bool IsBound(Open open)
    {
        if (open.Group == GroupId.None) open.Group = _targets[open.Address].Group;
        if (open.Group != GroupId.None) return true;
        if (_finds == open.Address) return false;
        _finds = open.Address;
        Transmit(writer =>
        {
            writer.Byte((byte)ClientRecord.Find);
            writer.Text(open.Address);
        });
        return false;
    }

    private void OnFound(ClientFound found)
    {
        if (_finds != found.Address) return;
        _finds = null;
        if (_targets.TryGetValue(found.Address, out Target? target)) target.Group = found.Group;
        if (found.Group == GroupId.None)
        {
            foreach (Open lost in _waiting.Where(o => !o.IsOver && o.Address == found.Address && o.Group == GroupId.None).ToArray()) End(lost, Outcome.NoSuchGroup, [], default);
        }
        Pump();
    }

    private void Send(Open open)
    {
        open.IsSent = open.WasSent = true;
        _sentCalls++;
        _sentBytes += open.Body.Length;
        if (!_used.Contains(open.Address))
        {
            if (_used.Count == AddressesTold) _used.RemoveAt(0);
            _used.Add(open.Address);
        }
        if (_sentCalls == 1) _heardAt = _now;      // from here on an answer is expected
        ReadOnlyMemory<byte> last = ClientText.SendParts(open.Body, _writer, effects.Transmit);
        long confirmed = Math.Min(_targets[open.Address].Open.Min, open.Sequence) - 1;
        Transmit(new ClientCast(open.Sequence, confirmed, open.Address, open.Group, open.Kind, open.Mode, open.Count, last).Write);
    }

    /// <summary>The client is over, in order: what is open ends with an unknown outcome, and nobody need remember it.</summary>
    public void Stop(TimeSpan now)
    {
        _now = now;
        foreach (Open open in _open.Values.ToArray()) End(open, Outcome.Stopped, [], default);
        _questions.EndAll(Outcome.Stopped);
        if (!IsServed) return;
        Transmit(static writer => writer.Byte((byte)ClientRecord.Goodbye));
        Disconnect("the client is over");
    }

    // ---- connections

    /// <summary>A node has answered. It serves the client when it says so.</summary>
    public void Connected(TimeSpan now)
    {
        _now = _heardAt = _saidAt = _connectedAt = now;
        _isConnected = true;
        _askedAt = null;
        _parts = null;
        Transmit(new ClientAttach(_server, _epoch, _lastSequence, [.. _used]).Write);
    }

    public void Disconnected(TimeSpan now)
    {
        _now = now;
        if (!_isConnected) return;
        _isConnected = false;
        if (_welcome is null) return;
        _welcome = null;
        _lostAt = now;
        _sentCalls = 0;
        _sentBytes = 0;
        _finds = null;
        _waiting.Clear();
        foreach (Open open in _open.Values)
        {
            open.IsSent = false;
            open.Replies.Clear();
            _waiting.Enqueue(open);
        }
        effects.ServedBy(null);
    }

    private void Disconnect(string reason)
    {
        effects.Close(reason);
        Disconnected(_now);
    }

    /// <summary>One frame of the node.</summary>
    public void FrameReceived(TimeSpan now, ReadOnlyMemory<byte> frame)
    {
        _now = now;
        if (!_isConnected) return;
        _heardAt = now;
        _askedAt = null;
        try
        {
            var reader = new WireReader(frame);
            OnRecord((ClientRecord)reader.Byte(), ref reader);
        }
        catch (WireFormatException e)
        {
            Disconnect($"the node breaks the rules: {e.Message}");
        }
    }

    private void OnRecord(ClientRecord kind, ref WireReader reader)
    {
        switch (kind)
        {
            case ClientRecord.Part: OnPart(reader.Blob()); break;
            case ClientRecord.Welcome: OnWelcome(ClientWelcome.Read(ref reader)); break;
            case ClientRecord.Refusal: OnRefusal((ClientRefusal)reader.Byte()); break;
            case ClientRecord.Reply: OnReply(ClientReply.Read(ref reader)); break;
            case ClientRecord.Done: OnDone(ClientDone.Read(ref reader)); break;
            case ClientRecord.Epoch: _epoch = Math.Max(_epoch, reader.Varint()); break;
            case ClientRecord.Away: Disconnect("the node stops, or has lost the others"); break;
            case ClientRecord.Found: OnFound(ClientFound.Read(ref reader)); break;
            case ClientRecord.Answer: _questions.OnAnswer(ClientAnswer.Read(ref reader)); break;
            case ClientRecord.Pong: break;
            default: throw new WireFormatException("a record has no known kind.");
        }
    }

    private void OnWelcome(ClientWelcome welcome)
    {
        _welcome = welcome;
        _server = welcome.Server;
        _epoch = Math.Max(_epoch, welcome.Epoch);
        _session = welcome.Session;
        MaximumMessage = welcome.MaximumMessage;
        _lostAt = null;
        Ping();      // the node learns that this client knows who serves it
        effects.ServedBy(welcome.Server);
        foreach (ClientQuestion question in _questions.AskAgain()) Transmit(question.Write);
        Pump();
    }

    private void OnRefusal(ClientRefusal why)
    {
        if (why == ClientRefusal.Forgotten) BecomeAnother();
        effects.Refused(why);
        Disconnect($"the node does not serve this client: {why}");
    }

    /// <summary>No node knows what became of the calls that were sent: they end, and the client goes on as one that is new.</summary>
    private void BecomeAnother()
    {
        foreach (Open lost in _open.Values.Where(o => o.WasSent).ToArray()) End(lost, Outcome.Excluded, [], default);
        Self = Self with { Incarnation = Self.Incarnation + 1 };
        _server = null;
        foreach (Open unsent in _open.Values) unsent.Group = GroupId.None;
        foreach (Target target in _targets.Values) target.Group = GroupId.None;
        _epoch = 0;
        _lostAt = null;
        _used.Clear();
        effects.IdentityChanged(Self);
    }

    private void OnPart(ReadOnlyMemory<byte> part)
    {
        if (_welcome is not { } welcome) throw new WireFormatException("it answers before it has welcomed.");
        _parts ??= new PieceAssembly();
        if (_parts.Length + part.Length > (long)welcome.MaximumMessage + ClientText.PartSize) throw new WireFormatException("an answer is larger than any may be.");
        _parts.Add(part);
    }

    private void OnReply(ClientReply reply)
    {
        ReadOnlyMemory<byte> body = _parts?.Join(reply.Body) ?? reply.Body;
        _parts = null;
        if (!_open.TryGetValue(reply.Sequence, out Open? open) || open.Replies.Exists(r => (r.InPlaceOf ?? r.From) == (reply.InPlaceOf ?? reply.From))) return;
        open.Replies.Add(new ReplyItem(reply.From, body, reply.IsError) { InPlaceOf = reply.InPlaceOf });
    }

    private void OnDone(ClientDone done)
    {
        if (!_open.TryGetValue(done.Sequence, out Open? open) || !open.IsSent) return;
        // The address may name another group by now: the next call asks.
        if (done.Outcome is Outcome.NoSuchGroup && _targets[open.Address].Group == open.Group) _targets[open.Address].Group = GroupId.None;
        End(open, done.Outcome, done.Failed, done.Message);
        Pump();
    }

    // ---- time

    public void Tick(TimeSpan now)
    {
        _now = now;
        while (_deadlines.Count > 0 && _deadlines.Min.At <= now) GiveUp(_open[_deadlines.Min.Sequence], Outcome.Timeout);
        if (GivesUpAt <= now)
        {
            BecomeAnother();
            if (_isConnected) Disconnect("this client is forgotten");
        }
        if (!_isConnected) return;
        if (_welcome is null)
        {
            if (now - _connectedAt >= WelcomePatience) Disconnect("the node has not welcomed this client");
        }
        else if (_askedAt is { } asked && now - asked >= Patience) Disconnect("the node is silent");
        else if (AsksAt <= now) Ping();
    }

    private TimeSpan GivesUpAt => _lostAt is { } lost ? lost + (_session / 2) : TimeSpan.MaxValue;

    private TimeSpan AsksAt
    {
        get
        {
            if (_askedAt is not null || _welcome is not { } welcome) return TimeSpan.MaxValue;
            TimeSpan whenSilent = _saidAt + (welcome.Silence / 2);
            TimeSpan whenWaiting = _sentCalls > 0 || _questions.Any ? _heardAt + AskAfter : TimeSpan.MaxValue;
            return whenSilent < whenWaiting ? whenSilent : whenWaiting;
        }
    }

    public TimeSpan NextDeadline
    {
        get
        {
            TimeSpan next = _deadlines.Count > 0 ? _deadlines.Min.At : TimeSpan.MaxValue;
            next = Min(next, GivesUpAt);
            if (!_isConnected) return next;
            if (_welcome is null) return Min(next, _connectedAt + WelcomePatience);
            return Min(next, _askedAt is { } asked ? asked + Patience : AsksAt);
        }
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    private void Ping()
    {
        _askedAt = _now;
        Transmit(static writer => writer.Byte((byte)ClientRecord.Ping));
    }

    private void Send(ClientRecord record, long number) => Transmit(writer =>
    {
        writer.Byte((byte)record);
        writer.Varint(number);
    });

    private void Transmit(Action<WireWriter> record)
    {
        _saidAt = _now;
        _writer.Reset();
        record(_writer);
        effects.Transmit(_writer.Written);
    }
}
