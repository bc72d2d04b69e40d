// A node that stands still, as a process that was stopped does. Also used by the tests of the toolkits.
namespace Core.Groups.Tests.Hosting;

/// <summary>Until it is disposed of the node does nothing: no heartbeat leaves, nothing is read.</summary>
internal sealed class StandStill : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly TaskCompletionSource _stands = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ManualResetEventSlim _goOn = new();
    private readonly Task _standing;

    private StandStill(GroupNode node) => _standing = Task.Factory.StartNew(
        () => node.Host.Inspect((_, _) =>
        {
            _stands.SetResult();
            _goOn.Wait();
            return 0;
        }),
        CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    public static async Task<IAsyncDisposable> BeginAsync(GroupNode node)
    {
        var still = new StandStill(node);
        await still._stands.Task.WaitAsync(Patience);
        return still;
    }

    public async ValueTask DisposeAsync()
    {
        _goOn.Set();
        await _standing.WaitAsync(Patience);
        _goOn.Dispose();
    }
}
