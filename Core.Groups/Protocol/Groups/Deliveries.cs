// Hands ordered events to the application: traces them first, in this node's order.
using System.Collections.Immutable;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Tracing;

namespace Core.Groups.Protocol.Groups;

internal sealed class Deliveries(NodeContext context)
{
    private readonly Dictionary<long, (NodeId Caller, long Request)> _tokens = [];
    private long _lastToken;

    public long Delivered { get; private set; }
    public long DeliveredBytes { get; private set; }

    public void View(View view)
    {
        context.Trace(TraceKind.View, line => line with
        {
            Group = view.GroupName, ViewNumber = view.Number, ViewId = view.Id, Members = view.Members, Joined = view.Joined, Left = view.Left, IsPrimary = view.IsPrimary,
        });
        context.Effects.ViewInstalled(view);
    }

    public NodeId SenderOf(Message message) => message.Caller?.Caller ?? context.NodeAt(message.Sender);

    public MessageId IdOf(Message message) => new(context.NodeAt(message.Sender), context.Configuration!.Id.Epoch, message.Sequence);

    /// <summary>Delivers a whole message of a group.</summary>
    public void Message(GroupMember group, Message message, ReadOnlyMemory<byte> body)
    {
        NodeId sender = context.NodeAt(message.Sender);
        if (context.Settings.Tracing) TraceDelivery(group, message);
        group.Credit.OnDelivered(sender, body.Length + CreditAccount.MessageOverhead);
        Delivered++;
        DeliveredBytes += body.Length;
        long token = 0;
        if ((message.Flags & MessageFlags.Request) != 0) _tokens[token = ++_lastToken] = (SenderOf(message), message.RequestId);
        context.Effects.Deliver(new Delivery
        {
            Group = group.Id, From = SenderOf(message), Order = message.Kind.ToOrder(), Body = body, Message = IdOf(message), ReplyToken = token,
        });
    }

    // A method of its own: what the lambda captures is allocated where the method begins, also when nothing is traced.
    private void TraceDelivery(GroupMember group, Message message) =>
        context.Trace(TraceKind.Deliver, line => line with
        {
            Group = group.Name, Message = IdOf(message).ToString(), Order = message.Kind.ToOrder(), From = context.NodeAt(message.Sender).Name,
            For = message.Caller?.Caller.Name,
        });

    /// <summary>For when tracing is on.</summary>
    public void TraceDirect(Message message)
    {
        context.Trace(TraceKind.Deliver, line => line with
        {
            To = NamesOf(message.Destination.Members), Message = IdOf(message).ToString(), Order = message.Kind.ToOrder(), From = context.NodeAt(message.Sender).Name,
        });
    }

    public ImmutableArray<string> NamesOf(MemberSet members)
    {
        var names = ImmutableArray.CreateBuilder<string>();
        foreach (int rank in members) names.Add(context.NodeAt(rank).Name);
        return names.ToImmutable();
    }

    /// <summary>The caller that waits behind a token, which can be used once.</summary>
    public bool TryTakeToken(long token, out NodeId caller, out long request)
    {
        bool found = _tokens.Remove(token, out var entry);
        (caller, request) = entry;
        return found;
    }
}
