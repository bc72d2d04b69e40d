// Requests of this node that wait for replies: a member that failed or left without one counts as answered, and is named.
// Keeps: a request ends exactly once, and not before each of its members has answered or is known not to, where all must.
// A member that passes the request on keeps its place: whoever answers for it, that is the place's one answer.
// Follows: protocol.md section 7; "isis toolkit", broadcasts and replies (forwarding a message).
namespace Core.Groups.Protocol.Requests;

internal delegate void ClientCallEnded(long call, Outcome outcome, MessageId message, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed);

/// <summary>Who may answer a request, as a member of a group (none: as a single process).</summary>
internal readonly record struct Answerer(NodeId Node, GroupId Group);

internal sealed class RequestTable(NodeContext context)
{
    private readonly SortedDictionary<long, Pending> _pending = [];
    /// <summary>Of those that have a time limit: a node may have the requests of thousands of clients, which keep their own time.</summary>
    private readonly SortedSet<(TimeSpan At, long Call)> _deadlines = [];

    private enum PlaceState : byte { Open, Answered, Failed }

    /// <summary>One member to which the request went.</summary>
    private sealed class Place(Answerer member)
    {
        public Answerer Member { get; set; } = member;
        public PlaceState State { get; set; }
        /// <summary>Those to whom it has passed the request on, and who have not failed; null: nobody.</summary>
        public List<Answerer>? PassedTo { get; set; }
    }

    private sealed class Pending(long call, ReplyMode mode, int count, TimeSpan? deadline)
    {
        public long Call => call;
        public ReplyMode Mode => mode;
        public int Count => count;
        public TimeSpan? Deadline => deadline;
        /// <summary>How many members it went to; null until it is sent.</summary>
        public int? Members { get; set; }
        public List<Place> Places { get; } = [];
        public List<ReplyItem> Replies { get; } = [];

        public int Wanted => mode switch
        {
            ReplyMode.None => 0,
            ReplyMode.First => 1,
            ReplyMode.Count => count,
            ReplyMode.Majority => (Members!.Value / 2) + 1,
            _ => int.MaxValue,
        };

        /// <summary>Nobody is left who may answer.</summary>
        public bool IsExhausted => !Places.Exists(static p => p.State == PlaceState.Open);

        public Place PlaceOf(NodeId member)
        {
            if (Places.Find(p => p.Member.Node == member) is { } place) return place;
            Places.Add(place = new Place(new Answerer(member, GroupId.None)));
            return place;
        }
    }

    public int Count => _pending.Count;

    /// <summary>Told of every end, and whether the request was sent: what is still queued of it is withdrawn.</summary>
    public Action<long, bool> OnEnded { get; set; } = static (_, _) => { };

    /// <summary>Told how the calls of clients ended, in place of the host.</summary>
    public ClientCallEnded OnClientCall { get; set; } = static (_, _, _, _, _) => { };

    public void Begin(long call, ReplyMode mode, int count, TimeSpan? timeout)
    {
        TimeSpan? deadline = timeout is { } limit ? context.Now + limit : null;
        _pending.Add(call, new Pending(call, mode, count, deadline));
        if (deadline is { } at) _deadlines.Add((at, call));
    }

    public bool IsPending(long call) => _pending.ContainsKey(call);

    /// <summary>The request is on its way to these members, each once.</summary>
    public void OnSent(long call, IReadOnlyList<Answerer> members)
    {
        if (!_pending.TryGetValue(call, out Pending? pending)) return;
        pending.Members = members.Count;
        // Who was asked in an earlier configuration alone will not answer any more.
        pending.Places.RemoveAll(p => p.State != PlaceState.Answered && !members.Any(m => m.Node == p.Member.Node));
        foreach (Answerer member in members) pending.PlaceOf(member.Node).Member = member;
        Check(pending);
    }

    /// <param name="place">The member to which the request went: the answer is its own, or that of another one to whom it passed it on.</param>
    public void OnReply(long call, NodeId place, ReplyItem reply)
    {
        if (!_pending.TryGetValue(call, out Pending? pending) || pending.PlaceOf(place) is not { State: not PlaceState.Answered } open) return;
        open.State = PlaceState.Answered;
        pending.Replies.Add(reply);
        Check(pending);
    }

