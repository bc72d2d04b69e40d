// Large states for those who have them as System.IO streams: a file, a compressor, a serializer that writes to a stream.
using System.Buffers;
using Core.Groups.Hosting;

namespace Core.Groups;

/// <summary>A <see cref="Stream"/> in place of the pieces of a large state (<see cref="StateTransfer.Stream"/>), at both ends.</summary>
public static class StateStreamExtensions
{
    private const int PieceSize = 64 << 10;

    /// <summary>
    /// A snapshot that is read from a stream, as the joiners take it, and disposed with it. What the stream gives must not change meanwhile: open
    /// a copy, or a file that nobody writes to any more.
    /// </summary>
    /// <param name="stream">The state, from the present position to its end.</param>
    public static StateSnapshot ToSnapshot(this Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return new StateSnapshot(ReadAsync(stream), stream.CanSeek ? stream.Length - stream.Position : null);
    }

    /// <summary>The state as a stream to read from, once. When the donor fails, reading throws <see cref="OperationCanceledException"/>: let it through.</summary>
    /// <param name="reader">What the load callback is given.</param>
    public static Stream AsStream(this StateReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        return new StateReadStream(reader);
    }

    private static async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(Stream stream)
    {
        await using (stream.ConfigureAwait(false))
        {
            byte[] buffer = ArrayPool<byte>.Shared.Rent(PieceSize);
            try
            {
                while (await stream.ReadAsync(buffer).ConfigureAwait(false) is var read and > 0)
                {
                    yield return buffer.AsMemory(0, read); // taken before the next one is asked for
                }
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }
    }
}
