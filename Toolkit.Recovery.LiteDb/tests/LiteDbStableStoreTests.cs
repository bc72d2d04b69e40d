// The contract of every stable store, over a LiteDB file.
using Core.Groups.Tests.Storage;

namespace Toolkit.Recovery.LiteDb.Tests;

public sealed class LiteDbStableStoreTests : StableStoreContract, IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("litedb").FullName;

    protected override async ValueTask<IStableStore> OpenAsync() => await LiteDbStableStore.OpenAsync(Path.Combine(_directory, "store.db"));

    [Fact]
    public async Task WhatHasCompletedIsInTheDataFileItself()
    {
        await using IStableStore store = await OpenAsync();
        await using IStableLog log = await store.OpenLogAsync("l");
        for (int i = 1; i <= 20; i++) await log.AppendAsync(new byte[] { (byte)i });
        await store.WriteAsync("x", new byte[] { 7 });

        // What a crash would leave, had the system lost what LiteDB had not synced: its log file.
        string copy = Path.Combine(_directory, "copy.db");
        File.Copy(Path.Combine(_directory, "store.db"), copy);
        await using LiteDbStableStore crashed = await LiteDbStableStore.OpenAsync(copy);
        Assert.Equal(new byte[] { 7 }, (await crashed.ReadAsync("x"))!.Value.ToArray());
        await using IStableLog records = await crashed.OpenLogAsync("l");
        Assert.Equal(Enumerable.Range(1, 20).Select(i => (long)i), (await ReadAllAsync(records, 1)).Select(r => r.Number));
    }

    [Fact]
    public async Task ALogOfManyPagesIsReadInOrder()
    {
        const int Records = 2500;
        await using IStableStore store = await OpenAsync();
        await using IStableLog log = await store.OpenLogAsync("l");
        await Task.WhenAll(Enumerable.Range(1, Records).Select(i => log.AppendAsync(BitConverter.GetBytes(i)).AsTask()));
        Assert.Equal(Enumerable.Range(1, Records), (await ReadAllAsync(log, 1)).Select(r => BitConverter.ToInt32(r.Content.Span)));
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}
