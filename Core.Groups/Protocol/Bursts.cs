// Tables that a burst has grown, such as thousands of joins at once, are let go of when they are empty (invariant 8 of protocol.md).
namespace Core.Groups.Protocol;

internal static class Bursts
{
    /// <summary>What has room for no more than this is kept: it will be needed again.</summary>
    private const int Usual = 1024;

    public static void LetGo<TKey, TValue>(this Dictionary<TKey, TValue> table)
        where TKey : notnull
    {
        if (table.Count == 0 && table.Capacity > Usual) table.TrimExcess();
    }

    public static void LetGo<T>(this HashSet<T> set)
    {
        if (set.Count == 0 && set.Capacity > Usual) set.TrimExcess();
    }

    public static void LetGo<T>(this Queue<T> queue)
    {
        if (queue.Count == 0 && queue.Capacity > Usual) queue.TrimExcess();
    }

    public static void LetGo<T>(this List<T> list)
    {
        if (list.Count == 0 && list.Capacity > Usual) list.Capacity = 0;
    }
}
