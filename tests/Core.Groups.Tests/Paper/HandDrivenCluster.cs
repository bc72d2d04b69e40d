// Real protocol machines whose every frame is delivered by hand: a schedule says which link passes its next frame when.
// Keeps: nothing happens that the schedule does not say, up to the quiet end; each link is first in, first out.
// Follows: the executable model of the protocol, whose schedules these are (dl, hb, hold, crash), for the machine itself.
using System.Collections.Immutable;
using Core.Groups.Protocol;
using Core.Groups.Testing.Checkers;
using Core.Groups.Testing.Simulation;
using Core.Groups.Tracing;

namespace Core.Groups.Tests.Paper;

/// <summary>A cluster without a network, a clock or chance of its own.</summary>
internal sealed class HandDrivenCluster
{
    private readonly SortedDictionary<string, HandDrivenNode> _nodes = new(StringComparer.Ordinal);
    private readonly SortedDictionary<(string From, string To), Queue<LinkItem>> _links = [];
    private readonly Dictionary<(string, string), (int AtFirst, int AtSecond)> _open = [];
    private readonly Queue<(HandDrivenNode Node, string Address)> _dials = [];
    private readonly HashSet<(string, string)> _held = [];
    private readonly HashSet<(string, string)> _severed = [];
    private readonly List<TraceEvent> _history = [];
    private readonly List<string> _violations = [];
    private int _lastConnection;
    private readonly bool _isStored, _isExtended;
    private bool _isQuiet;

    private readonly record struct LinkItem(int Connection, byte[]? Frame, PeerIdentity? Connected);

    /// <param name="names">One letter for each node; all are in the electorate.</param>
    /// <param name="groups">The members of each group at the beginning.</param>
    /// <param name="isStored">Whether the nodes have stable stores, which a crash finds synced.</param>
    /// <param name="isExtended">Whether the nodes are in extended mode.</param>
    /// <param name="gathers">Whether the oldest member of each group gathers the floors, as in a large group.</param>
    public HandDrivenCluster(
        string names, IReadOnlyDictionary<string, string> groups, WeakRules weak = WeakRules.None, bool isStored = false, bool isExtended = false, bool gathers = false)
    {
        _isStored = isStored;
        _isExtended = isExtended;
        foreach (char name in names)
        {
            _nodes.Add($"{name}", new HandDrivenNode(this, $"{name}", new NodeSettings
            {
                Address = $"{name}", Seeds = [.. names.Select(n => $"{n}")], Tracing = true, Weak = weak, Suspect = TimeSpan.FromSeconds(10),
                Memory = isStored ? name : 0u, IsExtended = isExtended, GatherAbove = gathers ? 1 : int.MaxValue,
            }));
        }
        foreach (string from in _nodes.Keys)
        {
            foreach (string to in _nodes.Keys.Where(to => to != from)) _links.Add((from, to), new());
        }
        foreach (HandDrivenNode node in _nodes.Values) node.Start();
        Quiet();
        foreach ((string group, string members) in groups.OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            foreach (char member in members)
            {
                _nodes[$"{member}"].Join(group);
                Quiet();
            }
        }
        _isQuiet = false;
    }

    public IEnumerable<HandDrivenNode> Nodes => _nodes.Values;
    public HandDrivenNode this[string name] => _nodes[name];
    public IReadOnlyList<string> Violations => _violations;
    public IReadOnlyList<TraceEvent> History => _history;
    public StateJudge States { get; } = new();
    public ulong LastMarker { get; set; }
    public Dictionary<NodeId, int> SpanningBroadcasts { get; } = [];

    /// <summary>A weaker protocol: what was numbered waits, on its link, until the application that gets it has consumed what came before.</summary>
    public bool ReceivesByCredit { get; init; }

    /// <summary>The directions in which something can be delivered now.</summary>
    public (string From, string To)[] Deliverable =>
        [.. _links.Where(l => l.Value.Count > 0 && !_held.Contains(l.Key) && !IsRefused(l.Key.To)).Select(l => l.Key)];

    private bool IsRefused(string to) => ReceivesByCredit && _nodes[to].IsBehind;

    // ---- the acts of a schedule

    /// <summary>Delivers the next frame from one node to another, also over a link that is held. False: there is none.</summary>
    public bool Deliver(string from, string to)
    {
        if (IsRefused(to) || !_links[(from, to)].TryDequeue(out LinkItem item)) return false;
        HandDrivenNode node = _nodes[to];
        if (item.Connected is { } peer) node.Do((m, now) => m.PeerConnected(now, item.Connection, peer));
        else if (item.Frame is { } frame) node.Do((m, now) => m.FrameReceived(now, item.Connection, frame));
        else node.Do((m, now) => m.PeerDisconnected(now, item.Connection));
        Dial();
        return true;
    }

