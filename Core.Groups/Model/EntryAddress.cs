// An entry point by name or by number (the entries of the Isis toolkit were numbers), beside those by type.
namespace Core.Groups;

/// <summary>
/// Names an entry point of a group: a name or a number that the group's members and callers have agreed on. Made from a string or an
/// int by itself. Entry points by type are apart from these.
/// </summary>
public readonly record struct EntryAddress
{
    /// <summary>The longest name, in characters.</summary>
    public const int MaximumLength = 200;

    private EntryAddress(string text) => Text = text;

    /// <summary>As it travels: <c>@name</c> or <c>#number</c>; no full name of a type begins so.</summary>
    internal string Text { get; }

    /// <summary>An entry point by name: 1 to <see cref="MaximumLength"/> characters.</summary>
    /// <exception cref="ArgumentException">The name is empty or too long.</exception>
    public static EntryAddress Named(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(name.Length, MaximumLength, nameof(name));
        return new EntryAddress("@" + name);
    }

    /// <summary>An entry point by number.</summary>
    public static EntryAddress Numbered(int number) => new(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"#{number}"));

    /// <summary>See <see cref="Named"/>.</summary>
    public static implicit operator EntryAddress(string name) => Named(name);

    /// <summary>See <see cref="Numbered"/>.</summary>
    public static implicit operator EntryAddress(int number) => Numbered(number);

    /// <summary><c>@name</c> or <c>#number</c>.</summary>
    public override string ToString() => Text ?? "";
}
