// Hands ordered events to the application: traces them first, in this node's order.
using System.Collections.Immutable;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Tracing;

namespace Core.Groups.Protocol.Groups;

internal sealed class Deliveries(NodeContext context)
{
    private readonly Dictionary<long, Token> _tokens = [];
    private readonly List<(NodeId Caller, long Request)> _unanswered = [];
    private readonly List<(NodeId Caller, long Request, ClientAnswers.Answer Answer)> _again = [];
    /// <summary>Pieces of large messages to this node alone.</summary>
    private readonly PieceTable _pieces = new();
    private long _lastToken;

    /// <summary>An answer that a caller waits for.</summary>
    private readonly record struct Token(NodeId Caller, long Request, GroupId Group, CallerStamp? Stamp)
    {
        public CallerStamp? Client => Stamp is { Source.IsClient: true } ? Stamp : null;
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

    public NodeId SenderOf(Message message) => message.Caller?.Source.Id ?? context.NodeAt(message.Sender);

    /// <summary>The node to which answers go.</summary>
    private NodeId AskerOf(Message message) => message.Caller?.Caller ?? context.NodeAt(message.Sender);

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
            Spread = spread,
        });
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
        else if (!_tokens.Values.Any(t => t.Caller == AskerOf(message) && t.Request == message.RequestId)) Unanswered(message);
    }

    /// <summary>A client asks again, mostly through another node: that one gets the answer.</summary>
    private void AnswerAgain(GroupMember group, Message message, CallerStamp stamp)
    {
        if (Answers.Find(group.Id, stamp) is not { } answer) Unanswered(message);
        else if (answer.Token == 0) _again.Add((AskerOf(message), message.RequestId, answer));
        else if (_tokens.TryGetValue(answer.Token, out Token open)) _tokens[answer.Token] = open with { Caller = AskerOf(message), Request = message.RequestId };
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
            Spread = message.Destination.Spread is { } spread ? new Spread([], spread.Label) : null,
        });
    }

    private long TokenFor(Message message, GroupId group)
    {
        _tokens[++_lastToken] = new Token(AskerOf(message), message.RequestId, group, message.Caller);
        if (message.Caller is { Source.IsClient: true } client) Answers.Open(group, client, _lastToken);
        return _lastToken;
    }

    public ImmutableArray<string> NamesOf(MemberSet members)
    {
        var names = ImmutableArray.CreateBuilder<string>();
        foreach (int rank in members) names.Add(context.NodeAt(rank).Name);
        return names.ToImmutable();
    }

    /// <summary>The caller that waits behind a token, which can be used once, for this answer.</summary>
    public bool TryTakeToken(long token, ReadOnlyMemory<byte> answer, bool isError, out NodeId caller, out long request)
    {
        bool found = _tokens.Remove(token, out Token entry);
        if (entry.Client is { } client) Answers.Give(entry.Group, client, answer, isError);
        (caller, request) = (entry.Caller, entry.Request);
        return found;
    }

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
        if ((message.Flags & MessageFlags.Request) != 0) _unanswered.Add((AskerOf(message), message.RequestId));
    }

    /// <summary>The application will not answer the request of this token.</summary>
    public void WithholdAnswer(long token)
    {
        if (!_tokens.Remove(token, out Token open)) return;
        if (open.Client is { } client) Answers.Withhold(open.Group, client);
        _unanswered.Add((open.Caller, open.Request));
    }

    /// <summary>This node left a group. Its members see that; callers from outside are told not to wait for its answers.</summary>
    public void OnLeft(GroupMember group)
    {
        Answers.OnLeft(group.Id);
        foreach (HeldEvent held in group.Held)
        {
            if (held.Message is { Caller: not null } message) Unanswered(message);
        }
        foreach ((long token, Token open) in _tokens.Where(t => t.Value.Stamp is not null && t.Value.Group == group.Id).OrderBy(t => t.Key).ToArray())
        {
            _tokens.Remove(token);
            _unanswered.Add((open.Caller, open.Request));
        }
    }

    /// <summary>The answers that are to be sent again, once.</summary>
    public IReadOnlyList<(NodeId Caller, long Request, ClientAnswers.Answer Answer)> TakeAgain()
    {
        if (_again.Count == 0) return [];
        (NodeId, long, ClientAnswers.Answer)[] taken = [.. _again];
        _again.Clear();
        return taken;
    }

    /// <summary>The callers that are to be told, once.</summary>
    public IReadOnlyList<(NodeId Caller, long Request)> TakeUnanswered()
    {
        if (_unanswered.Count == 0) return [];
        (NodeId, long)[] taken = [.. _unanswered];
        _unanswered.Clear();
        return taken;
    }
}
