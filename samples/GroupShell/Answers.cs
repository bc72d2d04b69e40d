// The lines of the JSON protocol that the shell makes itself: answers, `ready`, `error`. One object a line.
using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Core.Groups;

namespace GroupShell;

/// <summary>Shapes that many answers have.</summary>
internal static class AnswerShapes
{
    public static void WriteStrings(this Utf8JsonWriter json, string field, IEnumerable<string> texts)
    {
        json.WriteStartArray(field);
        foreach (string text in texts)
            json.WriteStringValue(text);
        json.WriteEndArray();
    }

    /// <summary>A group as a view has it.</summary>
    public static void WriteGroup(this Utf8JsonWriter json, GroupInfo group)
    {
        json.WriteNumber("view", group.ViewNumber);
        json.WriteStrings("members", group.Members.Select(m => m.Name));
        json.WriteString("group-id", group.Id.ToString());
    }

    public static void WriteReplies(this Utf8JsonWriter json, GroupReplies result)
    {
        json.WriteStartArray("answers");
        foreach (GroupReply answer in result.Answers)
        {
            json.WriteStartObject();
            json.WriteString("from", answer.From.Name);
            json.WriteString(answer.IsError ? "error" : "text", Encoding.UTF8.GetString(answer.Body.Span));
            if (answer.InPlaceOf is { } place)
                json.WriteString("in-place-of", place.Name);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStrings("failed", result.Failed.Select(f => f.Name));
    }
}

/// <summary>Writes answers. Safe for any thread.</summary>
internal sealed class Answers(ILineOutput output)
{
    /// <summary>People read the lines too, and no browser does: nothing is escaped that need not be.</summary>
    public static readonly JsonWriterOptions WriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="id">The command's `id`, as it came; undefined: null.</param>
    public void Ok(JsonElement id, AnswerFields? fields) => Line(json =>
    {
        WriteId(json, id);
        json.WriteBoolean("ok", true);
        fields?.Invoke(json);
    });

    public void Error(JsonElement id, Exception error) => Line(json =>
    {
        WriteId(json, id);
        json.WriteBoolean("ok", false);
        json.WriteString("error", Errors.CodeOf(error));
        json.WriteString("message", Errors.MessageOf(error));
        if (Errors.IsOutcomeUnknown(error))
            json.WriteBoolean("outcome-unknown", true);
        (error as ShellException)?.Fields?.Invoke(json);
    });

    /// <param name="listen">Null: a client, which listens nowhere.</param>
    public void Ready(string name, string? listen) => Line(json =>
    {
        json.WriteString("ev", "ready");
        json.WriteString("name", name);
        if (listen is not null)
            json.WriteString("listen", listen);
    });

    public void Watched(WatchEvent happened) => Line(json =>
    {
        json.WriteString("ev", "watch");
        json.WriteString("node", happened.Node.Name);
        if (happened.Group is not null)
            json.WriteString("group", happened.Group);
        json.WriteString("what", happened.What switch { WatchKind.Joined => "joined", WatchKind.Left => "left", _ => "failed" });
    });

    /// <summary>Something that happened to what an operation made, told at once.</summary>
    public void Event(string name, AnswerFields fields) => Line(json =>
    {
        json.WriteString("ev", name);
        fields(json);
    });

    /// <summary>Why the process ends, when no command asked for it.</summary>
    public void Fatal(Exception error) => Line(json =>
    {
        json.WriteString("ev", "error");
        json.WriteString("error", Errors.CodeOf(error));
        json.WriteString("message", Errors.MessageOf(error));
    });

    private void Line(AnswerFields fields)
    {
        var line = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(line, WriterOptions))
        {
            json.WriteStartObject();
            fields(json);
            json.WriteEndObject();
        }

        output.Append(line.WrittenSpan);
    }

    private static void WriteId(Utf8JsonWriter json, JsonElement id)
    {
        json.WritePropertyName("re");
        if (id.ValueKind == JsonValueKind.Undefined)
            json.WriteNullValue();
        else
            id.WriteTo(json);
    }
}
