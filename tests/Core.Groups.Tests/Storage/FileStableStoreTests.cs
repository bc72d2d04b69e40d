// The file store: the contract on real files, and on a disk that tears, fails and is damaged.
using Core.Groups.Storage;

namespace Core.Groups.Tests.Storage;

public sealed class FileStableStoreTests : StableStoreContract, IDisposable
{
    private const int SegmentSize = 400;
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("core-groups-store");

    public void Dispose() => _folder.Delete(recursive: true);

    protected override async ValueTask<IStableStore> OpenAsync() => await FileStableStore.OpenAsync(_folder.FullName);

    [Fact]
    public async Task ADirectoryThatCannotBeUsedIsNamed()
    {
        string file = Path.Combine(_folder.FullName, "file");
        await File.WriteAllTextAsync(file, "");
        StableStoreException refused = await Assert.ThrowsAsync<StableStoreException>(async () => await FileStableStore.OpenAsync(file));
        Assert.Contains(file, refused.Message);
    }

    [Fact]
    public async Task SegmentsAreBegunAndDiscarded()
    {
        var disk = new BadDisk();
        var store = new FileStableStore(disk, SegmentSize);
        await using IStableLog log = await store.OpenLogAsync("l");
        for (int i = 0; i < 100; i++) await log.AppendAsync(new byte[50]);
        int segments = disk.List("l.log").Length;
        Assert.InRange(segments, 10, 30);
        await log.DiscardBeforeAsync(90);
        Assert.InRange(log.First, 80, 90);
        Assert.InRange(disk.List("l.log").Length, 2, 4);
        Assert.Equal(101 - log.First, (await ReadAllAsync(log, 0)).Count);
    }

    /// <summary>Whatever a crash does to what was not synced: what was acknowledged is there, in order, and nothing is made up.</summary>
    [Fact]
    public async Task NothingAcknowledgedIsLostInACrash()
    {
        int repaired = 0, failed = 0;
        for (int seed = 0; seed < 400; seed++)
        {
            var random = new Random(seed);
            var disk = new BadDisk { FailsAt = random.Next(1, 60) };
            (int value, int records) = (0, 0);
            int begun = 0;
            try
            {
                var store = new FileStableStore(disk, SegmentSize);
                IStableLog log = await store.OpenLogAsync("l");
                for (int i = 1; i <= 20; i++)
                {
                    begun = i;
                    await Task.WhenAll(log.AppendAsync(Content(i, random)).AsTask(), log.AppendAsync(Content(i, random)).AsTask());
                    records = 2 * i;
                    await store.WriteAsync("v", BitConverter.GetBytes(i));
                    value = i;
                }
            }
            catch (Exception e) when (e is StableStoreException or IOException)
            {
                failed++;
            }

            BadDisk after = disk.Crash(random);
            var again = new FileStableStore(after, SegmentSize);
            int found = await again.ReadAsync("v") is { } bytes ? BitConverter.ToInt32(bytes.Span) : 0;
            Assert.True(found == value || found == begun, $"Seed {seed}: the value is {found}, {value} was acknowledged and {begun} under way.");
            await using IStableLog reopened = await again.OpenLogAsync("l");
            repaired += reopened.Repaired is null ? 0 : 1;
            List<StableRecord> all = await ReadAllAsync(reopened, 0);
            Assert.True(all.Count >= records && all.Count <= 2 * begun, $"Seed {seed}: {all.Count} records are there, {records} were acknowledged and {2 * begun} begun.");
            Assert.All(all, r => Assert.Equal((r.Number + 1) / 2, BitConverter.ToInt32(r.Content.Span)));
            Assert.Equal(all.Count + 1, await reopened.AppendAsync(Content(0, random)));
        }
        Assert.True(repaired > 20 && failed > 200, $"The crashes exercise too little: {repaired} tails were repaired, {failed} runs failed.");
    }

    /// <summary>Each byte of a log in turn is damaged: it is noticed, or it was the last append, which is reported.</summary>
    [Fact]
    public async Task ADamagedByteIsNeverHandedOut()
    {
        var disk = new BadDisk();
        await using (IStableLog log = await new FileStableStore(disk, SegmentSize).OpenLogAsync("l"))
        {
            for (int i = 1; i <= 12; i++) await log.AppendAsync(Content(i, new Random(i)));
        }

        foreach (string path in disk.Paths.Where(p => p.EndsWith(".segment", StringComparison.Ordinal)).ToArray())
        {
            bool isLast = path == disk.Paths.Last(p => p.EndsWith(".segment", StringComparison.Ordinal));
            byte[] sound = disk[path];
            for (int at = 0; at < sound.Length; at++)
            {
                byte[] damaged = [.. sound];
                damaged[at] ^= 0x40;
                disk[path] = damaged;
                await ExpectNoticedAsync(disk, mayRepair: isLast, $"{path}, byte {at}");
            }
            disk[path] = sound;
        }
    }

