// Hands ordered events to the application: traces them first, in this node's order.
using System.Collections.Immutable;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Protocol.Requests;
using Core.Groups.Tracing;

namespace Core.Groups.Protocol.Groups;

/// <summary>Who waits for an answer.</summary>
/// <param name="Request">Its number at the caller.</param>
/// <param name="Place">The member to which the request went, if that one passed it on.</param>
internal readonly record struct Asker(NodeId Caller, long Request, NodeId? Place);

internal sealed class Deliveries(NodeContext context)
{
    private readonly Dictionary<long, Token> _tokens = [];
    private readonly List<Asker> _unanswered = [];
    private readonly List<(Asker Asker, ClientAnswers.Answer Answer)> _again = [];
    /// <summary>Pieces of large messages to this node alone, and of answers that others get too.</summary>
    private readonly PieceTable _pieces = new(), _answerPieces = new();
    private long _lastToken;

    /// <summary>An answer that a caller waits for.</summary>
    private readonly record struct Token(Asker Asker, NodeId From, GroupId Group, CallerStamp? Stamp)
    {
        /// <summary>Others that made the same request.</summary>
        public ImmutableArray<Asker> Others { get; init; } = [];
        public CallerStamp? Client => Stamp is { Source.IsClient: true } ? Stamp : null;
        /// <summary>Its caller does not see who leaves the group.</summary>
        public bool IsFromOutside => Stamp is not null || Asker.Place is not null;
        public IEnumerable<Asker> Askers => Others.Prepend(Asker);
    }

    /// <summary>What clients were answered.</summary>
    public ClientAnswers Answers { get; } = new();

    public long Delivered { get; private set; }
    public long DeliveredBytes { get; private set; }

    public void View(GroupMember group, View view)
    {
        context.Trace(TraceKind.View, line => line with
        {
            Group = view.GroupName,
            ViewNumber = view.Number,
            ViewId = view.Id,
            Members = view.Members,
            Joined = view.Joined,
            Left = view.Left,
            IsPrimary = view.IsPrimary,
        });
        group.ShownView = view.Number;
        if (group.IsWanted) context.Effects.ViewInstalled(view);
    }

    public NodeId SenderOf(Message message) => message.Answer?.From ?? message.Caller?.Source.Id ?? context.NodeAt(message.Sender);

    /// <summary>Where answers go.</summary>
    private Asker AskerOf(Message message) => message.Answer is { } passed
        ? new Asker(passed.To, message.RequestId, passed.Place)
        : new Asker(message.Caller?.Caller ?? context.NodeAt(message.Sender), message.RequestId, null);

    public MessageId IdOf(Message message) => new(context.NodeAt(message.Sender), context.Configuration!.Id.Epoch, message.Sequence);

    /// <summary>Delivers a whole message of a group.</summary>
    /// <param name="spread">For a message to more than one group: those of its groups that this node is in.</param>
    public void Message(GroupMember group, Message message, ReadOnlyMemory<byte> body, Spread? spread)
    {
        if (context.Settings.Tracing) TraceDelivery(group, message);
        group.Credit.OnDelivered(context.NodeAt(message.Sender), body.Length + CreditAccount.MessageOverhead);
        Delivered++;
        DeliveredBytes += body.Length;
        long token = (message.Flags & MessageFlags.Request) == 0 ? 0 : TokenFor(message, group.Id);
        context.Effects.Deliver(new Delivery
        {
            Group = group.Id, From = SenderOf(message), Order = message.Kind.ToOrder(), IsTransitional = context.IsInTransition, Body = body, Message = IdOf(message), ReplyToken = token,
            Spread = message.Answer is null ? spread : DescribeAnswer(message, spread ?? new Spread([group.Id], null)),
        });
    }

    private Spread DescribeAnswer(Message message, Spread spread) => (message.Flags & MessageFlags.Reply) != 0
        ? spread with { IsReplyCopy = true }
        : spread with { PassedOnBy = context.NodeAt(message.Sender) };

