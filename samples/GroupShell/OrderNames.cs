using System.Collections.Immutable;
using Core.Groups;

namespace GroupShell;

/// <summary>The names of the primitives, as the trace has them.</summary>
internal static class OrderNames
{
    /// <summary>All, at the index of their value.</summary>
    public static ImmutableArray<Order> All { get; } =
        [Order.Reliable, Order.Fifo, Order.Causal, Order.Total, Order.CausalTotal, Order.Safe, Order.Group];

    private static readonly ImmutableArray<string> Names = ["reliable", "fifo", "causal", "total", "causal-total", "safe", "group"];

    public static string Of(Order order) => Names[(int)order];

    public static bool TryParse(string name, out Order order)
    {
        int index = Names.IndexOf(name);
        order = index >= 0 ? All[index] : default;
        return index >= 0;
    }
}
