// The change from one assignment to the next, so that no stock is without a ticker at any moment.
// Keeps: a member acts by the new assignment and by every old one until it is confirmed that all act by the new one.
// Follows: figure 12 of "a toolkit and META", with the list of old assignments that its text asks for.
using Core.Groups;

namespace Ticker;

/// <summary>What one ticker is responsible for. Not thread-safe.</summary>
internal sealed class Handover
{
    private readonly List<Assignment> _old = [];

    /// <summary>The newest assignment; null before the first view.</summary>
    public Assignment? Present { get; private set; }

    /// <summary>Whether the old assignments still count.</summary>
    public bool IsUnderWay => _old.Count > 0;

    /// <summary>A new view: its assignment counts from now on, and the present one goes on.</summary>
    public void OnView(View view)
    {
        if (Present is { Members.IsEmpty: false })
            _old.Add(Present);
        Present = Assignment.Of(view);
    }

    /// <summary>
    /// All members act by the assignment of this view: the old ones end. A switch that was meant for an earlier view is
    /// void, or the failure that made the new view would be taken for handled.
    /// </summary>
    public void OnSwitch(long view)
    {
        if (Present?.View == view)
            _old.Clear();
    }

    /// <summary>The membership began anew: what was agreed before no longer binds this member.</summary>
    public void Reset()
    {
        _old.Clear();
        Present = null;
    }

    /// <summary>
    /// Whether a member publishes the quotes of a symbol: as primary now, as primary before, or as secondary of a primary
    /// that is gone.
    /// </summary>
    public bool IsResponsible(NodeId member, string symbol) => Present is { Members.IsEmpty: false } present
        && (present.PrimaryOf(symbol) == member || _old.Any(old => IsResponsibleUnder(old, present, member, symbol)));

    private static bool IsResponsibleUnder(Assignment old, Assignment present, NodeId member, string symbol) =>
        old.PrimaryOf(symbol) == member
        || (old.SecondaryOf(symbol) == member && !present.Members.Contains(old.PrimaryOf(symbol)));
}
