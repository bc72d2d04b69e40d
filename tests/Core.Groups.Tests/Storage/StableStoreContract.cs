// What every stable store must do: run over each kind of store. A derived class says how one is opened and opened again.
namespace Core.Groups.Tests.Storage;

public abstract class StableStoreContract
{
    private static readonly byte[] Large = [.. Enumerable.Range(0, (5 << 19) + 1).Select(i => (byte)(i / 7))]; // 2.5 MiB

    /// <summary>Opens the store; the same one each time.</summary>
    protected abstract ValueTask<IStableStore> OpenAsync();

    [Fact]
    public async Task AValueIsReplacedAsAWholeAndOutlivesTheStore()
    {
        ulong id;
        await using (IStableStore store = await OpenAsync())
        {
            id = store.Id;
            Assert.NotEqual(0u, id);
            Assert.Null(await store.ReadAsync("x"));
            await store.WriteAsync("x", new byte[1000]);
            await store.WriteAsync("x", new byte[] { 1, 2, 3 });
            await store.WriteAsync("X/ä", ReadOnlyMemory<byte>.Empty);
            await store.WriteAsync("X", Large);
        }

        await using IStableStore again = await OpenAsync();
        Assert.Equal(id, again.Id);
        Assert.Equal(new byte[] { 1, 2, 3 }, (await again.ReadAsync("x"))!.Value.ToArray());
        Assert.Empty((await again.ReadAsync("X/ä"))!.Value.ToArray());
        Assert.Equal(Large, (await again.ReadAsync("X"))!.Value.ToArray());
        await again.DeleteAsync("x");
        await again.DeleteAsync("x");
        Assert.Null(await again.ReadAsync("x"));
    }

    [Fact]
    public async Task RecordsAreNumberedInOrderAndOutliveTheStore()
    {
        await using (IStableStore store = await OpenAsync())
        await using (IStableLog log = await store.OpenLogAsync("l"))
        {
            Assert.Equal((1, 1), (log.First, log.Next));
            long[] numbers = await Task.WhenAll(Enumerable.Range(0, 500).Select(i => log.AppendAsync(BitConverter.GetBytes(i)).AsTask()));
            Assert.Equal(Enumerable.Range(1, 500).Select(i => (long)i), numbers);
            Assert.Equal(501, log.Next);
        }

        await using IStableStore again = await OpenAsync();
        await using IStableLog reopened = await again.OpenLogAsync("l");
        Assert.Null(reopened.Repaired);
        Assert.Equal(501, await reopened.AppendAsync(ReadOnlyMemory<byte>.Empty));
        List<StableRecord> records = await ReadAllAsync(reopened, 0);
        Assert.Equal(501, records.Count);
        Assert.All(records.Take(500), r => Assert.Equal(r.Number - 1, BitConverter.ToInt32(r.Content.Span)));
        Assert.Equal([500L, 501L], (await ReadAllAsync(reopened, 500)).Select(r => r.Number));
    }

    [Fact]
    public async Task WhatIsDiscardedNeedNotBeThereAndTheRestIs()
    {
        await using IStableStore store = await OpenAsync();
        await using IStableLog log = await store.OpenLogAsync("l");
        for (int i = 1; i <= 100; i++) await log.AppendAsync(new byte[100]);
        await log.DiscardBeforeAsync(60);
        Assert.InRange(log.First, 1, 60);
        List<StableRecord> records = await ReadAllAsync(log, 0);
        Assert.Equal(log.First, records[0].Number);
        Assert.Equal(100, records[^1].Number);
        Assert.Equal(101 - log.First, records.Count);
    }

    [Fact]
    public async Task ALogIsOpenOnceAndCanBeDeletedWhenItIsClosed()
    {
        await using IStableStore store = await OpenAsync();
        IStableLog log = await store.OpenLogAsync("l");
        await log.AppendAsync(new byte[] { 1 });
        await Assert.ThrowsAsync<StableStoreException>(async () => await store.OpenLogAsync("l"));
        await Assert.ThrowsAsync<StableStoreException>(async () => await store.DeleteLogAsync("l"));
        await log.DisposeAsync();
        await store.DeleteLogAsync("l");
        await using IStableLog begun = await store.OpenLogAsync("l");
        Assert.Equal(1, begun.Next);
    }

    [Fact]
    public async Task AStoreIsOpenOnce()
    {
        await using (await OpenAsync())
        {
            StableStoreException refused = await Assert.ThrowsAsync<StableStoreException>(async () => await OpenAsync());
            Assert.Contains("in use", refused.Message);
        }

        await using IStableStore again = await OpenAsync();
        Assert.NotEqual(0u, again.Id);
    }

    protected static async Task<List<StableRecord>> ReadAllAsync(IStableLog log, long from)
    {
        var records = new List<StableRecord>();
        await foreach (StableRecord record in log.ReadAsync(from)) records.Add(record);
        return records;
    }
}
