// The coordinator-cohort tool at one member.
// Keeps: requests have one order at all members, and the executor of each is computed alike; a request is executed again only
// when a view shows that its executor is gone, and then no answer of it can come any more (virtual synchrony); an answer counts
// only from the executor and for the attempt that all know; what was asked again is answered from memory.
// Follows: "Exploiting virtual synchrony", section 3.4. Deviates: the request is totally ordered, so that rules may look at the load,
// and safe: an execution acts on the world, so a member that is cut off must not take for its own what the others see otherwise.
using System.Diagnostics.CodeAnalysis;
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.CoordinatorCohort.Replication;

/// <summary>What is alike at all members.</summary>
/// <param name="Rule">Chooses coordinators.</param>
/// <param name="MaximumResults">So many finished requests are remembered, and somewhat more.</param>
/// <param name="ResultLifetime">So long a finished request is remembered, by the oldest member's clock.</param>
internal sealed record CohortSettings(CoordinatorRule Rule, int MaximumResults, TimeSpan ResultLifetime);

/// <summary>One member's copy.</summary>
[SuppressMessage("Performance", "CA1852", Justification = "Tests of the checkers derive broken cohorts.")]
internal class CohortReplica(CohortSettings settings, ICohortEffects effects) : Replica
{
    private readonly CohortMemory _memory = new();
    private readonly LoadTable _loads = new();
    private readonly SortedDictionary<long, ExecutionRecord> _open = [];
    private readonly Queue<ExecutionRecord> _finished = [];
    private readonly HashSet<(long Number, int Part, int Attempt)> _running = [];
    private readonly HashSet<ExecutionId> _calls = [];
    private readonly BodyWriter _body = new();
    private bool _isForgetting;
    private bool _isTellingLoad;

    public ICohortEffects Effects => effects;

    /// <summary>How many executions this member has finished in this process's life.</summary>
    public long Executed { get; private set; }

    /// <summary>How many finished requests are remembered.</summary>
    public int Remembered => _memory.Count - _open.Count;

    /// <summary>All finished requests, in the order of the requests.</summary>
    public IEnumerable<ExecutionRecord> Finished => _memory.InOrder.Where(r => r.IsComplete);

    // ---- calls of the application

    /// <summary>Asks for an execution; <see cref="ICohortEffects.Completed"/> follows. The same id again is the same request.</summary>
    public void Submit(ExecutionId id, Execution execution, Collation collation, ReadOnlySpan<byte> request)
    {
        ExecutionRecord? known = _memory.Find(id);
        if (known is { IsComplete: true })
        {
            effects.Completed(id, known.ToReply());
            return;
        }

        if (known is null)
            Port.Multicast(CohortFormat.RequestOrder, CohortFormat.Request(_body, id, execution, collation, request));
        _calls.Add(id);
    }

    /// <summary>The caller waits no longer, and does not want the result.</summary>
    public void Withdraw(ExecutionId id)
    {
        if (_calls.Remove(id))
            Port.Multicast(Order.Total, CohortFormat.Named(_body, CohortMessage.Cancel, id));
    }

    /// <summary>An execution of this member has ended. Nothing happens if it is not this member's any more.</summary>
    /// <exception cref="MessageTooLargeException">The answer cannot be sent: finish with an error in its place.</exception>
    public void Finish(long number, int part, int attempt, AnswerKind kind, ReadOnlySpan<byte> answer)
    {
        if (!_running.Contains((number, part, attempt)) || _memory.Find(number) is not { } record)
            return;
        Order order = record.Execution == Execution.Redundant ? Order.Total : Order.Causal;
        Port.Multicast(order, CohortFormat.Part(_body, CohortMessage.Answer, number, part, attempt, kind, answer));
        _running.Remove((number, part, attempt));
        Executed++;
        if (!_isTellingLoad && _loads.IsFarAbove(Port.Self, _running.Count))
        {
            _isTellingLoad = true;
            Port.Multicast(CohortFormat.RequestOrder, CohortFormat.Load(_body, _running.Count));
        }
    }

    /// <summary>An execution of this member is on its way.</summary>
    public void Report(long number, int part, int attempt, ReadOnlySpan<byte> progress)
    {
        if (_running.Contains((number, part, attempt)))
            Port.Multicast(Order.Causal, CohortFormat.Part(_body, CohortMessage.Progress, number, part, attempt, answer: null, progress));
    }

    // ---- deliveries

