// The faces of locks, semaphores, read/write locks and monitors on real nodes.
using System.Collections.Concurrent;
using Core.Groups;
using Toolkit.Locks;

namespace Toolkit.Tests.Locks;

public sealed class LocksOnNodesTests
{
    private const int Limit = 120_000; // milliseconds: a test that hangs is a test that failed

    private static readonly TimeSpan Patience = RealNodes.Patience;

    [Fact(Timeout = Limit)]
    public async Task One_holds_at_a_time_in_order_and_tokens_grow()
    {
        const int Each = 100;
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        DistributedLock[] locks = await Task.WhenAll(Enumerable.Range(0, 3).Select(i => nodes[i].OpenLockAsync("/book").AsTask()));
        int inside = 0;
        var tokens = new List<long>();
        await Task.WhenAll(Enumerable.Range(0, 6).Select(task => Task.Run(async () =>
        {
            for (int i = 0; i < Each; i++)
            {
                await using LockHold hold = await locks[task % 3].AcquireAsync(Patience);
                Assert.Equal(1, Interlocked.Increment(ref inside));
                tokens.Add(hold.FencingToken); // no lock but the one that is tested
                Interlocked.Decrement(ref inside);
            }
        })));
        Assert.Equal(6 * Each, tokens.Count);
        Assert.Equal(tokens.Order().Distinct(), tokens);
        await RealNodes.SeesAsync(() => locks.All(l => l.GetState() is { Holders.Count: 0, Waiting.Count: 0 })); // the other nodes' copies lag behind
    }

    [Fact(Timeout = Limit)]
    public async Task What_is_not_had_leaves_nothing_behind_and_who_waits_is_seen()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        DistributedLock here = await nodes[0].OpenLockAsync("/book"), there = await nodes[1].OpenLockAsync("/book");
        LockHold hold = await here.AcquireAsync();
        Assert.Null(await there.TryAcquireAsync());
        Assert.Null(await there.TryAcquireAsync(TimeSpan.FromMilliseconds(30)));
        await Assert.ThrowsAsync<TimeoutException>(() => there.AcquireAsync(TimeSpan.FromMilliseconds(30)).AsTask());
        using var cancel = new CancellationTokenSource();
        Task<LockHold> cancelled = there.AcquireAsync(ct: cancel.Token).AsTask();
        await RealNodes.SeesAsync(() => there.GetState() is { Waiting.Count: 1 } state && state.LastToken == hold.FencingToken + 4);
        Assert.Equal("a", Assert.Single(there.GetState().Holders).Node.Name);
        Assert.Equal(hold.FencingToken, there.GetState().Holders[0].FencingToken);
        Assert.Equal("b", Assert.Single(there.GetState().Waiting).Name);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        Assert.True(hold.Release());
        Assert.False(hold.Release());

