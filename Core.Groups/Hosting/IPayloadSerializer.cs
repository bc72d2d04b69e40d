using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Core.Groups;

/// <summary>Turns typed messages into bytes and back. Called from any thread, several at a time.</summary>
public interface IPayloadSerializer
{
    /// <summary>Writes a value. What it throws, the caller of the send gets.</summary>
    void Serialize<T>(T value, IBufferWriter<byte> output);

    /// <summary>Reads a value. What it throws on bad bytes is logged and counted, the message is passed over.</summary>
    T Deserialize<T>(ReadOnlyMemory<byte> body);
}

/// <summary>The default serializer: System.Text.Json, by reflection or with generated code.</summary>
/// <param name="options">Null: the serializer's defaults.</param>
public sealed class JsonPayloadSerializer(JsonSerializerOptions? options = null) : IPayloadSerializer
{
    /// <summary>With code that was generated at build time: for exactly the types that the context names, without reflection.</summary>
    /// <param name="generated">A <c>partial class</c> with a <see cref="JsonSerializableAttribute"/> for each type of message and reply.</param>
    public JsonPayloadSerializer(JsonSerializerContext generated) : this((generated ?? throw new ArgumentNullException(nameof(generated))).Options)
    {
    }

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">The type is none of those that code was generated for; the message names it.</exception>
    public void Serialize<T>(T value, IBufferWriter<byte> output)
    {
        using var writer = new Utf8JsonWriter(output);
        JsonSerializer.Serialize(writer, value, options);
    }

    /// <inheritdoc/>
    /// <exception cref="JsonException">The body is not JSON, or not of this type.</exception>
    public T Deserialize<T>(ReadOnlyMemory<byte> body) => JsonSerializer.Deserialize<T>(body.Span, options)!;
}
