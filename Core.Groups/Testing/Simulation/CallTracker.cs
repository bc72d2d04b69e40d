// The calls of one incarnation into its machine that have not ended.
// Keeps: every call ends exactly once, requests with one answer of a member at most.
using Core.Groups.Protocol;

namespace Core.Groups.Testing.Simulation;

/// <summary>Hands out call numbers and holds the machine to their completion.</summary>
internal sealed class CallTracker(SimulatedCluster cluster, NodeId self)
{
    private sealed record Pending(string What, ulong RequestMarker, Action<Outcome>? Ended);

    private readonly Dictionary<long, Pending> pending = [];
    private readonly HashSet<long> joined = [];
    private long last;

    /// <summary>The calls that wait, in order.</summary>
    public IEnumerable<string> Waiting => pending.OrderBy(p => p.Key).Select(p => $"call {p.Key} ({p.Value.What})");

    public bool Any => pending.Count > 0;

    public long Begin(string what, Action<Outcome>? ended = null, ulong requestMarker = 0)
    {
        pending.Add(++last, new Pending(what, requestMarker, ended));
        return last;
    }

    public void OnCompleted(long call, Outcome outcome)
    {
        if (joined.Remove(call)) return;
        if (!pending.Remove(call, out Pending? of))
            cluster.Violate($"{self}: call {call} ended as {outcome}, but it was never made or had ended before.");
        else if (of.RequestMarker != 0 && outcome == Outcome.Done)
            cluster.Violate($"{self}: {of.What} ended without the list of its replies.");
        else of.Ended?.Invoke(outcome);
    }

    /// <summary>A multicast has its number, or a call by name without replies is delivered: under this id the members see it.</summary>
    public void OnSent(long call, MessageId message)
    {
        if (!pending.Remove(call, out Pending? of))
            cluster.Violate($"{self}: call {call} was sent as {message}, but it was never made or had ended before.");
        else if (of.RequestMarker != 0 && cluster.FindDelivered(message) is { } seen && seen.Marker != of.RequestMarker)
            cluster.Violate($"{self}: {of.What} is said to be {message}, which is {seen}.");
        else of.Ended?.Invoke(Outcome.Done);
    }

    /// <summary>A join ends with <c>Joined</c>; that it is completed as well is not held against the machine.</summary>
    public void OnJoined(long call)
    {
        if (pending.Remove(call)) joined.Add(call);
        else cluster.Violate($"{self}: join {call} ended, but it was never made or had ended before.");
    }

    public void OnRequestCompleted(long call, Outcome outcome, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed)
    {
        if (!pending.Remove(call, out Pending? of) || of.RequestMarker == 0)
        {
            cluster.Violate($"{self}: request {call} ended as {outcome}, but it was never made or had ended before.");
            return;
        }
        if (replies.Select(reply => reply.InPlaceOf ?? reply.From).Concat(failed).Distinct().Count() != replies.Count + failed.Count)
            cluster.Violate($"{self}: {of.What} counts a member twice: {string.Join(' ', replies.Select(r => r.From))} failed {string.Join(' ', failed)}.");
        foreach (ReplyItem reply in replies)
        {
            if (!reply.IsError && !reply.Body.Span.SequenceEqual(MessageBody.MakeReply(of.RequestMarker, reply.From)))
                cluster.Violate($"{self}: {of.What} got an answer from {reply.From} that belongs to another request.");
        }
        cluster.Coverage.Requests++;
        cluster.Coverage.PassedOn += replies.Count(reply => reply.InPlaceOf is not null);
        of.Ended?.Invoke(outcome);
    }
}