    [Theory]
    [InlineData("store"), InlineData("v")]
    public async Task ADamagedValueIsRefused(string name)
    {
        var disk = new BadDisk();
        await new FileStableStore(disk).WriteAsync("v", new byte[] { 1, 2, 3 });
        for (int at = 0; at < disk[$"{name}.value"].Length; at++)
        {
            byte[] sound = disk[$"{name}.value"], damaged = [.. sound];
            damaged[at] ^= 1;
            disk[$"{name}.value"] = damaged;
            await Assert.ThrowsAsync<StableStoreException>(async () => await new FileStableStore(disk).ReadAsync("v"));
            disk[$"{name}.value"] = sound;
        }
    }

    [Fact]
    public async Task AStoreThatFailedTakesNothingMoreAndSaysWhy()
    {
        var disk = new BadDisk();
        var store = new FileStableStore(disk);
        await using IStableLog log = await store.OpenLogAsync("l");
        disk.FailsAt = disk.Operations + 2;      // the fsync of the append
        StableStoreException first = await Assert.ThrowsAsync<StableStoreException>(async () => await log.AppendAsync(new byte[] { 1 }));
        Assert.Contains("No space left", first.Message);
        disk.FailsAt = 0;
        await Assert.ThrowsAsync<StableStoreException>(async () => await log.AppendAsync(new byte[] { 2 }));
        await Assert.ThrowsAsync<StableStoreException>(async () => await store.WriteAsync("v", new byte[] { 2 }));
        Assert.Equal(1, log.Next);
    }

    /// <summary>A shorter append would fit where a longer one did not: a hole that nobody is told of.</summary>
    [Fact]
    public async Task AFileThatMayGrowNoMoreIsAFailureOfTheStore()
    {
        var disk = new BadDisk { Failure = static () => new ArgumentOutOfRangeException("value", "The file is too long.") }; // what .NET makes of EFBIG
        var store = new FileStableStore(disk);
        await using IStableLog log = await store.OpenLogAsync("l");
        disk.FailsAt = disk.Operations + 1; // the write of the append, of which a part is written
        Assert.Contains("too long", (await Assert.ThrowsAsync<StableStoreException>(async () => await log.AppendAsync(new byte[100]))).Message);
        disk.FailsAt = 0;
        await Assert.ThrowsAsync<StableStoreException>(async () => await log.AppendAsync(new byte[] { 2 }));
        Assert.Equal(1, log.Next);
    }

    [Fact]
    public async Task AppendsThatMeetShareAnFsync()
    {
        var disk = new BadDisk();
        await using IStableLog log = await new FileStableStore(disk).OpenLogAsync("l");
        int before = disk.Operations;
        disk.GoesOn.Reset();
        Task<long>[] appends = [.. Enumerable.Range(0, 1000).Select(_ => log.AppendAsync(new byte[10]).AsTask())];
        disk.GoesOn.Set();
        await Task.WhenAll(appends);
        Assert.InRange(disk.Operations - before, 2, 4);      // those that the first write found, and those that came during it
    }

    /// <summary>Else a late write of an old node would hit the log of a new one in its directory.</summary>
    [Fact]
    public async Task AClosedStoreHasWrittenWhatItHadBegunAndWritesNothingMore()
    {
        var disk = new BadDisk();
        var store = new FileStableStore(disk);
        IStableLog log = await store.OpenLogAsync("l");
        disk.GoesOn.Reset();
        Task<long> begun = log.AppendAsync(new byte[] { 1 }).AsTask();
        await disk.StandsStill.WaitAsync(TimeSpan.FromSeconds(60));
        Task<long> waits = log.AppendAsync(new byte[] { 2 }).AsTask();
        Task closing = store.DisposeAsync().AsTask();
        Assert.False(closing.IsCompleted);
        disk.GoesOn.Set();
        await closing;
        int operations = disk.Operations;
        Assert.Equal(1, await begun);
        Assert.Contains("closed", (await Assert.ThrowsAsync<StableStoreException>(() => waits)).Message);
        Assert.Equal(operations, disk.Operations);
    }

    private static async Task ExpectNoticedAsync(BadDisk disk, bool mayRepair, string where)
    {
        BadDisk copy = disk.Crash(new Random(0));
        try
        {
            await using IStableLog log = await new FileStableStore(copy, SegmentSize).OpenLogAsync("l");
            List<StableRecord> records = await ReadAllAsync(log, 0);
            Assert.True(mayRepair && log.Repaired is not null, $"{where}: nothing was noticed.");
            Assert.All(records, r => Assert.Equal(r.Number, BitConverter.ToInt32(r.Content.Span)));
            Assert.True(records.Count >= 11, $"{where}: {records.Count} records are left, but only the last append can have been cut off.");
        }
        catch (StableStoreException)
        {
        }
    }

    private static byte[] Content(int i, Random random)
    {
        byte[] content = new byte[random.Next(4, 60)];
        random.NextBytes(content);
        BitConverter.TryWriteBytes(content, i);
        return content;
    }
}
