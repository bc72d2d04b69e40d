// The clients that this node serves: programs in no configuration, which call groups through whichever node they reach.
// Keeps: a client's call is sent again only when the first is settled or void, so each is delivered once, in one view, in the
// client's order: its next server takes it over from the last one, which lets go when nothing of it is under way, or is gone.
// Follows: protocol.md section 7. What a client is told is settled first: no failure undoes what it has seen.
using Core.Groups.Protocol.Groups;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Protocol.Requests;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Clients;

internal sealed class ClientSessions(NodeContext context, Services services, Groups.Directory directory, Callers callers, RequestTable requests, ClientQueries queries)
{
    /// <summary>Calls from this number on are those of clients.</summary>
    public const long FirstCall = 1L << 40;
    /// <summary>Above the numbers of all calls of a client: it stands for its end.</summary>
    public const long LastNumber = 1L << 52;
    /// <summary>How many calls of a client may be open, and how many bytes they may have; one call always may.</summary>
    public const int OpenCalls = 256, OpenBytes = 1 << 20;

    /// <summary>A client says something twice as often: thousands that have nothing to say cost next to nothing.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan SweepEvery = TimeSpan.FromSeconds(1);

    private readonly Dictionary<int, ClientConnection> _connections = [];
    private readonly SortedDictionary<NodeId, ClientSession> _sessions = [];
    private readonly Dictionary<long, (ClientSession Session, long Sequence)> _calls = [];
    /// <summary>Clients that another node has taken over, and until when that is remembered: it may fail before its client hears of it.</summary>
    private readonly SortedDictionary<NodeId, TimeSpan> _takenOver = [];
    private readonly List<ClientSession> _changing = [];
    private readonly Queue<Result> _results = new();
    private readonly WireWriter _writer = new();
    private TimeSpan? _sweepAt;
    private long _lastCall = FirstCall;
    private bool _isLeaving;

    private readonly record struct Result(ClientSession Session, int Connection, long Sequence, ClientDone Done, IReadOnlyList<ReplyItem> Replies)
    {
        public required PastEntry[] Past { get; init; }
    }

    /// <summary>A result waits until what led to it is settled.</summary>
    public bool Waits => _results.Count > 0;

    /// <summary>How many clients are remembered here, connected or not.</summary>
    public int Count => _sessions.Count;

    // ---- connections

    public void OnConnected(int connection, NodeId client)
    {
        _connections[connection] = new ClientConnection(connection, client) { HeardAt = context.Now };
        _sweepAt ??= context.Now + SweepEvery;
    }

    /// <summary>False: it is no client's.</summary>
    public bool TryDisconnect(int connection)
    {
        if (!_connections.Remove(connection, out ClientConnection? closed)) return false;
        queries.OnDisconnected(connection);
        if (closed.Session is not { } session || session.Connection != connection) return true;
        session.Connection = 0;
        session.HeardAt = context.Now;
        if (session.Stage == ClientStage.Asking) Remove(session);      // it never served it
        return true;
    }

    /// <summary>False: it is no client's.</summary>
    public bool TryReceive(int connection, ReadOnlyMemory<byte> frame)
    {
        if (_connections.Count == 0 || !_connections.TryGetValue(connection, out ClientConnection? from)) return false;
        from.HeardAt = context.Now;
        try
        {
            var reader = new WireReader(frame);
            OnRecord(from, (ClientRecord)reader.Byte(), ref reader);
        }
        catch (WireFormatException e)
        {
            Drop(from, $"the client {from.Client} breaks the rules: {e.Message}");
        }
        return true;
    }

    private void OnRecord(ClientConnection from, ClientRecord kind, ref WireReader reader)
    {
        if (kind == ClientRecord.Attach && from.Session is null)
        {
            OnAttach(from, ClientAttach.Read(ref reader));
            return;
        }
        if (from.Session is not { Stage: ClientStage.Serving } session || session.Connection != from.Number) throw new WireFormatException("it speaks before it is welcome.");
        session.IsHeard = true;
        switch (kind)
        {
            case ClientRecord.Part: from.AddPart(reader.Blob(), context.Settings.MaximumMessageSize); break;
            case ClientRecord.Call: OnCall(from, session, ClientCast.Read(ref reader)); break;
            case ClientRecord.Question: queries.Ask(from.Number, ClientQuestion.Read(ref reader)); break;
            case ClientRecord.Find: Find(session, ClientText.Address(ref reader)); break;
            case ClientRecord.Cancel: OnCancel(session, reader.Varint()); break;
            case ClientRecord.Ping: Send(from.Number, ClientRecord.Pong); break;
            case ClientRecord.Goodbye: End(session); break;
            default: throw new WireFormatException("a record has no known kind.");
        }
    }

