// The public face of replicated data, on real nodes.
using System.Collections.Concurrent;
using System.Threading.Channels;
using Core.Groups;
using Toolkit.ReplicatedData;

namespace Toolkit.Tests.ReplicatedData;

public sealed class RealSpaceTests
{
    private const int Limit = 120_000; // milliseconds: a test that hangs is a test that failed

    private static readonly ReplicatedDataOptions Causal = new() { Mode = UpdateMode.Causal };

    [Fact(Timeout = Limit)]
    public async Task A_variable_is_read_where_it_was_not_written()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        ReplicatedVariable<decimal>[] price = await OpenAsync(nodes, node => node.ReplicatedAsync<decimal>("/prices/SUN"));
        Channel<decimal> changes = Channel.CreateUnbounded<decimal>();
        price[2].Changed += change => changes.Writer.TryWrite(change.Value);
        Assert.Equal(default, price[0].Get());
        Assert.Equal(1, await price[0].SetAsync(26.5m));
        Assert.Equal(new Versioned<decimal>(26.5m, 1), price[0].Get()); // what was answered is read here
        Assert.Equal(new Versioned<decimal>(26.5m, 1), await price[1].ReadAsync()); // and by a linearizable read anywhere
        Assert.Equal(new UpdateOutcome(false, 1), await price[1].CompareAndSetAsync(0, 1m));
        Assert.Equal(new UpdateOutcome(true, 2), await price[1].CompareAndSetAsync(1, 27m, UpdateWait.Ordered));
        Assert.True(await price[2].RemoveAsync());
        Assert.False(await price[2].RemoveAsync());
        foreach (decimal value in (decimal[])[26.5m, 27m, 0m])
            Assert.Equal(value, await changes.Reader.ReadAsync().AsTask().WaitAsync(RealNodes.Patience));
        Assert.Throws<InvalidOperationException>(() => price[0].SetCausalAsync(1m).AsTask().GetAwaiter().GetResult());
        await Assert.ThrowsAsync<InvalidOperationException>(() => nodes[0].ReplicatedAsync<string>("/prices/SUN").AsTask());
        Assert.Equal("/prices/SUN#var", price[0].Name);
    }

    [Fact(Timeout = Limit)]
    public async Task Causal_updates_return_at_once_and_come_in_order()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        ReplicatedSpace[] spaces = await OpenAsync(nodes, node => node.OpenSpaceAsync("/space"));
        ReplicatedVariable<long>[] value = await Task.WhenAll(spaces.Select(s => s.OpenVariableAsync<long>("value", Causal).AsTask()));
        ReplicatedCounter[] counter = await Task.WhenAll(spaces.Select(s => s.OpenCounterAsync("counter", Causal).AsTask()));
        var seen = new ConcurrentQueue<long>();
        var last = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        value[1].Changed += change =>
        {
            seen.Enqueue(change.Value);
            if (change.Value == 1000) last.SetResult();
        };
        for (int i = 1; i <= 1000; i++)
        {
            await value[0].SetCausalAsync(i);
            Assert.Equal(i, value[0].Value);
            await counter[0].AddCausalAsync(1);
            Assert.Equal(i, counter[0].Value);
        }

        await spaces[0].FlushAsync();
        await last.Task.WaitAsync(RealNodes.Patience);
        Assert.Equal(Enumerable.Range(1, 1000).Select(i => (long)i), seen);
        Assert.Equal(1000, await counter[2].ReadAsync());
    }

    [Fact(Timeout = Limit)]
    public async Task Collections_hold_the_same_everywhere()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        ReplicatedSpace[] spaces = await OpenAsync(nodes, node => node.OpenSpaceAsync("/space"));
        ReplicatedDictionary<string, int>[] dictionary = await Task.WhenAll(spaces.Select(s => s.OpenDictionaryAsync<string, int>("d").AsTask()));
        ReplicatedSet<int>[] set = await Task.WhenAll(spaces.Select(s => s.OpenSetAsync<int>("s").AsTask()));
        ReplicatedList<string>[] list = await Task.WhenAll(spaces.Select(s => s.OpenListAsync<string>("l").AsTask()));
        ReplicatedQueue<string>[] queue = await Task.WhenAll(spaces.Select(s => s.OpenQueueAsync<string>("q").AsTask()));

        await dictionary[0].SetAsync("one", 1);
        await dictionary[1].SetAsync("two", 2);
        Assert.True((await dictionary[1].CompareAndRemoveAsync("two", dictionary[1].Get("two").Version)).Applied);
        Assert.Equal(1, (await dictionary[1].ReadAsync("one")).Value);
        Assert.Equal(new Dictionary<string, int> { ["one"] = 1 }, dictionary[1].Snapshot());
        Assert.True(await set[0].AddAsync(7));
        Assert.False(await set[1].AddAsync(7));
        Assert.True(await set[1].ContainsAsync(7) && set[0].Snapshot().SetEquals([7]));

        await list[0].AddAsync("b");
        Assert.True((await list[1].InsertAsync(0, "a")).Applied);
        Assert.False((await list[1].InsertAsync(5, "z")).Applied);
        Assert.True((await list[1].ReplaceAsync(1, "c", expected: list[1].Version)).Applied);
        Assert.False((await list[1].RemoveAtAsync(0, expected: 1)).Applied);
        Assert.Equal(["a", "c"], (await list[0].ReadAsync()).Value!);
        Assert.Equal("c", list[0][1]);

        Task<string> waiting = queue[1].DequeueAsync().AsTask();
        await queue[0].EnqueueAsync("item");
        Assert.Equal("item", await waiting);
        Assert.False((await queue[0].TryDequeueAsync()).Exists);

        UpdateOutcome batch = await spaces[0].UpdateAsync(b =>
        {
            b.Set(dictionary[0], "three", 3, expected: 0);
            b.Add(set[0], 8);
            b.Enqueue(queue[0], "x");
        });
        Assert.True(batch.Applied);
        Assert.Equal((3, true, 1), await spaces[1].ReadAsync(() => (dictionary[1].Get("three").Value, set[1].Contains(8), queue[1].Count)));
    }

    [Fact(Timeout = Limit)]
    public async Task A_local_read_allocates_nothing()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(1);
        ReplicatedVariable<string> variable = await nodes[0].ReplicatedAsync<string>("/v");
        ReplicatedDictionary<string, int[]> dictionary = await nodes[0].ReplicatedDictionaryAsync<string, int[]>("/d");
        await variable.SetAsync("value");
        await dictionary.SetAsync("key", [1, 2]);
        Assert.Equal(7, Read()); // the first read of a version decodes it
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++) Read();
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20_000); // less than an object each; the runtime's own work may be counted

        int Read() => variable.Value!.Length + (dictionary.TryGetValue("key", out int[]? value) ? value.Length : 0);
    }

    [Fact(Timeout = Limit)]
    public async Task A_joiner_reads_what_was_there_and_a_killed_node_takes_nothing_with_it()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        ReplicatedDictionary<string, string> first = await nodes[0].ReplicatedDictionaryAsync<string, string>("/d");
        ReplicatedDictionary<string, string> second = await nodes[1].ReplicatedDictionaryAsync<string, string>("/d");
        for (int i = 0; i < 100; i++) await first.SetAsync($"key{i}", $"value{i}");
        nodes[0].Crash();
        ReplicatedDictionary<string, string> third = await nodes[2].ReplicatedDictionaryAsync<string, string>("/d");
        Assert.Equal(100, third.Count);
        Assert.Equal("value99", third.Get("key99").Value);
        await third.SetAsync("after", "it");
        Assert.Equal("it", (await second.ReadAsync("after")).Value);
        NodeStoppedException gone = await Assert.ThrowsAsync<NodeStoppedException>(() => first.SetAsync("x", "y").AsTask());
        Assert.False(gone.OutcomeUnknown);
    }

    [Fact(Timeout = Limit)]
    public async Task Transfers_of_all_members_at_once_keep_the_sum()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        ReplicatedSpace[] spaces = await OpenAsync(nodes, node => node.OpenSpaceAsync("/bank"));
        ReplicatedDictionary<string, long>[] accounts = await Task.WhenAll(spaces.Select(s => s.OpenDictionaryAsync<string, long>("accounts").AsTask()));
        string[] names = ["a", "b", "c", "d"];
        await spaces[0].UpdateAsync(batch =>
        {
            foreach (string name in names) batch.Set(accounts[0], name, 100L);
        });
        await Task.WhenAll(spaces.Select((space, member) => Task.Run(async () =>
        {
            var random = new Random(member);
            for (int i = 0; i < 30; i++)
            {
                (string from, string to) = (names[random.Next(4)], names[random.Next(4)]);
                await space.TransactAsync(async transaction =>
                {
                    long left = await transaction.ReadAsync(accounts[member], from);
                    await transaction.WriteAsync(accounts[member], from, left - 1);
                    await transaction.WriteAsync(accounts[member], to, await transaction.ReadAsync(accounts[member], to) + 1);
                });
            }
        })));
        Assert.Equal(400, await spaces[1].ReadAsync(() => accounts[1].Snapshot().Values.Sum()));
        Assert.Equal(400, accounts[0].Snapshot().Values.Sum());
    }

    [Fact(Timeout = Limit)]
    public async Task A_deadlock_is_told_to_one_and_an_abandoned_transaction_leaves_nothing()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        ReplicatedSpace[] spaces = await OpenAsync(nodes, node => node.OpenSpaceAsync("/space"));
        ReplicatedVariable<long>[] x = await Task.WhenAll(spaces.Select(s => s.OpenVariableAsync<long>("x").AsTask()));
        ReplicatedVariable<long>[] y = await Task.WhenAll(spaces.Select(s => s.OpenVariableAsync<long>("y").AsTask()));
        await using (Transaction a = spaces[0].BeginTransaction())
        await using (Transaction b = spaces[1].BeginTransaction())
        {
            await a.WriteAsync(x[0], 1);
            await b.WriteAsync(y[1], 2);
            Task second = a.WriteAsync(y[0], 1).AsTask();
            await Assert.ThrowsAsync<DeadlockException>(() => b.WriteAsync(x[1], 2).AsTask());
            await second;
            Assert.Equal(1, await a.ReadAsync(y[0])); // its own write
            await Assert.ThrowsAsync<InvalidOperationException>(() => b.CommitAsync().AsTask());
            await Assert.ThrowsAsync<ArgumentException>(() => a.WriteAsync(x[1], 1).AsTask());
            using var soon = new CancellationTokenSource();
            await using Transaction c = spaces[1].BeginTransaction();
            Task waits = c.ReadAsync(x[1], ct: soon.Token).AsTask();
            await soon.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waits);
        }

        Assert.Equal(5, await Set(spaces[1], x[1], 5)); // nothing holds it
        Assert.False(y[0].Get().Exists);

        static async Task<long> Set(ReplicatedSpace space, ReplicatedVariable<long> variable, long value)
        {
            await variable.SetAsync(value);
            return await space.ReadAsync(() => variable.Value);
        }
    }

    private static Task<T[]> OpenAsync<T>(RealNodes nodes, Func<GroupNode, ValueTask<T>> open) =>
        Task.WhenAll(nodes.All.Select(node => open(node).AsTask()));
}