        LockHold next = (await there.TryAcquireAsync(Patience))!;
        Assert.True(next.FencingToken > hold.FencingToken);
        Assert.Empty(there.GetState().Waiting);
    }

    [Fact(Timeout = Limit)]
    public async Task An_owner_that_asks_twice_is_refused_and_may_ask_again_after_the_release()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(1);
        DistributedLock book = await nodes[0].OpenLockAsync("/book");
        var owner = new LockOwner("the work");
        LockHold hold = await book.AcquireAsync(owner: owner);
        Assert.Contains("the work", (await Assert.ThrowsAsync<LockRecursionException>(() => book.AcquireAsync(owner: owner).AsTask())).Message);
        Assert.Null(await book.TryAcquireAsync(owner: new LockOwner()));
        hold.Dispose();
        await using LockHold again = await book.AcquireAsync(owner: owner);
        Assert.True(again.IsHeld);
    }

    [Fact(Timeout = Limit)]
    public async Task A_crash_of_the_holder_gives_the_lock_to_the_next_and_the_holder_is_told()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        DistributedLock first = await nodes[0].OpenLockAsync("/book"), second = await nodes[1].OpenLockAsync("/book");
        LockHold lost = await first.AcquireAsync();
        var told = new TaskCompletionSource();
        lost.HandleLostToken.Register(told.SetResult);
        Task<LockHold> next = second.AcquireAsync(Patience).AsTask();
        nodes[0].Crash();
        await using (LockHold hold = await next)
        {
            Assert.True(hold.FencingToken > lost.FencingToken);
            Assert.True(hold.IsAfterFailure);
        }

        await using (LockHold later = await second.AcquireAsync(Patience)) Assert.False(later.IsAfterFailure);
        await told.Task.WaitAsync(Patience);
        Assert.False(lost.IsHeld);
        Assert.False(lost.Release());
        await Assert.ThrowsAnyAsync<GroupException>(() => first.AcquireAsync(Patience).AsTask());
    }

    [Fact(Timeout = Limit)]
    public async Task A_node_that_loses_the_others_gives_up_what_it_holds()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        DistributedLock book = await nodes[0].OpenLockAsync("/book");
        DistributedReaderWriterLock prices = await nodes[0].OpenReaderWriterLockAsync("/book");
        LockHold[] holds = [await book.AcquireAsync(), await prices.AcquireReadLockAsync()];
        Task told = Task.WhenAll(holds.Select(hold =>
        {
            var lost = new TaskCompletionSource();
            hold.HandleLostToken.Register(lost.SetResult);
            return lost.Task;
        }));
        nodes[1].Crash();
        nodes[2].Crash(); // a is a minority now: it is blocked and no longer sure of anything
        await told.WaitAsync(Patience);
        Assert.Null(await book.TryAcquireAsync());
        Assert.Null(await prices.TryAcquireReadLockAsync());
        Assert.All(holds, hold => Assert.False(hold.Release()));
    }

    [Fact(Timeout = Limit)]
    public async Task Threads_that_wait_have_the_same()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        DistributedLock book = await nodes[0].OpenLockAsync("/book"), there = await nodes[1].OpenLockAsync("/book");
        DistributedSemaphore permits = await nodes[0].OpenSemaphoreAsync("/p", 2);
        DistributedReaderWriterLock prices = await nodes[0].OpenReaderWriterLockAsync("/prices");
        await Task.Run(() =>
        {
            using (LockHold held = book.Acquire(Patience))
            {
                Assert.True(held.IsHeld);
                Assert.Null(there.TryAcquire());
                Assert.Throws<TimeoutException>(() => there.Acquire(TimeSpan.FromMilliseconds(50)));
            }

            using (LockHold? next = there.TryAcquire(Patience)) Assert.True(next!.IsHeld);
            using (permits.Acquire(2, Patience)) Assert.Null(permits.TryAcquire());
            using (prices.AcquireReadLock(Patience)) Assert.Null(prices.TryAcquireWriteLock());
            using (prices.AcquireWriteLock(Patience)) Assert.Null(prices.TryAcquireReadLock());
        });
    }

    [Fact(Timeout = Limit)]
    public async Task A_semaphore_lets_in_as_many_as_it_has_permits()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        DistributedSemaphore here = await nodes[0].OpenSemaphoreAsync("/p", 3), there = await nodes[1].OpenSemaphoreAsync("/p", 99);
        Assert.Equal(3, there.Permits);
        LockHold two = await here.AcquireAsync(2), one = await there.AcquireAsync();
        Assert.Null(await there.TryAcquireAsync());
        Task<LockHold> many = there.AcquireAsync(3, Patience).AsTask();
        await RealNodes.SeesAsync(() => here.GetState() is { Waiting.Count: 1 } state && state.LastToken == one.FencingToken + 2);
        two.Dispose();
        Assert.Null(await here.TryAcquireAsync(1)); // nobody overtakes the one that wants three
        one.Dispose();
        LockHold three = await many;
        there.Consume(three);
        Assert.Throws<SynchronizationLockException>(() => there.Consume(three));
        Assert.Null(await there.TryAcquireAsync());
        there.Signal();
        await using LockHold made = await here.AcquireAsync(1, Patience);
        Assert.Equal(1, here.Permits);
    }

    [Fact(Timeout = Limit)]
    public async Task Readers_share_and_writers_do_not()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        DistributedReaderWriterLock here = await nodes[0].OpenReaderWriterLockAsync("/p"), there = await nodes[1].OpenReaderWriterLockAsync("/p");
        LockHold first = await here.AcquireReadLockAsync(), second = await there.AcquireReadLockAsync();
        Assert.Null(await here.TryAcquireWriteLockAsync());
        Task<LockHold> writing = there.AcquireWriteLockAsync(Patience).AsTask();
        await RealNodes.SeesAsync(() => here.GetState() is { Waiting.Count: 1 } state && state.LastToken == first.FencingToken + 2);
        Assert.Null(await here.TryAcquireReadLockAsync()); // readers do not overtake a writer
        Task<LockHold> late = here.AcquireReadLockAsync(Patience).AsTask();
        first.Dispose();
        second.Dispose();
        LockHold writer = await writing;
        Assert.True(writer.FencingToken > first.FencingToken);
        Assert.False(late.IsCompleted);
        writer.Dispose();
        Assert.Equal(writer.FencingToken, (await late).FencingToken);
    }

    [Fact(Timeout = Limit)]
    public async Task A_buffer_between_nodes_loses_nothing()
    {
        const int Items = 60;
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        DistributedMonitor[] monitors = [await nodes[0].OpenMonitorAsync("/buffer"), await nodes[1].OpenMonitorAsync("/buffer")];
        var buffer = new Queue<int>(); // guarded by nothing but the monitor
        var taken = new ConcurrentQueue<int>();
        Task producing = Task.WhenAll(monitors.Select((monitor, m) => Task.Run(async () =>
        {
            for (int i = 0; i < Items; i++)
            {
                await using LockHold hold = await monitor.EnterAsync(Patience);
                while (buffer.Count >= 2) Assert.True(await monitor.WaitAsync(hold, "not full", Patience));
                buffer.Enqueue((m * Items) + i);
                monitor.Pulse(hold, "not empty");
            }
        })));
        Task consuming = Task.WhenAll(monitors.Select(monitor => Task.Run(async () =>
        {
            for (int i = 0; i < Items; i++)
            {
                await using LockHold hold = await monitor.EnterAsync(Patience);
                while (buffer.Count == 0) Assert.True(await monitor.WaitAsync(hold, "not empty", Patience));
                taken.Enqueue(buffer.Dequeue());
                monitor.Pulse(hold, "not full");
            }
        })));
        await Task.WhenAll(producing, consuming);
        Assert.Equal(Enumerable.Range(0, 2 * Items), taken.Order());

        await using LockHold last = await monitors[0].EnterAsync(Patience);
        long before = last.FencingToken;
        Assert.False(await monitors[0].WaitAsync(last, "never", TimeSpan.FromMilliseconds(20)));
        Assert.True(last.IsHeld && last.FencingToken > before);
        using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(20));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => monitors[0].WaitAsync(last, "never", ct: cancel.Token).AsTask());
        Assert.True(last.IsHeld);
    }

    [Fact(Timeout = Limit)]
    public async Task Of_three_in_a_circle_one_gives_way_and_the_others_go_on()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        var locks = new DistributedLock[3, 3]; // node, name
        for (int node = 0; node < 3; node++)
        {
            for (int name = 0; name < 3; name++) locks[node, name] = await nodes[node].OpenLockAsync($"/l{name}");
        }

        var allHold = new TaskCompletionSource();
        int holding = 0;
        string[] ends = await Task.WhenAll(Enumerable.Range(0, 3).Select(i => Task.Run(async () =>
        {
            var owner = new LockOwner($"work {i}");
            await using LockHold mine = await locks[i, i].AcquireAsync(Patience, owner);
            if (Interlocked.Increment(ref holding) == 3) allHold.SetResult();
            await allHold.Task;
            try
            {
                await using LockHold other = await locks[i, (i + 1) % 3].AcquireAsync(Patience, owner);
                return "done";
            }
            catch (DeadlockException e)
            {
                return e.Cycle;
            }
        })));
        string circle = Assert.Single(ends, e => e != "done");
        Assert.All(Enumerable.Range(0, 3), i => Assert.Contains($"work {i} at", circle));
    }

    [Fact(Timeout = Limit)]
    public async Task Permits_that_somebody_can_still_give_back_are_no_deadlock()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        DistributedSemaphore semaphore = await nodes[0].OpenSemaphoreAsync("/s", 2);
        DistributedLock a = await nodes[0].OpenLockAsync("/a"), b = await nodes[1].OpenLockAsync("/a");
        LockOwner first = new("first"), second = new("second");
        LockHold lockOfSecond = await b.AcquireAsync(owner: second);
        DistributedSemaphore there = await nodes[1].OpenSemaphoreAsync("/s", 2);
        LockHold permitOfFirst = await semaphore.AcquireAsync(owner: first), permitOfNobody = await semaphore.AcquireAsync();
        Task<LockHold> firstWaits = a.AcquireAsync(Patience, first).AsTask();
        Task<LockHold> secondWaits = there.AcquireAsync(1, Patience, second).AsTask();

        // A circle of the two, but a third party can end it: nothing may happen by itself. A deadlock beside it is found meanwhile.
        await EndADeadlockAsync(nodes);
        Assert.False(firstWaits.IsCompleted || secondWaits.IsCompleted);
        permitOfNobody.Dispose();
        (await secondWaits).Dispose();
        lockOfSecond.Dispose();
        (await firstWaits).Dispose();
        permitOfFirst.Dispose();
    }

    private static async Task EndADeadlockAsync(RealNodes nodes)
    {
        DistributedLock x = await nodes[0].OpenLockAsync("/x"), y = await nodes[0].OpenLockAsync("/y");
        LockOwner one = new(), two = new();
        LockHold hx = await x.AcquireAsync(owner: one), hy = await y.AcquireAsync(owner: two);
        Task<LockHold> wy = y.AcquireAsync(Patience, one).AsTask(), wx = x.AcquireAsync(Patience, two).AsTask();
        Task<LockHold> victim = await Task.WhenAny(wx, wy);
        await Assert.ThrowsAsync<DeadlockException>(() => victim);
        (victim == wx ? hy : hx).Dispose();
        (await (victim == wx ? wy : wx)).Dispose();
    }
}
