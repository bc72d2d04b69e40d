// Random runs: posts, takes, holds, guards, callers that give up, exclusions and joins at any moment.
using Core.Groups;
using Toolkit.BulletinBoard;
using Toolkit.BulletinBoard.Replication;
using Toolkit.Tests.HandFed;

namespace Toolkit.Tests.BulletinBoard;

public sealed class BoardRandomTests
{
    // More by TOOLKIT_SEEDS=n.
    private static readonly int Seeds = int.TryParse(Environment.GetEnvironmentVariable("TOOLKIT_SEEDS"), out int seeds) ? seeds : 300;

    private static readonly Template Any = new(Match.Any, Match.Any);

    [Theory]
    [InlineData(BoardConsistency.Total)]
    [InlineData(BoardConsistency.Causal)]
    public void An_item_is_taken_once_none_is_lost_and_every_guard_runs_once(BoardConsistency consistency)
    {
        for (int seed = 1; seed <= Seeds; seed++)
            Assert.Null(Run(seed, consistency) is { } broken ? $"seed {seed}: {broken}" : null);
    }

    [Fact]
    public void The_judge_sees_what_is_broken()
    {
        (OperationId item, OperationId other) = (new(new("a", 1), 1), new(new("a", 1), 2));
        Assert.Contains(" and ", new BoardHistory { Posted = { item }, Taken = { (item, default), (item, default) } }.Judge([[]]));
        Assert.Contains("never posted", new BoardHistory { Taken = { (item, default) } }.Judge([[]]));
        Assert.Contains("still there", new BoardHistory { Posted = { item }, Taken = { (item, default) } }.Judge([[item]]));
        Assert.Contains("different", new BoardHistory { Posted = { item, other } }.Judge([[item], [other]]));
        Assert.Contains("lost", new BoardHistory { Posted = { item } }.Judge([[]]));
    }

    private static string? Run(int seed, BoardConsistency consistency)
    {
        var random = new Random(seed);
        var world = new BoardWorld(consistency);
        var history = new BoardHistory();
        var takes = new Dictionary<HandFedMember<BoardReplica>, List<(long Call, bool Holds)>>();
        var guarded = new List<(OperationId Id, HandFedMember<BoardReplica> By)>();
        int names = 0;
        bool mayLose = seed % 2 == 0; // in the others nobody fails: then nothing may be lost
        HandFedMember<BoardReplica> Join()
        {
            HandFedMember<BoardReplica> joined = world.Join($"m{names++}");
            takes.Add(joined, []);
            return joined;
        }

        Join();
        Join();
        for (int step = 0; step < 200; step++)
        {
            HandFedMember<BoardReplica> member = world.Group.Members[random.Next(world.Group.Members.Count)];
            switch (random.Next(12))
            {
                case < 2:
                    world.Post(member, random.Next(3), step);
                    break;
                case 2 or 3:
                    bool holds = random.Next(3) == 0;
                    takes[member].Add((world.Take(member, random.Next(2) == 0 ? Any : new Template(random.Next(3), Match.Any), random.Next(3) > 0, holds), holds));
                    break;
                case 4:
                    Guard guard = random.Next(3) switch
                    {
                        0 => Guard.Present(new Template("key", random.Next(4), Match.Any)),
                        1 => Guard.All(Guard.Present(new Template("key", Match.Any, Match.Any), 2), Guard.Present(new Template("key", random.Next(4), Match.Any))),
                        _ => Guard.Any(Guard.Failed(member.Id), Guard.Present(new Template("key", random.Next(4), Match.Any))),
                    };
                    guarded.Add((world.PostWhen(member, guard, "guarded", step, "x"), member));
                    break;
                case 5 when takes[member].Count > 0:
                    (long given, bool held) = takes[member][random.Next(takes[member].Count)];
                    if (held && world.DeskOf(member).Done.GetValueOrDefault(given) is not null)
                        member.Replica.Complete(world.Next(), given, []);
                    else
                        member.Replica.Withdraw(given);
                    break;
                case < 10:
                    world.Group.DeliverOne(random.Next);
                    break;
                case 10 when world.Group.Members.Count < 5:
                    Join();
                    break;
                case 11 when mayLose && world.Group.Members.Count > 1:
                    history.Gone.Add(member.Id);
                    world.Group.Exclude(member);
                    break;
            }
        }

        world.Group.Settle();
        for (int key = 0; key < 4; key++)
            world.Post(world.Group.Members[0], "key", key, "which no take here wants");
        world.Group.Settle();
        return Judge(world, history, takes, guarded);
    }

    private static string? Judge(
        BoardWorld world, BoardHistory history, Dictionary<HandFedMember<BoardReplica>, List<(long Call, bool Holds)>> takes, List<(OperationId Id, HandFedMember<BoardReplica> By)> guarded)
    {
        foreach (BoardItem seen in takes.Keys.SelectMany(m => world.DeskOf(m).Seen))
            history.Posted.Add(seen.Id);
        foreach ((HandFedMember<BoardReplica> member, List<(long Call, bool Holds)> calls) in takes)
        {
            foreach ((long call, bool holds) in calls)
            {
                // What the excluded held came back: another one may have it.
                if (world.DeskOf(member).Done.GetValueOrDefault(call) is { } item && !(holds && history.Gone.Contains(member.Id)))
                    history.Taken.Add((item.Id, member.Id));
            }
        }

        foreach ((OperationId id, HandFedMember<BoardReplica> by) in guarded)
        {
            bool accepted = world.DeskOf(by).Done.ContainsKey(id.Sequence);
            int seen = world.DeskOf(world.Group.Members[0]).Seen.Count(i => i.Id == id);
            bool there = world.Group.Members[0].Replica.Find(id) is not null;
            if (accepted && !there)
                return $"the guarded operation {id} never ran";
            if (seen > 1)
                return $"the guarded operation {id} ran {seen} times";
        }

        string[] states = [.. world.Group.Members.Select(m => Convert.ToHexString(m.Replica.Save().Span)).Distinct()];
        return states.Length > 1 ? "members have different states" : history.Judge([.. world.Group.Members.Select(m => m.Replica.InOrder.Select(i => i.Id).ToArray())]);
    }
}
