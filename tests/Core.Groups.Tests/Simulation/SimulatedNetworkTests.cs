// The simulated network keeps what TCP keeps: order, no duplicates, no gaps but a lost suffix. If it kept more, the
// protocol would be tested too gently; if less, it would be blamed for the network.
using Core.Groups.Protocol;
using Core.Groups.Testing.Simulation;

namespace Core.Groups.Tests.Simulation;

public sealed class SimulatedNetworkTests
{
    private readonly VirtualTime time = new();

    private sealed class Endpoint(string name) : INetworkEndpoint
    {
        public PeerIdentity Identity { get; } = new(new NodeId(name, 1), SimulatedNetwork.AddressOf(name), "", 1, true);
        public bool Answers { get; set; } = true;
        public List<string> Seen { get; } = [];
        public int Connection { get; private set; }

        public IEnumerable<byte> Frames => Seen.Where(line => line.StartsWith("frame", StringComparison.Ordinal)).Select(line => byte.Parse(line[6..]));

        public void Connected(int connection, PeerIdentity peer)
        {
            Connection = connection;
            Seen.Add($"connected {peer.Id.Name}");
        }

        public void Disconnected(int connection) => Seen.Add(connection == Connection ? "disconnected" : "disconnected old");
        public void DialFailed(string address, bool refused) => Seen.Add(refused ? "refused" : "timeout");
        public void Received(int connection, ReadOnlyMemory<byte> frame) => Seen.Add($"frame {frame.Span[0]}");
    }

    private (SimulatedNetwork Network, Endpoint A, Endpoint B) Connect(ulong seed = 1)
    {
        SimulatedNetwork network = Create(seed);
        Endpoint a = new("a"), b = new("b");
        network.Attach("a", a);
        network.Attach("b", b);
        network.Dial(a, "a", SimulatedNetwork.AddressOf("b"));
        RunFor(1);
        return (network, a, b);
    }

    private SimulatedNetwork Create(ulong seed) => new(time, new SimulationRandom(seed), new NetworkProfile(), ["a", "b", "c"]);

    private void RunFor(double seconds)
    {
        TimeSpan end = time.Now + TimeSpan.FromSeconds(seconds);
        while (time.RunNext(end)) { }
    }

    [Fact]
    public void FramesArriveInOrder()
    {
        (SimulatedNetwork network, Endpoint a, Endpoint b) = Connect();
        for (byte i = 0; i < 200; i++) network.Transmit(a, a.Connection, [i]);
        RunFor(1);
        Assert.Equal(Enumerable.Range(0, 200).Select(i => (byte)i), b.Frames);
    }

    [Fact]
    public void AFrameIsCopied()
    {
        (SimulatedNetwork network, Endpoint a, Endpoint b) = Connect();
        byte[] frame = [7];
        network.Transmit(a, a.Connection, frame);
        frame[0] = 8;
        RunFor(1);
        Assert.Equal([(byte)7], b.Frames);
    }

    [Fact]
    public void ACutHoldsFramesBackAndTheHealBringsThem()
    {
        (SimulatedNetwork network, Endpoint a, Endpoint b) = Connect();
        network.Cut("a", "b");
        network.Transmit(a, a.Connection, [1]);
        network.Transmit(b, b.Connection, [2]);
        RunFor(10);
        Assert.Empty(b.Frames);
        Assert.Equal([(byte)2], a.Frames);
        network.Heal();
        RunFor(1);
        Assert.Equal([(byte)1], b.Frames);
    }

    [Theory]
    [InlineData(1), InlineData(2), InlineData(3), InlineData(4)]
    public void ABreakLosesASuffixAndTellsBothEnds(ulong seed)
    {
        (SimulatedNetwork network, Endpoint a, Endpoint b) = Connect(seed);
        for (byte i = 0; i < 50; i++) network.Transmit(a, a.Connection, [i]);
        Assert.True(network.Break("a", "b"));
        network.Transmit(a, a.Connection, [99]);
        RunFor(1);
        Assert.Equal(Enumerable.Range(0, b.Frames.Count()).Select(i => (byte)i), b.Frames);
        Assert.Equal("disconnected", a.Seen[^1]);
        Assert.Equal("disconnected", b.Seen[^1]);
    }

