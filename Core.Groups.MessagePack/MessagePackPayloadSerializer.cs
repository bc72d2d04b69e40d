// Typed messages as MessagePack.
// Keeps: bytes from outside are read as data that nobody vouches for: bounded depth, no hash collisions, no types by name.
using System.Buffers;
using MessagePack;

namespace Core.Groups;

/// <summary>An <see cref="IPayloadSerializer"/> that writes MessagePack. Thread-safe.</summary>
/// <param name="options">
/// Null: the standard resolver, with the security settings for untrusted data. Options of your own are taken as they are.
/// </param>
public sealed class MessagePackPayloadSerializer(MessagePackSerializerOptions? options = null) : IPayloadSerializer
{
    private readonly MessagePackSerializerOptions _options = options ?? MessagePackSerializerOptions.Standard.WithSecurity(MessagePackSecurity.UntrustedData);

    /// <inheritdoc/>
    /// <exception cref="MessagePackSerializationException">The type has no formatter: mark it with <c>[MessagePackObject]</c>, or give a resolver.</exception>
    public void Serialize<T>(T value, IBufferWriter<byte> output) => MessagePackSerializer.Serialize(output, value, _options);

    /// <inheritdoc/>
    /// <exception cref="MessagePackSerializationException">The body is not MessagePack, or not of this type.</exception>
    public T Deserialize<T>(ReadOnlyMemory<byte> body) => MessagePackSerializer.Deserialize<T>(body, _options);
}
