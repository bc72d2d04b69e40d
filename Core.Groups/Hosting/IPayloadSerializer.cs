using System.Buffers;

namespace Core.Groups;

/// <summary>Turns typed messages into bytes and back. Called from any thread, several at a time.</summary>
public interface IPayloadSerializer
{
    /// <summary>Writes a value. What it throws, the caller of the send gets.</summary>
    void Serialize<T>(T value, IBufferWriter<byte> output);

    /// <summary>Reads a value. What it throws on bad bytes is logged and counted, the message is passed over.</summary>
    T Deserialize<T>(ReadOnlyMemory<byte> body);
}
