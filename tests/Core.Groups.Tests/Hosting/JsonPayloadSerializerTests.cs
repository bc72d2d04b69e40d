using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Core.Groups.Hosting;

namespace Core.Groups.Tests.Hosting;

internal sealed record Trade(string Symbol, decimal Value);

internal sealed record Batch(int OrderNumber, List<Trade> OrderTrades);

[JsonSerializable(typeof(Trade))]
internal sealed partial class GeneratedJson : JsonSerializerContext;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Trade))]
[JsonSerializable(typeof(Batch))]
internal sealed partial class CamelJson : JsonSerializerContext;

public sealed class JsonPayloadSerializerTests
{
    private sealed record Unforeseen(string Symbol, decimal Value);

    private const string Text = "z\u00FCrich <&'\"> \u0000 \uD83D\uDE00 \\ /";
    private static readonly DateTime Utc = new(2026, 11, 22, 1, 2, 3, 456, DateTimeKind.Utc);
    private static readonly TimeSpan Span = new(3, 4, 5, 6, 7);

    [Fact]
    public void Common_types_have_generated_code_that_writes_what_reflection_writes()
    {
        Check("");
        Check(Text);
        Check((string?)null);
        Check(true);
        Check('\u00E9');
        Check(byte.MaxValue);
        Check(sbyte.MinValue);
        Check(short.MinValue);
        Check(ushort.MaxValue);
        Check(int.MinValue);
        Check(uint.MaxValue);
        Check(long.MinValue);
        Check(ulong.MaxValue);
        Check(0.1f);
        Check(Math.PI);
        Check(79228162514264337593543950335m);
        Check(new Guid("01234567-89ab-cdef-0123-456789abcdef"));
        Check(Utc);
        Check(DateTime.SpecifyKind(Utc, DateTimeKind.Unspecified));
        Check(new DateTimeOffset(Utc).ToOffset(TimeSpan.FromHours(2)));
        Check(new DateOnly(2026, 11, 22));
        Check(new TimeOnly(1, 2, 3));
        Check(Span);
        Check<int?>(null);
        Check<int?>(7);
        Check<Guid?>(null);
        Check<DateTime?>(Utc);
        Check<byte[]>([0, 1, 255]);
        Check<ReadOnlyMemory<byte>>(new byte[] { 1, 2 });
        Check<byte[][]>([[1], []]);
        Check<string[]>(["a", Text]);
        Check<List<string>>(["a", null!]);
        Check<int[]>([]);
        Check<List<long>>([1, 2]);
        Check<double[]>([0.5, -0.0]);
        Check<List<Guid>>([Guid.Empty]);
        Check<TimeSpan[]>([Span]);
        Check(new Dictionary<string, string> { [Text] = "x", ["b"] = Text });
        Check(new Dictionary<string, long> { ["B"] = 1 });
        Check(JsonElement.Parse("""{"a":[1,null,"x"]}"""));
        Check(new Dictionary<string, JsonElement> { ["a"] = JsonElement.Parse("[1.50]") });
        Check(new JsonObject { ["a"] = 1 });
        Check<JsonNode>(new JsonArray(1, "b"));
        Check(new Uri("https://example.org/a b"));
        Check(new Version(1, 2, 3));
    }

    private static void Check<T>(T value)
    {
        byte[] reflected = JsonSerializer.SerializeToUtf8Bytes(value);
        Assert.Equal(reflected, Write(JsonPayloadSerializer.Default, value));
        Assert.Equal(reflected, JsonSerializer.SerializeToUtf8Bytes(JsonPayloadSerializer.Default.Deserialize<T>(reflected)));
        Assert.Equal(reflected, Write(new JsonPayloadSerializer(new JsonSerializerOptions()), value));
        Assert.IsType<CommonJson>(JsonPayloadSerializer.Default.TypeOf<T>().OriginatingResolver);
        Assert.IsType<CommonJson>(new JsonPayloadSerializer(new JsonSerializerOptions { MaxDepth = 9 }).TypeOf<T>().OriginatingResolver);
        Assert.IsNotType<DefaultJsonTypeInfoResolver>(new JsonPayloadSerializer(GeneratedJson.Default).TypeOf<T>().OriginatingResolver);
    }