    protected override void OnMessage(in ReplicaMessage message)
    {
        try
        {
            var reader = new BodyReader(message.Body);
            switch ((CohortMessage)reader.Byte())
            {
                case CohortMessage.Request when message.Order == CohortFormat.RequestOrder:
                    OnRequested(ref reader);
                    break;
                case CohortMessage.Answer:
                    OnAnswer(message.From, ref reader);
                    break;
                case CohortMessage.Progress:
                    OnProgress(message.From, ref reader);
                    break;
                case CohortMessage.Cancel when message.Order == Order.Total:
                    OnCancel(CohortFormat.ReadId(ref reader));
                    break;
                case CohortMessage.Forget when message.Order == Order.CausalTotal && Port.View.Contains(message.From):
                    OnForget(message.From, ref reader);
                    break;
                case CohortMessage.Load when message.Order == CohortFormat.RequestOrder && Port.View.Contains(message.From):
                    _loads.Set(message.From, reader.Varint());
                    _isTellingLoad &= message.From != Port.Self;
                    break;
            }
        }
        catch (FormatException)
        {
            // Nobody of this library wrote it, and all members pass it over alike: parsing comes before any change.
        }
    }

    protected override void OnRequest(in ReplicaMessage message, long token)
    {
        try
        {
            var reader = new BodyReader(message.Body);
            var kind = (CohortMessage)reader.Byte();
            if (kind == CohortMessage.Request && message.Order == CohortFormat.RequestOrder)
            {
                ExecutionRecord? record = OnRequested(ref reader);
                if (record is null)
                    Answer(Port.View.RankOf(Port.Self) == 0, token, new CohortReply([]));
                else if (record.IsComplete)
                    Answer(IsReplier(record), token, record.ToReply());
                else
                    record.Tokens.Add(token);
                return;
            }

            if (kind == CohortMessage.Query)
            {
                OnQuery(CohortFormat.ReadId(ref reader), token);
                return;
            }
        }
        catch (FormatException)
        {
            // answered below
        }

        Port.Reply(token, "this is no request to a cohort"u8, isError: true);
    }

    protected override void OnView(View view)
    {
        _loads.Keep(view);
        foreach (ExecutionRecord record in _open.Values.ToArray())
        {
            for (int part = 0; part < record.Parts.Length; part++)
            {
                if (record.Parts[part] is { IsOpen: true } open && !view.Contains(open.Executor))
                    TakeOver(view, record, part);
            }

            if (record.Execution == Execution.Redundant && Array.TrueForAll(record.Parts, p => p.IsLost))
            {
                record.Parts[0].IsLost = false; // nobody who got the request lives: one does it for all
                Assign(view, record, 0);
            }

            if (record.HasEnough())
                Complete(record);
        }

        _isForgetting = false; // of another oldest member, perhaps
        ForgetWhatIsOld();
    }

    protected override void OnWake() => ForgetWhatIsOld();

    // ---- requests and their executors

    // Null: it was executed and is forgotten.
    private ExecutionRecord? OnRequested(ref BodyReader reader)
    {
        ExecutionId id = CohortFormat.ReadId(ref reader);
        Execution execution = CohortFormat.ReadEnum(ref reader, Execution.Subdivided);
        Collation collation = CohortFormat.ReadEnum(ref reader, Collation.All);
        ReadOnlyMemory<byte> request = reader.Rest();
        ExecutionRecord? record = _memory.Find(id);
        if (record is null && !_memory.IsForgotten(id))
            record = Begin(id, execution, collation, request);
        if (record is not { IsComplete: false } && _calls.Remove(id))
            effects.Completed(id, record?.ToReply() ?? new CohortReply([]));
        return record;
    }

    private ExecutionRecord Begin(ExecutionId id, Execution execution, Collation collation, ReadOnlyMemory<byte> request)
    {
        View view = Port.View;
        var parts = new ExecutionPart[execution == Execution.Coordinator ? 1 : view.Members.Length];
        for (int i = 0; i < parts.Length; i++)
            parts[i] = new ExecutionPart(view.Members[i]);
        var record = new ExecutionRecord(_memory.NextNumber(), id, execution, collation, request, parts);
        _memory.Add(record);
        _open.Add(record.Number, record);
        if (execution == Execution.Coordinator)
        {
            parts[0].Executor = Choose(view, record, 1);
        }

        for (int i = 0; i < parts.Length; i++)
        {
            _loads.Add(parts[i].Executor);
            if (parts[i].Executor == Port.Self)
                Start(record, i);
        }

        return record;
    }

