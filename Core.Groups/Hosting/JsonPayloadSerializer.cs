// Typed messages as JSON. Keeps: where code was generated for a type, that code is used; the bytes are the same with it and without.
// Who is asked for a type: the application's contexts in their order, the library's own, last reflection, where the runtime has it.
using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Core.Groups.Hosting;

namespace Core.Groups;

/// <summary>
/// The default serializer: System.Text.Json, by code that was generated at build time wherever there is any. The library has it for what
/// messages commonly are: texts, numbers, truth values, <see cref="Guid"/>, times, bytes, <see cref="JsonElement"/>, JSON nodes,
/// arrays, lists and dictionaries of these; for its own types an application gives contexts. What nobody generated code for goes by
/// reflection, but not in a program that was trimmed or compiled ahead of time, or has switched that off
/// (<c>JsonSerializerIsReflectionEnabledByDefault</c> in the project file): there the error names the type. Any thread may use it.
/// </summary>
public sealed class JsonPayloadSerializer : IPayloadSerializer
{
    private static readonly ArrayBufferWriter<byte> Nowhere = new();

    [ThreadStatic] private static Utf8JsonWriter? _writer;

    private readonly ConcurrentDictionary<Type, JsonTypeInfo> _known = new();
    private readonly JsonSerializerOptions[] _sources; // asked in this order

    /// <summary>The library's generated code, then reflection where there is any.</summary>
    public JsonPayloadSerializer()
        : this([])
    {
    }

    /// <summary>With code that was generated for the application's types. Each type is written with the options of the context that has it.</summary>
    /// <param name="generated">Asked in this order, before the library's own: a <c>partial class</c> each, with a <see cref="JsonSerializableAttribute"/> for each type of message and reply.</param>
    public JsonPayloadSerializer(params JsonSerializerContext[] generated)
    {
        ArgumentNullException.ThrowIfNull(generated);
        JsonSerializerOptions[] given = [.. generated.Select(context => (context ?? throw new ArgumentNullException(nameof(generated))).Options)];
        _sources = JsonSerializer.IsReflectionEnabledByDefault ? [.. given, CommonJson.Default.Options, Reflecting()] : [.. given, CommonJson.Default.Options];
    }

    /// <summary>With these options.</summary>
    /// <param name="options">
    /// If they have a <see cref="JsonSerializerOptions.TypeInfoResolver"/>, it alone is asked: <c>MyJson.Default.Options</c> serves exactly the
    /// types of that context. Else the types are found as without options. Messages are for programs: the options' indentation and encoder do not count for them.
    /// </param>
    public JsonPayloadSerializer(JsonSerializerOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _sources = [options.TypeInfoResolver is null ? new JsonSerializerOptions(options) { TypeInfoResolver = Common() } : options];
    }

    /// <summary>The one that nodes, clients and toolkits use that are given none.</summary>
    public static JsonPayloadSerializer Default { get; } = new();

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">There is no code for the type; the message says what to write.</exception>
    public void Serialize<T>(T value, IBufferWriter<byte> output)
    {
        ArgumentNullException.ThrowIfNull(output);
        JsonTypeInfo<T> type = TypeOf<T>();

        // Taken while in use: a converter may itself send. What throws leaves the writer to the collector.
        Utf8JsonWriter writer = Interlocked.Exchange(ref _writer, null) ?? new Utf8JsonWriter(Nowhere);
        writer.Reset(output);
        JsonSerializer.Serialize(writer, value, type);
        writer.Flush();
        writer.Reset(Nowhere);
        _writer = writer;
    }

    /// <inheritdoc/>
    /// <exception cref="JsonException">The body is not JSON, or not of this type.</exception>
    /// <exception cref="NotSupportedException">There is no code for the type; the message says what to write.</exception>
    public T Deserialize<T>(ReadOnlyMemory<byte> body) => JsonSerializer.Deserialize(body.Span, TypeOf<T>())!;

    /// <summary>How a type is written and read.</summary>
    /// <exception cref="NotSupportedException">There is no code for the type.</exception>
    internal JsonTypeInfo<T> TypeOf<T>() => (JsonTypeInfo<T>)_known.GetOrAdd(typeof(T), static (type, sources) => Find(type, sources), _sources);

    private static JsonTypeInfo Find(Type type, JsonSerializerOptions[] sources)
    {
        foreach (JsonSerializerOptions source in sources)
        {
            if (source.TryGetTypeInfo(type, out JsonTypeInfo? found))
            {
                return found;
            }
        }

        throw new NotSupportedException(
            $"There is no code that writes {type} as JSON: none was generated, and reflection is not to be used here. Write " +
            $"'[JsonSerializable(typeof({type.Name}))] partial class MyJson : JsonSerializerContext;' and use new JsonPayloadSerializer(MyJson.Default) as the serializer, at all nodes and clients.");
    }

    private static IJsonTypeInfoResolver Common() =>
        JsonSerializer.IsReflectionEnabledByDefault ? JsonTypeInfoResolver.Combine(CommonJson.Default, Reflecting().TypeInfoResolver) : CommonJson.Default;

    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = "Only where the program's switch says that reflection works.")]
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = "Only where the program's switch says that reflection works.")]
    private static JsonSerializerOptions Reflecting() => JsonSerializerOptions.Default;
}
