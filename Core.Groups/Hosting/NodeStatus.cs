// What an application can see of its node's place in the cluster.
// Keeps: readers on any thread see one state after another, each whole.
using System.Collections.Immutable;

namespace Core.Groups.Hosting;

/// <summary>The present configuration and whether the node works. Written by the event loop, read by any thread.</summary>
internal sealed class NodeStatus
{
    private readonly Broadcast<State> _states = new();
    private readonly Broadcast<Configuration> _configurations = new();

    /// <summary>Null until the first state.</summary>
    public Configuration? Configuration => _states.Present?.Configuration;

    public ImmutableArray<NodeInfo> Members => _states.Present?.Members ?? [];

    public bool IsBlocked => _states.Present?.IsBlocked ?? true;

    public IAsyncEnumerable<Configuration> ReadConfigurations(CancellationToken ct) => _configurations.ReadAsync(ct);

    /// <param name="isBlocked">As the node stands with it: who waits for the configuration finds the whole.</param>
    public void OnConfiguration(Configuration configuration, ImmutableArray<NodeInfo> members, bool isBlocked)
    {
        _states.Publish(new State(configuration, members, isBlocked));
        _configurations.Publish(configuration);
    }

    /// <summary>Extended mode: the configuration before is over, the next one not yet there.</summary>
    public void OnTransitional(Configuration transitional) => _configurations.Publish(transitional);

    public void OnBlocked(bool isBlocked)
    {
        if (isBlocked != IsBlocked)
        {
            _states.Publish(new State(Configuration, Members, isBlocked));
        }
    }

    /// <summary>A new incarnation: it has no configuration yet.</summary>
    public void Reset() => _states.Publish(new State(null, [], IsBlocked: true));

    public void Complete()
    {
        _states.Complete();
        _configurations.Complete();
    }

    /// <exception cref="NodeStoppedException">The node stopped before.</exception>
    public ValueTask WaitForPrimaryAsync(CancellationToken ct) => WaitForAsync(static state => state is { Configuration.IsPrimary: true, IsBlocked: false }, ct);

    /// <exception cref="NodeStoppedException">The node stopped before.</exception>
    public ValueTask WaitForBlockedAsync(CancellationToken ct) => WaitForAsync(static state => state.IsBlocked, ct);

    private async ValueTask WaitForAsync(Func<State, bool> isSo, CancellationToken ct)
    {
        await foreach (State state in _states.ReadAsync(ct).ConfigureAwait(false))
        {
            if (isSo(state))
            {
                return;
            }
        }

        throw new NodeStoppedException(outcomeUnknown: false);
    }

    private sealed record State(Configuration? Configuration, ImmutableArray<NodeInfo> Members, bool IsBlocked);
}
