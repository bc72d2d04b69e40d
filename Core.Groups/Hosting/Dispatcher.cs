// Hands a group's messages to its handlers, and their results back as replies.
// Keeps: whatever a handler throws and whatever bytes come, the next message goes on; a request is always answered.
using System.Text;
using Core.Groups.Protocol;
using Microsoft.Extensions.Logging;

namespace Core.Groups.Hosting;

/// <summary>Where replies go.</summary>
internal interface IReplies
{
    void Reply(long token, ReadOnlyMemory<byte> body, bool isError, int generation);

    /// <summary>As the plan says, with this answer.</summary>
    ValueTask AnswerAsync(AnswerPlan plan, in Delivery request, ReadOnlyMemory<byte> answer, int generation);
}

/// <summary>The dispatcher of one group; called by its mailbox alone.</summary>
internal sealed class Dispatcher(
    string groupName, EntryPoints entries, IReplies replies, int maximumReply, HostCounters counters, ILogger logger,
    Func<string, GroupMessage, ValueTask>? onKill = null)
{
    private const int MostNamesRemembered = 100;
    private const int LongestError = 1000;

    private HashSet<string>? _unknown;

    /// <summary>Dispatches one message. Never throws, nor gives a failed task.</summary>
    public ValueTask DispatchAsync(in Delivery delivery, ProcessGroup group, View view, int generation)
    {
        if (Envelope.TryUnpackKill(delivery.Body, out string? reason))
        {
            HostLog.Killed(logger, groupName, delivery.From, reason);
            return onKill is null ? default : KillAsync(reason, delivery, group, view, generation);
        }

        bool isRequest = delivery.ReplyToken != 0;
        if (!Envelope.TryUnpack(delivery.Body, out ReadOnlySpan<byte> name, out ReadOnlyMemory<byte> body))
        {
            Undecodable("(no envelope)", "the body was not written by this library");
            AnswerError(delivery, "the message could not be read", generation);
            return default;
        }

        EntryPoint? entry = entries.Find(name, isRequest);
        if (entry is null)
        {
            OnUnknown(delivery, name, generation);
            return default;
        }

        try
        {
            AnswerPlan? plan = isRequest ? new AnswerPlan() : null;
            ValueTask<ReadOnlyMemory<byte>> handling = entry(MessageOf(delivery, body, group, view, plan));
            if (!handling.IsCompletedSuccessfully)
            {
                return FinishAsync(handling, delivery, plan, generation);
            }

            if (plan is { IsEmpty: false })
            {
                return AnswerAsync(plan, delivery, handling.Result, generation);
            }

            Answer(delivery, handling.Result, generation);
        }
        catch (Exception e)
        {
            OnError(delivery, e, generation);
        }

        return default;
    }

    private static GroupMessage MessageOf(in Delivery delivery, ReadOnlyMemory<byte> body, ProcessGroup group, View view, AnswerPlan? plan = null) => new()
    {
        From = delivery.From, Order = delivery.Order, Body = body, Id = delivery.Message, IsTransitional = delivery.IsTransitional, Group = group, View = view,
        Plan = plan, PassedOnBy = delivery.Spread?.PassedOnBy, IsAnswerCopy = delivery.Spread?.IsReplyCopy == true,
    };

    private async ValueTask KillAsync(string reason, Delivery delivery, ProcessGroup group, View view, int generation)
    {
        try
        {
            await onKill!(reason, MessageOf(delivery, default, group, view)).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            OnError(delivery, e, generation);
        }
    }

    private async ValueTask FinishAsync(ValueTask<ReadOnlyMemory<byte>> handling, Delivery delivery, AnswerPlan? plan, int generation)
    {
        try
        {
            ReadOnlyMemory<byte> answer = await handling.ConfigureAwait(false);
            if (plan is { IsEmpty: false })
            {
                await AnswerAsync(plan, delivery, answer, generation).ConfigureAwait(false);
            }
            else
            {
                Answer(delivery, answer, generation);
            }
        }
        catch (Exception e)
        {
            OnError(delivery, e, generation);
        }
    }

    private async ValueTask AnswerAsync(AnswerPlan plan, Delivery delivery, ReadOnlyMemory<byte> answer, int generation)
    {
        try
        {
            if (plan.PassTo is null && answer.Length + plan.Head.Length > maximumReply)
            {
                throw new MessageTooLargeException(answer.Length + plan.Head.Length, maximumReply);
            }

            await replies.AnswerAsync(plan, delivery, answer, generation).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            AnswerError(delivery, e.Message, generation); // nothing of it has left
        }
    }

    private void OnUnknown(in Delivery delivery, ReadOnlySpan<byte> name, int generation)
    {
        string entry = name.IsEmpty ? "raw messages" : Encoding.UTF8.GetString(name);
        if (delivery.ReplyToken != 0)
        {
            AnswerError(delivery, $"the group has no handler for requests of {entry} at this member", generation);
        }

        if (!entries.Ignores)
        {
            Undecodable(entry, "no handler is registered for it");
        }
    }

    private void OnError(in Delivery delivery, Exception error, int generation)
    {
        if (error is UndecodableException)
        {
            string from = Envelope.TryUnpack(delivery.Body, out ReadOnlySpan<byte> name, out _) ? Encoding.UTF8.GetString(name) : "";
            Undecodable(from, error.Message);
        }
        else
        {
            counters.HandlerFailed();
            HostLog.HandlerFailed(logger, error, groupName, delivery.Message);
        }

        AnswerError(delivery, error.Message, generation);
    }

    private void Undecodable(string entry, string reason)
    {
        counters.UndecodableMessage();
        _unknown ??= [];
        if (_unknown.Count < MostNamesRemembered && _unknown.Add(entry))
        {
            HostLog.Undecodable(logger, groupName, entry, reason);
        }
    }

    private void Answer(in Delivery delivery, ReadOnlyMemory<byte> reply, int generation)
    {
        if (delivery.ReplyToken == 0)
        {
            return;
        }

        if (reply.Length > maximumReply)
        {
            AnswerError(delivery, $"the reply has {reply.Length} bytes, the limit is {maximumReply}", generation);
            return;
        }

        replies.Reply(delivery.ReplyToken, reply, isError: false, generation);
    }

    private void AnswerError(in Delivery delivery, string message, int generation)
    {
        if (delivery.ReplyToken != 0)
        {
            string text = message.Length > LongestError ? message[..LongestError] : message;
            replies.Reply(delivery.ReplyToken, Encoding.UTF8.GetBytes(text), isError: true, generation);
        }
    }
}
