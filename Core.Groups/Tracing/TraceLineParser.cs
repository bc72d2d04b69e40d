// One line of JSON as a trace event: the inverse of TraceLineFormat, and strict.
// Keeps: what is accepted is what the contract allows. Every field is known, given once, of its type, and belongs to
// the event; every required field is there. Names in `left` get incarnation 0: the line does not tell it.
using System.Collections.Immutable;
using System.Text.Json;

namespace Core.Groups.Tracing;

/// <summary>Reads one line of a trace. Used once per line.</summary>
internal ref struct TraceLineParser
{
    private const long NanosecondsPerTick = 100;

    private readonly HashSet<string> seen = [];
    private string? name, configuration, group, viewId, message, from, label, caller;
    private long incarnation, nanoseconds, view, call;
    private TraceKind? kind;
    private Order? order;
    private bool? transitional, primary;
    private ImmutableArray<string> members, joined, left, groups, to;
    private ImmutableArray<long> incarnations;

    public TraceLineParser()
    {
    }

    /// <summary>Parses a line without its line feed.</summary>
    /// <exception cref="TraceFormatException">The line is not what the contract allows.</exception>
    internal static TraceEvent Parse(ReadOnlySpan<byte> line)
    {
        try
        {
            var json = new Utf8JsonReader(line, new JsonReaderOptions { MaxDepth = 2 });
            var parser = new TraceLineParser();
            parser.ReadFields(ref json);
            return parser.ToEvent();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new TraceFormatException("not a JSON object: " + e.Message, e);
        }
    }

    private void ReadFields(ref Utf8JsonReader json)
    {
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject)
            throw new TraceFormatException("a line must be one JSON object");
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            string field = json.GetString()!;
            if (!seen.Add(field))
                throw new TraceFormatException($"the field \"{field}\" stands twice");
            json.Read();
            ReadField(field, ref json);
        }
        json.Read(); // throws if something follows the object
    }

    private void ReadField(string field, ref Utf8JsonReader json)
    {
        switch (field)
        {
            case "p": name = String(field, ref json); break;
            case "inc": incarnation = Number(field, ref json); break;
            case "t": nanoseconds = Number(field, ref json); break;
            case "ev": kind = Kind(String(field, ref json)); break;
            case "conf": configuration = String(field, ref json); break;
            case "type": transitional = Type(String(field, ref json)); break;
            case "members": members = Strings(field, ref json); break;
            case "incs": incarnations = Numbers(field, ref json); break;
            case "primary": primary = Boolean(field, ref json); break;
            case "group": group = String(field, ref json); break;
            case "groups": groups = Strings(field, ref json); break;
            case "view": view = Number(field, ref json); break;
            case "id": viewId = String(field, ref json); break;
            case "joined": joined = Strings(field, ref json); break;
            case "left": left = Strings(field, ref json); break;
            case "msg": message = String(field, ref json); break;
            case "order": order = ParseOrder(String(field, ref json)); break;
            case "from": from = String(field, ref json); break;
            case "to": to = Strings(field, ref json); break;
            case "label": label = String(field, ref json); break;
            case "call": call = Number(field, ref json); break;
            case "for": caller = String(field, ref json); break;
            default: throw new TraceFormatException($"unknown field \"{field}\"");
        }
    }

    private readonly TraceEvent ToEvent()
    {
        Require("p", "inc", "t", "ev");
        (string[] required, string[] optional) = FieldsOf(kind!.Value);
        Require(required);
        foreach (string field in seen)
        {
            if (field is not ("p" or "inc" or "t" or "ev") && !required.Contains(field) && !optional.Contains(field))
                throw new TraceFormatException($"the field \"{field}\" does not belong to \"{TraceNames.Of(kind.Value)}\"");
        }
        ImmutableArray<NodeId> ranked = Members();
        return new TraceEvent
        {
            Kind = kind.Value,
            Node = new NodeId(name!, incarnation),
            Time = TimeSpan.FromTicks(nanoseconds / NanosecondsPerTick),
            ConfigurationId = configuration,
            IsTransitional = transitional ?? false,
            Members = ranked,
            IsPrimary = primary ?? false,
            Group = group,
            Groups = OrEmpty(groups),
            ViewNumber = view,
            ViewId = viewId,
            Joined = [.. OrEmpty(joined).Select(name => Resolve(name, ranked))],
            Left = [.. OrEmpty(left).Select(name => new NodeId(name, 0))],
            Message = message,
            Order = order ?? default,
            From = from,
            To = OrEmpty(to),
            Label = label,
            Call = call,
            For = caller,
        };
    }

    private static (string[] Required, string[] Optional) FieldsOf(TraceKind kind) => kind switch
    {
        TraceKind.Configuration => (["conf", "type", "members", "incs", "primary"], []),
        TraceKind.View => (["group", "view", "id", "members", "incs", "joined", "left", "primary"], []),
        TraceKind.Leave => (["group"], []),
        TraceKind.Send => (["msg", "order"], ["group", "groups", "to", "label", "call", "for"]),
        TraceKind.Deliver => (["msg", "order", "from"], ["group", "groups", "to", "label", "for"]),
        TraceKind.State => (["group", "view"], []),
        TraceKind.Call => (["call"], []),
        _ => ([], []),
    };

    private readonly void Require(params ReadOnlySpan<string> fields)
    {
        foreach (string field in fields)
        {
            if (!seen.Contains(field))
                throw new TraceFormatException($"the field \"{field}\" is missing");
        }
    }

    private readonly ImmutableArray<NodeId> Members()
    {
        if (members.IsDefault)
            return [];
        if (members.Length != incarnations.Length)
            throw new TraceFormatException($"{members.Length} members, but {incarnations.Length} incarnations");
        var ranked = ImmutableArray.CreateBuilder<NodeId>(members.Length);
        for (int i = 0; i < members.Length; i++)
            ranked.Add(new NodeId(members[i], incarnations[i]));
        return ranked.MoveToImmutable();
    }

    private static NodeId Resolve(string name, ImmutableArray<NodeId> ranked)
    {
        foreach (NodeId member in ranked)
        {
            if (member.Name == name)
                return member;
        }
        return new NodeId(name, 0);
    }

    private static ImmutableArray<T> OrEmpty<T>(ImmutableArray<T> array) => array.IsDefault ? [] : array;

    private static TraceKind Kind(string word) => TraceNames.TryParseKind(word, out TraceKind kind)
        ? kind : throw new TraceFormatException($"unknown event \"{word}\"");

    private static Order ParseOrder(string word) => TraceNames.TryParseOrder(word, out Order order)
        ? order : throw new TraceFormatException($"unknown order \"{word}\"");

    private static bool Type(string word) => word switch
    {
        "regular" => false,
        "transitional" => true,
        _ => throw new TraceFormatException($"unknown type \"{word}\" of a configuration"),
    };

    private static string String(string field, ref Utf8JsonReader json) => json.TokenType == JsonTokenType.String
        ? json.GetString()! : throw new TraceFormatException($"\"{field}\" must be a string");

    private static bool Boolean(string field, ref Utf8JsonReader json) => json.TokenType switch
    {
        JsonTokenType.True => true,
        JsonTokenType.False => false,
        _ => throw new TraceFormatException($"\"{field}\" must be true or false"),
    };

    private static long Number(string field, ref Utf8JsonReader json) =>
        json.TokenType == JsonTokenType.Number && json.TryGetInt64(out long number) && number >= 0
            ? number : throw new TraceFormatException($"\"{field}\" must be a whole number that is not negative");

    private static ImmutableArray<string> Strings(string field, ref Utf8JsonReader json)
    {
        if (json.TokenType != JsonTokenType.StartArray)
            throw new TraceFormatException($"\"{field}\" must be an array");
        var strings = ImmutableArray.CreateBuilder<string>();
        while (json.Read() && json.TokenType != JsonTokenType.EndArray)
            strings.Add(String(field, ref json));
        return strings.DrainToImmutable();
    }

    private static ImmutableArray<long> Numbers(string field, ref Utf8JsonReader json)
    {
        if (json.TokenType != JsonTokenType.StartArray)
            throw new TraceFormatException($"\"{field}\" must be an array");
        var numbers = ImmutableArray.CreateBuilder<long>();
        while (json.Read() && json.TokenType != JsonTokenType.EndArray)
            numbers.Add(Number(field, ref json));
        return numbers.DrainToImmutable();
    }
}
