// Large states over real nodes: more than the memory that they take, watched at both ends, begun anew when the donor fails.
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;

namespace Core.Groups.Tests.Hosting;

public sealed class StateStreamTests
{
    private const int Limit = 240_000; // milliseconds
    private const int PieceSize = 100_000; // larger than the protocol's pieces, and no multiple of them

    /// <summary>In megabytes; the test's own promise holds for 512 as well.</summary>
    private static readonly int Megabytes = int.Parse(Environment.GetEnvironmentVariable("STATE_MEGABYTES") ?? "64");

    private static async IAsyncEnumerable<ReadOnlyMemory<byte>> Generate(long bytes, IncrementalHash? hash = null)
    {
        var piece = new byte[PieceSize];
        for (long at = 0; at < bytes; at += piece.Length)
        {
            await Task.Yield();
            BitConverter.TryWriteBytes(piece, at);
            ReadOnlyMemory<byte> next = piece.AsSpan(0, (int)Math.Min(PieceSize, bytes - at)).ToArray();
            hash?.AppendData(next.Span);
            yield return next;
        }
    }

    private static async Task<(ProcessGroup Group, List<string> Texts)> DonateAsync(GroupNode node, long bytes, Action<StateProgress>? onProgress = null)
    {
        var texts = new List<string>();
        ProcessGroup group = await node.JoinAsync("/large", new GroupOptions
        {
            State = StateTransfer.Stream(() => ValueTask.FromResult(new StateSnapshot(Generate(bytes), bytes)), DrainAsync, onProgress: onProgress),
            Configure = g => g.OnMessage(m => Add(texts, m)),
        }).AsTask().WaitAsync(RealCluster.Patience);
        return (group, texts);
    }

    private static ValueTask Add(List<string> texts, GroupMessage message)
    {
        lock (texts)
        {
            texts.Add(Encoding.UTF8.GetString(message.Body.Span[..5]));
        }

        return default;
    }

    private static async ValueTask DrainAsync(StateReader reader)
    {
        await foreach (ReadOnlyMemory<byte> _ in reader)
        {
        }
    }

