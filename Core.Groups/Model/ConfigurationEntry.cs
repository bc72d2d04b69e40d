namespace Core.Groups;

/// <summary>A change of one entry of a group's configuration data.</summary>
/// <param name="Key">The key.</param>
/// <param name="Value">The value from now on; null: the entry was removed.</param>
public readonly record struct ConfigurationEntry(string Key, string? Value);
