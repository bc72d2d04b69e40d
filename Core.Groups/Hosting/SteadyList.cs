// A list that is filled and emptied all the time: its array stays, and shrinks when less was needed for a while. (The shared pool would
// keep what a burst has grown for as long as nothing happens.)
namespace Core.Groups.Hosting;

/// <summary>A growing list of values. Not safe for several threads at once.</summary>
internal sealed class SteadyList<T>
{
    private const int Least = 32;
    private static readonly TimeSpan TrimEvery = TimeSpan.FromSeconds(1);

    private T[] _items = new T[Least];
    private int _most;
    private TimeSpan _trimAt;

    public int Count { get; private set; }

    /// <summary>The room that it holds.</summary>
    public int Capacity => _items.Length;

    public ReadOnlySpan<T> Items => _items.AsSpan(0, Count);

    public void Add(in T item)
    {
        if (Count == _items.Length)
        {
            Array.Resize(ref _items, 2 * Count);
        }

        _items[Count++] = item;
    }

    /// <summary>Empties the list. Less than a quarter of the room used since about a second ago: half of it and more goes.</summary>
    /// <param name="now">The present time, of any clock that does not go back.</param>
    public void Clear(TimeSpan now)
    {
        Array.Clear(_items, 0, Count);
        _most = Math.Max(_most, Count);
        Count = 0;
        if (now < _trimAt)
        {
            return;
        }

        if (_most < _items.Length / 4)
        {
            _items = new T[Math.Max(Least, 2 * _most)];
        }

        _most = 0;
        _trimAt = now + TrimEvery;
    }
}
