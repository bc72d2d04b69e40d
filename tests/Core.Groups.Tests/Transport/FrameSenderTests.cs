using System.Net;
using System.Net.Sockets;
using Core.Groups.Transport;

namespace Core.Groups.Tests.Transport;

/// <summary>What leaves in one write.</summary>
public sealed class FrameSenderTests
{
    private const int More = 8 << 20;

    [Fact]
    public async Task A_turn_that_is_open_when_a_write_ends_leaves_whole_at_its_flush()
    {
        using SocketPair pair = await SocketPair.OpenAsync();
        var sender = new FrameSender(pair.Near, maximumPending: 64 << 20, new SendBuffers());
        Assert.True(sender.TryAppend(new byte[More]));
        sender.Flush();

        Assert.True(sender.TryAppend([1]));
        await pair.SkipAsync(FrameSender.PrefixLength + More);
        var received = new byte[100];
        Task<int> read = pair.Far.ReceiveAsync(received.AsMemory()).AsTask();
        Assert.True(sender.TryAppend([2]));
        sender.Flush();

        Assert.Equal(10, await read.WaitAsync(TestPeer.Patience));
        Assert.Equal([1, 0, 0, 0, 1, 1, 0, 0, 0, 2], received[..10]);
    }

    [Fact]
    public async Task Turns_that_end_during_a_write_leave_after_it_and_the_end_of_the_stream_last()
    {
        using SocketPair pair = await SocketPair.OpenAsync();
        var sender = new FrameSender(pair.Near, maximumPending: 64 << 20, new SendBuffers());
        Assert.True(sender.TryAppend(new byte[More]));
        sender.Flush();
        Assert.True(sender.TryAppend([1]));
        sender.Flush();
        Assert.True(sender.TryAppend([2]));
        sender.Finish();
        Assert.True(sender.TryAppend([3]));

        await pair.SkipAsync(FrameSender.PrefixLength + More + 2 * (FrameSender.PrefixLength + 1));

        Assert.Equal(0, await pair.Far.ReceiveAsync(new byte[100].AsMemory()).AsTask().WaitAsync(TestPeer.Patience));
    }

    [Fact]
    public async Task What_waits_is_bounded()
    {
        using SocketPair pair = await SocketPair.OpenAsync();
        var sender = new FrameSender(pair.Near, maximumPending: 1000, new SendBuffers());
        Assert.True(sender.TryAppend(new byte[496]));
        Assert.True(sender.TryAppend(new byte[496]));
        Assert.False(sender.TryAppend([1]));
        sender.Flush();
        Assert.True(sender.TryAppend([1]));
    }

    private sealed record SocketPair(Socket Near, Socket Far) : IDisposable
    {
        public static async Task<SocketPair> OpenAsync()
        {
            using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen();
            var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await near.ConnectAsync(listener.LocalEndPoint!);
            return new SocketPair(near, await listener.AcceptAsync());
        }

        public async Task SkipAsync(int count)
        {
            var sink = new byte[1 << 16];
            while (count > 0)
            {
                int read = await Far.ReceiveAsync(sink.AsMemory(0, Math.Min(count, sink.Length))).AsTask().WaitAsync(TestPeer.Patience);
                count -= read > 0 ? read : throw new EndOfStreamException();
            }
        }

        public void Dispose()
        {
            Near.Dispose();
            Far.Dispose();
        }
    }
}
