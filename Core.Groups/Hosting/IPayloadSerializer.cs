using System.Buffers;
using System.Text.Json;

namespace Core.Groups;

/// <summary>Turns typed messages into bytes and back. Called from any thread, several at a time.</summary>
public interface IPayloadSerializer
{
    /// <summary>Writes a value. What it throws, the caller of the send gets.</summary>
    void Serialize<T>(T value, IBufferWriter<byte> output);

    /// <summary>Reads a value. What it throws on bad bytes is logged and counted, the message is passed over.</summary>
    T Deserialize<T>(ReadOnlyMemory<byte> body);
}

/// <summary>The default serializer: System.Text.Json.</summary>
/// <param name="options">Null: the serializer's defaults.</param>
public sealed class JsonPayloadSerializer(JsonSerializerOptions? options = null) : IPayloadSerializer
{
    /// <inheritdoc/>
    public void Serialize<T>(T value, IBufferWriter<byte> output)
    {
        using var writer = new Utf8JsonWriter(output);
        JsonSerializer.Serialize(writer, value, options);
    }

    /// <inheritdoc/>
    /// <exception cref="JsonException">The body is not JSON, or not of this type.</exception>
    public T Deserialize<T>(ReadOnlyMemory<byte> body) => JsonSerializer.Deserialize<T>(body.Span, options)!;
}
