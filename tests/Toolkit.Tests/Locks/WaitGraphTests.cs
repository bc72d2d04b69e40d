// The wait-for graph against the truth: owners that lock and wait at random in one world, whose reports arrive late and in any order.
using Core.Groups;
using Toolkit.Locks;
using Toolkit.Locks.Waits;
using Toolkit.Tests.HandFed;

namespace Toolkit.Tests.Locks;

public sealed class WaitGraphTests
{
    [Fact]
    public void Every_deadlock_ends_and_no_one_is_chosen_that_was_not_in_one()
    {
        int chosen = 0, withdrawn = 0;
        for (int seed = 1; seed <= 400; seed++)
        {
            var world = new World(seed, withdraws: seed % 2 == 0);
            world.Run();
            chosen += world.Chosen;
            withdrawn += world.Withdrawn;
        }

        Assert.True(chosen > 200, $"{chosen} victims.");
        Assert.True(withdrawn > 200, $"{withdrawn} withdrawn waits.");
    }

    [Fact]
    public void What_somebody_else_can_give_back_is_waited_for()
    {
        // a and b wait for each other's permits; c, who waits for nobody, has one too.
        Report a = ReportOf("a", ["s1"], need: 1, "s2", "free"), b = ReportOf("b", ["s2"], need: 1, "s1");
        Assert.Null(WaitGraphSearch.Find(Reports(a, b), []));
        Deadlock found = WaitGraphSearch.Find(Reports(a with { Need = 2 }, b), [])!;
        Assert.Equal(2, found.Reports.Count);
        Assert.Contains("a at n waits for 'a', which is up to b at n", found.Circle, StringComparison.Ordinal);
        Assert.Null(WaitGraphSearch.Find(Reports(a with { Need = 2 }, b), [found.Victim]));
    }

    [Fact]
    public void Circles_apart_have_a_victim_each_and_circles_with_one_in_common_need_one()
    {
        Report[] apart = [ReportOf("a", ["1"], 1, "2"), ReportOf("b", ["2"], 1, "1"), ReportOf("c", ["3"], 1, "4"), ReportOf("d", ["4"], 1, "3")];
        Deadlock first = WaitGraphSearch.Find(Reports(apart), [])!;
        Deadlock second = WaitGraphSearch.Find(Reports(apart), [first.Victim])!;
        Assert.Empty(first.Reports.Intersect(second.Reports));
        Assert.Null(WaitGraphSearch.Find(Reports(apart), [first.Victim, second.Victim]));
    }

    private static Report ReportOf(string name, string[] has, long need, params string[] blockers) =>
        new(name, TicketOf(name), need, [.. blockers.Select(b => new Blocker(TicketOf(b), 1))], [TicketOf(name), .. has.Select(TicketOf)]);

    private static SortedDictionary<ReportId, Report> Reports(params Report[] reports)
    {
        var all = new SortedDictionary<ReportId, Report>();
        foreach (Report report in reports)
        {
            report.At = all.Count;
            all.Add(new ReportId(new NodeId("n", 1), all.Count), report);
        }

        return all;
    }

    private static Ticket TicketOf(string name) => new(name, new NodeId("n", 1), 0);

    /// <summary>Mutexes with queues that all see at once; only the reports of the waits travel.</summary>
    private sealed class World(int seed, bool withdraws)
    {
        private readonly Random _random = new(seed);
        private readonly HandFedGroup<WaitGraphReplica> _group = new();
        private readonly Dictionary<string, List<(Owner Owner, Ticket Ticket)>> _queues = [];
        private readonly List<Owner> _owners = [];
        private long _lastCall;
        private int _now;

        public int Chosen { get; private set; }
        public int Withdrawn { get; private set; }

        public void Run()
        {
            for (int i = 0; i < 3; i++)
            {
                HandFedMember<WaitGraphReplica> member = _group.Join($"n{i}", () => new WaitGraphReplica());
                _owners.Add(new Owner(member));
                _owners.Add(new Owner(member));
            }

            for (_now = 0; _now < 300; _now++)
            {
                if (_random.Next(2) == 0) Act(_owners[_random.Next(_owners.Count)]);
                else _group.DeliverOne(_random.Next);
                foreach (Owner owner in Stuck()) owner.LastStuck = _now;
            }

            while (_group.DeliverOne(_random.Next))
            {
                _now++;
                foreach (Owner owner in Stuck()) owner.LastStuck = _now;
            }

            Assert.Empty(Stuck());
        }

