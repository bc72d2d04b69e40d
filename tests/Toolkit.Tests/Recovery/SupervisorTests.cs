using Toolkit.Recovery;

namespace Toolkit.Tests.Recovery;

// Not beside others: a process that is being started has the files and ports of this one until it runs its own program, and a node that is started
// again at that moment would find its directory locked and its port taken.
[CollectionDefinition(nameof(SupervisorTests), DisableParallelization = true)]
[Collection(nameof(SupervisorTests))]
public sealed class SupervisorTests
{
    private static readonly TimeSpan Patience = RealNodes.Patience;

    [Fact]
    public async Task AProgramThatFailsIsStartedAgainUntilItEndsWellOrTooOften()
    {
        var starts = new List<SupervisedStart>();
        SupervisedEnd end = await ProcessSupervisor.RunAsync(Shell(start => start.Attempt < 3 ? "exit 7" : "exit 0", 5, starts.Add)).WaitAsync(Patience);
        Assert.Equal(new SupervisedEnd(0, 3, GaveUp: false), end);
        Assert.Equal([new(1, RestartMode.Join, null), new(2, RestartMode.Join, 7), new(3, RestartMode.Join, 7)], starts);

        Assert.Equal(new SupervisedEnd(9, 3, GaveUp: true), await ProcessSupervisor.RunAsync(Shell(_ => "exit 9", 2, _ => { })).WaitAsync(Patience));
    }

    [Fact]
    public async Task AProgramIsToldThatItHasLogsAndEndsWithItsSupervisor()
    {
        DirectoryInfo data = Directory.CreateTempSubdirectory("supervisor");
        try
        {
            await File.WriteAllTextAsync(Path.Combine(data.FullName, "logged-groups.value"), "");
            using var stop = new CancellationTokenSource();
            var started = new TaskCompletionSource<SupervisedStart>(TaskCreationOptions.RunContinuationsAsynchronously);
            Task run = ProcessSupervisor.RunAsync(Shell(_ => "sleep 1000", 1, started.SetResult, data.FullName), stop.Token);
            Assert.Equal(RestartMode.Recover, (await started.Task.WaitAsync(Patience)).Mode);
            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.WaitAsync(Patience));
        }
        finally
        {
            data.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task AManagerStartsAProgramToRecoverOrToJoinAsItsGroupsStand()
    {
        await using var nodes = new LedgerNodes(1);
        DirectoryInfo data = Directory.CreateTempSubdirectory("supervisor");
        try
        {
            await File.WriteAllTextAsync(Path.Combine(data.FullName, "logged-groups.value"), "");
            await nodes.StartAsync(0);
            RecoveryManager manager = await RecoveryManager.OpenAsync(nodes[0].Node).AsTask().WaitAsync(Patience);
            Assert.Equal(RestartMode.Recover, await StartAsync());
            await nodes[0].JoinAsync().WaitAsync(Patience);
            Assert.Equal(RestartMode.Join, await StartAsync());

            async Task<RestartMode> StartAsync()
            {
                var modes = new List<RestartMode>();
                Assert.Equal(0, (await manager.SuperviseAsync(Shell(_ => "exit 0", 1, start => modes.Add(start.Mode), data.FullName), ["/other", "/ledger"]).WaitAsync(Patience)).ExitCode);
                return Assert.Single(modes);
            }
        }
        finally
        {
            data.Delete(recursive: true);
        }
    }

    private static SupervisorOptions Shell(Func<SupervisedStart, string> script, int restarts, Action<SupervisedStart> onStarting, string? data = null) => new()
    {
        Program = "/bin/sh", Arguments = start => ["-c", script(start)], MaximumRestarts = restarts, Delay = TimeSpan.FromMilliseconds(1), OnStarting = onStarting, DataDirectory = data,
    };
}
