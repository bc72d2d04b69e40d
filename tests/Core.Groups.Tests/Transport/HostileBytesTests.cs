using System.Buffers.Binary;
using System.Diagnostics;
using Core.Groups.Transport;
using static Core.Groups.Tests.Transport.TestPeer;

namespace Core.Groups.Tests.Transport;

/// <summary>Whatever arrives on the port, nothing but its own connection ends.</summary>
public sealed class HostileBytesTests
{
    private static readonly TcpTransportOptions Stranger = Options("z");

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n\r\n", nameof(HandshakeError.NotThisProtocol))]
    [InlineData("ISGR\u0001\u0000\u007f", nameof(HandshakeError.Malformed))]
    [InlineData("ISGR\u0001\u0000\u0000", nameof(HandshakeError.VersionMismatch))]
    [InlineData("ISGR\u0001\u0002\u0000\u0005\u0009", nameof(HandshakeError.VersionMismatch))]
    [InlineData("ISGR\u0001\u0003\u0000\u0001\u0001\u0009", nameof(HandshakeError.Malformed))]
    [InlineData("ISGR\u0002\u0000\u0000", nameof(HandshakeError.Malformed))]
    public async Task Bytes_that_are_no_hello_are_answered_with_the_reason_and_closed(string bytes, string error)
    {
        await using TestPeer a = await StartAsync("a");
        using RawPeer raw = await RawPeer.ConnectAsync(a.Address);

        await raw.SendAsync(bytes.Select(c => (byte)c).ToArray());

        Assert.Equal(error, (await raw.ReceiveRefusalAsync()).Error.ToString());
        Assert.Equal(0, await raw.DrainAsync());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(40)]
    public async Task A_handshake_that_drips_or_stops_is_ended_by_the_time_out(int bytes)
    {
        await using TestPeer a = await StartAsync(Options("a") with { HandshakeTimeout = TimeSpan.FromMilliseconds(100) });
        using RawPeer slow = await RawPeer.ConnectAsync(a.Address);

        await slow.SendAsync(HandshakeHeader.Encode(HandshakeRecord.Hello, RawPeer.Hello(Stranger).Encode()).AsMemory(0, bytes));

        Assert.Equal(HandshakeError.TimedOut, (await slow.ReceiveRefusalAsync()).Error);
        Assert.Equal(0, await slow.DrainAsync());
    }

    [Fact]
    public async Task A_higher_node_that_waits_for_a_commit_in_vain_gives_up()
    {
        await using TestPeer b = await StartAsync(Options("b") with { HandshakeTimeout = TimeSpan.FromSeconds(3) }); // long enough for the first half
        using RawPeer raw = await RawPeer.ConnectAsync(b.Address);
        var handshake = new Handshake(raw.Socket, RawPeer.Hello(Options("a")), new HandshakeProof([]));

        await handshake.DialAsync(CancellationToken.None);

        Assert.Equal(HandshakeError.TimedOut, (await raw.ReceiveRefusalAsync()).Error);
        Assert.Equal(0, b.Connected.Reader.Count);
    }

    [Fact]
    public async Task Too_many_strangers_wait_until_others_have_had_their_time_and_room_is_found_again()
    {
        const int Strangers = 20, Room = 4;
        TimeSpan time = TimeSpan.FromMilliseconds(300);
        await using TestPeer a = await StartAsync(Options("a") with { MaximumHandshakes = Room, HandshakeTimeout = time });
        await using TestPeer b = await StartAsync("b");
        long start = Stopwatch.GetTimestamp();
        RawPeer[] strangers = await Task.WhenAll(Enumerable.Range(0, Strangers).Select(_ => RawPeer.ConnectAsync(a.Address)));
        (HandshakeError Error, string Reason)[] ends = await Task.WhenAll(strangers.Select(async stranger =>
        {
            using (stranger)
            {
                return await stranger.ReceiveRefusalAsync().WaitAsync(Patience);
            }
        }));
        Assert.All(ends, end => Assert.Equal(HandshakeError.TimedOut, end.Error));
        Assert.True(Stopwatch.GetElapsedTime(start) >= (Strangers / Room - 1) * time);

        using var limit = new CancellationTokenSource(Patience);
        while (b.Connected.Reader.Count == 0)
        {
            limit.Token.ThrowIfCancellationRequested();
            b.Transport.Dial(a.Address);
            await Task.WhenAny(b.Connected.Reader.WaitToReadAsync().AsTask(), b.FailedDials.Reader.ReadAsync().AsTask()).WaitAsync(Patience);
        }
    }