    /// <summary>Nothing passes in this direction but by <see cref="Deliver"/>.</summary>
    public void Hold(string from, string to) => _held.Add((from, to));

    public void Release(string from, string to) => _held.Remove((from, to));

    /// <summary>Delivers everything that is not held, and what that calls for. Now and then time passes, so that waiting can end.</summary>
    public void Drain()
    {
        int delivered = 0;
        while (Deliverable is { Length: > 0 } links && delivered < 100_000)
        {
            foreach ((string from, string to) in links)
            {
                Deliver(from, to);
                if (++delivered % 1000 > 0) continue;
                foreach (string name in _nodes.Keys) Tick(name);
            }
        }
        if (delivered >= 100_000) Violate("The nodes never fall silent.");
    }

    /// <summary>Delivers so many frames, each link in its turn.</summary>
    public void DeliverSome(int frames)
    {
        while (frames > 0 && Deliverable is { Length: > 0 } links)
        {
            foreach ((string from, string to) in links.Take(frames)) Deliver(from, to);
            frames -= Math.Min(frames, links.Length);
        }
    }

    /// <summary>Delivers so many frames one after the other, each link in its turn; where nothing is on its way, time passes (up to two seconds).</summary>
    public void Step(int frames)
    {
        int next = 0;
        for (int waits = 0; frames > 0 && waits < 80;)
        {
            if (Deliverable is not { Length: > 0 } links)
            {
                waits++;
                foreach (string name in _nodes.Keys) Tick(name);
                continue;
            }
            (string from, string to) = links[next++ % links.Length];
            Deliver(from, to);
            frames--;
        }
    }

    /// <summary>The clock of one node moves on, so that it tells what it owes.</summary>
    public void Tick(string name, double milliseconds = 25)
    {
        _nodes[name].Now += TimeSpan.FromMilliseconds(milliseconds);
        _nodes[name].Do((m, now) => m.Tick(now));
        Dial();
    }

    public void Crash(string name)
    {
        if (!_nodes[name].IsUp) return;
        _history.Add(new TraceEvent { Kind = TraceKind.Fail, Node = _nodes[name].Id, Time = TimeSpan.FromMicroseconds(_history.Count) });
        End(_nodes[name]);
    }

    public void Start(string name)
    {
        _nodes[name].Start();
        Dial();
    }

    /// <summary>Two nodes hold each other for dead, each when the news comes to it.</summary>
    public void Sever(string a, string b)
    {
        _severed.Add(Pair(a, b));
        Disconnect(a, b);
    }

    public void Rejoin(string a, string b) => _severed.Remove(Pair(a, b));

    /// <summary>The connection breaks and loses what is on its way in one direction.</summary>
    public void Break(string a, string b)
    {
        if (!_open.TryGetValue(Pair(a, b), out (int AtFirst, int AtSecond) connection)) return;
        int there = Pair(a, b).Item1 == a ? connection.AtSecond : connection.AtFirst;
        LinkItem[] kept = [.. _links[(a, b)].Where(i => i.Frame is null || i.Connection != there)];
        _links[(a, b)].Clear();
        foreach (LinkItem item in kept) _links[(a, b)].Enqueue(item);
        Disconnect(a, b);
    }

    /// <summary>Time passes until these nodes work together, without the others. False: they do not within fifteen seconds.</summary>
    public bool Work(string names)
    {
        HandDrivenNode[] nodes = [.. names.Select(name => _nodes[$"{name}"])];
        for (int round = 0; round < 600; round++)
        {
            Drain();
            if (Array.TrueForAll(nodes, node => node.Obstacle(nodes) is null)) return true;
            foreach (HandDrivenNode node in nodes) Tick(node.Name);
        }
        return false;
    }

    // ---- the end

    /// <summary>Everything is delivered, everybody lives and works, until nothing is left to do.</summary>
    public bool Quiet()
    {
        _held.Clear();
        _severed.Clear();
        Dial();
        Drain();
        for (int round = 0; round < 600 && _violations.Count == 0; round++)
        {
            if (IsSettled()) return _isQuiet = true;
            foreach (HandDrivenNode node in _nodes.Values)
            {
                if (!node.IsUp) node.Start();
                Tick(node.Name, round < 100 ? 25 : 100);
            }
            Drain();
        }
        Violate($"Not settled: {string.Join("; ", _nodes.Values.Select(n => n.Obstacle(_nodes.Values)).Where(o => o is not null))}.");
        return false;
    }