    /// <summary>A member has passed the request on: one of these answers in its place.</summary>
    public void OnPassedOn(long call, NodeId place, NodeId by, IEnumerable<Answerer> to)
    {
        if (!_pending.TryGetValue(call, out Pending? pending) || pending.PlaceOf(place) is not { State: not PlaceState.Answered } passed) return;
        passed.PassedTo ??= [];
        passed.PassedTo.RemoveAll(a => a.Node == by);
        passed.PassedTo.AddRange(to);
        passed.State = passed.PassedTo.Count > 0 ? PlaceState.Open : PlaceState.Failed;
        Check(pending);
    }

    /// <summary>A node will not answer: it left, or never handled the request.</summary>
    public void OnNoAnswer(long call, NodeId place, NodeId from)
    {
        if (!_pending.TryGetValue(call, out Pending? pending) || pending.PlaceOf(place) is not { State: PlaceState.Open } open) return;
        Fail(open, a => a.Node == from);
        Check(pending);
    }

    /// <summary>Whether the request got anywhere is not known: it is sent again, perhaps to others.</summary>
    public void Recall(long call)
    {
        if (_pending.TryGetValue(call, out Pending? pending)) pending.Members = null;
    }

    /// <summary>A group has another id from now on.</summary>
    public void Rename(GroupId before, GroupId after)
    {
        foreach (Place place in _pending.Values.SelectMany(p => p.Places))
        {
            if (place.Member.Group == before) place.Member = place.Member with { Group = after };
            for (int i = 0; i < place.PassedTo?.Count; i++)
            {
                if (place.PassedTo[i].Group == before) place.PassedTo[i] = place.PassedTo[i] with { Group = after };
            }
        }
    }

    /// <summary>Members of a group (or, without one, nodes) are gone: they will not answer.</summary>
    public void OnGone(GroupId? group, Func<NodeId, bool> isGone)
    {
        if (_pending.Count == 0) return;
        foreach (Pending pending in _pending.Values.ToArray())
        {
            if (pending.Members is null) continue;
            foreach (Place place in pending.Places)
            {
                if (place.State == PlaceState.Open) Fail(place, a => (group is not { } id || a.Group == id) && isGone(a.Node));
            }
            Check(pending);
        }
    }

    private static void Fail(Place place, Predicate<Answerer> isGone)
    {
        if (place.PassedTo is { } others)
        {
            others.RemoveAll(isGone);
            if (others.Count == 0) place.State = PlaceState.Failed;
        }
        else if (isGone(place.Member)) place.State = PlaceState.Failed;
    }

    public void Tick()
    {
        while (_deadlines.Count > 0 && _deadlines.Min.At <= context.Now) End(_pending[_deadlines.Min.Call], Outcome.Timeout);
    }

    public TimeSpan Deadline() => _deadlines.Count > 0 ? _deadlines.Min.At : TimeSpan.MaxValue;

    public bool End(long call, Outcome outcome)
    {
        if (!_pending.TryGetValue(call, out Pending? pending)) return false;
        End(pending, outcome);
        return true;
    }

    /// <summary>A call by name that wants no replies is delivered by all, as this message.</summary>
    public void EndSent(long call, MessageId message)
    {
        if (!_pending.TryGetValue(call, out Pending? pending)) return;
        Remove(pending);
        OnEnded(call, pending.Members is not null);
        if (call >= Clients.ClientSessions.FirstCall) OnClientCall(call, Outcome.Done, message, [], []);
        else context.Effects.Sent(call, message);
    }

    public void EndAll(Outcome outcome)
    {
        foreach (Pending pending in _pending.Values.ToArray()) End(pending, outcome);
    }

    private void Remove(Pending pending)
    {
        _pending.Remove(pending.Call);
        if (pending.Deadline is { } at) _deadlines.Remove((at, pending.Call));
    }

    private void Check(Pending pending)
    {
        if (pending.Members is null) return;
        if (pending.Replies.Count >= pending.Wanted || pending.IsExhausted) End(pending, Outcome.Done);
    }

    private void End(Pending pending, Outcome outcome)
    {
        Remove(pending);
        OnEnded(pending.Call, pending.Members is not null);
        NodeId[] failed = [.. pending.Places.Where(p => p.State == PlaceState.Failed).Select(p => p.Member.Node)];
        if (pending.Call >= Clients.ClientSessions.FirstCall) OnClientCall(pending.Call, outcome, default, pending.Replies, failed);
        else context.Effects.RequestCompleted(pending.Call, outcome, pending.Replies, failed);
    }
}