        private void Act(Owner owner)
        {
            if (owner.Waiting is { } waiting)
            {
                if (!withdraws || _random.Next(4) > 0) return;
                Withdrawn++;
                Leave(owner, waiting.Object);
            }
            else if (owner.Has.Count > 0 && _random.Next(3) == 0)
            {
                Leave(owner, owner.Has[_random.Next(owner.Has.Count)]);
            }
            else
            {
                string wanted = $"/{_random.Next(4)}";
                if (owner.Has.Contains(wanted)) return;
                var ticket = new Ticket(wanted, owner.Member.Id, ++_lastCall);
                owner.Lock.Add(ticket);
                List<(Owner Owner, Ticket Ticket)> queue = QueueOf(wanted);
                queue.Add((owner, ticket));
                if (queue.Count == 1)
                {
                    owner.Has.Add(wanted);
                    return;
                }

                owner.Waiting = ticket;
                if (owner.Has.Count > 0) Report(owner, ticket, queue);
            }
        }

        private void Report(Owner owner, Ticket ticket, List<(Owner Owner, Ticket Ticket)> queue)
        {
            Blocker[] blockers = [.. queue.SkipLast(1).Select(q => new Blocker(q.Ticket, 1))];
            int since = _now;
            owner.Report = owner.Member.Replica.Waits(owner.Lock, ticket, blockers.Length, blockers, () => owner.Waiting == ticket, _ =>
            {
                Chosen++;
                Assert.True(owner.LastStuck >= since, "Somebody was chosen that was in no deadlock since it waits.");
                if (!withdraws) Assert.Contains(owner, Stuck());
                if (owner.Waiting == ticket) owner.IsVictim = true;
            }, replaces: 0);
        }

        private void Leave(Owner owner, string name)
        {
            List<(Owner Owner, Ticket Ticket)> queue = QueueOf(name);
            int place = queue.FindIndex(q => q.Owner == owner);
            owner.Lock.Remove(queue[place].Ticket);
            queue.RemoveAt(place);
            owner.Has.Remove(name);
            if (owner.Waiting?.Object == name) EndWait(owner);
            if (place > 0 || queue.Count == 0) return;
            Owner next = queue[0].Owner;
            next.Has.Add(name);
            EndWait(next);
        }

        private static void EndWait(Owner owner)
        {
            owner.Waiting = null;
            if (owner.Report is { } report) owner.Member.Replica.Over(report);
            owner.Report = null;
        }

        // The truth: who can go on, when whoever does not wait gives everything back; a victim gives way as soon as it is told.
        private List<Owner> Stuck()
        {
            foreach (Owner victim in _owners.Where(o => o.IsVictim).ToArray())
            {
                victim.IsVictim = false;
                if (victim.Waiting is { } waiting) Leave(victim, waiting.Object);
            }

            List<Owner> stuck = [.. _owners.Where(o => o.Waiting is not null)];
            while (stuck.RemoveAll(o => QueueOf(o.Waiting!.Value.Object).TakeWhile(q => q.Owner != o).All(q => !stuck.Contains(q.Owner))) > 0) { }

            return stuck;
        }

        private List<(Owner Owner, Ticket Ticket)> QueueOf(string name) =>
            _queues.TryGetValue(name, out List<(Owner Owner, Ticket Ticket)>? queue) ? queue : _queues[name] = [];
    }

    private sealed class Owner(HandFedMember<WaitGraphReplica> member)
    {
        public HandFedMember<WaitGraphReplica> Member => member;
        public LockOwner Lock { get; } = new();
        public List<string> Has { get; } = [];
        public Ticket? Waiting { get; set; }
        public long? Report { get; set; }
        public bool IsVictim { get; set; }
        public int LastStuck { get; set; } = -1;
    }
}