    private bool IsSettled() => _nodes.Values.All(n => n.Obstacle(_nodes.Values) is null) && _links.Values.All(l => l.Count == 0);

    /// <summary>What the checkers and a comparison of the states find.</summary>
    public IReadOnlyList<string> Judge()
    {
        var options = new CheckOptions
        {
            IsPrimaryMode = !_isExtended,
            Electorate = [.. _nodes.Keys],
            SpanningBroadcasts = SpanningBroadcasts.ToImmutableDictionary(),
            Continuity = _isStored ? PrimaryContinuity.MajorityOfNames : PrimaryContinuity.VotesOrProof,
            Survivors = _isQuiet && _violations.Count == 0 ? [.. _nodes.Values.Where(n => n.IsUp).Select(n => n.Id)] : null,
        };
        History history = Testing.Checkers.History.From(_history);
        foreach (Violation violation in AllCheckers.Run(history, options)) Violate(violation.ToString());
        if (!_isQuiet) return _violations;
        if (!_isExtended) States.Judge(_history, history, [.. _nodes.Values.Where(n => n.IsUp).Select(n => n.Id)]).ForEach(Violate);
        foreach (var group in _nodes.Values.SelectMany(n => n.Replicas).GroupBy(r => r.Name))
        {
            GroupReplica first = group.First();
            foreach (GroupReplica other in group)
            {
                if (other.DifferenceTo(first) is { } difference) Violate($"The states of {group.Key} differ: one {difference}.");
            }
        }
        return _violations;
    }

    public void Violate(string sentence) => _violations.Add(sentence);

    // ---- for the nodes

    /// <summary>An incarnation is over: what it sent arrives, then the news.</summary>
    public void End(HandDrivenNode node)
    {
        node.Kill();
        foreach (string peer in _nodes.Keys.Where(p => p != node.Name))
        {
            Disconnect(node.Name, peer);
            _links[(peer, node.Name)].Clear();
        }
    }

    public void Record(TraceEvent line) => _history.Add(line with { Time = TimeSpan.FromMicroseconds(_history.Count) });

    public void Wants(HandDrivenNode node, string address) => _dials.Enqueue((node, address));

    public void Transmit(HandDrivenNode from, int connection, ReadOnlySpan<byte> frame)
    {
        if (Find(from.Name, connection) is not var (peer, there)) return;
        _links[(from.Name, peer)].Enqueue(new LinkItem(there, frame.ToArray(), null));
    }

    public void Close(HandDrivenNode from, int connection)
    {
        if (Find(from.Name, connection) is not var (peer, there)) return;
        _open.Remove(Pair(from.Name, peer));
        _links[(from.Name, peer)].Enqueue(new LinkItem(there, null, null));
    }

    private (string Peer, int There)? Find(string name, int connection)
    {
        foreach (((string first, string second), (int atFirst, int atSecond)) in _open)
        {
            if (first == name && atFirst == connection) return (second, atSecond);
            if (second == name && atSecond == connection) return (first, atFirst);
        }
        return null;
    }

    private void Dial()
    {
        while (_dials.TryDequeue(out var dial))
        {
            string from = dial.Node.Name, to = dial.Address;
            if (!dial.Node.IsUp || _open.ContainsKey(Pair(from, to))) continue;
            if (!_nodes[to].IsUp || _severed.Contains(Pair(from, to)))
            {
                dial.Node.Do((m, now) => m.DialFailed(now, to, refused: true));
                continue;
            }
            (string first, string second) = Pair(from, to);
            (int atFirst, int atSecond) = (++_lastConnection, ++_lastConnection);
            _open.Add((first, second), (atFirst, atSecond));
            _links[(second, first)].Enqueue(new LinkItem(atFirst, null, _nodes[second].Identity));
            _links[(first, second)].Enqueue(new LinkItem(atSecond, null, _nodes[first].Identity));
        }
    }

    private void Disconnect(string a, string b)
    {
        if (!_open.Remove(Pair(a, b), out (int AtFirst, int AtSecond) connection)) return;
        (string first, string second) = Pair(a, b);
        _links[(second, first)].Enqueue(new LinkItem(connection.AtFirst, null, null));
        _links[(first, second)].Enqueue(new LinkItem(connection.AtSecond, null, null));
    }

    private static (string, string) Pair(string a, string b) => string.CompareOrdinal(a, b) < 0 ? (a, b) : (b, a);
}
