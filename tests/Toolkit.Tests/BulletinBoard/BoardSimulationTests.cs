// Boards in the simulated cluster: posts, takes, holds and guards under every kind of trouble.
using Core.Groups;
using Core.Groups.Replication;
using Core.Groups.Testing.Replicas;
using Core.Groups.Testing.Simulation;
using Toolkit.BulletinBoard;
using Toolkit.BulletinBoard.Replication;

namespace Toolkit.Tests.BulletinBoard;

public sealed class BoardSimulationTests
{
    // More by hand: REPLICA_SEEDS=1..500 dotnet test tests/Toolkit.Tests -c Release --filter BoardSimulation
    private static readonly string[] Seeds = (Environment.GetEnvironmentVariable("REPLICA_SEEDS") ?? "1..8").Split("..");

    public static TheoryData<string, BoardConsistency> Runs
    {
        get
        {
            var runs = new TheoryData<string, BoardConsistency>();
            foreach (string scenario in ReplicaSimulation.Scenarios)
            {
                runs.Add(scenario, BoardConsistency.Total);
                runs.Add(scenario, BoardConsistency.Causal);
            }

            return runs;
        }
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void An_item_is_taken_once_and_guards_run_whatever_fails(string scenario, BoardConsistency consistency)
    {
        for (long seed = long.Parse(Seeds[0]); seed <= long.Parse(Seeds[1]); seed++)
        {
            ReplicaRun run = ReplicaSimulation.Run((ulong)seed, scenario, new BoardStory(consistency).Workload);
            Assert.True(run.Violations.Count == 0, run.ToString());
        }
    }
}

/// <summary>The calls of a simulated run, and what is wrong with their ends.</summary>
internal sealed class BoardStory(BoardConsistency consistency)
{
    private readonly List<(BoardItem Item, NodeId By)> _taken = [];
    private readonly List<(OperationId Operation, NodeId Watched, GroupId Board)> _guarded = [];
    private long _lastCall;

    public ReplicaWorkload<BoardReplica> Workload => new()
    {
        Groups = ["/jobs#board"],
        Create = site => new BoardReplica(consistency, new Desk(this, site)),
        Act = Act,
        Check = Check,
        ComparesStates = consistency == BoardConsistency.Total, // on a causal board the order differs: Check looks at the items
    };

    private IEnumerable<string> Check(IReadOnlyList<ReplicaSite<BoardReplica>> sites)
    {
        foreach (var twice in _taken.GroupBy(t => t.Item).Where(g => g.Count() > 1))
            yield return $"{twice.Key.Id} was taken by {string.Join(" and ", twice.Select(t => t.By))}";
        string[][] boards = [.. sites.Select(s => s.Replica!.InOrder.Select(i => $"{i.Id}{i}").Order(StringComparer.Ordinal).ToArray())];
        if (boards.Any(b => !b.SequenceEqual(boards[0])))
            yield return "members have different items";
        foreach ((BoardItem item, NodeId by) in _taken.Where(t => sites.Count > 0 && sites[0].Replica!.Find(t.Item.Id) is not null))
            yield return $"{item.Id} was taken by {by} and is still there";
        foreach ((OperationId operation, NodeId watched, _) in _guarded.Where(g => sites.Count > 0 && sites[0].Slot!.View.Group == g.Board && sites.All(s => s.Self != g.Watched) && sites[0].Replica!.Find(g.Operation) is null))
            yield return $"{operation} was accepted and {watched} is gone, but it never ran";
    }

    private void Act(ReplicaSite<BoardReplica> site, SimulationRandom random)
    {
        long call = _lastCall += 10;
        int kind = (int)random.Below(10);
        int key = (int)random.Below(3);
        site.Run(replica =>
        {
            switch (kind)
            {
                case < 4:
                    replica.Post(call, [key, call], TimeSpan.Zero, null);
                    break;
                case < 7:
                    replica.Take(call, key == 0 ? new Template(Match.Any, Match.Any) : new Template(key, Match.Any), waits: kind > 4, holds: false, null);
                    break;
                case 7:
                    replica.Take(call, new Template(Match.Any, Match.Any), waits: true, holds: true, null);
                    break;
                case 8:
                    replica.Post(call, ["gone", site.Node, call], TimeSpan.Zero, Guard.Failed(site.Self));
                    break;
                default:
                    replica.Read(call, new Template(key, Match.Any), null);
                    break;
            }
        });
        if (kind is > 4 and < 8 && key == 1)
            site.After(TimeSpan.FromMilliseconds(random.Below(40)), replica => replica.Withdraw(call));
    }

    private sealed class Desk(BoardStory story, ReplicaSite<BoardReplica> site) : IBoardEffects
    {
        public void Done(long call, BoardItem? item)
        {
            if (item is null || item.Id.Sequence == call)
            {
                if (item is { Fields: [{ Kind: FieldKind.Text, Text: "gone" }, ..] })
                    story._guarded.Add((item.Id, site.Self, site.Slot!.View.Group));
                return;
            }

            if (site.Replica!.IsHeld(new OperationId(site.Self, call)))
                site.After(TimeSpan.FromMilliseconds(30), replica => replica.Complete(story._lastCall += 10, call, [[2, call]]));
            else if (site.Replica.Find(item.Id) is null)
                story._taken.Add((item, site.Self)); // else it was read
        }

        public void Appeared(BoardItem item) { }

        public void Ended(long call, MembershipEnd end) { }

        public void HoldsLost() { }
    }
}