    /// <summary>This node stops, or has lost the others: its clients go elsewhere.</summary>
    /// <param name="forGood">It serves nobody again.</param>
    public void SendAway(bool forGood)
    {
        _isLeaving |= forGood;
        foreach (ClientConnection connection in _connections.Values.OrderBy(c => c.Number).ToArray())
        {
            if (connection.Session is null) continue;      // it is refused when it speaks
            Send(connection.Number, ClientRecord.Away);
            Drop(connection, "this node sends its clients away");
        }
    }

    private void Drop(ClientConnection connection, string reason)
    {
        context.Effects.Close(connection.Number, reason);
        TryDisconnect(connection.Number);
    }

    // ---- which node serves a client

    private void OnAttach(ClientConnection from, ClientAttach attach)
    {
        _sessions.TryGetValue(from.Client, out ClientSession? before);
        bool isMine = attach.Server == context.Self;
        bool wasGivenAway = _takenOver.ContainsKey(from.Client);
        ClientRefusal? refusal = this switch
        {
            _ when context.Settings.IsExtended => ClientRefusal.ExtendedMode,
            _ when !context.IsWorking || _isLeaving => ClientRefusal.NotWorking,
            _ when context.Configuration!.Id.Epoch < attach.Epoch => ClientRefusal.Behind,
            _ when before is null && _sessions.Count >= context.Settings.MaximumClients => ClientRefusal.Full,
            _ when isMine && before is null && !wasGivenAway => ClientRefusal.Forgotten,
            _ when attach.Server is not null && IsTooOld(attach.Epoch) => ClientRefusal.Forgotten,
            _ => null,
        };
        if (refusal is { } why)
        {
            Refuse(from, why);
            return;
        }
        if (before is { Connection: not 0 }) Drop(_connections[before.Connection], "its client has another connection");
        if (_sessions.TryGetValue(from.Client, out ClientSession? session)) Withdraw(session);
        else _sessions.Add(from.Client, session = new ClientSession(from.Client));
        if (isMine) _takenOver.Remove(from.Client);
        from.Session = session;
        session.Connection = from.Number;
        session.Taker = null;
        session.IsHeard = before?.IsHeard ?? false;
        session.Source = attach;
        session.LastSequence = 0;
        session.Finds = null;
        session.Addresses.UnionWith(attach.Used);
        Become(session, ClientStage.Quieting);
        bool mayBeServed = attach.Server is { } last && !isMine && context.RankOf(last) >= 0;      // its calls may be under way there
        if (mayBeServed && !context.Settings.Weak.Lacks(WeakRules.ClientsAreTakenAtOnce)) Ask(session, attach.Server!.Value);
    }

    private bool IsTooOld(long epoch) => context.Configuration!.Id.Epoch - epoch > CallerMemory.EpochsRemembered;

    private void Ask(ClientSession session, NodeId server)
    {
        session.Stage = ClientStage.Asking;
        services.Send(server, ServiceRecord.ClientWanted, writer => writer.Node(session.Client));
    }

    /// <summary>Another node would serve a client of this one.</summary>
    public void OnWanted(NodeId from, ref WireReader reader)
    {
        NodeId client = reader.Node();
        if (!_sessions.TryGetValue(client, out ClientSession? session) || session.Stage == ClientStage.Ending)
        {
            Yield(from, client, _takenOver.ContainsKey(client));
            return;
        }
        session.Taker = from;
        if (session.Connection != 0) Drop(_connections[session.Connection], "its client is at another node");
        if (session.Stage != ClientStage.Serving) return;
        Withdraw(session);
        Become(session, ClientStage.Quieting);
    }

    private void Become(ClientSession session, ClientStage stage)
    {
        session.Stage = stage;
        if (!_changing.Contains(session)) _changing.Add(session);
    }

    private void Yield(NodeId to, NodeId client, bool isKnown) => services.Send(to, ServiceRecord.ClientYielded, writer =>
    {
        writer.Node(client);
        writer.Flag(isKnown);
    });

    /// <summary>The node that served a client before lets it go: nothing of it is under way there.</summary>
    public void OnYielded(NodeId from, ref WireReader reader)
    {
        NodeId client = reader.Node();
        bool isKnown = reader.Flag();
        if (!_sessions.TryGetValue(client, out ClientSession? session) || session.Stage != ClientStage.Asking || session.Source.Server != from) return;
        Become(session, ClientStage.Quieting);
        if (!isKnown) Refuse(_connections[session.Connection], ClientRefusal.Forgotten);
    }

