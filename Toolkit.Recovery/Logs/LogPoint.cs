namespace Toolkit.Recovery.Logs;

/// <summary>How far a log goes. Logs of one group are compared by it: of two, the one that goes further contains what was stable in the other.</summary>
/// <param name="Forced">How often an operator had decided on the group by then.</param>
/// <param name="Term">How often the group had come back from its logs by then.</param>
/// <param name="View">The number of the last view that is logged.</param>
/// <param name="Count">The messages delivered in that view.</param>
internal readonly record struct LogPoint(long Forced, long Term, long View, long Count) : IComparable<LogPoint>
{
    public int CompareTo(LogPoint other) => CompareViews(other) is not 0 and var order ? order : Count.CompareTo(other.Count);

    /// <summary>Compares the views alone.</summary>
    public int CompareViews(LogPoint other) => (Forced, Term, View).CompareTo((other.Forced, other.Term, other.View));
}
