// The calls of a simulated run on a board, and what is wrong with what came of them.
// Judged: exactly one consumer of an item, nothing accepted is lost, no lost guard, who sees an item has seen what its poster had seen
// (both kinds of board), and on a total board one order of all that appears.
using Core.Groups;
using Core.Groups.Replication;
using Core.Groups.Testing.Replicas;
using Core.Groups.Testing.Simulation;
using Toolkit.BulletinBoard;
using Toolkit.BulletinBoard.Replication;

namespace Toolkit.Tests.BulletinBoard;

/// <summary>One run.</summary>
/// <param name="consistency">Of the board.</param>
/// <param name="replica">A broken replica in place of the real one.</param>
internal sealed class BoardStory(BoardConsistency consistency, Type? replica = null)
{
    internal enum Kind { Post, Keep, Take, Hold, Guarded, Read, Complete }

    private readonly List<(OperationId Item, NodeId By)> _consumed = [];
    private readonly List<(OperationId Operation, NodeId Watched, GroupId Board)> _guarded = [];
    private readonly List<(OperationId Item, GroupId Board)> _kept = [];
    private readonly Dictionary<long, Kind> _kinds = [];
    private readonly Dictionary<OperationId, (List<OperationId> Seen, int Count)> _pasts = [];
    private readonly Dictionary<ReplicaSite, Desk> _present = [];
    private readonly List<List<OperationId>> _sights = [];
    private readonly List<string> _wrong = [];
    private long _lastCall;

    public int Consumed => _consumed.Count;
    public int Guarded => _guarded.Count;
    public int Kept => _kept.Count;

    public ReplicaWorkload<BoardReplica> Workload => new()
    {
        Groups = ["/jobs#board"],
        Create = site => (BoardReplica)Activator.CreateInstance(replica ?? typeof(TracedBoard), consistency, _present[site] = new Desk(this, site))!,
        Act = Act,
        Check = sites => [.. _wrong, .. Check(sites)],
        ComparesStates = consistency == BoardConsistency.Total, // on a causal board the order differs: Check looks at the items
    };

    // ---- calls

    private void Act(ReplicaSite<BoardReplica> site, SimulationRandom random)
    {
        int kind = random.Below(12), key = random.Below(3);
        Desk desk = _present[site];
        site.Run(replica =>
        {
            switch (kind)
            {
                case < 4:
                    replica.Post(desk.NewPost(Kind.Post), [key, _lastCall], TimeSpan.Zero, null);
                    break;
                case < 6:
                    replica.Post(desk.NewPost(Kind.Keep), ["keep", site.Node, _lastCall, key], TimeSpan.Zero, null);
                    break;
                case < 8:
                    replica.Take(NewCall(Kind.Take), TemplateOf(key), waits: random.Chance(0.7), holds: false, null);
                    break;
                case 8:
                    replica.Take(NewCall(Kind.Hold), TemplateOf(0), waits: true, holds: true, null);
                    break;
                case 9:
                    replica.Post(desk.NewPost(Kind.Guarded), ["gone", site.Node, _lastCall], TimeSpan.Zero, Guard.Failed(site.Self));
                    break;
                case 10:
                    replica.Clear(NewCall(Kind.Read), TemplateOf(2), random.Chance(0.5) ? Guard.Present(TemplateOf(2), count: 2) : null);
                    break;
                default:
                    replica.Read(NewCall(Kind.Read), TemplateOf(key), null);
                    break;
            }
        });
        if (kind is > 5 and < 9 && random.Chance(0.3))
        {
            long call = _lastCall;
            site.After(TimeSpan.FromMilliseconds(random.Below(40)), replica => replica.Withdraw(call));
        }
    }

    private static Template TemplateOf(int key) => key == 0 ? new Template(Match.Any, Match.Any) : new Template(key, Match.Any);

    private long NewCall(Kind kind)
    {
        _kinds.Add(_lastCall += 10, kind);
        return _lastCall;
    }

    // ---- what is wrong

    private IEnumerable<string> Check(IReadOnlyList<ReplicaSite<BoardReplica>> sites)
    {
        foreach (var twice in _consumed.GroupBy(t => t.Item).Where(g => g.Count() > 1))
            yield return $"{twice.Key} was taken by {string.Join(" and ", twice.Select(t => t.By))}";
        if (consistency == BoardConsistency.Total && OtherOrder() is { } order)
            yield return order;
        if (sites.Count == 0)
            yield break;
        string[][] boards = [.. sites.Select(s => s.Replica!.InOrder.Select(i => $"{i.Id}{i}").Order(StringComparer.Ordinal).ToArray())];
        if (boards.Any(b => !b.SequenceEqual(boards[0])))
            yield return "members have different items";
        GroupId board = sites[0].Slot!.View.Group;
        BoardReplica first = sites[0].Replica!;
        foreach ((OperationId item, NodeId by) in _consumed.Where(t => first.Find(t.Item) is not null))
            yield return $"{item} was taken by {by} and is still there";

        // A causal post is answered before anyone else has it.
        foreach ((OperationId item, _) in _kept.Where(k => k.Board == board && first.Find(k.Item) is null && (first.Consistency == BoardConsistency.Total || sites.Any(s => s.Self == k.Item.Node))))
            yield return $"{item} was posted, nobody took it, and it is not there";
        foreach ((OperationId operation, NodeId watched, _) in _guarded.Where(g => g.Board == board && sites.All(s => s.Self != g.Watched) && first.Find(g.Operation) is null))
            yield return $"{operation} was accepted and {watched} is gone, but it never ran";
    }

