// The words of the trace contract for kinds and orders (design: trace.md). Keeps: each has exactly one word, both ways.
namespace Core.Groups.Tracing;

/// <summary>The words that stand in a trace for <see cref="TraceKind"/> and <see cref="Order"/>.</summary>
internal static class TraceNames
{
    private static readonly string[] Kinds =
        ["conf", "view", "leave", "send", "deliver", "state", "block", "unblock", "exclude", "call", "fail"];

    private static readonly string[] Orders = ["reliable", "fifo", "causal", "total", "causal-total", "safe", "group"];

    /// <summary>The word in <c>ev</c>.</summary>
    internal static string Of(TraceKind kind) => Kinds[(int)kind];

    /// <summary>The word in <c>order</c>.</summary>
    internal static string Of(Order order) => Orders[(int)order];

    /// <summary>The kind that a word stands for.</summary>
    internal static bool TryParseKind(string word, out TraceKind kind)
    {
        int index = Array.IndexOf(Kinds, word);
        kind = index < 0 ? default : (TraceKind)index;
        return index >= 0;
    }

    /// <summary>The order that a word stands for.</summary>
    internal static bool TryParseOrder(string word, out Order order)
    {
        int index = Array.IndexOf(Orders, word);
        order = index < 0 ? default : (Order)index;
        return index >= 0;
    }
}
