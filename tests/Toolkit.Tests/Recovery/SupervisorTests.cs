using Toolkit.Recovery;

namespace Toolkit.Tests.Recovery;

public sealed class SupervisorTests
{
    private static readonly TimeSpan Patience = RealNodes.Patience;

    [Fact]
    public async Task AProgramThatFailsIsStartedAgainUntilItEndsWellOrTooOften()
    {
        var starts = new List<SupervisedStart>();
        SupervisedEnd end = await ProcessSupervisor.RunAsync(Shell(start => start.Attempt < 3 ? "exit 7" : "exit 0", 5, starts.Add)).WaitAsync(Patience);
        Assert.Equal(new SupervisedEnd(0, 3, GaveUp: false), end);
        Assert.Equal([new(1, false, null), new(2, false, 7), new(3, false, 7)], starts);

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
            Assert.True((await started.Task.WaitAsync(Patience)).HasLogs);
            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.WaitAsync(Patience));
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