    /// <summary>Who is given a message, and as a member of which group: the first of its groups that it is in.</summary>
    public List<Answerer> AnswerersOf(Message message)
    {
        var answerers = new List<Answerer>();
        Destination to = message.Destination;
        foreach (int rank in to.Members)
        {
            GroupId group = to.Spread is { } spread ? Array.Find(spread.Parts, p => p.Via.Contains(rank))?.Group ?? GroupId.None : to.Group;
            NodeId node = context.NodeAt(rank);
            bool isCallerAlone = group == GroupId.None && message.Answer?.To == node;      // it is only told
            if (!isCallerAlone && (message.Answer?.Only ?? node) == node) answerers.Add(new Answerer(node, group));
        }
        return answerers;
    }

    /// <summary>A request that was passed on to another member than this one, by way of the group, so that it has its place there.</summary>
    public void PassOver(GroupMember group, Message message)
    {
        if (context.Settings.Tracing) TraceDelivery(group, message);
    }

    /// <summary>
    /// A message that a caller sent again, and that was delivered before. It is a message of its contact like any other, and
    /// delivered at its place (so the trace has its line); only the application does not see it.
    /// </summary>
    public void Repeated(GroupMember group, Message message)
    {
        if (context.Settings.Tracing) TraceDelivery(group, message);
        if ((message.Flags & MessageFlags.Request) == 0) return;
        if (message.Caller is { Source.IsClient: true } stamp) AnswerAgain(group, message, stamp);
        // Who got the first one by state transfer has nothing to answer; who has answered is not asked again.
        else if (!_tokens.Values.Any(t => t.Asker == AskerOf(message))) Unanswered(message);
    }

    /// <summary>A client asks again, mostly through another node, or another member of a group that asks as one: each gets the answer.</summary>
    private void AnswerAgain(GroupMember group, Message message, CallerStamp stamp)
    {
        Asker asker = AskerOf(message);
        if (Answers.Find(group.Id, stamp) is not { } answer) Unanswered(message);
        else if (answer.Token == 0) _again.Add((asker, answer));
        else if (_tokens.TryGetValue(answer.Token, out Token open)) _tokens[answer.Token] = open with { Asker = asker, Others = [.. open.Askers.Where(a => a.Caller != asker.Caller)] };
    }

    // A method of its own: what the lambda captures is allocated where the method begins, also when nothing is traced.
    private void TraceDelivery(GroupMember group, Message message) =>
        context.Trace(TraceKind.Deliver, line => (line with
        {
            Group = message.Destination.Spread is null ? group.Name : null,
            Message = IdOf(message).ToString(),
            Order = message.Kind.ToOrder(),
            From = context.NodeAt(message.Sender).Name,
            For = message.Caller?.Source.Id.Name,
        }).To(message.Destination, NamesOf));

    /// <summary>For when tracing is on.</summary>
    public void TraceDirect(Message message)
    {
        context.Trace(TraceKind.Deliver, line => (line with
        {
            To = message.Destination.Spread is null ? NamesOf(message.Destination.Members) : [],
            Message = IdOf(message).ToString(),
            Order = message.Kind.ToOrder(),
            From = context.NodeAt(message.Sender).Name,
        }).To(message.Destination, NamesOf));
    }

    /// <summary>The whole body of a message to this node alone; null if pieces are still to come.</summary>
    public ReadOnlyMemory<byte>? TryJoin(Message message) => _pieces.TryJoin(message, context.Settings.MaximumMessageSize);

    /// <summary>Delivers a whole message to this node, which is in none of the groups that it goes to.</summary>
    public void Direct(Message message, ReadOnlyMemory<byte> body)
    {
        Delivered++;
        DeliveredBytes += body.Length;
        context.Effects.Deliver(new Delivery
        {
            Group = GroupId.None, From = SenderOf(message), Order = message.Kind.ToOrder(), IsTransitional = context.IsInTransition, Body = body, Message = IdOf(message),
            ReplyToken = (message.Flags & MessageFlags.Request) == 0 ? 0 : TokenFor(message, GroupId.None),
            Spread = message.Destination.Spread is { } spread ? new Spread([], spread.Label) { IsReplyCopy = message.Answer is not null } : null,
        });
    }

