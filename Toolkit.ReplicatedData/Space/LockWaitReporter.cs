// Reports a transaction's wait for a lock to the graph in which all toolkits look for deadlocks, once it has lasted a little.
// Circles within a space are found when they close, by its lock table; this is for those that lead through locks or another space.
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.Locks;

namespace Toolkit.ReplicatedData.Space;

/// <summary>Keeps one wait in the graph while it lasts.</summary>
internal static class LockWaitReporter
{
    private static readonly TimeSpan FirstReport = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan NextLook = TimeSpan.FromMilliseconds(200);

    /// <param name="ticket">The transaction's: it stands for all its locks, which go together.</param>
    /// <param name="asked">The wait; it fails if it is chosen to break a deadlock.</param>
    /// <param name="over">The wait is over.</param>
    public static async Task RunAsync(ReplicaHost<SpaceReplica> host, LockOwner owner, Ticket ticket, PendingCall asked, long transaction, CancellationToken over)
    {
        WaitReport? report = null;
        try
        {
            await Task.Delay(FirstReport, over).ConfigureAwait(false);
            WaitGraph graph = await WaitGraph.OpenAsync(host.Node, over).ConfigureAwait(false);
            HashSet<OwnerId> reported = [];
            while (!asked.Task.IsCompleted)
            {
                OwnerId[] blockers = host.Read(transaction, static (replica, transaction) => replica.BlockersOf(transaction));
                if (!blockers.All(reported.Contains))
                {
                    // What went away does no harm in a report: it is found to be held by nobody who waits.
                    reported = [.. blockers];
                    Blocker[] inTheWay = [.. blockers.Select(b => new Blocker(new Ticket(ticket.Object, b.Node, b.Number), 1))];
                    if (report is null)
                        report = graph.Report(owner, ticket, inTheWay.Length, inTheWay, () => !asked.Task.IsCompleted && !over.IsCancellationRequested, e => asked.TrySetException(e));
                    else
                        report.Update(inTheWay.Length, inTheWay);
                }

                await Task.Delay(NextLook, over).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or GroupException or ObjectDisposedException or InvalidOperationException)
        {
            // The wait is over, or this node is no member now: then the transaction is, too.
        }
        finally
        {
            report?.Dispose();
        }
    }
}
