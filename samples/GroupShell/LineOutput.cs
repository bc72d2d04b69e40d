// Standard output as whole lines, from any thread. Lines that come together leave in one write, and none waits for the next.
// Keeps: nobody who appends is blocked; a reader that is too slow shows in WhenDrained, which slows down the handlers.
using System.Buffers;

namespace GroupShell;

/// <summary>Where the shell's lines go.</summary>
internal interface ILineOutput
{
    /// <summary>Takes one JSON object (without a line feed). The span is free again when this returns.</summary>
    void Append(ReadOnlySpan<byte> line);

    /// <summary>Completes while the output is not far behind.</summary>
    ValueTask WhenDrained();
}

/// <summary>Lines to a stream, by a thread of its own.</summary>
internal sealed class LineOutput : ILineOutput
{
    private const int FarBehind = 4 << 20;
    private const int OrdinaryCapacity = 1 << 20;

    private readonly Stream _stream;
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _work = new(0);
    private readonly Task _writer;
    private ArrayBufferWriter<byte> _filling = new(64 << 10);
    private ArrayBufferWriter<byte> _writing = new(64 << 10);
    private TaskCompletionSource? _drained;
    private bool _closed;

    public LineOutput(Stream stream)
    {
        _stream = stream;
        _writer = Task.Factory.StartNew(WriteAll, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    public void Append(ReadOnlySpan<byte> line)
    {
        lock (_gate)
        {
            if (_closed)
                return;
            bool first = _filling.WrittenCount == 0;
            _filling.Write(line);
            _filling.Write("\n"u8);
            if (first)
                _work.Release();
        }
    }

    public ValueTask WhenDrained()
    {
        lock (_gate)
        {
            if (_closed || _filling.WrittenCount < FarBehind)
                return default;
            return new ValueTask((_drained ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task);
        }
    }

    /// <summary>Writes what waits, if the reader takes it in time.</summary>
    public void Close(TimeSpan patience)
    {
        lock (_gate)
        {
            _closed = true;
            _work.Release();
        }

        _writer.Wait(patience);
    }

    private void WriteAll()
    {
        while (true)
        {
            _work.Wait();
            TaskCompletionSource? drained;
            bool last;
            lock (_gate)
            {
                (_filling, _writing) = (_writing, _filling);
                (drained, _drained) = (_drained, null);
                last = _closed;
            }

            drained?.TrySetResult();
            if (!TryWrite() || last)
                return;
            if (_writing.Capacity > OrdinaryCapacity)
                _writing = new ArrayBufferWriter<byte>(64 << 10);
            _writing.ResetWrittenCount();
        }
    }

    private bool TryWrite()
    {
        try
        {
            _stream.Write(_writing.WrittenSpan);
            _stream.Flush();
            return true;
        }
        catch (IOException)
        {
            // The reader is gone; the end of standard input will say so too.
            lock (_gate)
            {
                _closed = true;
                _drained?.TrySetResult();
            }

            return false;
        }
    }
}
