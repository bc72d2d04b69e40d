// The receiving half of a connection: cuts what arrives into frames, on the thread on which it arrives.
// Keeps: a frame is told whole, once, in order; its memory is never written again, so messages keep slices of it;
//   nothing is allocated by a length that has not been checked.
// Follows: protocol.md, sections 2 and 8.
using System.Buffers.Binary;
using System.Net.Sockets;

namespace Core.Groups.Transport;

/// <summary>Reads one socket until it ends.</summary>
internal sealed class FrameReceiver(Socket socket, int maximumFrame, int arrayLength, ITransportEvents events, int connection)
{
    /// <summary>Between nodes: below the large-object limit of 85,000 bytes, since most arrays die young.</summary>
    public const int ForNodes = 80_000;
    /// <summary>Where there may be thousands of connections that are mostly silent.</summary>
    public const int ForClients = 1024;

    private readonly int _smallestRead = Math.Min(4096, arrayLength / 4);
    private byte[] _array = [];
    private int _start, _end;
    private volatile bool _isMuted;

    /// <summary>From now on what arrives is thrown away, unparsed.</summary>
    public void Mute() => _isMuted = true;

    /// <summary>Reads until the peer or this node ends the connection, or the peer breaks the rules.</summary>
    /// <returns>Why it ended, to read.</returns>
    /// <exception cref="Exception">What the host's handler of frames threw.</exception>
    public async ValueTask<string> RunAsync()
    {
        try
        {
            while (true)
            {
                MakeRoom();
                int read = await socket.ReceiveAsync(_array.AsMemory(_end)).ConfigureAwait(false);
                if (read == 0)
                {
                    return _start == _end ? "the peer closed the connection" : "the peer closed the connection in the middle of a frame";
                }
                _end += read;
                if (_isMuted)
                {
                    _start = _end;
                }
                else if (Cut() is string violation)
                {
                    return violation;
                }
            }
        }
        catch (SocketException e)
        {
            return $"the connection broke: {e.Message}";
        }
        catch (ObjectDisposedException)
        {
            return "the connection was closed here";
        }
    }

    // Null, or what is wrong with what arrived.
    private string? Cut()
    {
        bool isAnyTold = false;
        string? violation = null;
        while (_end - _start >= FrameSender.PrefixLength)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(_array.AsSpan(_start));
            if (length <= 0 || length > maximumFrame)
            {
                violation = $"the peer announced a frame of {(uint)length} bytes; 1 to {maximumFrame} are allowed";
                break;
            }
            if (_end - _start - FrameSender.PrefixLength < length)
            {
                break;
            }
            events.FrameReceived(connection, _array.AsMemory(_start + FrameSender.PrefixLength, length));
            _start += FrameSender.PrefixLength + length;
            isAnyTold = true;
        }
        if (isAnyTold)
        {
            events.FramesFlushed(connection);
        }
        return violation;
    }

    // A new array when the rest of the frame at hand does not fit in this one, or too little is left to read a next one into.
    // Only an unfinished frame is copied.
    private void MakeRoom()
    {
        int unfinished = _end - _start;
        int needed = unfinished >= FrameSender.PrefixLength
            ? FrameSender.PrefixLength + BinaryPrimitives.ReadInt32LittleEndian(_array.AsSpan(_start)) - unfinished
            : _smallestRead;
        if (_array.Length - _end >= needed)
        {
            return;
        }
        byte[] next = GC.AllocateUninitializedArray<byte>(Math.Max(arrayLength, unfinished + needed));
        _array.AsSpan(_start, unfinished).CopyTo(next);
        (_array, _start, _end) = (next, 0, unfinished);
    }
}