    [Fact(Timeout = Limit)]
    public async Task A_state_goes_from_a_stream_into_a_stream()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(2);
        byte[] state = RandomNumberGenerator.GetBytes(3_000_001);
        var opened = new WatchedStream(state);
        GroupOptions Options(Stream from, Stream into) => new()
        {
            State = StateTransfer.Stream(() => ValueTask.FromResult(from.ToSnapshot()), async reader => await reader.AsStream().CopyToAsync(into)),
            Configure = g => g.IgnoreMessages(),
        };
        await cluster.Nodes[0].JoinAsync("/stream", Options(opened, Stream.Null)).AsTask().WaitAsync(RealCluster.Patience);
        var copy = new MemoryStream();
        await cluster.Nodes[1].JoinAsync("/stream", Options(Stream.Null, copy)).AsTask().WaitAsync(RealCluster.Patience);
        Assert.Equal(state, copy.ToArray());
        await opened.Disposed.WaitAsync(RealCluster.Patience);
    }

    private sealed class WatchedStream(byte[] state) : MemoryStream(state, writable: false)
    {
        private readonly TaskCompletionSource _disposed = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Disposed => _disposed.Task;

        protected override void Dispose(bool disposing)
        {
            base.Dispose(disposing);
            _disposed.TrySetResult();
        }
    }

    [Fact(Timeout = Limit)]
    public async Task A_state_larger_than_the_memory_it_takes_comes_while_the_group_goes_on()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        long bytes = (long)Megabytes << 20;
        var progress = new ConcurrentQueue<StateProgress>();
        (ProcessGroup a, _) = await DonateAsync(cluster.Nodes[0], bytes, progress.Enqueue);
        (ProcessGroup b, List<string> atB) = await DonateAsync(cluster.Nodes[1], bytes, progress.Enqueue);
        progress.Clear(); // b had the state from a

        var halfway = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var taken = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var texts = new List<string>();
        long before = GC.GetTotalMemory(forceFullCollection: true), peak = 0, read = 0;
        Task<ProcessGroup> joining = cluster.Nodes[2].JoinAsync("/large", new GroupOptions
        {
            State = StateTransfer.Stream(
                () => ValueTask.FromResult(new StateSnapshot(Generate(bytes))),
                async reader =>
                {
                    Assert.Equal(bytes, reader.Length);
                    await foreach (ReadOnlyMemory<byte> piece in reader)
                    {
                        taken.AppendData(piece.Span);
                        read += piece.Length;
                        if (read >= bytes / 2 && halfway.TrySetResult())
                        {
                            await goOn.Task;
                            peak = GC.GetTotalMemory(forceFullCollection: true) - before;
                        }
                    }
                },
                onProgress: progress.Enqueue),
            Configure = g => g.OnMessage(m => Add(texts, m)),
        }).AsTask();

        // Several times the window: who waited for the joiner would wait for ever.
        await halfway.Task.WaitAsync(RealCluster.Patience);
        var body = new byte[50_000];
        for (int i = 0; i < 80; i++)
        {
            Encoding.UTF8.GetBytes($"m{i:d4}", body);
            await a.SendAsync(Order.Total, body).AsTask().WaitAsync(RealCluster.Patience);
        }

        goOn.SetResult();
        ProcessGroup c = await joining.WaitAsync(TimeSpan.FromMinutes(2));
        await c.SendAsync(Order.Total, "ended"u8.ToArray());
        await c.FlushAsync();

        using var given = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await foreach (ReadOnlyMemory<byte> _ in Generate(bytes, given))
        {
        }

        Assert.Equal(given.GetHashAndReset(), taken.GetHashAndReset());
        Assert.InRange(peak, 0, 24 << 20); // with 4 MB of held messages, and three nodes in one process
        Assert.Contains(progress, p => p is { IsDonor: true, IsComplete: true } && p.Bytes == bytes && p.Length == bytes);
        Assert.Contains(progress, p => p is { IsDonor: false, IsComplete: true } && p.Bytes == bytes);
        Assert.Contains(progress, p => p is { IsDonor: false, IsComplete: false } && p.Bytes < bytes);
        await Task.WhenAll(a.Node.StopAsync().AsTask(), b.Node.StopAsync().AsTask(), c.Node.StopAsync().AsTask());
        Assert.Equal(atB.TakeLast(texts.Count), texts);
        Assert.Equal("ended", texts[^1]);
        Assert.Contains("m0079", texts);
    }

    [Fact(Timeout = Limit)]
    public async Task When_the_donor_fails_the_state_begins_anew_with_another()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        const long Bytes = 8 << 20;
        var donors = new ConcurrentQueue<string>();
        await DonateAsync(cluster.Nodes[0], Bytes, _ => donors.Enqueue("a"));
        await DonateAsync(cluster.Nodes[1], Bytes, _ => donors.Enqueue("b"));
        donors.Clear();
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var died = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var reads = new ConcurrentQueue<long>();
        Task<ProcessGroup> joining = cluster.Nodes[2].JoinAsync("/large", new GroupOptions
        {
            State = StateTransfer.Stream(
                () => throw new NotSupportedException(),
                async reader =>
                {
                    long read = 0;
                    try
                    {
                        await foreach (ReadOnlyMemory<byte> piece in reader)
                        {
                            read += piece.Length;
                            begun.TrySetResult();
                            if (reads.IsEmpty && read > Bytes / 4)
                            {
                                await died.Task; // what is read next is what had come before
                            }
                        }
                    }
                    finally
                    {
                        reads.Enqueue(read);
                    }
                }),
            Configure = g => g.OnMessage(_ => default),
        }).AsTask();
        await begun.Task.WaitAsync(RealCluster.Patience);
        GroupNode donor = cluster.Nodes.Single(n => n.Name == donors.First());
        donor.Crash();
        await donor.Completion.WaitAsync(RealCluster.Patience);
        died.SetResult();
        await joining.WaitAsync(TimeSpan.FromMinutes(1));
        Assert.Equal(2, reads.Count);
        Assert.InRange(reads.First(), 1, Bytes - 1);
        Assert.Equal(Bytes, reads.Last());
    }

    [Fact(Timeout = Limit)]
    public async Task A_snapshot_that_cannot_be_read_fails_the_join_and_nothing_else()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(2);
        bool fails = true;
        async IAsyncEnumerable<ReadOnlyMemory<byte>> Pieces()
        {
            yield return new byte[1000];
            await Task.Yield();
            if (fails)
            {
                throw new IOException("as asked");
            }
        }

        ProcessGroup a = await cluster.Nodes[0].JoinAsync("/broken", new GroupOptions
        {
            State = StateTransfer.Stream(() => ValueTask.FromResult(new StateSnapshot(Pieces())), DrainAsync), Configure = g => g.OnMessage(_ => default),
        });
        GroupOptions Joiner() => new() { State = StateTransfer.Stream(() => throw new NotSupportedException(), DrainAsync), Configure = g => g.OnMessage(_ => default) };
        await Assert.ThrowsAsync<StateTransferException>(() => cluster.Nodes[1].JoinAsync("/broken", Joiner()).AsTask().WaitAsync(RealCluster.Patience));
        await Assert.ThrowsAsync<StateTransferException>(() => cluster.Nodes[1].JoinAsync("/broken", new GroupOptions { State = StateTransfer.Json(() => 1, _ => { }) }).AsTask().WaitAsync(RealCluster.Patience));
        fails = false;
        ProcessGroup b = await cluster.Nodes[1].JoinAsync("/broken", Joiner()).AsTask().WaitAsync(RealCluster.Patience);
        Assert.Equal(2, b.View.Members.Length);
        await a.FlushAsync();
    }
}
