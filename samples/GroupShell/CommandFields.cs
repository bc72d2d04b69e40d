// The fields of one command object. Keeps: a field that is missing, of the wrong type or out of range is a `bad-field`
// error that names it. Fields that nobody asks for are passed over: newer clients may send more.
using System.Text.Json;
using Core.Groups;

namespace GroupShell;

/// <summary>Reads the fields of a command.</summary>
internal sealed class CommandFields(JsonElement command)
{
    private const int LongestName = 1000;
    private const int MostMessages = 1_000_000;
    private const int MostGroups = 100_000;

    public bool Has(string field) => command.TryGetProperty(field, out JsonElement value) && value.ValueKind != JsonValueKind.Null;

    public string Text(string field)
    {
        JsonElement value = Required(field);
        return value.ValueKind == JsonValueKind.String ? Decoded(field, value) : throw ShellException.BadField(field, "must be a string");
    }

    /// <summary>A group's name: not empty, of bounded length.</summary>
    public string Name(string field)
    {
        string name = Text(field);
        return name.Length is > 0 and <= LongestName ? name : throw ShellException.BadField(field, $"must have 1 to {LongestName} characters");
    }

    /// <summary>A list of names, each once; empty if it is not there.</summary>
    public string[] Names(string field)
    {
        if (!Has(field))
            return [];
        JsonElement value = Required(field);
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(e => e.ValueKind != JsonValueKind.String || e.GetRawText().Length is < 3 or > LongestName))
            throw ShellException.BadField(field, "must be a list of names");
        return [.. value.EnumerateArray().Select(e => Decoded(field, e)).Distinct()];
    }

    /// <summary>The field `groups`; or `prefix` and `count`, for PREFIX1 to PREFIXcount.</summary>
    public string[] ManyGroups()
    {
        if (Has("groups") == Has("prefix"))
            throw ShellException.BadField("groups", "or 'prefix' with 'count' must be given, and not both");
        string[] names = Has("groups") ? Names("groups") : [.. Numbered(Name("prefix"), Integer("count", 1, MostGroups))];
        return names.Length is > 0 and <= MostGroups ? names : throw ShellException.BadField("groups", $"must name 1 to {MostGroups} groups");
    }

    private static IEnumerable<string> Numbered(string prefix, int count) => Enumerable.Range(1, count).Select(number => $"{prefix}{number}");

    /// <summary>An entry point: a name or a number; null if it is not there.</summary>
    public EntryAddress? Entry() => Has("entry") ? EntryOf("entry", Required("entry")) : default(EntryAddress?);

    /// <summary>A list of entry points; empty if it is not there.</summary>
    public EntryAddress[] Entries() => Has("entries") ? [.. Array("entries").Select(e => EntryOf("entries", e)).Distinct()] : [];

    private static EntryAddress EntryOf(string field, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Number when value.TryGetInt32(out int number) => EntryAddress.Numbered(number),
        JsonValueKind.String when Decoded(field, value) is { Length: > 0 and <= EntryAddress.MaximumLength } name => EntryAddress.Named(name),
        _ => throw ShellException.BadField(field, $"takes names of 1 to {EntryAddress.MaximumLength} characters and whole numbers"),
    };

    /// <summary>Any JSON value as it is written; null if it is not there, or is null.</summary>
    public string? Json(string field) => Has(field) ? command.GetProperty(field).GetRawText() : null;

    public bool Flag(string field)
    {
        JsonElement value = Required(field);
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? value.GetBoolean()
            : throw ShellException.BadField(field, "must be true or false");
    }

    /// <summary>The field `timeout`; infinite if it is not there.</summary>
    public TimeSpan Timeout()
    {
        if (!Has("timeout"))
            return System.Threading.Timeout.InfiniteTimeSpan;
        return Durations.TryParse(Text("timeout"), out TimeSpan timeout)
            ? timeout
            : throw ShellException.BadField("timeout", "must be a time such as \"250ms\" or \"5s\"");
    }

    /// <summary>A time with its unit.</summary>
    public TimeSpan Duration(string field) => Durations.TryParse(Text(field), out TimeSpan duration)
        ? duration
        : throw ShellException.BadField(field, "must be a time such as \"250ms\" or \"5s\"");

    /// <summary>A JSON array.</summary>
    public IEnumerable<JsonElement> Array(string field)
    {
        JsonElement value = Required(field);
        return value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : throw ShellException.BadField(field, "must be an array");
    }

    /// <summary>The field `count`, 1 if it is not there.</summary>
    public int Count() => Has("count") ? Integer("count", 1, MostMessages) : 1;

    /// <summary>`text`, or `size` in bytes.</summary>
    public Payload Payload()
    {
        if (Has("text") == Has("size"))
            throw ShellException.BadField("text", "or 'size' must be given, and not both");
        return Has("text") ? new Payload(Text("text"), 0) : new Payload(null, Integer("size", 0, 1 << 30));
    }

    /// <summary>The field `order`.</summary>
    public Order Order() => OrderNames.TryParse(Text("order"), out Order order)
        ? order
        : throw ShellException.BadField("order", $"must be one of {string.Join(", ", OrderNames.All.Select(OrderNames.Of))}");

    /// <summary>The field `replies`, all if it is not there.</summary>
    public Replies Replies()
    {
        if (!Has("replies"))
            return Core.Groups.Replies.All;
        if (Required("replies").ValueKind == JsonValueKind.Number)
            return Core.Groups.Replies.Count(Integer("replies", 1, int.MaxValue));
        return Text("replies") switch
        {
            "all" => Core.Groups.Replies.All,
            "majority" => Core.Groups.Replies.Majority,
            "first" => Core.Groups.Replies.First,
            _ => throw ShellException.BadField("replies", "must be \"all\", \"majority\", \"first\" or a number"),
        };
    }

    /// <summary>The name of a toolkit's object, in the field `name`.</summary>
    public string ObjectName() => Name("name");

    /// <summary>The field `linearizable`, false if it is not there.</summary>
    public bool IsLinearizable() => Has("linearizable") && Flag("linearizable");

    /// <summary>Any JSON, as text; null too.</summary>
    public string AnyJson(string field) =>
        command.TryGetProperty(field, out JsonElement value) ? value.GetRawText() : throw ShellException.BadField(field, "is missing");

    /// <summary>A whole number of 64 bits.</summary>
    public long Number(string field, long lowest)
    {
        JsonElement value = Required(field);
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) && number >= lowest
            ? number
            : throw ShellException.BadField(field, $"must be a whole number from {lowest} on");
    }

    public int Integer(string field, int lowest, int highest)
    {
        JsonElement value = Required(field);
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= lowest && number <= highest
            ? number
            : throw ShellException.BadField(field, $"must be a whole number from {lowest} to {highest}");
    }

    private JsonElement Required(string field) =>
        Has(field) ? command.GetProperty(field) : throw ShellException.BadField(field, "is missing");

    // A string may hold an escape for half a character.
    private static string Decoded(string field, JsonElement value)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw ShellException.BadField(field, "is not a text: it holds half a character");
        }
    }
}
