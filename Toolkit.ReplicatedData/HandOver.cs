// The change from one division of the work to the next, so that nothing is without an owner at any moment.
// Keeps: a member acts by the new division and by every old one until it is confirmed that all act by the new one.
// Follows: figure 12 of "The Isis project: a toolkit and META", with the list of old divisions that its text asks for.
using Core.Groups;

namespace Toolkit.ReplicatedData;

/// <summary>What one member is to do. Not thread-safe.</summary>
/// <param name="partOf">The part of a key among so many.</param>
/// <param name="takesPart">Which members take part.</param>
internal sealed class HandOver<TKey>(Func<TKey, int, int> partOf, Func<NodeId, bool> takesPart)
{
    private readonly List<WorkDivision> _old = [];

    /// <summary>The newest division; null before the first view.</summary>
    public WorkDivision? Present { get; private set; }

    /// <summary>Whether old divisions still count.</summary>
    public bool IsUnderWay => _old.Count > 0;

    /// <summary>A new view: its division counts from now on, and the present one goes on.</summary>
    public void OnView(View view)
    {
        if (Present is { Members.IsEmpty: false }) _old.Add(Present);
        Present = new WorkDivision(view.Number, [.. view.Members.Where(takesPart)]);
    }

    /// <summary>
    /// All members act by the division of this view: the old ones end. A switch that was meant for an earlier view is void, or
    /// the failure that made the new view would be taken for handled.
    /// </summary>
    public void OnSwitch(long view)
    {
        if (Present?.View == view) _old.Clear();
    }

    /// <summary>The membership began anew: what was agreed before no longer binds this member.</summary>
    public void Reset()
    {
        _old.Clear();
        Present = null;
    }

    /// <summary>Whether a key is a member's: as owner now, as owner before, or as the next of an owner that is gone.</summary>
    public bool IsResponsible(NodeId member, TKey key)
    {
        if (Present is not { Members.IsEmpty: false } present) return false;
        if (OwnerIn(present, key) == member) return true;
        foreach (WorkDivision old in _old)
        {
            NodeId owner = OwnerIn(old, key);
            if (owner == member || (NextIn(old, key) == member && !present.Members.Contains(owner))) return true;
        }

        return false;
    }

    public NodeId OwnerIn(WorkDivision division, TKey key) => division.Members[partOf(key, division.Members.Length)];

    /// <summary>The next in rank; with a single member: the owner itself.</summary>
    public NodeId NextIn(WorkDivision division, TKey key) => division.Members[(partOf(key, division.Members.Length) + 1) % division.Members.Length];
}
