// What locks are when they are called one call at a time, and what fairness means: judges that are tested by themselves.
using System.Collections.Immutable;
using Core.Groups;
using Core.Groups.Testing.Histories;
using Toolkit.Locks.Replicas;

namespace Toolkit.Tests.Locks;

/// <summary>A hold that is acquired or released.</summary>
/// <param name="Number">Names the hold, in both of its calls.</param>
/// <param name="Token">A reader has that of the last writer.</param>
internal readonly record struct HoldCall(int Number, bool IsRelease, bool IsShared, long Token, int Weight)
{
    public override string ToString() => $"{(IsRelease ? "release" : "acquire")} of hold {Number}{(IsShared ? " (shared)" : "")} with token {Token}, {Weight} permits";
}

/// <summary>Who holds, and the tokens so far. Compared by value.</summary>
/// <param name="LastToken">The token of the last hold that was not shared: readers have this one, or that of a writer that gave up waiting since.</param>
/// <param name="HighestToken">The highest of all.</param>
internal readonly record struct HoldState(long LastToken, long HighestToken, long Permits, bool IsShared, string Holders);

/// <summary>Mutex, semaphore and read/write lock: permits that are held in the order of tokens; readers share one.</summary>
internal sealed class HoldModel(long permits) : ISequentialModel<HoldState, HoldCall>
{
    public HoldState Initial => new(0, 0, 0, false, "|");

    public bool TryStep(HoldState state, HoldCall call, bool answered, out HoldState next)
    {
        string hold = $"|{call.Number}|";
        long weight = call.IsShared ? permits : call.Weight;
        if (call.IsRelease)
        {
            bool isLast = state.IsShared && state.Holders.Count(c => c == '|') == 2;
            next = state with { Permits = state.Permits - (state.IsShared && !isLast ? 0 : weight), IsShared = state.IsShared && !isLast, Holders = state.Holders.Replace(hold, "|", StringComparison.Ordinal) };
            return state.Holders.Contains(hold, StringComparison.Ordinal);
        }

        bool joins = call.IsShared && state.IsShared;
        string holders = string.Join('|', $"{state.Holders}{call.Number}".Split('|', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal));
        next = new(call.IsShared ? state.LastToken : call.Token, Math.Max(state.HighestToken, call.Token), joins ? permits : state.Permits + weight, call.IsShared, $"|{holders}|");
        return (call.IsShared ? call.Token >= state.LastToken : call.Token > state.HighestToken) && next.Permits <= permits;
    }
}

/// <summary>Requests are served in the order of their tickets, without overtaking.</summary>
internal static class FairnessChecker
{
    /// <summary>Null if at each node who asked first has the lower token; else a sentence.</summary>
    public static string? Check(IEnumerable<(NodeId Node, long Number, long Token)> calls)
    {
        foreach (IGrouping<NodeId, (NodeId Node, long Number, long Token)> node in calls.GroupBy(c => c.Node))
        {
            (NodeId Node, long Number, long Token)[] inOrder = [.. node.OrderBy(c => c.Number)];
            for (int i = 1; i < inOrder.Length; i++)
            {
                if (inOrder[i - 1].Token >= inOrder[i].Token)
                    return $"call {inOrder[i].Number} of {node.Key} (token {inOrder[i].Token}) has overtaken call {inOrder[i - 1].Number} (token {inOrder[i - 1].Token})";
            }
        }

        return null;
    }

    /// <summary>Null if nobody holds who came after one who waits; else a sentence.</summary>
    /// <param name="isLocal">A local read was granted: no writer waits.</param>
    public static string? Check(QueueState state, bool isLocal)
    {
        foreach (Request waiting in state.Waiting)
        {
            if (isLocal && !waiting.IsShared) return $"a writer of {waiting.Node} waits";
            if (state.Holders.FirstOrDefault(h => h.Ticket > waiting.Ticket) is { } later)
                return $"call {waiting.Call} of {waiting.Node} waits, and was overtaken by call {later.Call} of {later.Node},";
        }

        return null;
    }
}
