using System.Collections.Immutable;
using Core.Groups.Tracing;

namespace Core.Groups;

/// <summary>
/// One node of a cluster: it finds the others, agrees with them on configurations, and takes part in groups. All members
/// may be used from any thread.
/// </summary>
public sealed class GroupNode : IAsyncDisposable
{
    private GroupNode() => throw new NotImplementedException();

    /// <summary>Starts a node. It listens and takes commands when this completes; it need not be in a primary configuration yet.</summary>
    /// <exception cref="ArgumentException">An option is wrong.</exception>
    public static ValueTask<GroupNode> StartAsync(GroupNodeOptions options, CancellationToken ct = default) => throw new NotImplementedException();

    /// <summary>The configured name.</summary>
    public string Name => throw new NotImplementedException();
    /// <summary>The id of the present incarnation.</summary>
    public NodeId Id => throw new NotImplementedException();
    /// <summary>Where the node listens.</summary>
    public string ListenAddress => throw new NotImplementedException();
    /// <summary>The present configuration; null until the first.</summary>
    public Configuration? Configuration => throw new NotImplementedException();
    /// <summary>Whether the node waits for a primary configuration.</summary>
    public bool IsBlocked => throw new NotImplementedException();
    /// <summary>The nodes that can be reached now, this one included.</summary>
    public ImmutableArray<NodeId> Reachable => throw new NotImplementedException();
    /// <summary>The members of the present configuration, ranked by age.</summary>
    public ImmutableArray<NodeInfo> Members => throw new NotImplementedException();
    /// <summary>Ends when the node has stopped.</summary>
    public Task Completion => throw new NotImplementedException();
    /// <summary>Every trace event. Needs tracing: set TracePath or Traced in the options.</summary>
    public event Action<TraceEvent>? Traced { add => throw new NotImplementedException(); remove => throw new NotImplementedException(); }
    /// <summary>The configurations, the present one first.</summary>
    public IAsyncEnumerable<Configuration> Configurations(CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>Waits until the node is in a primary configuration.</summary>
    public ValueTask WaitForPrimaryAsync(CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>Joins a group; completes when the first view and the state are here.</summary>
    public ValueTask<ProcessGroup> JoinAsync(string name, GroupOptions? options = null, CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>Sends to a group as a caller that is not a member.</summary>
    public ValueTask SendAsync(string groupName, Order order, ReadOnlyMemory<byte> body, CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>Asks a group as a caller that is not a member.</summary>
    public ValueTask<GroupReplies> RequestAsync(string groupName, Order order, ReadOnlyMemory<byte> body, Replies replies, TimeSpan? timeout = null, CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>Waits until all that this node has sent and delivered is stable.</summary>
    public ValueTask FlushAsync(CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>Counters.</summary>
    public NodeStatistics GetStatistics() => throw new NotImplementedException();
    /// <summary>Stops in order.</summary>
    public ValueTask StopAsync(CancellationToken ct = default) => throw new NotImplementedException();
    /// <summary>Ends at once, without a goodbye.</summary>
    public void Crash() => throw new NotImplementedException();
    /// <inheritdoc/>
    public ValueTask DisposeAsync() => StopAsync();
}
