// The protocol machines alone: three of them on one thread, without sockets, threads or handlers.
// For optimising: what one delivery costs the protocol is steady here even when the computer is busy otherwise.
using System.Collections.Immutable;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Core.Groups;
using Core.Groups.Protocol;
using Core.Groups.Protocol.Groups;
using Core.Groups.Tracing;

namespace Benchmarks;

/// <summary>Machines that are wired to each other; every round each of them sends, then takes what has come.</summary>
internal sealed class MachineBench
{
    private static readonly TimeSpan Round = TimeSpan.FromMilliseconds(1);
    private readonly Node[] _nodes;
    private TimeSpan _now;

    private MachineBench(int members)
    {
        string[] seeds = [.. Enumerable.Range(0, members).Select(i => $"n{i}:1")];
        _nodes = [.. Enumerable.Range(0, members).Select(i => new Node(i, seeds))];
        foreach (Node node in _nodes)
            node.Machine.Start(_now);
        foreach (Node a in _nodes)
        {
            foreach (Node b in _nodes)
            {
                if (a != b)
                    a.Machine.PeerConnected(_now, b.Index, b.Identity);
            }
        }
    }

    /// <summary>Nanoseconds of CPU and bytes allocated for each delivery, in the best of some runs.</summary>
    public static JsonObject Measure(Order order, int members, int size, int perTurn)
    {
        var bench = new MachineBench(members);
        bench.Until(() => bench._nodes.All(n => n.Machine.Configuration?.Members.Length == members && !n.Machine.IsBlocked), "no configuration");
        for (int i = 0; i < members; i++)
        {
            Node node = bench._nodes[i];
            node.Machine.Join(bench._now, 1, "/bench", new GroupId(1, 1));
            bench.Until(() => bench._nodes[..(i + 1)].All(n => n.View?.Members.Length == i + 1), "no view");
        }

        byte[] body = new byte[size];
        const int Rounds = 300, Runs = 60;
        var times = new List<double>();
        double allocated = 0;
        for (int run = 0; run < Runs; run++)
        {
            long before = bench._nodes.Sum(n => n.Delivered), bytes = GC.GetAllocatedBytesForCurrentThread(), start = Stopwatch.GetTimestamp();
            for (int round = 0; round < Rounds; round++)
                bench.Step(order, body, perTurn);
            double elapsed = Stopwatch.GetElapsedTime(start).TotalNanoseconds;
            long delivered = bench._nodes.Sum(n => n.Delivered) - before;
            times.Add(elapsed / delivered);
            allocated = (GC.GetAllocatedBytesForCurrentThread() - bytes) / (double)delivered;
        }

        times.Sort();
        return new JsonObject
        {
            ["order"] = order.ToString().ToLowerInvariant(), ["members"] = members, ["per_turn"] = perTurn,
            ["best_ns_per_delivery"] = Math.Round(times[0], 1), ["median_ns_per_delivery"] = Math.Round(times[Runs / 2], 1),
            ["allocated_bytes_per_delivery"] = Math.Round(allocated, 1),
        };
    }

    private void Until(Func<bool> reached, string otherwise)
    {
        for (int round = 0; !reached(); round++)
        {
            if (round > 20_000)
                throw new InvalidOperationException($"The machines reached {otherwise}.");
            Step(Order.Fifo, [], 0);
        }
    }

    private void Step(Order order, byte[] body, int count)
    {
        _now += Round;
        foreach (Node node in _nodes)
        {
            for (int i = 0; i < count; i++)
                node.Machine.Multicast(_now, 0, new GroupId(1, 1), order, body);
            node.EndTurn(_now);
        }

        foreach (Node node in _nodes)
        {
            foreach ((int to, byte[] frame) in node.Frames)
                _nodes[to].Machine.FrameReceived(_now, node.Index, frame);
            node.Frames.Clear();
        }
    }

    private sealed class Node : INodeEffects
    {
        private int _unconsumed;
        private bool _loads;
        private long _saves = -1;

        public Node(int index, string[] seeds)
        {
            Index = index;
            var id = new NodeId($"n{index}", 1);
            Identity = new PeerIdentity(id, seeds[index], "", 1, true);
            Machine = new NodeMachine(id, new NodeSettings { Address = seeds[index], Seeds = [.. seeds] }, 1, (ulong)index, this);
        }

        public int Index { get; }
        public PeerIdentity Identity { get; }
        public NodeMachine Machine { get; }
        public List<(int To, byte[] Frame)> Frames { get; } = [];
        public View? View { get; private set; }
        public long Delivered { get; private set; }

        public void EndTurn(TimeSpan now)
        {
            if (_saves >= 0)
                Machine.StateSaved(now, _saves, Array.Empty<byte>());
            if (_loads)
                Machine.StateLoaded(now, new GroupId(1, 1), true);
            (_saves, _loads) = (-1, false);
            if (_unconsumed > 0)
                Machine.Consumed(now, new GroupId(1, 1), _unconsumed);
            _unconsumed = 0;
            if (now >= Machine.NextDeadline)
                Machine.Tick(now);
            Machine.EndTurn(now);
        }

        public void Transmit(int connection, ReadOnlySpan<byte> frame) => Frames.Add((connection, frame.ToArray()));

        public void Deliver(in Delivery delivery)
        {
            Delivered++;
            _unconsumed++;
        }

        public void ViewInstalled(View view) => View = view;
        public void SaveState(GroupId group, long token) => _saves = token;
        public void LoadState(GroupId group, ReadOnlyMemory<byte>? state) => _loads = true;
        public void ReadState(GroupId group, long token) { }
        public void EndState(GroupId group, long token) { }
        public void StreamState(GroupId group, StateStep step, ReadOnlyMemory<byte> piece, long expected) { }
        public void Dial(string address) { }
        public void Close(int connection, string reason) => throw new InvalidOperationException(reason);
        public void Store(long sequence, ReadOnlyMemory<byte> record) { }
        public void Trace(TraceEvent line) { }
        public void ConfigurationInstalled(Configuration configuration, ImmutableArray<PeerIdentity> peers, ImmutableArray<NodeId> leavers) { }
        public void Blocked() { }
        public void Unblocked() { }
        public void Excluded(string reason, bool isLineageOver) => throw new InvalidOperationException(reason);
        public void NameTaken(string byAddress) { }
        public void Configured(GroupId group, string key, string? value) { }
        public void GroupLeft(GroupId group, GroupEnd end) { }
        public void CreditReleased(GroupId group, long bytes) { }
        public void Sent(long call, MessageId message) { }
        public void Completed(long call, Outcome outcome) { }
        public void Joined(long call, GroupId group, string name) { }
        public void RequestCompleted(long call, Outcome outcome, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed) { }
        public void GroupFound(long call, GroupInfo? group) { }
        public void WatchBegun(long call) { }
        public void WatchedChange(long call, GroupId group, ViewChange change) { }
        public void JoinRefused(long call, string reason) { }
        public void InspectJoin(GroupId group, long token, NodeId joiner, ReadOnlyMemory<byte> credentials) { }
        public void GroupsListed(long call, ImmutableArray<string> names) { }
        public void Log(ProtocolLogLevel level, string message) { }
        public void Stopped() { }
    }
}
