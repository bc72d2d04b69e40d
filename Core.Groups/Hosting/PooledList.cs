// A list whose array comes from the shared pool: a burst allocates little, and an idle list holds next to nothing.
using System.Buffers;

namespace Core.Groups.Hosting;

/// <summary>A growing list of values. Not safe for several threads at once.</summary>
/// <param name="kept">Arrays up to this length stay with the list when it is emptied; 0: an empty list holds nothing.</param>
internal sealed class PooledList<T>(int kept = 32)
{
    private T[] _items = [];

    public int Count { get; private set; }

    public ReadOnlySpan<T> Items => _items.AsSpan(0, Count);

    public ref readonly T this[int index] => ref _items[index];

    public void Add(in T item)
    {
        if (Count == _items.Length)
        {
            Grow(Count + 1);
        }

        _items[Count++] = item;
    }

    public void AddRange(PooledList<T> others)
    {
        if (Count + others.Count > _items.Length)
        {
            Grow(Count + others.Count);
        }

        others.Items.CopyTo(_items.AsSpan(Count));
        Count += others.Count;
    }

    /// <summary>Empties the list; a large array goes back to the pool.</summary>
    public void Clear()
    {
        Array.Clear(_items, 0, Count);
        Count = 0;
        if (_items.Length > kept)
        {
            ArrayPool<T>.Shared.Return(_items);
            _items = [];
        }
    }

    private void Grow(int needed)
    {
        T[] larger = needed <= kept
            ? new T[Math.Clamp(2 * needed, Math.Min(4, kept), kept)]
            : ArrayPool<T>.Shared.Rent(Math.Max(needed, 2 * _items.Length));
        Items.CopyTo(larger);
        if (_items.Length > kept)
        {
            Array.Clear(_items, 0, Count);
            ArrayPool<T>.Shared.Return(_items);
        }

        _items = larger;
    }
}
