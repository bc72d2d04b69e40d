// Deadlocks: of transactions among themselves, against the truth of random schedules; and of transactions with locks, on real nodes.
using Core.Groups;
using Toolkit.Locks;
using Toolkit.ReplicatedData;
using Toolkit.ReplicatedData.Space;

namespace Toolkit.Tests.ReplicatedData;

public sealed class DeadlockTests
{
    private const int Limit = 120_000;

    [Fact]
    public void Every_circle_of_transactions_has_a_victim_and_nobody_is_chosen_that_is_in_none()
    {
        int victims = 0;
        for (int seed = 1; seed <= 500; seed++)
        {
            var world = new World(seed);
            world.Run();
            victims += world.Victims;
        }

        Assert.True(victims > 500, $"{victims} victims.");
    }

    [Theory(Timeout = Limit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_circle_through_a_lock_and_a_transaction_or_an_update_outside_has_one_victim(bool isTransaction)
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        ReplicatedSpace[] spaces = [await nodes[0].OpenSpaceAsync("/bank"), await nodes[1].OpenSpaceAsync("/bank")];
        ReplicatedVariable<int>[] x = [await spaces[0].OpenVariableAsync<int>("x"), await spaces[1].OpenVariableAsync<int>("x")];
        await using DistributedLock first = await nodes[0].OpenLockAsync("/book"), second = await nodes[1].OpenLockAsync("/book");
        LockOwner ann = new("ann"), bob = new("bob");
        LockHold held = await first.AcquireAsync(owner: ann);
        Transaction has = spaces[1].BeginTransaction(bob);
        await has.WriteAsync(x[1], 1);

        // Ann has the lock and wants the value; Bob has the value and wants the lock.
        Task updates = isTransaction ? spaces[0].TransactAsync(t => t.WriteAsync(x[0], 2), owner: ann).AsTask() : x[0].SetAsync(2, owner: ann).AsTask();
        Task<LockHold> locks = second.AcquireAsync(owner: bob).AsTask();
        Task ended = await Task.WhenAny(updates, locks).WaitAsync(RealNodes.Patience);
        var deadlock = await Assert.ThrowsAsync<DeadlockException>(() => ended);
        Assert.Contains("ann", deadlock.Cycle, StringComparison.Ordinal);
        Assert.Contains("bob", deadlock.Cycle, StringComparison.Ordinal);

        // The other goes on as soon as the victim has let go of what it has.
        if (ended == updates)
        {
            await held.DisposeAsync();
            await (await locks.WaitAsync(RealNodes.Patience)).DisposeAsync();
            await has.CommitAsync();
        }
        else
        {
            has.Abort();
            await updates.WaitAsync(RealNodes.Patience);
            await held.DisposeAsync();
        }

        // What had to give way was not made, and is not made later.
        Assert.Equal(ended == updates ? 1 : 2, (await x[0].ReadAsync()).Value);
        Assert.Empty(ann.Tickets);
    }

    [Fact(Timeout = Limit)]
    public async Task An_update_that_waits_for_a_transaction_of_its_own_owner_is_told()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(1);
        ReplicatedSpace space = await nodes[0].OpenSpaceAsync("/bank");
        ReplicatedVariable<int> x = await space.OpenVariableAsync<int>("x");
        var ann = new LockOwner("ann");
        await using Transaction has = space.BeginTransaction(ann);
        await has.WriteAsync(x, 1);
        var deadlock = await Assert.ThrowsAsync<DeadlockException>(() => x.SetAsync(2, owner: ann).AsTask().WaitAsync(RealNodes.Patience));
        Assert.Contains("ann waits for a transaction of its own", deadlock.Cycle, StringComparison.Ordinal);
        await has.CommitAsync();
        Assert.Equal(1, (await x.ReadAsync()).Value);
    }

    /// <summary>Transactions ask for locks at random; beside them stands a second lock table, as simple as can be, that breaks no circles.</summary>
    private sealed class World
    {
        private static readonly NodeId Node = new("n", 1);

        private readonly Random _random;
        private readonly SpaceStore _store = new();
        private readonly Transactions _transactions;
        private readonly ulong[] _values;
        private readonly Dictionary<ulong, List<(long Owner, bool IsExclusive, bool IsGranted)>> _queues = [];
        private readonly HashSet<long> _victims = [];
        private long _lastCall;