    private NodeId Choose(View view, ExecutionRecord record, int attempt) =>
        settings.Rule.Choose(new CoordinatorChoice(view, record.Id, record.Request, attempt, _loads.Of));

    private void TakeOver(View view, ExecutionRecord record, int part)
    {
        if (record.Execution == Execution.Redundant)
            record.Parts[part].IsLost = true;
        else
            Assign(view, record, part);
    }

    private void Assign(View view, ExecutionRecord record, int part)
    {
        ExecutionPart given = record.Parts[part];
        given.Attempt++;
        given.Executor = record.Execution == Execution.Coordinator
            ? Choose(view, record, given.Attempt)
            : view.Members[(part + given.Attempt) % view.Members.Length];
        _loads.Add(given.Executor);
        if (given.Executor == Port.Self)
            Start(record, part);
    }

    private void Start(ExecutionRecord record, int part)
    {
        int attempt = record.Parts[part].Attempt;
        _running.Add((record.Number, part, attempt));
        if (record.IsCancelled)
            Finish(record.Number, part, attempt, AnswerKind.Cancelled, []);
        else
            effects.Execute(new Assignment(record.Number, record.Execution, part, record.Parts.Length, attempt, record.Id, record.Request));
    }

    // ---- answers

    private void OnAnswer(NodeId from, ref BodyReader reader)
    {
        (long number, long part, long attempt) = (reader.Varint(), reader.Varint(), reader.Varint());
        AnswerKind kind = CohortFormat.ReadEnum(ref reader, AnswerKind.Cancelled);
        if (PartOf(from, number, part, attempt, out ExecutionRecord record) is not { } done)
            return;
        done.Answer = new Answer((int)part, from, (int)attempt, kind, reader.Rest());
        done.Progress = default;
        if (record.HasEnough())
            Complete(record);
    }

    private void OnProgress(NodeId from, ref BodyReader reader)
    {
        (long number, long part, long attempt) = (reader.Varint(), reader.Varint(), reader.Varint());
        if (PartOf(from, number, part, attempt, out ExecutionRecord record) is not { } running)
            return;
        running.Progress = reader.Rest();
        if (_calls.Contains(record.Id))
            effects.Progressed(record.Id, running.Progress);
    }

    // The part that this member executes at this attempt, if the request is still open.
    private ExecutionPart? PartOf(NodeId from, long number, long part, long attempt, out ExecutionRecord record)
    {
        if (!_open.TryGetValue(number, out record!) || part >= record.Parts.Length)
            return null;
        ExecutionPart found = record.Parts[part];
        return found.IsOpen && found.Executor == from && found.Attempt == attempt ? found : null;
    }

    private void Complete(ExecutionRecord record)
    {
        record.IsComplete = true;
        record.IsCancelled = false; // a cancellation beside the last answer comes before it at some members, after it at others
        record.Request = default;
        _open.Remove(record.Number);
        for (int part = 0; part < record.Parts.Length; part++)
        {
            int attempt = record.Parts[part].Attempt;
            record.Parts[part].Progress = default;
            if (_running.Remove((record.Number, part, attempt)))
                effects.Stop(record.Number, part, attempt);
        }

        effects.Applied(record);
        CohortReply reply = record.ToReply();
        if (_calls.Remove(record.Id))
            effects.Completed(record.Id, reply);

        bool isReplier = record.Tokens.Count > 0 && IsReplier(record);
        foreach (long token in record.Tokens)
            Answer(isReplier, token, reply);
        record.Tokens.Clear();
        Remember(record);
    }

    private void OnCancel(ExecutionId id)
    {
        if (_memory.Find(id) is not { IsComplete: false } record)
            return;
        record.IsCancelled = true;
        for (int part = 0; part < record.Parts.Length; part++)
        {
            int attempt = record.Parts[part].Attempt;
            if (_running.Contains((record.Number, part, attempt)))
                effects.Stop(record.Number, part, attempt);
        }
    }

    // One member answers a caller outside: if it fails before it did, the caller asks again, and gets what is remembered.
    private bool IsReplier(ExecutionRecord record)
    {
        NodeId executor = record.Parts[0].Executor;
        return record.Parts.Length > 1 || Port.Self == (Port.View.Contains(executor) ? executor : Port.View.Members[0]);
    }

