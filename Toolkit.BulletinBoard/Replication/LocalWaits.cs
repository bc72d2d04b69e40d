// What waits at this member alone: reads, and on causal boards takes, which choose their item here.
namespace Toolkit.BulletinBoard.Replication;

/// <summary>A call that waits for an item of the local copy.</summary>
internal sealed record LocalWait(long Call, Template Template, bool IsTake, bool Waits, bool Holds, Guard? Guard)
{
    /// <summary>A take of an item is multicast, and not delivered.</summary>
    public bool IsUnderWay { get; set; }
}

/// <summary>The calls in their order.</summary>
internal sealed class LocalWaits
{
    private readonly SortedDictionary<long, LocalWait> _waits = [];

    public LocalWait? this[long call] => _waits.GetValueOrDefault(call);

    public void Add(LocalWait wait) => _waits.Add(wait.Call, wait);

    public void Remove(long call) => _waits.Remove(call);

    public void Clear() => _waits.Clear();

    /// <summary>An item has appeared: tries those that it fits.</summary>
    public void Serve(BoardItem item, Action<LocalWait> tryIt)
    {
        if (_waits.Count == 0)
            return;
        foreach (LocalWait wait in _waits.Values.Where(w => w.Guard is null && w.Template.Matches(item)).ToArray())
            tryIt(wait);
    }

    /// <summary>Something has changed: tries those that look at more than an item.</summary>
    public void ServeGuarded(Action<LocalWait> tryIt)
    {
        if (_waits.Count == 0)
            return;
        foreach (LocalWait wait in _waits.Values.Where(w => w.Guard is not null).ToArray())
            tryIt(wait);
    }
}