    private long TokenFor(Message message, GroupId group)
    {
        _tokens[++_lastToken] = new Token(AskerOf(message), SenderOf(message), group, message.Caller);
        if (message.Caller is { Source.IsClient: true } client) Answers.Open(group, client, _lastToken);
        return _lastToken;
    }

    public ImmutableArray<string> NamesOf(MemberSet members)
    {
        var names = ImmutableArray.CreateBuilder<string>();
        foreach (int rank in members) names.Add(context.NodeAt(rank).Name);
        return names.ToImmutable();
    }

    /// <summary>The callers that wait behind a token, which can be used once, for this answer.</summary>
    public bool TryTakeToken(long token, ReadOnlyMemory<byte> answer, bool isError, out Asker asker, out ImmutableArray<Asker> others)
    {
        bool found = _tokens.Remove(token, out Token entry);
        if (entry.Client is { } client) Answers.Give(entry.Group, client, answer, isError);
        (asker, others) = (entry.Asker, entry.Others);
        return found;
    }

    /// <summary>The application passes the request of a token on: others answer it. Who asks again hears that this node does not.</summary>
    public bool TryPassOn(long token, out Asker asker, out NodeId from)
    {
        bool found = _tokens.Remove(token, out Token entry);
        (asker, from) = (entry.Asker, entry.From);
        if (!found) return false;
        if (entry.Client is { } client) Answers.Withhold(entry.Group, client);
        _unanswered.AddRange(entry.Others);
        return true;
    }

    /// <summary>The whole of an answer that others get too; null if pieces are still to come.</summary>
    public ReadOnlyMemory<byte>? TryJoinAnswer(Message message) => _answerPieces.TryJoin(message, context.Settings.MaximumMessageSize);

    /// <summary>A group has another id from now on.</summary>
    public void Rename(GroupId before, GroupId after)
    {
        foreach ((long token, Token open) in _tokens.Where(t => t.Value.Group == before).ToArray()) _tokens[token] = open with { Group = after };
        Answers.Rename(before, after);
    }

    // ---- requests that get no answer

    /// <summary>The application never sees this message: if it asks, its caller is told not to wait for this node.</summary>
    public void Unanswered(Message message)
    {
        bool isForAnother = message.Answer?.Only is { } only && only != context.Self;
        if ((message.Flags & MessageFlags.Request) != 0 && !isForAnother) _unanswered.Add(AskerOf(message));
    }

    /// <summary>The application will not answer the request of this token.</summary>
    public void WithholdAnswer(long token)
    {
        if (!_tokens.Remove(token, out Token open)) return;
        if (open.Client is { } client) Answers.Withhold(open.Group, client);
        _unanswered.AddRange(open.Askers);
    }

    /// <summary>This node left a group. Its members see that; callers from outside are told not to wait for its answers.</summary>
    public void OnLeft(GroupMember group)
    {
        Answers.OnLeft(group.Id);
        foreach (HeldEvent held in group.Held)
        {
            if (held.Message is { } message && (message.Caller is not null || message.Answer is not null)) Unanswered(message);
        }
        foreach ((long token, Token open) in _tokens.Where(t => t.Value.IsFromOutside && t.Value.Group == group.Id).OrderBy(t => t.Key).ToArray())
        {
            _tokens.Remove(token);
            _unanswered.AddRange(open.Askers);
        }
    }

    /// <summary>The answers that are to be sent again, once.</summary>
    public IReadOnlyList<(Asker Asker, ClientAnswers.Answer Answer)> TakeAgain()
    {
        if (_again.Count == 0) return [];
        (Asker, ClientAnswers.Answer)[] taken = [.. _again];
        _again.Clear();
        return taken;
    }

    /// <summary>The callers that are to be told, once.</summary>
    public IReadOnlyList<Asker> TakeUnanswered()
    {
        if (_unanswered.Count == 0) return [];
        Asker[] taken = [.. _unanswered];
        _unanswered.Clear();
        return taken;
    }
}
