// The wait-for graph as locks and other toolkits use it: one replica a node, opened at the first wait that matters.
using System.Runtime.CompilerServices;
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.Locks.Waits;

namespace Toolkit.Locks;

/// <summary>
/// Who waits for whom, over all locks, semaphores and whatever else reports its waits, at all nodes that take part. Every deadlock
/// is found, one owner in it is told, and none is told that was not in one. Locks of this library report by themselves;
/// others, such as transactions, report here. Safe for any thread.
/// </summary>
public sealed class WaitGraph
{
    /// <summary>The name of the group in which nodes share what waits.</summary>
    public const string GroupName = "/toolkit/waits#graph";

    private static readonly ConditionalWeakTable<GroupNode, Task<WaitGraph>> Graphs = [];

    private readonly ReplicaHost<WaitGraphReplica> _host;

    private WaitGraph(ReplicaHost<WaitGraphReplica> host) => _host = host;

    /// <summary>The graph of a node; the node is a member of its group from the first call on, until it stops.</summary>
    /// <param name="node">The node.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="NodeStoppedException">The node has stopped.</exception>
    public static async Task<WaitGraph> OpenAsync(GroupNode node, CancellationToken ct = default)
    {
        ArgumentNullException.ThrowIfNull(node);
        Task<WaitGraph> opening;
        lock (Graphs)
        {
            if (!Graphs.TryGetValue(node, out opening!) || opening.IsFaulted)
                Graphs.AddOrUpdate(node, opening = OpenOnceAsync(node));
        }

        return await opening.WaitAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Reports a wait. It counts until the report is disposed of; report again when more comes into its way.</summary>
    /// <param name="owner">Who waits. All that it has and waits for must be among its <see cref="LockOwner.Tickets"/>, and it gives nothing up while it waits.</param>
    /// <param name="waiting">What it waits for.</param>
    /// <param name="need">How much of the weight of <paramref name="blockers"/> must be released before the wait can end.</param>
    /// <param name="blockers">What is in its way. Nothing else may be able to delay its end for ever.</param>
    /// <param name="stillWaits">Whether the wait is not over; asked before a victim is chosen. Must be quick and must not call back.</param>
    /// <param name="chosen">Called once if this wait is to end with the exception. Must be quick and must not call back.</param>
    /// <exception cref="GroupException">The graph cannot be reached now; nothing is reported.</exception>
    public WaitReport Report(
        LockOwner owner, Ticket waiting, long need, IReadOnlyCollection<Blocker> blockers, Func<bool> stillWaits, Action<DeadlockException> chosen)
    {
        ArgumentNullException.ThrowIfNull(owner);
        var report = new WaitReport(this, owner, waiting, stillWaits, chosen);
        report.Update(need, blockers);
        return report;
    }

    internal long Send(LockOwner owner, Ticket waiting, long need, IReadOnlyCollection<Blocker> blockers, Func<bool> stillWaits, Action<string> chosen, long replaces) =>
        _host.Run(
            (owner, waiting, need, blockers, stillWaits, chosen, replaces),
            static (replica, w) => replica.Waits(w.owner, w.waiting, w.need, w.blockers, w.stillWaits, w.chosen, w.replaces));

    internal void Over(long number)
    {
        try
        {
            _host.Run(number, static (replica, number) => replica.Over(number));
        }
        catch (GroupException)
        {
            // Not a member now: reports of this node are gone from the graph.
        }
    }

    private static async Task<WaitGraph> OpenOnceAsync(GroupNode node) =>
        new(await ReplicaHost<WaitGraphReplica>.OpenAsync(node, GroupName, static () => new WaitGraphReplica()).ConfigureAwait(false));
}

/// <summary>A wait in the graph, until it is disposed of.</summary>
public sealed class WaitReport : IDisposable
{
    private readonly WaitGraph _graph;
    private readonly LockOwner _owner;
    private readonly Ticket _waiting;
    private readonly Func<bool> _stillWaits;
    private readonly Action<string> _chosen;
    private long _number;

    internal WaitReport(WaitGraph graph, LockOwner owner, Ticket waiting, Func<bool> stillWaits, Action<DeadlockException> chosen)
    {
        (_graph, _owner, _waiting, _stillWaits) = (graph, owner, waiting, stillWaits);
        _chosen = circle => chosen(new DeadlockException(circle));
    }

    /// <summary>Replaces what is said to be in the way. One caller at a time.</summary>
    /// <param name="need">As in <see cref="WaitGraph.Report"/>.</param>
    /// <param name="blockers">As in <see cref="WaitGraph.Report"/>.</param>
    public void Update(long need, IReadOnlyCollection<Blocker> blockers) =>
        _number = _graph.Send(_owner, _waiting, need, blockers, _stillWaits, _chosen, _number);

    /// <summary>The wait is over.</summary>
    public void Dispose() => _graph.Over(_number);
}