        public World(int seed)
        {
            _random = new Random(seed);
            _transactions = new Transactions(_store, static (_, _, _) => { }, (_, _, error) => OnFailed(error));
            _values = [.. Enumerable.Range(0, 4).Select(i => _store.Open(ObjectKind.Variable, $"{i}", UpdateMode.Total).Id)];
        }

        public int Victims { get; private set; }

        public void Run()
        {
            for (int step = 0; step < 60; step++)
            {
                long owner = 1 + _random.Next(6);
                if (_victims.Remove(owner)) continue; // it begins again later
                bool waits = _queues.Values.Any(q => q.Exists(r => r.Owner == owner && !r.IsGranted));
                if (waits) continue;
                if (_random.Next(4) == 0) End(owner);
                else Ask(owner, _values[_random.Next(4)], _random.Next(2) == 0);
                Assert.Null(Circle());
                AssertAlike();
            }
        }

        private void Ask(long owner, ulong value, bool isExclusive)
        {
            if (!_queues.TryGetValue(value, out var queue)) _queues.Add(value, queue = []);
            int has = queue.FindIndex(r => r.Owner == owner);
            if (has < 0) queue.Add((owner, isExclusive, false));
            else if (isExclusive && !queue[has].IsExclusive) queue.Insert(queue.FindLastIndex(r => r.IsGranted) + 1, (owner, true, false));
            Grant(queue);
            _transactions.Lock(Node, ++_lastCall, owner, isExclusive, value, ReadOnlyMemory<byte>.Empty);
        }

        private void End(long owner)
        {
            Forget(owner);
            _transactions.Abort(Node, owner);
        }

        private void OnFailed(Exception error)
        {
            var deadlock = Assert.IsType<DeadlockException>(error);
            long victim = long.Parse(deadlock.Cycle.Split(' ')[1]);
            Assert.Contains(victim, Circle() ?? []);
            long youngest = deadlock.Cycle.Split(" waits for ").Select(t => long.Parse(t.Split(' ')[1])).Distinct().Count();
            Assert.True(youngest > 1, deadlock.Cycle);
            Victims++;
            _victims.Add(victim);
            Forget(victim);
        }

        private void Forget(long owner)
        {
            foreach (var queue in _queues.Values)
            {
                queue.RemoveAll(r => r.Owner == owner);
                Grant(queue);
            }
        }

        private static void Grant(List<(long Owner, bool IsExclusive, bool IsGranted)> queue)
        {
            for (int i = 0; i < queue.Count && InTheWay(queue, i).Count == 0; i++) queue[i] = queue[i] with { IsGranted = true };
        }

        private static List<long> InTheWay(List<(long Owner, bool IsExclusive, bool IsGranted)> queue, int at) =>
            [.. queue.Take(at).Where(r => r.Owner != queue[at].Owner && (r.IsExclusive || queue[at].IsExclusive)).Select(r => r.Owner)];

        private List<long> WaitsFor(long owner) =>
            [.. _queues.Values.SelectMany(q => Enumerable.Range(0, q.Count).Where(i => q[i].Owner == owner && !q[i].IsGranted).SelectMany(i => InTheWay(q, i)))];

        // All that are in circles; null: none is.
        private List<long>? Circle()
        {
            List<long> circular = [];
            for (long owner = 1; owner <= 6; owner++)
            {
                List<long> reached = WaitsFor(owner);
                for (int i = 0; i < reached.Count; i++) reached.AddRange(WaitsFor(reached[i]).Except(reached).ToArray());
                if (reached.Contains(owner)) circular.Add(owner);
            }

            return circular.Count > 0 ? circular : null;
        }

        // What is told of blockers is what the simple table says.
        private void AssertAlike()
        {
            for (long owner = 1; owner <= 6; owner++)
            {
                List<long> reached = WaitsFor(owner);
                for (int i = 0; i < reached.Count; i++) reached.AddRange(WaitsFor(reached[i]).Except(reached).ToArray());
                Assert.Equal(reached.Distinct().Order(), _transactions.BlockersOf(new OwnerId(Node, owner)).Select(o => o.Number).Order());
            }
        }
    }
}
