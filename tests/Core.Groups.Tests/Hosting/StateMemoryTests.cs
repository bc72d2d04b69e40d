// A large state over real nodes: it takes less memory than it is large, and is watched at both ends.
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;

namespace Core.Groups.Tests.Hosting;

/// <summary>Tests that measure their process run while no other one does.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneInTheProcess
{
    public const string Name = "alone in the process";
}

[Collection(AloneInTheProcess.Name)]
public sealed class StateMemoryTests
{
    private const int Limit = 240_000; // milliseconds

    /// <summary>In megabytes; the test's own promise holds for 512 as well.</summary>
    private static readonly int Megabytes = int.Parse(Environment.GetEnvironmentVariable("STATE_MEGABYTES") ?? "64");

    [Fact(Timeout = Limit)]
    public async Task A_state_larger_than_the_memory_it_takes_comes_while_the_group_goes_on()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        long bytes = (long)Megabytes << 20;
        var progress = new ConcurrentQueue<StateProgress>();
        (ProcessGroup a, _) = await LargeState.DonateAsync(cluster.Nodes[0], bytes, progress.Enqueue);
        (_, LargeState.FirstLetters atB) = await LargeState.DonateAsync(cluster.Nodes[1], bytes, progress.Enqueue);
        progress.Clear(); // b had the state from a

        var halfway = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var taken = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var atC = new LargeState.FirstLetters();
        long before = GC.GetTotalMemory(forceFullCollection: true), peak = 0, read = 0;
        Task<ProcessGroup> joining = cluster.Nodes[2].JoinAsync("/large", new GroupOptions
        {
            State = StateTransfer.Stream(
                () => ValueTask.FromResult(new StateSnapshot(LargeState.Generate(bytes))),
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
            Configure = g => g.OnMessage(atC.Add),
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
        List<string> textsOfB = await atB.WhenEndedAsync(), textsOfC = await atC.WhenEndedAsync();

        using var given = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await foreach (ReadOnlyMemory<byte> _ in LargeState.Generate(bytes, given))
        {
        }

        Assert.Equal(given.GetHashAndReset(), taken.GetHashAndReset());
        Assert.True(peak < 24 << 20, $"{peak} bytes"); // with 4 MB of held messages, and three nodes in one process; less than nothing where older garbage went
        Assert.Contains(progress, p => p is { IsDonor: true, IsComplete: true } && p.Bytes == bytes && p.Length == bytes);
        Assert.Contains(progress, p => p is { IsDonor: false, IsComplete: true } && p.Bytes == bytes);
        Assert.Contains(progress, p => p is { IsDonor: false, IsComplete: false } && p.Bytes < bytes);
        Assert.Equal(textsOfB.TakeLast(textsOfC.Count), textsOfC);
        Assert.Contains("m0079", textsOfC);
    }
}
