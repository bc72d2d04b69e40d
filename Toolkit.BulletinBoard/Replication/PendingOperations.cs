// Operations that wait, alike at all members: takes for an item, and guarded operations for their conditions.
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.BulletinBoard.Replication;

/// <summary>An operation that a delivery has brought.</summary>
/// <param name="Place">Its place among all that wait.</param>
/// <param name="Kind">Post, take or clear.</param>
/// <param name="Post">What it posts.</param>
/// <param name="Template">What it takes or clears.</param>
/// <param name="Waits">A take: it waits for an item.</param>
/// <param name="Holds">A take: the item comes back unless the taker completes it.</param>
internal sealed record PendingOperation(OperationId Id, long Place, BoardMessage Kind, BoardItem? Post, Template? Template, bool Waits, bool Holds, Guard? Guard)
{
    /// <summary>Of this member alone: it has said that the guard holds.</summary>
    public bool IsFired { get; set; }

    public void Write(BodyWriter body)
    {
        BoardFormat.WriteId(body, Id);
        body.Varint(Place);
        body.Byte((byte)Kind);
        body.Flag(Post is not null);
        if (Post is not null)
            BoardFormat.WriteItem(body, Post);
        body.Flag(Template is not null);
        if (Template is not null)
            BoardFormat.WriteTemplate(body, Template);
        body.Flag(Waits);
        body.Flag(Holds);
        BoardFormat.WriteGuard(body, Guard);
    }

    public static PendingOperation Read(ref BodyReader reader)
    {
        OperationId id = BoardFormat.ReadId(ref reader);
        long place = reader.Varint();
        var kind = (BoardMessage)reader.Byte();
        BoardItem? post = reader.Flag() ? BoardFormat.ReadItem(ref reader) : null;
        Template? template = reader.Flag() ? BoardFormat.ReadTemplate(ref reader) : null;
        bool fits = kind == BoardMessage.Post ? post is not null : kind is BoardMessage.Take or BoardMessage.Clear && template is not null;
        return fits ? new(id, place, kind, post, template, reader.Flag(), reader.Flag(), BoardFormat.ReadGuard(ref reader)) : throw new FormatException("An operation is not whole.");
    }
}

/// <summary>The takes that wait for an item, found by the item's first fields.</summary>
internal sealed class WaitingTakes
{
    private readonly Dictionary<OperationId, PendingOperation> _byId = [];
    private readonly Dictionary<ulong, SortedDictionary<long, PendingOperation>> _index = [];

    public IEnumerable<PendingOperation> InOrder => _byId.Values.OrderBy(t => t.Place);

    public int Count => _byId.Count;

    public bool Contains(OperationId id) => _byId.ContainsKey(id);

    public void Add(PendingOperation take)
    {
        if (!_byId.TryAdd(take.Id, take))
            return;
        if (!_index.TryGetValue(take.Template!.Key, out SortedDictionary<long, PendingOperation>? takes))
            _index.Add(take.Template.Key, takes = []);
        takes.Add(take.Place, take);
    }

    public void Remove(OperationId id)
    {
        if (!_byId.Remove(id, out PendingOperation? take))
            return;
        SortedDictionary<long, PendingOperation> takes = _index[take.Template!.Key];
        takes.Remove(take.Place);
        if (takes.Count == 0)
            _index.Remove(take.Template.Key);
    }

    /// <summary>The take that has waited longest for such an item.</summary>
    public PendingOperation? For(BoardItem item)
    {
        if (_byId.Count == 0)
            return null;
        ulong key = IndexKey.OfLength(item.Fields.Length);
        PendingOperation? first = FirstIn(key, item, null);
        for (int i = 0; i < Math.Min(item.Fields.Length, IndexKey.Depth); i++)
            first = FirstIn(key = IndexKey.Append(key, item.Fields[i]), item, first);
        return first;
    }

    public void DropOf(Func<NodeId, bool> isGone)
    {
        foreach (OperationId gone in _byId.Keys.Where(id => isGone(id.Node)).ToArray())
            Remove(gone);
    }

    public void Clear()
    {
        _byId.Clear();
        _index.Clear();
    }

    private PendingOperation? FirstIn(ulong key, BoardItem item, PendingOperation? first)
    {
        if (!_index.TryGetValue(key, out SortedDictionary<long, PendingOperation>? takes))
            return first;
        foreach ((long place, PendingOperation take) in takes)
        {
            if (first is not null && first.Place < place)
                return first;
            if (take.Template!.Matches(item))
                return take;
        }

        return first;
    }
}
