// The items of a board in the order in which they came, found by their first fields.
// Keeps: an operation with values in its first fields looks at the items that have them, not at all; reading allocates nothing.
namespace Toolkit.BulletinBoard.Replication;

/// <summary>An item's place in the lists of the index; it stays in them until they are swept.</summary>
internal sealed class Slot(BoardItem item, long place)
{
    public BoardItem Item => item;
    public long Place => place;
    public bool IsGone { get; set; }
}

/// <summary>Items with one key, in their order.</summary>
internal sealed class Bucket
{
    private readonly List<Slot> _slots = [];
    private int _first;
    private int _gone;

    public int Count => _slots.Count - _first - _gone;

    public void Add(Slot slot) => _slots.Add(slot);

    /// <summary>One of them is gone.</summary>
    public void Removed()
    {
        _gone++;
        while (_first < _slots.Count && _slots[_first].IsGone)
        {
            _slots[_first++] = null!;
            _gone--;
        }

        if (_first + _gone > 16 && _first + _gone > _slots.Count / 2)
        {
            _slots.RemoveRange(0, _first);
            _slots.RemoveAll(static s => s.IsGone);
            (_first, _gone) = (0, 0);
        }
    }

    public BoardItem? Find(Template template)
    {
        for (int i = _first; i < _slots.Count; i++)
        {
            if (!_slots[i].IsGone && template.Matches(_slots[i].Item))
                return _slots[i].Item;
        }

        return null;
    }

    public int CountMatches(Template template, int enough)
    {
        int count = 0;
        for (int i = _first; i < _slots.Count && count < enough; i++)
        {
            if (!_slots[i].IsGone && template.Matches(_slots[i].Item))
                count++;
        }

        return count;
    }

    public List<BoardItem> List(Template template) => [.. _slots.Skip(_first).Where(s => !s.IsGone && template.Matches(s.Item)).Select(s => s.Item)];
}

/// <summary>All items.</summary>
internal sealed class ItemStore
{
    private readonly Dictionary<OperationId, Slot> _byId = [];
    private readonly Dictionary<ulong, Bucket> _index = [];
    private long _lastPlace;

    public int Count => _byId.Count;

    public IEnumerable<BoardItem> InOrder => _byId.Values.OrderBy(s => s.Place).Select(s => s.Item);

    public BoardItem? Find(OperationId id) => _byId.TryGetValue(id, out Slot? slot) ? slot.Item : null;

    /// <summary>The first that matches.</summary>
    public BoardItem? Find(Template template) => _index.TryGetValue(template.Key, out Bucket? bucket) ? bucket.Find(template) : null;

    public bool Has(Template template, int count) => _index.TryGetValue(template.Key, out Bucket? bucket) && bucket.CountMatches(template, count) >= count;

    public List<BoardItem> List(Template template) => _index.TryGetValue(template.Key, out Bucket? bucket) ? bucket.List(template) : [];

    /// <summary>False: one with this id is there.</summary>
    public bool Add(BoardItem item)
    {
        var slot = new Slot(item, ++_lastPlace);
        if (!_byId.TryAdd(item.Id, slot))
            return false;
        ulong key = IndexKey.OfLength(item.Fields.Length);
        BucketOf(key).Add(slot);
        for (int i = 0; i < Math.Min(item.Fields.Length, IndexKey.Depth); i++)
            BucketOf(key = IndexKey.Append(key, item.Fields[i])).Add(slot);
        return true;
    }

    public BoardItem? Remove(OperationId id)
    {
        if (!_byId.Remove(id, out Slot? slot))
            return null;
        slot.IsGone = true;
        ulong key = IndexKey.OfLength(slot.Item.Fields.Length);
        Removed(key);
        for (int i = 0; i < Math.Min(slot.Item.Fields.Length, IndexKey.Depth); i++)
            Removed(key = IndexKey.Append(key, slot.Item.Fields[i]));
        return slot.Item;
    }

    public void Clear()
    {
        _byId.Clear();
        _index.Clear();
        _lastPlace = 0;
    }

    private Bucket BucketOf(ulong key) => _index.TryGetValue(key, out Bucket? bucket) ? bucket : _index[key] = new Bucket();

    private void Removed(ulong key)
    {
        Bucket bucket = _index[key];
        bucket.Removed();
        if (bucket.Count == 0)
            _index.Remove(key);
    }
}
