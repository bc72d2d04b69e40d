extern alias Ticker;
using System.Buffers.Binary;
using Core.Groups.Transport;
using static Core.Groups.Tests.Transport.TestPeer;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses;

namespace Core.Groups.Tests.Transport;

/// <summary>Frames between good peers: whole, in order, once.</summary>
public sealed class ExchangeTests
{
    private static byte[] Numbered(int number, int length = sizeof(int))
    {
        var frame = new byte[length];
        new Random(number).NextBytes(frame);
        BinaryPrimitives.WriteInt32LittleEndian(frame, number);
        return frame;
    }

    [Fact]
    public async Task A_connection_tells_both_sides_who_the_other_is()
    {
        string[] seeds = ["127.0.0.1:1", "127.0.0.1:2"];
        await using TestPeer a = await StartAsync(Options("a", 7) with { Site = "NewYork", Weight = 3, Seeds = [.. seeds] });
        await using TestPeer b = await StartAsync(Options("b") with { AdvertisedAddress = "LOCALHOST:2", Seeds = [.. seeds.Reverse()] });

        b.Transport.Dial(a.Address);

        Protocol.PeerIdentity atB = (await Next(b.Connected)).Peer, atA = (await Next(a.Connected)).Peer;
        Assert.Equal(new Protocol.PeerIdentity(new NodeId("a", 7), a.Address, "NewYork", 3, false), atB);
        Assert.Equal(new Protocol.PeerIdentity(new NodeId("b", 1), "127.0.0.1:2", "", 1, true), atA);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Many_frames_of_all_sizes_arrive_in_order_both_ways(bool lowerDials)
    {
        const int Count = 20_000;
        await using TestPeer a = await StartAsync("a"), b = await StartAsync("b");
        (int atDialer, int atOther) = await ConnectAsync(lowerDials ? a : b, lowerDials ? b : a);
        (int toB, int toA) = lowerDials ? (atDialer, atOther) : (atOther, atDialer);

        Task sending = Task.WhenAll(Task.Run(() => SendAll(a, toB)), Task.Run(() => SendAll(b, toA)));
        await Task.WhenAll(ExpectAll(a), ExpectAll(b), sending);

        static void SendAll(TestPeer peer, int connection)
        {
            for (int i = 0; i < Count; i++)
            {
                peer.Send(connection, Numbered(i, SizeOf(i)));
            }
        }

        static async Task ExpectAll(TestPeer peer)
        {
            // The frames are kept while others arrive, and compared at the end: their memory must not be used again.
            var frames = new List<ReadOnlyMemory<byte>>();
            while (frames.Count < Count)
            {
                frames.Add((await Next(peer.Frames)).Frame);
            }
            for (int i = 0; i < Count; i++)
            {
                Assert.Equal(Numbered(i, SizeOf(i)), frames[i].ToArray());
            }
        }

        static int SizeOf(int i) => i % 500 == 0 ? 100_000 : sizeof(int) + (i % 300);
    }

    [Fact]
    public async Task Frames_at_the_limits_pass_and_others_are_the_callers_defect()
    {
        await using TestPeer a = await StartAsync("a"), b = await StartAsync("b");
        (int toB, _) = await ConnectAsync(a, b);
        byte[] longest = Numbered(1, new TcpTransportOptions { Id = default, ClusterName = "" }.MaximumFrame);

        a.Send(toB, [1], longest, [2], longest);

        Assert.Equal([1], (await Next(b.Frames)).Frame.ToArray());
        Assert.Equal(longest, (await Next(b.Frames)).Frame.ToArray());
        Assert.Equal([2], (await Next(b.Frames)).Frame.ToArray());
        Assert.Equal(longest, (await Next(b.Frames)).Frame.ToArray());
        Assert.Throws<ArgumentOutOfRangeException>(() => a.Transport.Transmit(toB, []));
        Assert.Throws<ArgumentOutOfRangeException>(() => a.Transport.Transmit(toB, new byte[longest.Length + 1]));
    }

    [Fact]
    public async Task The_frames_of_one_turn_arrive_together()
    {
        await using TestPeer a = await StartAsync("a"), b = await StartAsync("b");
        (int toB, _) = await ConnectAsync(a, b);
        int before = b.Flushes;

        a.Send(toB, [.. Enumerable.Range(0, 100).Select(i => Numbered(i))]);
        for (int i = 0; i < 100; i++)
        {
            await Next(b.Frames);
        }
        a.Send(toB, [9]);
        await Next(b.Frames);

        Assert.InRange(b.Flushes - before, 1, 2);
    }

    [Fact]
    public async Task Three_peers_exchange_with_each_other()
    {
        await using TestPeer a = await StartAsync("a"), b = await StartAsync("b"), c = await StartAsync("c");
        (int ab, int ba) = await ConnectAsync(a, b);
        (int bc, int cb) = await ConnectAsync(b, c);
        (int ca, int ac) = await ConnectAsync(c, a);

        a.Send(ab, [1]);
        a.Send(ac, [2]);
        b.Send(ba, [3]);
        b.Send(bc, [4]);
        c.Send(ca, [5]);
        c.Send(cb, [6]);

        await Expect(a, (ab, 3), (ac, 5));
        await Expect(b, (ba, 1), (bc, 6));
        await Expect(c, (ca, 2), (cb, 4));

        static async Task Expect(TestPeer peer, params (int Connection, byte Value)[] expected)
        {
            (int Connection, byte Value)[] got = [Decode(await Next(peer.Frames)), Decode(await Next(peer.Frames))];
            Assert.Equal(expected.Order(), got.Order());
        }

        static (int, byte) Decode((int Connection, ReadOnlyMemory<byte> Frame) got) => (got.Connection, got.Frame.Span[0]);
    }

    [Fact]
    public async Task Close_sends_what_was_given_and_tells_only_the_other_side()
    {
        const int Count = 500;
        await using TestPeer a = await StartAsync(Options("a") with { CloseTimeout = Patience }), b = await StartAsync("b");
        (int toB, _) = await ConnectAsync(a, b);

        a.Send(toB, [.. Enumerable.Range(0, Count).Select(i => Numbered(i, 20_000))]);
        a.Close(toB);
        a.Send(toB, [1]);

        Assert.Equal("the peer closed the connection", (await Next(b.Disconnected)).Reason);
        Assert.Equal(Count, b.Frames.Reader.Count);
        await a.DisposeAsync();
        Assert.Equal(0, a.Disconnected.Reader.Count);
    }

    [Fact]
    public async Task A_peer_that_does_not_read_loses_the_connection_and_not_the_memory()
    {
        await using TestPeer a = await StartAsync(Options("a") with { MaximumPending = 1 << 20 });
        using RawPeer deaf = await RawPeer.JoinAsync(a.Address, Options("b"));
        int toDeaf = (await Next(a.Connected)).Connection;

        // Far more than the buffers of the sockets and the limit hold together.
        for (int i = 0; i < 1000; i++)
        {
            a.Send(toDeaf, Numbered(i, 100_000));
        }

        Assert.Contains("does not read", (await Next(a.Disconnected)).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_handler_that_throws_ends_its_connection_alone()
    {
        await using TestPeer a = await StartAsync("a"), b = await StartAsync("b"), c = await StartAsync("c");
        (int ba, int ab) = await ConnectAsync(b, a);
        (int ca, int ac) = await ConnectAsync(c, a);
        a.OnFrame = (connection, _) =>
        {
            if (connection == ab)
            {
                throw new InvalidOperationException("a defect of the host");
            }
        };

        b.Send(ba, [1]);
        Assert.Equal((ab, "the host failed on a frame"), await Next(a.Disconnected));
        await Next(b.Disconnected);

        c.Send(ca, [2]);
        Assert.Equal(ac, (await Next(a.Frames)).Connection);
    }

    [Fact]
    public async Task Dispose_with_peers_connected_ends_soon_and_loses_nothing_that_was_sent()
    {
        await using TestPeer b = await StartAsync("b");
        TestPeer a = await StartAsync(Options("a") with { CloseTimeout = 2 * Patience }); // it is not that what ends it
        (int toB, _) = await ConnectAsync(a, b);
        a.Send(toB, Numbered(1, 50_000));

        await a.DisposeAsync().AsTask().WaitAsync(Patience);

        await Next(b.Frames);
        await Next(b.Disconnected);
        Assert.Equal(0, a.Disconnected.Reader.Count);
        await a.DisposeAsync();
    }

    [Fact]
    public async Task Dispose_does_not_wait_for_peers_that_hang()
    {
        TestPeer a = await StartAsync(Options("a") with { CloseTimeout = TimeSpan.FromMilliseconds(50) });
        using RawPeer hung = await RawPeer.JoinAsync(a.Address, Options("b"));
        using RawPeer stranger = await RawPeer.ConnectAsync(a.Address);
        int toHung = (await Next(a.Connected)).Connection;
        a.Send(toHung, [.. Enumerable.Range(0, 200).Select(i => Numbered(i, 100_000))]);

        await a.DisposeAsync().AsTask().WaitAsync(Patience);
    }

    [Fact]
    public async Task A_killed_peer_is_disconnected_and_tells_nothing_more()
    {
        await using TestPeer b = await StartAsync("b");
        await using TestPeer a = await StartAsync("a");
        (_, int atB) = await ConnectAsync(a, b);

        a.Transport.Abort();

        Assert.Equal(atB, (await Next(b.Disconnected)).Connection);
        await a.DisposeAsync();
        Assert.Equal(0, a.Disconnected.Reader.Count);
    }

    [Fact]
    public async Task A_restarted_node_listens_at_once_where_the_killed_one_did()
    {
        await using TestPeer b = await StartAsync("b");
        await using TestPeer a = await StartAsync(Options("a") with { Listen = FreeAddresses.Take(1)[0] }); // where nobody else gets a port meanwhile
        await ConnectAsync(b, a);
        a.Transport.Abort();
        await a.DisposeAsync();
        await Next(b.Disconnected);

        await using TestPeer again = await StartAsync(Options("a", 2) with { Listen = a.Address });
        b.Transport.Dial(a.Address);

        Assert.Equal(new NodeId("a", 2), (await Next(b.Connected)).Peer.Id);
    }
}
