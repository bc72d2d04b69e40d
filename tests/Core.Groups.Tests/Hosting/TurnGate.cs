// A node that stands still in the middle of a turn of its event loop, as a process that was stopped does: what is called meanwhile comes
// next, before anything that was heard. Also used by the tests of the toolkits.
namespace Core.Groups.Tests.Hosting;

internal sealed class TurnGate : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly ManualResetEventSlim _goOn = new(initialState: true);
    private readonly TaskCompletionSource _stands = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>To be called for the options of the node.</summary>
    public void AddTo(GroupNodeOptions options) => options.Traced = _ =>
    {
        if (!_goOn.IsSet)
            _stands.TrySetResult();
        _goOn.Wait();
    };

    /// <summary>The node stands still, from the turn on that this call of it is part of, until <paramref name="meanwhile"/> has ended.</summary>
    public async Task HoldAsync(Func<Task> call, Func<Task> meanwhile)
    {
        _goOn.Reset();
        try
        {
            _ = Task.Run(call);
            await _stands.Task.WaitAsync(Patience);
            await meanwhile();
        }
        finally
        {
            _goOn.Set();
        }
    }

    /// <summary>Completes when this node and one more have gone on without the others.</summary>
    public static async Task OnlyTwoAsync(GroupNode node)
    {
        using var patience = new CancellationTokenSource(Patience);
        await foreach (Configuration configuration in node.Configurations(patience.Token))
        {
            if (configuration is { Members.Length: 2, IsPrimary: true })
                return;
        }
    }

    public void Dispose()
    {
        _goOn.Set();
        _goOn.Dispose();
    }
}
