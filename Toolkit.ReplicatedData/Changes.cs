using Core.Groups;

namespace Toolkit.ReplicatedData;

/// <summary>A value with its version.</summary>
/// <param name="Value">The value; the default if there is none.</param>
/// <param name="Version">Grows with every update; 0: there is no value.</param>
public readonly record struct Versioned<T>(T? Value, long Version)
{
    /// <summary>Whether there is a value.</summary>
    public bool Exists => Version > 0;
}

/// <summary>What an update did.</summary>
/// <param name="Applied">False: a condition was not met, or there was nothing to change. Nothing was changed then.</param>
/// <param name="Version">The version of the update; if it was not applied, of what is there (0: nothing).</param>
public readonly record struct UpdateOutcome(bool Applied, long Version);

/// <summary>A variable was updated.</summary>
/// <param name="Value">The new value.</param>
/// <param name="Exists">False: it was removed.</param>
/// <param name="Version">Its version.</param>
/// <param name="By">Who updated it.</param>
public readonly record struct VariableChange<T>(T? Value, bool Exists, long Version, NodeId By);

/// <summary>An entry of a dictionary was updated.</summary>
/// <param name="Key">Its key.</param>
/// <param name="Value">The new value.</param>
/// <param name="Exists">False: the entry was removed.</param>
/// <param name="Version">Its version.</param>
/// <param name="By">Who updated it.</param>
public readonly record struct EntryChange<TKey, TValue>(TKey Key, TValue? Value, bool Exists, long Version, NodeId By);

/// <summary>A set got or lost an element.</summary>
/// <param name="Element">The element.</param>
/// <param name="Exists">Whether it is in the set now.</param>
/// <param name="By">Who updated the set.</param>
public readonly record struct ElementChange<T>(T Element, bool Exists, NodeId By);

/// <summary>A counter was added to.</summary>
/// <param name="Sum">The sum of all that was delivered.</param>
/// <param name="Delta">What was added.</param>
/// <param name="By">Who added it.</param>
public readonly record struct CounterChange(long Sum, long Delta, NodeId By);

/// <summary>What happened to an item of a list or queue.</summary>
public enum ItemChangeKind : byte
{
    /// <summary>It was added.</summary>
    Added,

    /// <summary>It took the place of another.</summary>
    Replaced,

    /// <summary>It was removed.</summary>
    Removed,
}

/// <summary>A list or queue was changed.</summary>
/// <param name="Kind">How.</param>
/// <param name="Index">Where: 0 is the first item.</param>
/// <param name="Item">The new item; the default if one was removed.</param>
/// <param name="By">Who changed it.</param>
public readonly record struct ItemChange<T>(ItemChangeKind Kind, int Index, T? Item, NodeId By);
