// Standard input as lines of bounded length. Keeps: a line beyond the bound costs no memory, and the next one is read.
using System.Buffers;
using System.IO.Pipelines;

namespace GroupShell;

/// <summary>Reads lines from a stream.</summary>
internal sealed class LineInput(Stream stream, int longestLine = LineInput.LongestLine)
{
    /// <summary>Holds the largest message, written with escapes.</summary>
    public const int LongestLine = 128 << 20;

    private readonly PipeReader _reader = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 64 << 10));

    /// <summary>The lines, without line ends; null for one that is too long. A last line without an end counts.</summary>
    public async IAsyncEnumerable<byte[]?> ReadAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        bool passingOver = false;
        while (true)
        {
            ReadResult result = await _reader.ReadAsync(ct).ConfigureAwait(false);
            ReadOnlySequence<byte> buffer = result.Buffer;
            while (buffer.PositionOf((byte)'\n') is { } end)
            {
                ReadOnlySequence<byte> line = buffer.Slice(0, end);
                yield return passingOver || line.Length > longestLine ? null : line.ToArray();
                passingOver = false;
                buffer = buffer.Slice(buffer.GetPosition(1, end));
            }

            if (buffer.Length > longestLine)
            {
                passingOver = true;
                buffer = buffer.Slice(buffer.End);
            }

            if (result.IsCompleted)
            {
                if (passingOver)
                    yield return null;
                else if (!buffer.IsEmpty)
                    yield return buffer.ToArray();
                yield break;
            }

            _reader.AdvanceTo(buffer.Start, buffer.End);
        }
    }
}
