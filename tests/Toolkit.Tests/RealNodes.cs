// Real nodes over loopback TCP for the toolkits' tests: started together, crashed at the end whatever happened.
using Core.Groups;
using Core.Groups.Tests.Hosting;
using Samples.Shared;

namespace Toolkit.Tests;

internal sealed class RealNodes : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>For tests whose subject is a node that stands still: it is suspected soon, and the others, on a busy machine, are not.</summary>
    public static readonly Action<GroupNodeOptions> SuspectsSoon = o => o.SuspectAfter = TimeSpan.FromSeconds(3);

    private readonly List<GroupNode> _nodes = [];

    public GroupNode this[int index] => _nodes[index];

    public IReadOnlyList<GroupNode> All => _nodes;

    public static async Task<RealNodes> StartAsync(int nodes, Action<GroupNodeOptions>? configure = null)
    {
        var cluster = new RealNodes();
        string[] seeds = FreeAddresses.Take(nodes);
        for (int i = 0; i < nodes; i++)
        {
            var options = new GroupNodeOptions
            {
                Name = ((char)('a' + i)).ToString(), Listen = seeds[i], Seeds = seeds,
                Heartbeat = TimeSpan.FromMilliseconds(50), SuspectAfter = TimeSpan.FromSeconds(20), // longer than a busy machine stands still
            };
            configure?.Invoke(options);
            cluster._nodes.Add(await GroupNode.StartAsync(options));
        }

        await Task.WhenAll(cluster._nodes.Select(n => n.WaitForPrimaryAsync().AsTask())).WaitAsync(Patience);
        return cluster;
    }

    /// <summary>The node stands still, as a process that was stopped does, until the result is disposed of.</summary>
    public Task<IAsyncDisposable> FreezeAsync(int index) => StandStill.BeginAsync(_nodes[index]);

    /// <summary>Completes when something is so: for what has no event, such as another node's copy, which lags behind.</summary>
    public static Task SeesAsync(Func<bool> isSo) => SeesAsync(() => Task.FromResult(isSo()));

    /// <summary>Completes when something is so.</summary>
    public static async Task SeesAsync(Func<Task<bool>> isSo)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (!await isSo())
            await timer.WaitForNextTickAsync(patience.Token);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (GroupNode node in _nodes)
        {
            node.Crash();
            await node.Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
