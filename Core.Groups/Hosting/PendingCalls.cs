// The calls of the application that the protocol machine has not ended yet.
// Keeps: every call ends exactly once: by the machine, by its caller's cancellation, or with the incarnation or the node.
using System.Text;
using Core.Groups.Protocol;

namespace Core.Groups.Hosting;

/// <summary>How a call ended; a multicast with the id of its message, a question with what was found.</summary>
internal readonly record struct CallResult(
    Outcome Outcome, IReadOnlyList<ReplyItem> Replies, IReadOnlyList<NodeId> Failed, MessageId Message = default, object? Found = null)
{
    public static CallResult Of(Outcome outcome) => new(outcome, [], []);

    public GroupReplies ToReplies() =>
        new([.. Replies.Select(r => new GroupReply(r.From, r.Body, r.IsError) { InPlaceOf = r.InPlaceOf })], Failed);

    public GroupReplies<T> ToReplies<T>(IPayloadSerializer serializer) =>
        new([.. Replies.Select(r => Read<T>(r, serializer))], Failed);

    private static GroupReply<T> Read<T>(in ReplyItem reply, IPayloadSerializer serializer) => ReadBody<T>(reply, serializer) with { InPlaceOf = reply.InPlaceOf };

    private static GroupReply<T> ReadBody<T>(in ReplyItem reply, IPayloadSerializer serializer)
    {
        if (reply.IsError)
        {
            return new GroupReply<T>(reply.From, default, Encoding.UTF8.GetString(reply.Body.Span));
        }

        try
        {
            return new GroupReply<T>(reply.From, serializer.Deserialize<T>(reply.Body), null);
        }
        catch (Exception e)
        {
            return new GroupReply<T>(reply.From, default, $"The reply could not be read: {e.Message}");
        }
    }
}

/// <summary>One call. Its continuation never runs on the event loop.</summary>
internal sealed class PendingCall(long number, int generation, string group)
    : TaskCompletionSource<CallResult>(TaskCreationOptions.RunContinuationsAsynchronously)
{
    public long Number { get; } = number;
    public int Generation { get; } = generation;
    /// <summary>The group's name, for errors.</summary>
    public string Group { get; } = group;
    /// <summary>A join, which ends when the application has loaded the state.</summary>
    public bool IsJoin { get; init; }

    /// <summary>Ends the call; an outcome other than Done becomes the error that the caller can act on.</summary>
    public void End(in CallResult result)
    {
        if (result.Outcome == Outcome.Done)
        {
            TrySetResult(result);
        }
        else if (result.Outcome == Outcome.Cancelled)
        {
            TrySetCanceled();
        }
        else
        {
            TrySetException(ToException(result.Outcome));
        }
    }

    private Exception ToException(Outcome outcome) => outcome switch
    {
        Outcome.Timeout => new TimeoutException($"The call to '{Group}' did not end in the time given."),
        Outcome.NotMember => new NotMemberException(Group),
        Outcome.AlreadyMember => new AlreadyMemberException(Group),
        Outcome.NoSuchGroup => new GroupNotFoundException(Group),
        Outcome.Deleted => new GroupDeletedException(Group),
        Outcome.WrongSite => new JoinRefusedException(Group, $"it resides at the site '{GroupName.SiteOf(Group)}' and this node does not. Call it from outside, or set GroupNodeOptions.Site."),
        Outcome.Excluded => new ExcludedException("the others went on without it", outcomeUnknown: true),
        Outcome.Stopped => new NodeStoppedException(outcomeUnknown: true),
        Outcome.StateTransferFailed => new StateTransferException(Group, "a callback failed at the member that saves it or here; see the logs of both."),
        Outcome.NumberTooLow => new InvalidOperationException($"The requests that a group makes as one to '{Group}' have numbers that rise at each member: this number was used before, or a higher one."),
        Outcome.NotBlocked => new InvalidOperationException("The node is in a primary configuration: there is nothing to force."),
        _ => new InvalidOperationException($"The call to '{Group}' ended as {outcome}."),
    };
}

/// <summary>The table of calls. Safe for any thread.</summary>
internal sealed class PendingCalls
{
    private readonly Lock _gate = new();
    private readonly Dictionary<long, PendingCall> _calls = [];

    /// <summary>What is larger is let go of when it is empty.</summary>
    private const int KeptCapacity = 1024;
    private long _last;
    private Func<Exception>? _closed;

    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public PendingCall Add(int generation, string group, bool isJoin = false)
    {
        lock (_gate)
        {
            if (_closed is not null)
            {
                throw _closed();
            }

            var call = new PendingCall(++_last, generation, group) { IsJoin = isJoin };
            _calls.Add(call.Number, call);
            return call;
        }
    }

    public PendingCall? Find(long number)
    {
        lock (_gate)
        {
            return _calls.GetValueOrDefault(number);
        }
    }

    /// <summary>Takes a call of an incarnation out; null if it has ended already, or is another's.</summary>
    public PendingCall? Take(long number, int generation) => Find(number)?.Generation == generation ? Take(number) : null;

    /// <summary>Takes a call out; null if it has ended already.</summary>
    public PendingCall? Take(long number)
    {
        lock (_gate)
        {
            if (!_calls.Remove(number, out PendingCall? call))
            {
                return null;
            }

            if (_calls.Count == 0 && _calls.Capacity > KeptCapacity)
            {
                _calls.TrimExcess(); // thousands of joins at once have grown it
            }

            return call;
        }
    }

    /// <summary>Ends the calls of this incarnation and of those before it.</summary>
    public void EndGeneration(int generation, Func<Exception> error)
    {
        PendingCall[] ended;
        lock (_gate)
        {
            ended = [.. _calls.Values.Where(c => c.Generation <= generation)];
            foreach (PendingCall call in ended)
            {
                _calls.Remove(call.Number);
            }
        }

        foreach (PendingCall call in ended)
        {
            call.TrySetException(error());
        }
    }

    /// <summary>Ends all calls, and every later one at once.</summary>
    public void Close(Func<Exception> endedError, Func<Exception> laterError)
    {
        lock (_gate)
        {
            _closed ??= laterError;
        }

        EndGeneration(int.MaxValue, endedError);
    }
}