    [Theory]
    [InlineData(0, "0 bytes")]
    [InlineData(-1, "4294967295 bytes")]
    [InlineData((128 << 10) + 1, "131073 bytes")]
    [InlineData(int.MaxValue, "2147483647 bytes")]
    public async Task A_frame_of_a_forbidden_length_ends_the_connection_before_anything_is_allocated(int length, string reason)
    {
        await using TestPeer a = await StartAsync("a");
        using RawPeer raw = await RawPeer.JoinAsync(a.Address, Stranger);
        await raw.SendFrameLengthAsync(2);
        await raw.SendAsync(new byte[] { 7, 8 });
        await raw.SendFrameLengthAsync(length);

        Assert.Equal([7, 8], (await Next(a.Frames)).Frame.ToArray());
        Assert.Contains(reason, (await Next(a.Disconnected)).Reason, StringComparison.Ordinal);
        await raw.DrainAsync();
    }

    [Fact]
    public async Task A_frame_that_is_cut_off_is_never_told()
    {
        await using TestPeer a = await StartAsync("a");
        RawPeer raw = await RawPeer.JoinAsync(a.Address, Stranger);
        await raw.SendFrameLengthAsync(100);
        await raw.SendAsync(new byte[99]);
        raw.Dispose();

        Assert.Equal("the peer closed the connection in the middle of a frame", (await Next(a.Disconnected)).Reason);
        Assert.Equal(0, a.Frames.Reader.Count);
    }

    [Fact]
    public async Task A_frame_that_drips_is_told_whole()
    {
        await using TestPeer a = await StartAsync("a");
        using RawPeer raw = await RawPeer.JoinAsync(a.Address, Stranger);
        byte[] stream = [3, 0, 0, 0, 1, 2, 3, 1, 0, 0, 0, 4];

        foreach (byte one in stream)
        {
            await raw.SendAsync(new[] { one });
        }

        Assert.Equal([1, 2, 3], (await Next(a.Frames)).Frame.ToArray());
        Assert.Equal([4], (await Next(a.Frames)).Frame.ToArray());
    }

    [Fact]
    public async Task A_thousand_random_and_mutated_strings_do_not_disturb_good_peers()
    {
        const int Attacks = 1000, Attackers = 8;
        await using TestPeer a = await StartAsync("a"), b = await StartAsync("b");
        (int toB, _) = await ConnectAsync(a, b);
        int sent = 0;

        Task attack = Parallel.ForAsync(0, Attacks, new ParallelOptions { MaxDegreeOfParallelism = Attackers }, async (i, _) =>
        {
            using RawPeer raw = await RawPeer.ConnectAsync(a.Address);
            await raw.SendAsync(Attack(new Random(i)));
            raw.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
            await raw.DrainAsync();
        });
        while (!attack.IsCompleted || sent < Attacks)
        {
            var frame = new byte[sizeof(int)];
            BinaryPrimitives.WriteInt32LittleEndian(frame, sent);
            a.Send(toB, frame);
            Assert.Equal(frame, (await Next(b.Frames)).Frame.ToArray());
            sent++;
        }
        await attack;

        Assert.Equal((0, 0), (a.Disconnected.Reader.Count, b.Disconnected.Reader.Count));
        Assert.Equal(0, a.Connected.Reader.Count);
        Assert.DoesNotContain(a.Log, line => line.StartsWith("Error", StringComparison.Ordinal) || line.StartsWith("Critical", StringComparison.Ordinal));
        Assert.InRange(a.Log.Count(line => line.StartsWith("Warning", StringComparison.Ordinal)), 1, Attacks / 2);
    }

    // Noise, or a good first half of a handshake with some bytes changed, cut or doubled.
    private static byte[] Attack(Random random)
    {
        if (random.Next(3) == 0)
        {
            var noise = new byte[random.Next(1, 6000)];
            random.NextBytes(noise);
            return noise;
        }
        byte[] bytes = [.. HandshakeHeader.Encode(HandshakeRecord.Hello, RawPeer.Hello(Stranger).Encode()), .. HandshakeHeader.Encode(HandshakeRecord.Proof, new byte[32])];
        for (int changes = random.Next(1, 5); changes > 0; changes--)
        {
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        }
        return random.Next(3) switch
        {
            0 => bytes[..random.Next(1, bytes.Length)],
            1 => [.. bytes, .. bytes],
            _ => bytes,
        };
    }
}
