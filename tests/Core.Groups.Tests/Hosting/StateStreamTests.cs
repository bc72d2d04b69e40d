// Large states over real nodes: from stream to stream, begun anew when the donor fails or cannot read. What they take of the memory is StateMemoryTests'.
using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace Core.Groups.Tests.Hosting;

public sealed class StateStreamTests
{
    private const int Limit = 120_000; // milliseconds

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
    public async Task When_the_donor_fails_the_state_begins_anew_with_another()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        const long Bytes = 8 << 20;
        var donors = new ConcurrentQueue<string>();
        await LargeState.DonateAsync(cluster.Nodes[0], Bytes, _ => donors.Enqueue("a"));
        await LargeState.DonateAsync(cluster.Nodes[1], Bytes, _ => donors.Enqueue("b"));
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
            State = StateTransfer.Stream(() => ValueTask.FromResult(new StateSnapshot(Pieces())), LargeState.DrainAsync), Configure = g => g.OnMessage(_ => default),
        });
        GroupOptions Joiner() => new() { State = StateTransfer.Stream(() => throw new NotSupportedException(), LargeState.DrainAsync), Configure = g => g.OnMessage(_ => default) };
        await Assert.ThrowsAsync<StateTransferException>(() => cluster.Nodes[1].JoinAsync("/broken", Joiner()).AsTask().WaitAsync(RealCluster.Patience));
        await Assert.ThrowsAsync<StateTransferException>(() => cluster.Nodes[1].JoinAsync("/broken", new GroupOptions { State = StateTransfer.Json(() => 1, _ => { }) }).AsTask().WaitAsync(RealCluster.Patience));
        fails = false;
        ProcessGroup b = await cluster.Nodes[1].JoinAsync("/broken", Joiner()).AsTask().WaitAsync(RealCluster.Patience);
        Assert.Equal(2, b.View.Members.Length);
        await a.FlushAsync();
    }
}
