// How much each member has to do, as all members know it alike: what was assigned, corrected by what a member tells of itself.
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.CoordinatorCohort.Replication;

/// <summary>Estimates, changed by totally ordered deliveries and views only.</summary>
internal sealed class LoadTable
{
    private readonly Dictionary<NodeId, long> _loads = [];

    public long Of(NodeId member) => _loads.GetValueOrDefault(member);

    public void Add(NodeId member) => _loads[member] = Of(member) + 1;

    public void Set(NodeId member, long load) => _loads[member] = load;

    /// <summary>Whether the others think a member much busier than it is.</summary>
    public bool IsFarAbove(NodeId member, int actual) => Of(member) >= (2 * (long)actual) + 4;

    public void Keep(View view)
    {
        foreach (NodeId gone in _loads.Keys.Where(m => !view.Contains(m)).ToArray())
            _loads.Remove(gone);
    }

    public void Clear() => _loads.Clear();

    public void Write(BodyWriter body)
    {
        body.Varint(_loads.Count);
        foreach ((NodeId member, long load) in _loads.OrderBy(l => l.Key))
        {
            body.Node(member);
            body.Varint(load);
        }
    }

    public void Read(ref BodyReader reader)
    {
        Clear();
        for (int left = reader.Count(); left > 0; left--)
            _loads.Add(reader.Node(), reader.Varint());
    }
}
