using Toolkit.ReplicatedData.Space;

namespace Toolkit.ReplicatedData;

/// <summary>
/// Updates that are made at one moment, in the order in which they are given here: all of them, or none if a condition is not
/// met. For objects of one space. Not thread-safe.
/// </summary>
public sealed class UpdateBatch
{
    private readonly ReplicatedSpace _space;

    internal UpdateBatch(ReplicatedSpace space) => _space = space;

    internal List<Operation> Operations { get; } = [];

    /// <summary>Sets a variable.</summary>
    /// <param name="variable">The variable.</param>
    /// <param name="value">The value.</param>
    /// <param name="expected">The condition: its version (0: there is no value); null: none.</param>
    public void Set<T>(ReplicatedVariable<T> variable, T value, long? expected = null) => Add(variable, variable?.Set(value, expected ?? Operation.Any));

    /// <summary>Sets an entry of a dictionary.</summary>
    /// <param name="dictionary">The dictionary.</param>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <param name="expected">The condition: the entry's version (0: there is none); null: no condition.</param>
    public void Set<TKey, TValue>(ReplicatedDictionary<TKey, TValue> dictionary, TKey key, TValue value, long? expected = null) where TKey : notnull =>
        Add(dictionary, dictionary?.Set(key, value, expected ?? Operation.Any));

    /// <summary>Removes an entry of a dictionary.</summary>
    /// <param name="dictionary">The dictionary.</param>
    /// <param name="key">The key.</param>
    /// <param name="expected">The condition: the entry's version; null: none.</param>
    public void Remove<TKey, TValue>(ReplicatedDictionary<TKey, TValue> dictionary, TKey key, long? expected = null) where TKey : notnull =>
        Add(dictionary, dictionary?.Remove(key, expected ?? Operation.Any));

    /// <summary>Adds an element to a set.</summary>
    public void Add<T>(ReplicatedSet<T> set, T element) where T : notnull => Add(set, set?.Add(element, Operation.Any));

    /// <summary>Removes an element from a set.</summary>
    public void Remove<T>(ReplicatedSet<T> set, T element) where T : notnull => Add(set, set?.Remove(element));

    /// <summary>Adds to a counter.</summary>
    public void Add(ReplicatedCounter counter, long delta) => Add(counter, counter?.Add(delta));

    /// <summary>Adds an item at the end of a list.</summary>
    public void Add<T>(ReplicatedList<T> list, T item) => Add(list, list?.Add(item));

    /// <summary>Adds an item at the end of a queue.</summary>
    public void Enqueue<T>(ReplicatedQueue<T> queue, T item) => Add(queue, queue?.Enqueue(item));

    // An operation's bytes are the thread's until the next one.
    private void Add(ReplicatedObject? target, Operation? given)
    {
        ArgumentNullException.ThrowIfNull(target);
        if (!_space.IsSameAs(target.Space)) throw new ArgumentException("The object is in another space. A batch spans the objects of one space.", nameof(target));
        Operation operation = given!.Value;
        Operations.Add(operation with { Key = operation.Key.ToArray(), Value = operation.Value.ToArray() });
    }
}
