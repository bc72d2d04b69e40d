using System.Net;
using System.Net.Sockets;
using Core.Groups.Transport;
using static Core.Groups.Tests.Transport.TestPeer;

namespace Core.Groups.Tests.Transport;

/// <summary>At most one connection per pair, and both sides agree on which.</summary>
public sealed class PairTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Simultaneous_dials_end_in_one_connection(bool startTogether)
    {
        for (int round = 0; round < 200; round++)
        {
            await using TestPeer a = await StartAsync("a"), b = await StartAsync("b");
            var atA = new Present(a);
            var atB = new Present(b);

            a.Transport.Dial(b.Address);
            if (!startTogether)
            {
                await Next(b.Connected);
            }
            b.Transport.Dial(a.Address);

            await Task.WhenAll(atA.Agreed, atB.Agreed).WaitAsync(Patience);
            Assert.Equal((0, 0), (a.Disconnected.Reader.Count, b.Disconnected.Reader.Count));
        }
    }

    [Fact]
    public async Task Dials_from_all_sides_again_and_again_converge()
    {
        await using TestPeer a = await StartAsync("a"), b = await StartAsync("b");
        for (int round = 0; round < 100; round++)
        {
            var atA = new Present(a);
            var atB = new Present(b);
            Parallel.For(0, 8, i => (i % 2 == 0 ? a : b).Transport.Dial((i % 2 == 0 ? b : a).Address));
            await Task.WhenAll(atA.Agreed, atB.Agreed).WaitAsync(Patience);
            Assert.Equal((0, 0), (a.Disconnected.Reader.Count, b.Disconnected.Reader.Count));
        }
    }

    // The host's view: a greeting goes out on every new connection. The pair agrees when the other's greeting has come in on the present one.
    private sealed class Present
    {
        private readonly Lock _gate = new();
        private readonly HashSet<int> _greeted = [];
        private readonly TaskCompletionSource _agreed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _present;

        public Present(TestPeer peer)
        {
            peer.OnConnected = (connection, _) =>
            {
                peer.Send(connection, [1]);
                lock (_gate)
                {
                    _present = connection;
                    Judge();
                }
            };
            peer.OnFrame = (connection, _) =>
            {
                lock (_gate)
                {
                    _greeted.Add(connection);
                    Judge();
                }
            };
        }

        public Task Agreed => _agreed.Task;

        private void Judge()
        {
            if (_greeted.Contains(_present))
            {
                _agreed.TrySetResult();
            }
        }
    }

    [Theory]
    [InlineData("a")]
    [InlineData("b")]
    public async Task A_later_dial_replaces_the_connection_without_an_event_of_the_old(string redialler)
    {
        await using TestPeer a = await StartAsync("a"), b = await StartAsync("b");
        (int oldA, int oldB) = await ConnectAsync(a, b);
        TestPeer dialer = redialler == "a" ? a : b, other = redialler == "a" ? b : a;

        await ConnectAsync(dialer, other);
        (int newA, int newB) = await ConnectAsync(dialer, other);
        (newA, newB) = redialler == "a" ? (newA, newB) : (newB, newA);
        a.Send(oldA, [0]);
        a.Send(newA, [1]);
        b.Send(newB, [2]);

        Assert.NotEqual((oldA, oldB), (newA, newB));
        (int connection, ReadOnlyMemory<byte> frame) = await Next(b.Frames);
        Assert.Equal((newB, 1), (connection, frame.Span[0]));
        (connection, frame) = await Next(a.Frames);
        Assert.Equal((newA, 2), (connection, frame.Span[0]));
        await Task.WhenAll(a.DisposeAsync().AsTask(), b.DisposeAsync().AsTask());
        Assert.DoesNotContain(Everything(a.Disconnected.Reader), end => end.Connection == oldA);
        Assert.DoesNotContain(Everything(b.Disconnected.Reader), end => end.Connection == oldB);

        static List<T> Everything<T>(System.Threading.Channels.ChannelReader<T> reader)
        {
            var all = new List<T>();
            while (reader.TryRead(out T? item))
            {
                all.Add(item);
            }
            return all;
        }
    }

    [Fact]
    public async Task A_node_that_reaches_itself_is_silent_and_does_not_try_again()
    {
        await using TestPeer a = await StartAsync("a"), b = await StartAsync("b");

        a.Transport.Dial(a.Address);
        a.Transport.Dial(a.Address.Replace("127.0.0.1", "localhost", StringComparison.Ordinal));
        await WaitForLog(a, "this is the node itself", 4);
        a.Transport.Dial(a.Address);
        await ConnectAsync(a, b);

        Assert.Equal((0, 0, 0), (a.FailedDials.Reader.Count, a.Refusals.Reader.Count, a.Connected.Reader.Count));
        Assert.Equal(4, a.Log.Count(line => line.Contains("this is the node itself", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_stranger_that_claims_to_be_the_node_itself_is_not_believed()
    {
        await using TestPeer a = await StartAsync("a");
        using var liar = new LyingListener(HandshakeHeader.EncodeRefusal(HandshakeError.Self, "you are me"));

        a.Transport.Dial(liar.Address);
        await Next(a.FailedDials);
        a.Transport.Dial(liar.Address);
        await Next(a.FailedDials);
    }

    [Fact]
    public async Task A_new_incarnation_drops_the_connections_and_dials_as_another()
    {
        await using TestPeer a = await StartAsync("a"), b = await StartAsync("b");
        (int oldA, int oldB) = await ConnectAsync(a, b);

        a.Transport.ChangeIdentity(new NodeId("a", 2));
        Assert.Equal(oldB, (await Next(b.Disconnected)).Connection);
        await ConnectAsync(a, b);

        a.Send(oldA, [1]);
        await a.DisposeAsync();
        Assert.Equal(0, a.Disconnected.Reader.Count);
        await Next(b.Disconnected);
        Assert.Equal(0, b.Frames.Reader.Count);
    }

    [Fact]
    public async Task A_dial_to_no_address_or_a_closed_port_fails()
    {
        await using TestPeer a = await StartAsync("a");
        // Bound, so that nobody else gets the port, and not listening.
        using var bound = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        bound.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        string closed = bound.LocalEndPoint!.ToString()!;

        foreach ((string address, bool isRefused) in new[] { (closed, true), ("nowhere", false), ("127.0.0.1:0", false), ("", false) })
        {
            a.Transport.Dial(address);
            (string failed, bool refused, string reason) = await Next(a.FailedDials);
            Assert.Equal((address, isRefused), (failed, refused));
            Assert.NotEmpty(reason);
        }
    }

    [Fact]
    public async Task A_dial_while_one_is_under_way_is_the_same_dial()
    {
        await using TestPeer a = await StartAsync(Options("a") with { HandshakeTimeout = 2 * Patience });
        using var mute = new LyingListener([]);

        for (int i = 0; i < 10; i++)
        {
            a.Transport.Dial(mute.Address);
        }

        await mute.FirstAccepted.WaitAsync(Patience);
        mute.Dispose();
        await Next(a.FailedDials);
        await a.DisposeAsync();
        Assert.Equal(0, a.FailedDials.Reader.Count);
        Assert.Equal(1, mute.Accepted);
    }

    [Fact]
    public async Task A_dial_that_is_not_answered_ends_with_its_time()
    {
        await using TestPeer a = await StartAsync(Options("a") with { HandshakeTimeout = TimeSpan.FromMilliseconds(300) });
        using var mute = new LyingListener([]);

        a.Transport.Dial(mute.Address);

        Assert.Contains("longer than", (await Next(a.FailedDials)).Reason, StringComparison.Ordinal);
        Assert.Equal(HandshakeError.TimedOut, (await Next(a.Refusals)).Error);
    }

    private static async Task WaitForLog(TestPeer peer, string text, int count)
    {
        while (count > 0)
        {
            count -= (await Next(peer.Lines)).Contains(text, StringComparison.Ordinal) ? 1 : 0;
        }
    }
}
