// What a node keeps for each of its groups, by the group's id.
// Keeps: enumeration is in the order of the ids, the same at every node and in every run (and sorts: it is for rare
// occasions). Messages come in runs to one group, so a look-up first tries the last one found.
using System.Collections;
using System.Diagnostics.CodeAnalysis;

namespace Core.Groups.Protocol;

internal sealed class GroupTable<T> : IReadOnlyCollection<T>
    where T : class
{
    private readonly Dictionary<GroupId, T> _byId = [];
    private GroupId _lastId;
    private T? _last;

    public int Count => _byId.Count;

    public T? Find(GroupId id) => TryGet(id, out T? found) ? found : null;

    public bool TryGet(GroupId id, [NotNullWhen(true)] out T? found)
    {
        found = _last;
        if (found is not null && id == _lastId) return true;
        if (!_byId.TryGetValue(id, out found)) return false;
        (_lastId, _last) = (id, found);
        return true;
    }

    /// <summary>Of those that match, the one with the lowest id; a pass over all, in no order.</summary>
    public T? FindLowest(Func<T, bool> matches)
    {
        (GroupId Id, T? Item) lowest = default;
        foreach ((GroupId id, T item) in _byId)
        {
            if (matches(item) && (lowest.Item is null || id < lowest.Id)) lowest = (id, item);
        }
        return lowest.Item;
    }

    public bool Contains(GroupId id) => _byId.ContainsKey(id);

    public void Add(GroupId id, T item) => _byId.Add(id, item);

    public bool Remove(GroupId id, [NotNullWhen(true)] out T? removed)
    {
        if (!_byId.Remove(id, out removed)) return false;
        if (ReferenceEquals(_last, removed)) _last = null;
        return true;
    }

    public IEnumerator<T> GetEnumerator() => _byId.OrderBy(static e => e.Key).Select(static e => e.Value).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
