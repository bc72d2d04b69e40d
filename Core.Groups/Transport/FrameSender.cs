// The sending half of a connection: frames gather in one buffer while another is on its way.
// Keeps: the frames of one turn leave in one write, in order; while a write is under way the next turns gather and leave together;
//   what waits is bounded; an idle connection holds no buffer.
// Follows: protocol.md, section 2 ("a batch is whatever was ready: no timer delays a message").
using System.Buffers.Binary;
using System.Net.Sockets;

namespace Core.Groups.Transport;

/// <summary>Appends by one thread at a time; flushes and the end by any thread.</summary>
internal sealed class FrameSender(Socket socket, int maximumPending, SendBuffers buffers, int smallestBuffer = FrameSender.ForNodes)
{
    /// <summary>The length that stands before every frame, in bytes.</summary>
    public const int PrefixLength = sizeof(int);

    /// <summary>The smallest buffer, in bytes: most batches fit in it.</summary>
    public const int ForNodes = 16 << 10;
    /// <summary>The same where a turn may send one short frame to each of thousands.</summary>
    public const int ForClients = 512;

    private readonly Lock _gate = new();
    private byte[] _filling = [];
    private int _filled;
    private bool _turnIsOpen, _isSending, _isFinishing, _hasFailed;

    /// <summary>Appends a frame; it leaves with the next <see cref="Flush"/>.</summary>
    /// <returns>False: too much is waiting, nothing was appended.</returns>
    public bool TryAppend(ReadOnlySpan<byte> frame)
    {
        lock (_gate)
        {
            if (_hasFailed || _isFinishing)
            {
                return true;
            }
            if (_filled + PrefixLength + frame.Length > maximumPending)
            {
                return false;
            }
            _turnIsOpen = true;
            BinaryPrimitives.WriteInt32LittleEndian(Room(PrefixLength + frame.Length), frame.Length);
            frame.CopyTo(_filling.AsSpan(_filled + PrefixLength));
            _filled += PrefixLength + frame.Length;
            return true;
        }
    }

    /// <summary>Appends a record of the handshake, before any frame.</summary>
    public void AppendRecord(ReadOnlySpan<byte> record)
    {
        lock (_gate)
        {
            record.CopyTo(Room(record.Length));
            _filled += record.Length;
        }
    }

    /// <summary>The end of a turn: starts a write on this thread if none is under way.</summary>
    public void Flush()
    {
        lock (_gate)
        {
            _turnIsOpen = false;
            if (_isSending || _hasFailed || (_filled == 0 && !_isFinishing))
            {
                return;
            }
            _isSending = true;
        }
        _ = SendAsync();
    }

    /// <summary>Sends what is there, then ends the stream; appends nothing more.</summary>
    public void Finish()
    {
        lock (_gate)
        {
            _isFinishing = true;
        }
        Flush();
    }

    private Span<byte> Room(int length)
    {
        if (_filling.Length - _filled < length)
        {
            byte[] larger = buffers.Rent(Math.Max(smallestBuffer, Math.Max(_filled + length, 2 * _filled)));
            _filling.AsSpan(0, _filled).CopyTo(larger);
            Recycle(_filling);
            _filling = larger;
        }
        return _filling.AsSpan(_filled, length);
    }

    private async Task SendAsync()
    {
        try
        {
            while (TryTake(out byte[] buffer, out int length))
            {
                for (int sent = 0; sent < length;)
                {
                    sent += await socket.SendAsync(buffer.AsMemory(sent, length - sent)).ConfigureAwait(false);
                }
                Recycle(buffer);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The receiving half learns of the broken socket too, and tells. The buffer under way may still be the kernel's: not recycled.
            lock (_gate)
            {
                _hasFailed = true;
                _filling = [];
                _filled = 0;
            }
            socket.Dispose();
        }
    }

    // A turn that is still open is left to its own Flush, which comes soon: so its frames leave together.
    private bool TryTake(out byte[] buffer, out int length)
    {
        lock (_gate)
        {
            (buffer, length) = (_filling, _filled);
            if (_filled > 0 && !_turnIsOpen)
            {
                (_filling, _filled) = ([], 0);
                return true;
            }
            _isSending = false;
            if (_isFinishing && _filled == 0)
            {
                socket.Shutdown(SocketShutdown.Send);
            }
            return false;
        }
    }

    private void Recycle(byte[] buffer)
    {
        if (buffer.Length > 0)
        {
            buffers.Return(buffer);
        }
    }
}