    private void Answer(bool isReplier, long token, in CohortReply reply)
    {
        if (isReplier)
            Port.Reply(token, CohortFormat.Reply(_body, reply));
        else
            Port.NoReply(token);
    }

    private void OnQuery(ExecutionId id, long token)
    {
        if (Port.View.RankOf(Port.Self) != 0)
            Port.NoReply(token);
        else
            Port.Reply(token, (_memory.Find(id)?.Parts.Select(p => p.Progress).LastOrDefault(p => !p.IsEmpty) ?? default).Span);
    }

    // ---- memory: the oldest member measures, all forget alike

    private void Remember(ExecutionRecord record)
    {
        record.FinishedAt = Port.Now;
        _finished.Enqueue(record);
        ForgetWhatIsOld();
    }

    private void ForgetWhatIsOld()
    {
        if (Port.View.RankOf(Port.Self) != 0 || _isForgetting)
            return;
        while (_finished.TryPeek(out ExecutionRecord? gone) && _memory.Find(gone.Number) != gone)
            _finished.Dequeue();
        TimeSpan old = Port.Now - settings.ResultLifetime;
        bool tooMany = _finished.Count > settings.MaximumResults + (settings.MaximumResults / 8);
        if (!tooMany && !(_finished.TryPeek(out ExecutionRecord? oldest) && oldest.FinishedAt <= old))
        {
            Port.WakeAt(_finished.TryPeek(out ExecutionRecord? next) ? next.FinishedAt + settings.ResultLifetime : TimeSpan.MaxValue);
            return;
        }

        List<long> numbers = [];
        while (_finished.TryPeek(out ExecutionRecord? record) && (record.FinishedAt <= old || _finished.Count > settings.MaximumResults))
            numbers.Add(_finished.Dequeue().Number);
        numbers.Sort();
        _isForgetting = true;
        Port.Multicast(Order.CausalTotal, CohortFormat.Forget(_body, numbers));
    }

    private void OnForget(NodeId from, ref BodyReader reader)
    {
        var numbers = new long[reader.Count()];
        long last = 0;
        for (int i = 0; i < numbers.Length; i++)
            numbers[i] = last += reader.Varint();
        foreach (long number in numbers)
            _memory.Forget(number);
        if (from == Port.Self)
        {
            _isForgetting = false;
            ForgetWhatIsOld();
        }
        else
        {
            while (_finished.TryPeek(out ExecutionRecord? gone) && _memory.Find(gone.Number) != gone)
                _finished.Dequeue();
        }
    }

    // ---- memberships

    protected override void Initialize()
    {
        Clear();
        effects.LoadState(null);
    }

    protected override void Load(ReadOnlyMemory<byte> state)
    {
        Clear();
        var reader = new BodyReader(state);
        string rule = reader.Text();
        if (rule != settings.Rule.Name)
            throw new FormatException($"The others choose coordinators by the rule '{rule}', not by '{settings.Rule.Name}'. Give all members the same rule.");
        _memory.Read(ref reader);
        _loads.Read(ref reader);
        effects.LoadState(reader.Blob());
        foreach (ExecutionRecord record in _memory.InOrder)
        {
            if (!record.IsComplete)
                _open.Add(record.Number, record);
            else
                Remember(record);
        }

        StartOwn();
    }

    // A rule knows a joiner from its view on, and may have chosen it before it had the state.
    private void StartOwn()
    {
        foreach (ExecutionRecord record in _open.Values.ToArray())
        {
            for (int part = 0; part < record.Parts.Length; part++)
            {
                if (record.Parts[part] is { IsOpen: true } open && open.Executor == Port.Self)
                    Start(record, part);
            }
        }
    }

    protected override ReadOnlyMemory<byte> Save()
    {
        var body = new BodyWriter(4096);
        body.Text(settings.Rule.Name);
        _memory.Write(body);
        _loads.Write(body);
        body.Blob(effects.SaveState().Span);
        return body.ToArray();
    }

    protected override void OnEnded(MembershipEnd end)
    {
        foreach ((long number, int part, int attempt) in _running)
            effects.Stop(number, part, attempt);
        _running.Clear();
        ExecutionId[] calls = [.. _calls];
        _calls.Clear();
        foreach (ExecutionId call in calls)
            effects.Ended(call, end);
    }

    private void Clear()
    {
        _memory.Clear();
        _loads.Clear();
        _open.Clear();
        _finished.Clear();
        _running.Clear();
        _isForgetting = _isTellingLoad = false;
    }
}