    private void Refuse(ClientConnection connection, ClientRefusal why)
    {
        if (connection.Session is { } session) Remove(session);
        Send(connection.Number, ClientRecord.Refusal, writer => writer.Byte((byte)why));
        Drop(connection, $"the client {connection.Client} is refused: {why}");
    }

    /// <summary>Nothing of the client is under way here any more.</summary>
    private void GoOn(ClientSession session)
    {
        if (session.Stage == ClientStage.Ending)
        {
            foreach (string address in session.Addresses)
            {
                long call = ++_lastCall;
                requests.Begin(call, ReplyMode.None, 0, null);
                callers.Submit(call, new CallerAddress(session.Client, address), GroupId.None, new ClientNumber(LastNumber, LastNumber - 1, IsOver: true), MessageKind.Fifo, default, wantsReplies: false);
            }
            Remove(session);
        }
        else if (session.Taker is { } taker)
        {
            Remove(session);
            _takenOver[session.Client] = context.Now + context.Settings.ClientSession;
            Yield(taker, session.Client, isKnown: true);
        }
        else
        {
            session.Stage = ClientStage.Serving;
            foreach (string address in session.Addresses) callers.BeginAgain(new CallerAddress(session.Client, address));
            if (session.Connection == 0) return;
            var welcome = new ClientWelcome(
                context.Self, context.Configuration!.Id.Epoch, OpenCalls, OpenBytes, context.Settings.MaximumMessageSize, Silence, context.Settings.ClientSession);
            Send(session.Connection, welcome.Write);
        }
    }

    /// <summary>The client is over: when nothing of it is under way, the members of the groups that it called are told.</summary>
    private void End(ClientSession session)
    {
        if (session.Connection != 0) Drop(_connections[session.Connection], "the client is over");
        Withdraw(session);
        Become(session, ClientStage.Ending);
    }

    private void Remove(ClientSession session)
    {
        Withdraw(session);
        _sessions.Remove(session.Client);
        _changing.Remove(session);
    }

    // ---- calls

    private void OnCall(ClientConnection from, ClientSession session, ClientCast cast)
    {
        ReadOnlyMemory<byte> body = from.TakeBody(cast.Body, context.Settings.MaximumMessageSize);
        if (cast.Sequence <= session.LastSequence) throw new WireFormatException("its numbers do not rise.");
        if (session.Calls.Count >= OpenCalls || (session.Calls.Count > 0 && session.Bytes + body.Length > OpenBytes)) throw new WireFormatException("it has more calls open than it was granted.");
        session.LastSequence = cast.Sequence;
        session.Addresses.Add(cast.Address);
        if (body.Length > context.Settings.MaximumMessageSize)
        {
            Send(from.Number, new ClientDone(cast.Sequence, Outcome.TooLarge, default, []).Write);
            return;
        }
        long call = ++_lastCall;
        _calls.Add(call, (session, cast.Sequence));
        session.Calls.Add(cast.Sequence, (call, body.Length));
        session.Bytes += body.Length;
        requests.Begin(call, cast.Mode, cast.Count, null);
        callers.Submit(
            call, new CallerAddress(session.Client, cast.Address), cast.Group, new ClientNumber(cast.Sequence, cast.ConfirmedUpTo), cast.Kind, body, cast.Mode != ReplyMode.None);
    }

    private void Find(ClientSession session, string address)
    {
        session.Finds = address;
        int connection = session.Connection;
        if (!context.IsWorking) return;      // asked again in the next configuration
        directory.LookUp(address, GroupId.None, entry =>
        {
            if (session.Finds != address || session.Connection != connection) return;
            session.Finds = null;
            Send(connection, new ClientFound(address, entry?.Id ?? GroupId.None, entry?.Name ?? "", [.. entry?.Members ?? []]).Write);
        });
    }

    private void OnCancel(ClientSession session, long sequence)
    {
        if (session.Calls.TryGetValue(sequence, out var open)) requests.End(open.Call, Outcome.Cancelled);
    }

    /// <summary>A call of a client has ended: it is told when everything that led to this is settled.</summary>
    public void OnEnded(long call, Outcome outcome, MessageId message, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed)
    {
        if (!_calls.Remove(call, out var made)) return;
        ClientSession session = made.Session;
        if (session.Calls.Remove(made.Sequence, out var open)) session.Bytes -= open.Bytes;
        // What ends with this node may be had through another one: the client asks there.
        if (session.Connection == 0 || outcome is Outcome.Excluded or Outcome.Stopped) return;
        var done = new ClientDone(made.Sequence, outcome, message, [.. failed]);
        _results.Enqueue(new Result(session, session.Connection, made.Sequence, done, [.. replies]) { Past = context.Ordering?.CapturePast() ?? [] });
    }

