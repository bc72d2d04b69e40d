// A list whose array comes from the shared pool: a burst allocates little, and an idle list holds next to nothing.
using System.Buffers;

namespace Core.Groups.Hosting;

/// <summary>A growing list of values. Not safe for several threads at once.</summary>
/// <param name="kept">Arrays up to this length stay with the list when it is emptied; 0: an empty list holds nothing.</param>
/// <param name="isSteady">
/// The list is filled and emptied all the time: it keeps a large array too, until that was little used a few times. The shared pool
/// would keep those of a burst for as long as nothing happens.
/// </param>
internal sealed class PooledList<T>(int kept = 32, bool isSteady = false)
{
    private const int LargestShared = 256;
    private const byte LittleUsesAllowed = 16;

    // Small fields: a node in thousands of groups has thousands of these lists.
    private readonly short _kept = checked((short)kept);
    private readonly bool _isSteady = isSteady;
    private byte _littleUses;
    private T[] _items = [];

    /// <summary>The room that it holds now.</summary>
    public int Capacity => _items.Length;

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
        _littleUses = Count > _items.Length / 4 ? (byte)0 : (byte)Math.Min(_littleUses + 1, LittleUsesAllowed);
        Count = 0;
        if (_items.Length > _kept && (!IsOwn(_items.Length) || _littleUses == LittleUsesAllowed))
        {
            GiveBack();
            _items = [];
        }
    }

    // Whether an array of this length is the list's own, and not the shared pool's.
    private bool IsOwn(int length) => length <= _kept || (_isSteady && length > LargestShared);

    private void GiveBack()
    {
        if (!IsOwn(_items.Length))
        {
            ArrayPool<T>.Shared.Return(_items);
        }
    }

    private void Grow(int needed)
    {
        int length = needed <= _kept ? Math.Clamp(2 * needed, Math.Min(4, (int)_kept), _kept) : Math.Max(needed, 2 * _items.Length);
        T[] larger = IsOwn(length) ? new T[length] : ArrayPool<T>.Shared.Rent(length);
        Items.CopyTo(larger);
        if (!IsOwn(_items.Length))
        {
            Array.Clear(_items, 0, Count);
            GiveBack();
        }

        _items = larger;
    }
}
