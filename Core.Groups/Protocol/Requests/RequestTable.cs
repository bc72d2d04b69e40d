// Requests of this node that wait for replies: a member that failed or left without one counts as answered, and is named.
// Keeps: a request ends exactly once, and not before each of its members has answered or is known not to, where all must.
// Follows: protocol.md section 7; "isis toolkit", broadcasts and replies.
namespace Core.Groups.Protocol.Requests;

internal delegate void ClientCallEnded(long call, Outcome outcome, MessageId message, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed);

internal sealed class RequestTable(NodeContext context)
{
    private readonly SortedDictionary<long, Pending> _pending = [];

    private sealed class Pending(long call, ReplyMode mode, int count, TimeSpan? deadline)
    {
        public long Call => call;
        public ReplyMode Mode => mode;
        public int Count => count;
        public TimeSpan? Deadline => deadline;
        /// <summary>To whom it went; null until it is sent.</summary>
        public NodeId[]? Members { get; set; }
        public GroupId Group { get; set; }
        public List<ReplyItem> Replies { get; } = [];
        public List<NodeId> Failed { get; } = [];

        public int Wanted => mode switch
        {
            ReplyMode.None => 0,
            ReplyMode.First => 1,
            ReplyMode.Count => count,
            ReplyMode.Majority => (Members!.Length / 2) + 1,
            _ => int.MaxValue,
        };

        /// <summary>Nobody is left who may answer.</summary>
        public bool IsExhausted => Array.TrueForAll(Members!, m => Failed.Contains(m) || Replies.Exists(r => r.From == m));
    }

    public int Count => _pending.Count;

    /// <summary>Told of every end, and whether the request was sent: what is still queued of it is withdrawn.</summary>
    public Action<long, bool> OnEnded { get; set; } = static (_, _) => { };

    /// <summary>Told how the calls of clients ended, in place of the host.</summary>
    public ClientCallEnded OnClientCall { get; set; } = static (_, _, _, _, _) => { };

    public void Begin(long call, ReplyMode mode, int count, TimeSpan? timeout) =>
        _pending.Add(call, new Pending(call, mode, count, timeout is { } t ? context.Now + t : null));

    public bool IsPending(long call) => _pending.ContainsKey(call);

    /// <summary>The request is on its way to these members.</summary>
    public void OnSent(long call, GroupId group, NodeId[] members)
    {
        if (!_pending.TryGetValue(call, out Pending? pending)) return;
        pending.Members = members;
        pending.Group = group;
        pending.Failed.RemoveAll(n => !members.Contains(n));
        Check(pending);
    }

    public void OnReply(long call, ReplyItem reply)
    {
        if (!_pending.TryGetValue(call, out Pending? pending) || pending.Replies.Exists(r => r.From == reply.From)) return;
        pending.Failed.Remove(reply.From);
        pending.Replies.Add(reply);
        Check(pending);
    }

    /// <summary>A member will not answer: it left, or never handled the request.</summary>
    public void OnNoAnswer(long call, NodeId member)
    {
        if (!_pending.TryGetValue(call, out Pending? pending) || pending.Failed.Contains(member) || pending.Replies.Exists(r => r.From == member)) return;
        pending.Failed.Add(member);
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
        foreach (Pending pending in _pending.Values)
        {
            if (pending.Group == before) pending.Group = after;
        }
    }

    /// <summary>Members of a group (or, without one, nodes) are gone: they will not answer.</summary>
    public void OnGone(GroupId? group, Func<NodeId, bool> isGone)
    {
        foreach (Pending pending in _pending.Values.ToArray())
        {
            if (pending.Members is null || (group is { } id && pending.Group != id)) continue;
            foreach (NodeId member in pending.Members)
            {
                if (isGone(member) && !pending.Failed.Contains(member) && !pending.Replies.Exists(r => r.From == member)) pending.Failed.Add(member);
            }
            Check(pending);
        }
    }

    public void Tick()
    {
        if (_pending.Count == 0) return;
        foreach (Pending pending in _pending.Values.Where(p => p.Deadline <= context.Now).ToArray()) End(pending, Outcome.Timeout);
    }

    public TimeSpan Deadline()
    {
        TimeSpan deadline = TimeSpan.MaxValue;
        foreach (Pending pending in _pending.Values)
        {
            if (pending.Deadline is { } at && at < deadline) deadline = at;
        }
        return deadline;
    }

    public bool End(long call, Outcome outcome)
    {
        if (!_pending.TryGetValue(call, out Pending? pending)) return false;
        End(pending, outcome);
        return true;
    }

    /// <summary>A call by name that wants no replies is delivered by all, as this message.</summary>
    public void EndSent(long call, MessageId message)
    {
        if (!_pending.Remove(call, out Pending? pending)) return;
        OnEnded(call, pending.Members is not null);
        if (call >= Clients.ClientSessions.FirstCall) OnClientCall(call, Outcome.Done, message, [], []);
        else context.Effects.Sent(call, message);
    }

    public void EndAll(Outcome outcome)
    {
        foreach (Pending pending in _pending.Values.ToArray()) End(pending, outcome);
    }

    private void Check(Pending pending)
    {
        if (pending.Members is null) return;
        if (pending.Replies.Count >= pending.Wanted || pending.IsExhausted) End(pending, Outcome.Done);
    }

    private void End(Pending pending, Outcome outcome)
    {
        _pending.Remove(pending.Call);
        OnEnded(pending.Call, pending.Members is not null);
        if (pending.Call >= Clients.ClientSessions.FirstCall) OnClientCall(pending.Call, outcome, default, pending.Replies, pending.Failed);
        else context.Effects.RequestCompleted(pending.Call, outcome, pending.Replies, pending.Failed);
    }
}