    private void Withdraw(ClientSession session)
    {
        foreach ((long call, _) in session.Calls.Values.ToArray())
        {
            _calls.Remove(call);
            requests.End(call, Outcome.Cancelled);
        }
        session.Calls.Clear();
        session.Bytes = 0;
    }

    private void Tell(Result result)
    {
        if (result.Session.Connection != result.Connection) return;      // it asks again
        foreach (ReplyItem reply in result.Replies)
        {
            ReadOnlyMemory<byte> last = ClientText.SendParts(reply.Body, _writer, frame => context.Effects.Transmit(result.Connection, frame));
            new ClientReply(result.Sequence, reply.From, reply.InPlaceOf, reply.IsError, last).Write(_writer);
            context.Effects.Transmit(result.Connection, _writer.Written);
        }
        Send(result.Connection, result.Done.Write);
    }

    private void Send(int connection, ClientRecord record, Action<WireWriter>? rest = null) => Send(connection, writer =>
    {
        writer.Byte((byte)record);
        rest?.Invoke(writer);
    });

    private void Send(int connection, Action<WireWriter> record)
    {
        _writer.Reset();
        record(_writer);
        context.Effects.Transmit(connection, _writer.Written);
    }

    // ---- turns, configurations, time

    /// <summary>The end of a turn.</summary>
    /// <param name="isBlocked">This node has lost the others.</param>
    /// <returns>True: something was asked for that this turn can still do.</returns>
    public bool Pump(bool isBlocked)
    {
        if (isBlocked && _connections.Count > 0) SendAway(forGood: false);
        if (_sweepAt <= context.Now) Sweep();
        if (!context.IsWorking) return false;
        while (_results.TryPeek(out Result next) && context.Ordering!.IsSettled(next.Past)) Tell(_results.Dequeue());
        if (_changing.Count == 0) return false;
        ClientSession[] quiet = [.. _changing.Where(s => s.Stage is ClientStage.Quieting or ClientStage.Ending && IsQuiet(s))];
        foreach (ClientSession session in quiet)
        {
            _changing.Remove(session);
            GoOn(session);
        }
        return quiet.Length > 0;
    }

    private bool IsQuiet(ClientSession session) => session.Addresses.All(a => callers.IsQuiet(new CallerAddress(session.Client, a)));

    /// <summary>A configuration is installed: all that was under way in the one before is settled or void.</summary>
    public void OnInstalled()
    {
        Result[] waiting = [.. _results];
        _results.Clear();
        foreach (Result result in waiting) _results.Enqueue(result with { Past = [] });
        if (!context.IsWorking) return;
        long epoch = context.Configuration!.Id.Epoch;
        foreach (ClientSession session in _sessions.Values.ToArray())
        {
            if (session.Taker is { } taker && context.RankOf(taker) < 0) session.Taker = null;
            if (session is { Finds: { } finds, Connection: not 0 }) Find(session, finds);
            if (session.Stage == ClientStage.Asking)
            {
                NodeId server = session.Source.Server!.Value;
                if (context.RankOf(server) >= 0) Ask(session, server);
                else Become(session, ClientStage.Quieting);
            }
            // What was sent before through another node, and waits still: the members do not know it any more.
            bool isTooOld = session.Source.Server is not null && IsTooOld(session.Source.Epoch) && session.Calls.Keys.FirstOrDefault(long.MaxValue) <= session.Source.LastSequence;
            if (isTooOld && session.Connection != 0) Refuse(_connections[session.Connection], ClientRefusal.Forgotten);
            else if (session is { Stage: ClientStage.Serving, Connection: not 0 }) Send(session.Connection, ClientRecord.Epoch, writer => writer.Varint(epoch));
        }
    }

    private void Sweep()
    {
        TimeSpan now = context.Now;
        foreach (ClientConnection silent in _connections.Values.Where(c => now - c.HeardAt > 2 * Silence).OrderBy(c => c.Number).ToArray()) Drop(silent, "the client is silent");
        foreach (ClientSession gone in _sessions.Values.Where(s => s is { Connection: 0, Stage: ClientStage.Serving } && now - s.HeardAt > context.Settings.ClientSession).ToArray())
        {
            if (gone.IsHeard) End(gone);
            else Remove(gone);      // it never knew that this node would serve it: another one does, or did before
        }
        foreach (NodeId client in _takenOver.Where(t => t.Value < now).Select(t => t.Key).ToArray()) _takenOver.Remove(client);
        _sweepAt = _connections.Count + _sessions.Count + _takenOver.Count > 0 ? now + SweepEvery : null;
    }

    public TimeSpan Deadline() => _sweepAt ?? TimeSpan.MaxValue;
}
