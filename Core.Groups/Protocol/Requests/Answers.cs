// The answers of this node to requests, and what it is told, as the caller of some, beside others: an answer with copies, or to whom a
// request was passed on.
// Keeps: the caller and the others learn it by one message, so all that live do or none does; an answer that cannot be copied, because
// this node has left the group, still reaches its caller.
// Follows: "Exploiting virtual synchrony", section 4.1 (reply with extra destinations); "isis toolkit", forwarding a message.
using Core.Groups.Protocol.Groups;
using Core.Groups.Protocol.Ordering;

namespace Core.Groups.Protocol.Requests;

internal sealed class Answers(NodeContext context, RequestTable requests, CallQueue calls, Deliveries deliveries)
{
    private static ReadOnlySpan<byte> CannotPassOn => "the request could not be passed on: who passed it on, or who was to answer, has left the group"u8;

    /// <summary>A message of which this node, the caller of a request, is told beside others: an answer with copies, or where the request was passed on to.</summary>
    public void OnTold(Message message, AnswerStamp answer)
    {
        NodeId sender = context.NodeAt(message.Sender);
        if ((message.Flags & MessageFlags.Request) != 0) requests.OnPassedOn(message.RequestId, answer.Place, sender, deliveries.AnswerersOf(message));
        else if ((message.Flags & MessageFlags.NoAnswer) != 0) requests.OnNoAnswer(message.RequestId, answer.Place, sender);
        else if ((message.Flags & MessageFlags.Reply) != 0 && deliveries.TryJoinAnswer(message) is { } body)
        {
            ReadOnlyMemory<byte> own = body[Math.Min(answer.Head, body.Length)..];
            requests.OnReply(message.RequestId, answer.Place, new ReplyItem(sender, own, (message.Flags & MessageFlags.Error) != 0)
            {
                InPlaceOf = answer.Place == sender ? null : answer.Place,
            });
        }
    }

    /// <summary>Answers a caller alone.</summary>
    public void Give(Asker asker, ReadOnlyMemory<byte> body, MessageFlags flags)
    {
        flags |= MessageFlags.Reply;
        if (asker.Place is not { } place) calls.Submit(new Cast(0, GroupId.None, asker.Caller, MessageKind.Causal, body, flags, asker.Request));
        else
        {
            var stamp = new AnswerStamp(asker.Caller, place);
            calls.Submit(new Cast(0, GroupId.None, asker.Caller, MessageKind.Causal, body, flags | MessageFlags.AnswerTo, asker.Request, Answer: stamp));
        }
    }

    /// <summary>This node left a group to which an answer was to be copied, or a request passed on: the caller gets its answer all the same, or hears why not.</summary>
    public void OnFailed(Cast cast, AnswerStamp answer, Outcome outcome)
    {
        if (cast.Spread is null || outcome is Outcome.Excluded or Outcome.Stopped) return;
        var asker = new Asker(answer.To, cast.RequestId, answer.Place);
        if ((cast.Flags & MessageFlags.Reply) != 0) Give(asker, cast.Body[answer.Head..], cast.Flags & MessageFlags.Error);
        else Give(asker, CannotPassOn.ToArray(), MessageFlags.Error);
    }
}