    [Fact]
    public void The_applications_contexts_come_first_each_with_its_options_and_reflection_last()
    {
        var trade = new Trade("AAPL", 26.6m);
        var both = new JsonPayloadSerializer(GeneratedJson.Default, CamelJson.Default);
        Assert.Equal("""{"Symbol":"AAPL","Value":26.6}""", WriteText(both, trade));
        Assert.Equal("""{"orderNumber":1,"orderTrades":[{"symbol":"AAPL","value":26.6}]}""", WriteText(both, new Batch(1, [trade])));
        Assert.Equal("""{"Symbol":"AAPL","Value":26.6}""", WriteText(both, new Unforeseen("AAPL", 26.6m)));
        Assert.Same(GeneratedJson.Default, both.TypeOf<Trade>().OriginatingResolver);
        Assert.Same(CamelJson.Default, both.TypeOf<Batch>().OriginatingResolver);
        Assert.Same(CamelJson.Default, new JsonPayloadSerializer(CamelJson.Default, GeneratedJson.Default).TypeOf<Trade>().OriginatingResolver);
        Assert.Equal(trade, JsonPayloadSerializer.Default.Deserialize<Trade>(Write(both, trade))); // the same JSON
    }

    [Fact]
    public void Options_count_and_those_of_a_context_serve_its_types_alone()
    {
        var web = new JsonPayloadSerializer(new JsonSerializerOptions(JsonSerializerDefaults.Web));
        Assert.Equal("""{"symbol":"A","value":1}""", WriteText(web, new Unforeseen("A", 1)));
        Assert.Equal(5, web.Deserialize<int>("\"5\""u8.ToArray())); // generated code, read by the options

        var strict = new JsonPayloadSerializer(GeneratedJson.Default.Options);
        Assert.Equal("""{"Symbol":"A","Value":1}""", WriteText(strict, new Trade("A", 1)));
        NotSupportedException missing = Assert.Throws<NotSupportedException>(() => Write(strict, new Unforeseen("A", 1)));
        Assert.Contains(typeof(Unforeseen).FullName!, missing.Message);
        Assert.Contains("[JsonSerializable(typeof(Unforeseen))]", missing.Message);
        Assert.Throws<NotSupportedException>(() => strict.Deserialize<Unforeseen>("{}"u8.ToArray()));
        Assert.Throws<NotSupportedException>(() => StateTransfer.Json(static () => 1, static _ => { }, GeneratedJson.Default.Options));
    }

    [Fact]
    public void A_value_that_cannot_be_written_does_not_spoil_the_next_one()
    {
        var deep = new JsonArray();
        for (int i = 0; i < 2000; i++)
            deep = new JsonArray(deep);
        Assert.ThrowsAny<Exception>(() => Write(JsonPayloadSerializer.Default, deep));
        Assert.ThrowsAny<ArgumentException>(() => Write(JsonPayloadSerializer.Default, double.NaN));
        Assert.Equal("\"next\"", WriteText(JsonPayloadSerializer.Default, "next"));
    }

    [Fact]
    public void A_converter_may_write_another_message_meanwhile()
    {
        var options = new JsonSerializerOptions { Converters = { new Nesting() } };
        Assert.Equal("{\"inner\":\"3\"}", WriteText(new JsonPayloadSerializer(options), new Unforeseen("3", 3)));
    }

    [Fact]
    public void Nothing_is_allocated_for_writing_a_number()
    {
        var output = new ArrayBufferWriter<byte>(64);
        Write(10);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Write(1000);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1000);

        void Write(int times)
        {
            for (int i = 0; i < times; i++)
            {
                output.ResetWrittenCount();
                JsonPayloadSerializer.Default.Serialize((long)i, output);
            }
        }
    }

    private sealed class Nesting : JsonConverter<Unforeseen>
    {
        public override Unforeseen Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => throw new JsonException();

        public override void Write(Utf8JsonWriter writer, Unforeseen value, JsonSerializerOptions options)
        {
            writer.WriteStartObject();
            writer.WriteString("inner", WriteText(JsonPayloadSerializer.Default, (int)value.Value));
            writer.WriteEndObject();
        }
    }

    private static byte[] Write<T>(JsonPayloadSerializer serializer, T value)
    {
        var output = new ArrayBufferWriter<byte>();
        serializer.Serialize(value, output);
        return output.WrittenSpan.ToArray();
    }

    private static string WriteText<T>(JsonPayloadSerializer serializer, T value) => System.Text.Encoding.UTF8.GetString(Write(serializer, value));
}
