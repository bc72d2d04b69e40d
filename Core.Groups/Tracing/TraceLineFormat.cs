// A trace event as one line of JSON, exactly as the trace contract says (design: trace.md).
// Keeps: a field is there when it applies to the event and absent otherwise; no line holds a line break of its own.
// No reflection, and no allocation beyond the output: the trace stands on a node's hot path.
using System.Buffers;
using System.Collections.Immutable;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Core.Groups.Tracing;

/// <summary>Writes <see cref="TraceEvent"/>s as lines of the trace.</summary>
public static class TraceLineFormat
{
    private const long NanosecondsPerTick = 100;

    // The lines are read by people with grep, not put into web pages: nothing is escaped that need not be.
    private static readonly JsonWriterOptions WriterOptions =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>A writer that <see cref="Write(TraceEvent, IBufferWriter{byte}, Utf8JsonWriter)"/> can use again and again.</summary>
    internal static Utf8JsonWriter CreateWriter(IBufferWriter<byte> output) => new(output, WriterOptions);

    /// <summary>Appends the event's line, with its line feed.</summary>
    public static void Write(TraceEvent line, IBufferWriter<byte> output)
    {
        using Utf8JsonWriter json = CreateWriter(output);
        Write(line, output, json);
    }

    /// <summary>Appends the event's line, with its line feed, through a writer made by <see cref="CreateWriter"/>.</summary>
    internal static void Write(TraceEvent line, IBufferWriter<byte> output, Utf8JsonWriter json)
    {
        json.Reset(output);
        json.WriteStartObject();
        json.WriteString("p", line.Node.Name);
        json.WriteNumber("inc", line.Node.Incarnation);
        json.WriteNumber("t", line.Time.Ticks * NanosecondsPerTick);
        json.WriteString("ev", TraceNames.Of(line.Kind));
        WriteFields(line, json);
        json.WriteEndObject();
        json.Flush();
        output.GetSpan(1)[0] = (byte)'\n';
        output.Advance(1);
    }

    private static void WriteFields(TraceEvent line, Utf8JsonWriter json)
    {
        switch (line.Kind)
        {
            case TraceKind.Configuration:
                json.WriteString("conf", line.ConfigurationId);
                json.WriteString("type", line.IsTransitional ? "transitional" : "regular");
                WriteMembers(line, json);
                json.WriteBoolean("primary", line.IsPrimary);
                break;
            case TraceKind.View:
                json.WriteString("group", line.Group);
                json.WriteNumber("view", line.ViewNumber);
                json.WriteString("id", line.ViewId);
                WriteMembers(line, json);
                WriteNames("joined", line.Joined, json);
                WriteNames("left", line.Left, json);
                json.WriteBoolean("primary", line.IsPrimary);
                break;
            case TraceKind.Leave:
                json.WriteString("group", line.Group);
                break;
            case TraceKind.Send or TraceKind.Deliver:
                WriteMessage(line, json);
                break;
            case TraceKind.State:
                json.WriteString("group", line.Group);
                json.WriteNumber("view", line.ViewNumber);
                break;
            case TraceKind.Call:
                json.WriteNumber("call", line.Call);
                break;
        }
    }

    private static void WriteMessage(TraceEvent line, Utf8JsonWriter json)
    {
        json.WriteString("msg", line.Message);
        json.WriteString("order", TraceNames.Of(line.Order));
        if (line.Group is not null)
            json.WriteString("group", line.Group);
        if (!line.Groups.IsDefaultOrEmpty)
            WriteNames("groups", line.Groups, json);
        if (!line.To.IsDefaultOrEmpty)
            WriteNames("to", line.To, json);
        if (line.Kind == TraceKind.Deliver)
            json.WriteString("from", line.From);
        if (line.Label is not null)
            json.WriteString("label", line.Label);
        if (line.Kind == TraceKind.Send && line.Call != 0)
            json.WriteNumber("call", line.Call);
        if (line.For is not null)
            json.WriteString("for", line.For);
    }

    private static void WriteMembers(TraceEvent line, Utf8JsonWriter json)
    {
        WriteNames("members", line.Members, json);
        json.WriteStartArray("incs");
        foreach (NodeId member in line.Members)
            json.WriteNumberValue(member.Incarnation);
        json.WriteEndArray();
    }

    private static void WriteNames(string field, ImmutableArray<NodeId> nodes, Utf8JsonWriter json)
    {
        json.WriteStartArray(field);
        foreach (NodeId node in nodes)
            json.WriteStringValue(node.Name);
        json.WriteEndArray();
    }

    private static void WriteNames(string field, ImmutableArray<string> names, Utf8JsonWriter json)
    {
        json.WriteStartArray(field);
        foreach (string name in names)
            json.WriteStringValue(name);
        json.WriteEndArray();
    }
}