    // All see what appears in one order: a member's next item stands behind its last one in the order of any other member.
    private string? OtherOrder()
    {
        var next = new Dictionary<OperationId, HashSet<OperationId>>();
        foreach (List<OperationId> seen in _sights)
        {
            for (int i = 1; i < seen.Count; i++)
            {
                if (!next.TryGetValue(seen[i - 1], out HashSet<OperationId>? after))
                    next.Add(seen[i - 1], after = []);
                after.Add(seen[i]);
            }
        }

        var before = next.Values.SelectMany(a => a).GroupBy(i => i).ToDictionary(g => g.Key, g => g.Count());
        var free = new Queue<OperationId>(next.Keys.Where(i => !before.ContainsKey(i)));
        while (free.TryDequeue(out OperationId item))
        {
            foreach (OperationId after in next.GetValueOrDefault(item) ?? [])
            {
                if (--before[after] == 0)
                    free.Enqueue(after);
            }
        }

        OperationId[] circle = [.. before.Where(b => b.Value > 0).Select(b => b.Key)];
        return circle.Length == 0 ? null : $"members saw items appear in different orders: {string.Join(' ', circle.Take(10))}";
    }

    /// <summary>One replica's effects, through all memberships of it.</summary>
    internal sealed class Desk(BoardStory story, ReplicaSite<BoardReplica> site) : IBoardEffects
    {
        private readonly HashSet<OperationId> _known = [];
        private List<OperationId> _seen = []; // what has appeared here in this membership

        /// <summary>All that has ever appeared on this board.</summary>
        public IEnumerable<OperationId> Known => _known.OrderBy(i => i.Node).ThenBy(i => i.Sequence);

        /// <summary>A membership begins.</summary>
        /// <param name="known">What had appeared before.</param>
        public void Begin(IEnumerable<OperationId> known)
        {
            _known.Clear();
            _known.UnionWith(known);
            story._sights.Add(_seen = []);
        }

        /// <summary>A post that carries the past of its poster: all that has appeared here.</summary>
        internal long NewPost(Kind kind)
        {
            long call = story.NewCall(kind);
            story._pasts.Add(new OperationId(site.Self, call), (_seen, _seen.Count));
            return call;
        }

        public void Done(long call, BoardItem? item)
        {
            if (item is null)
                return;
            GroupId board = site.Slot!.View.Group;
            switch (story._kinds[call])
            {
                case Kind.Keep:
                    story._kept.Add((item.Id, board));
                    break;
                case Kind.Guarded:
                    story._guarded.Add((item.Id, site.Self, board));
                    break;
                case Kind.Take or Kind.Complete:
                    story._consumed.Add((item.Id, site.Self));
                    break;
                case Kind.Hold:
                    site.After(TimeSpan.FromMilliseconds(30), replica => replica.Complete(story.NewCall(Kind.Complete), call, [[2, call]]));
                    break;
            }
        }

        public void Appeared(BoardItem item)
        {
            if (!_known.Add(item.Id))
                return; // it was held, and is back
            if (story._pasts.TryGetValue(item.Id, out var past) && past.Seen.Take(past.Count).FirstOrDefault(before => !_known.Contains(before)) is { Sequence: > 0 } missing)
                story._wrong.Add($"{site.Self} sees {item.Id}, and not {missing}, which its poster had seen");
            _seen.Add(item.Id);
        }

        public void Ended(long call, MembershipEnd end) { }

        public void HoldsLost() { }
    }
}

/// <summary>A board whose state says what has ever appeared on it, for the judge: a joiner knows what came before it.</summary>
internal class TracedBoard(BoardConsistency asked, IBoardEffects effects) : BoardReplica(asked, effects)
{
    private readonly BoardStory.Desk _desk = (BoardStory.Desk)effects;

    protected override void Initialize()
    {
        base.Initialize();
        _desk.Begin([]);
    }

    protected override ReadOnlyMemory<byte> Save()
    {
        var body = new BodyWriter();
        body.Blob(base.Save().Span);
        OperationId[] known = [.. _desk.Known];
        body.Varint(known.Length);
        foreach (OperationId item in known)
            BoardFormat.WriteId(body, item);
        return body.ToArray();
    }

    protected override void Load(ReadOnlyMemory<byte> state)
    {
        var reader = new BodyReader(state);
        base.Load(reader.Blob());
        var known = new OperationId[reader.Count()];
        for (int i = 0; i < known.Length; i++)
            known[i] = BoardFormat.ReadId(ref reader);
        _desk.Begin(known);
    }
}
