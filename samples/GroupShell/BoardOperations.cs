// The operations of bulletin boards: board.post, board.read, board.take, board.list, and Linda's names for them.
using System.Text.Json;
using Core.Groups;
using Toolkit.BulletinBoard;

namespace GroupShell;

/// <summary>Carries out the operations on boards. Items are JSON arrays; what is no text, number or flag is kept as it is written.</summary>
internal sealed class BoardOperations(GroupNode node)
{
    private readonly Once<Board> _boards = new();

    public void AddTo(Dictionary<string, Operation> operations)
    {
        operations["board.post"] = operations["out"] = PostAsync;
        operations["board.read"] = (command, ct) => ReadAsync(command, Waits(command), ct);
        operations["rd"] = (command, ct) => ReadAsync(command, waits: true, ct);
        operations["rdp"] = (command, ct) => ReadAsync(command, waits: false, ct);
        operations["board.take"] = (command, ct) => TakeAsync(command, Waits(command), ct);
        operations["in"] = (command, ct) => TakeAsync(command, waits: true, ct);
        operations["inp"] = (command, ct) => TakeAsync(command, waits: false, ct);
        operations["board.list"] = ListAsync;
    }

    private async Task<AnswerFields?> PostAsync(CommandFields command, CancellationToken ct)
    {
        Field[] item = [.. command.Array("item").Select(FieldOf)];
        TimeSpan lifetime = command.Has("lifetime") ? command.Duration("lifetime") : TimeSpan.Zero;
        Board board = await OpenAsync(command, ct).ConfigureAwait(false);
        OperationId id = await board.PostAsync(item, lifetime, ct).ConfigureAwait(false);
        return json => json.WriteString("item-id", id.ToString());
    }

    private async Task<AnswerFields?> ReadAsync(CommandFields command, bool waits, CancellationToken ct)
    {
        Template template = TemplateOf(command);
        Board board = await OpenAsync(command, ct).ConfigureAwait(false);
        return Answer(waits ? await board.ReadAsync(template, ct: ct).ConfigureAwait(false) : board.TryRead(template));
    }

    private async Task<AnswerFields?> TakeAsync(CommandFields command, bool waits, CancellationToken ct)
    {
        Template template = TemplateOf(command);
        Board board = await OpenAsync(command, ct).ConfigureAwait(false);
        return Answer(waits ? await board.TakeAsync(template, ct: ct).ConfigureAwait(false) : await board.TryTakeAsync(template, ct).ConfigureAwait(false));
    }

    private async Task<AnswerFields?> ListAsync(CommandFields command, CancellationToken ct)
    {
        Template template = TemplateOf(command);
        Board board = await OpenAsync(command, ct).ConfigureAwait(false);
        IReadOnlyList<BoardItem> items = board.List(template);
        return json =>
        {
            json.WriteStartArray("items");
            foreach (BoardItem item in items)
                WriteItem(json, item);
            json.WriteEndArray();
        };
    }

    private Task<Board> OpenAsync(CommandFields command, CancellationToken ct)
    {
        string name = command.Name("name");
        BoardConsistency consistency = (command.Has("consistency") ? command.Text("consistency") : "total") switch
        {
            "total" => BoardConsistency.Total,
            "causal" => BoardConsistency.Causal,
            _ => throw ShellException.BadField("consistency", "must be \"total\" or \"causal\""),
        };
        return _boards.OpenAsync(name, () => node.OpenBoardAsync(name, consistency), ct);
    }

    private static bool Waits(CommandFields command) => !command.Has("wait") || command.Flag("wait");

    private static Template TemplateOf(CommandFields command) => new([.. command.Array("template").Select(MatchOf)]);

    private static Match MatchOf(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Null)
            return Match.Any;
        if (value.ValueKind != JsonValueKind.Object)
            return FieldOf(value);
        if (value.TryGetProperty("prefix", out JsonElement prefix) && prefix.ValueKind == JsonValueKind.String)
            return Match.Prefix(prefix.GetString()!);
        if (!value.TryGetProperty("min", out JsonElement min) | !value.TryGetProperty("max", out JsonElement max))
            throw ShellException.BadField("template", "has an object that is neither {\"prefix\":…} nor {\"min\":…,\"max\":…}");
        return Match.Range(FieldOf(min), FieldOf(max));
    }

    // The bytes of other values are their JSON text: they come back as they were.
    private static Field FieldOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.True or JsonValueKind.False => value.GetBoolean(),
        JsonValueKind.Number => value.TryGetInt64(out long whole) ? whole : value.GetDouble(),
        _ => System.Text.Encoding.UTF8.GetBytes(value.GetRawText()),
    };

    private static AnswerFields Answer(BoardItem? item) => json =>
    {
        json.WritePropertyName("item");
        if (item is null)
        {
            json.WriteNullValue();
            return;
        }

        WriteItem(json, item);
        json.WriteString("item-id", item.Id.ToString());
    };

    private static void WriteItem(Utf8JsonWriter json, BoardItem item)
    {
        json.WriteStartArray();
        foreach (Field field in item.Fields)
        {
            switch (field.Kind)
            {
                case FieldKind.Text:
                    json.WriteStringValue(field.Text);
                    break;
                case FieldKind.Whole:
                    json.WriteNumberValue(field.Whole);
                    break;
                case FieldKind.Number:
                    json.WriteNumberValue(field.Number);
                    break;
                case FieldKind.Flag:
                    json.WriteBooleanValue(field.Flag);
                    break;
                default:
                    WriteBytes(json, field.Bytes);
                    break;
            }
        }

        json.WriteEndArray();
    }

    // Another program may have posted bytes that are no JSON.
    private static void WriteBytes(Utf8JsonWriter json, ReadOnlyMemory<byte> bytes)
    {
        try
        {
            JsonElement.Parse(bytes.Span).WriteTo(json);
        }
        catch (JsonException)
        {
            json.WriteBase64StringValue(bytes.Span);
        }
    }
}