    [Fact]
    public void SomeBreaksLoseFramesAndSomeDoNot()
    {
        int[] arrived = [.. Enumerable.Range(1, 20).Select(seed =>
        {
            (SimulatedNetwork network, Endpoint a, Endpoint b) = Connect((ulong)seed);
            for (byte i = 0; i < 5; i++) network.Transmit(a, a.Connection, [i]);
            network.Break("a", "b");
            RunFor(1);
            return b.Frames.Count();
        })];
        Assert.Contains(5, arrived);
        Assert.Contains(arrived, count => count < 5);
    }

    [Fact]
    public void ANewConnectionReplacesTheOldOneAtBothEnds()
    {
        (SimulatedNetwork network, Endpoint a, Endpoint b) = Connect();
        (int oldA, int oldB) = (a.Connection, b.Connection);
        network.Dial(b, "b", SimulatedNetwork.AddressOf("a"));
        RunFor(1);
        Assert.NotEqual(oldA, a.Connection);
        Assert.NotEqual(oldB, b.Connection);
        network.Transmit(a, oldA, [1]);
        network.Transmit(a, a.Connection, [2]);
        RunFor(1);
        Assert.Equal([(byte)2], b.Frames);
        Assert.DoesNotContain("disconnected", a.Seen);
    }

    [Fact]
    public void ACloseIsSeenByThePeerAloneAfterTheLastFrame()
    {
        (SimulatedNetwork network, Endpoint a, Endpoint b) = Connect();
        network.Transmit(a, a.Connection, [1]);
        network.Close(a, a.Connection);
        RunFor(1);
        Assert.Equal(["connected a", "frame 1", "disconnected"], b.Seen);
        Assert.Equal(["connected b"], a.Seen);
    }

    [Fact]
    public void ACrashIsSeenUnlessACutHidesIt()
    {
        (SimulatedNetwork network, _, Endpoint b) = Connect();
        network.Cut("a", "b");
        network.Detach("a", abrupt: true);
        RunFor(10);
        Assert.DoesNotContain("disconnected", b.Seen);
        network.Heal();
        RunFor(1);
        Assert.Equal("disconnected", b.Seen[^1]);
    }

    [Fact]
    public void ADialOfADeadNodeIsRefusedAndOneIntoACutTimesOut()
    {
        SimulatedNetwork network = Create(1);
        Endpoint a = new("a"), b = new("b");
        network.Attach("a", a);
        network.Dial(a, "a", SimulatedNetwork.AddressOf("b"));
        RunFor(0.1);
        Assert.Equal(["refused"], a.Seen);
        network.Attach("b", b);
        network.Cut("b", "a");
        network.Dial(a, "a", SimulatedNetwork.AddressOf("b"));
        RunFor(2.9);
        Assert.Equal(["refused"], a.Seen);
        RunFor(0.2);
        Assert.Equal(["refused", "timeout"], a.Seen);
    }

    [Fact]
    public void AFrozenNodeAnswersADialWhenItThawsInTime()
    {
        SimulatedNetwork network = Create(1);
        Endpoint a = new("a"), b = new("b") { Answers = false };
        network.Attach("a", a);
        network.Attach("b", b);
        network.Dial(a, "a", SimulatedNetwork.AddressOf("b"));
        RunFor(0.5);
        Assert.Empty(a.Seen);
        b.Answers = true;
        RunFor(1);
        Assert.Equal(["connected b"], a.Seen);
    }

    [Fact]
    public void ASuccessorDoesNotGetWhatWasSentToItsPredecessor()
    {
        (SimulatedNetwork network, Endpoint a, _) = Connect();
        network.Transmit(a, a.Connection, [1]);
        network.Detach("b", abrupt: true);
        Endpoint successor = new("b");
        network.Attach("b", successor);
        network.Transmit(a, a.Connection, [2]);
        RunFor(1);
        Assert.Empty(successor.Seen);
        Assert.Equal("disconnected", a.Seen[^1]);
    }
}
