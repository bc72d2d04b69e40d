// Reports the wait of a transaction, or of an update, for a lock to the graph in which all toolkits look for deadlocks, once it has lasted a little.
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

    /// <param name="ticket">A transaction's stands for all its locks, which go together.</param>
    /// <param name="asked">The wait.</param>
    /// <param name="look">The transactions that are in the way of a number.</param>
    /// <param name="number">Given to <paramref name="look"/>.</param>
    /// <param name="chosen">The wait is to break a deadlock. Must be quick and must not call back.</param>
    /// <param name="over">The wait is over.</param>
    public static async Task RunAsync(
        ReplicaHost<SpaceReplica> host, LockOwner owner, Ticket ticket, PendingCall asked,
        Func<SpaceReplica, long, OwnerId[]> look, long number, Action<DeadlockException> chosen, CancellationToken over)
    {
        WaitReport? report = null;
        try
        {
            await Task.Delay(FirstReport, over).ConfigureAwait(false);
            WaitGraph graph = await WaitGraph.OpenAsync(host.Node, over).ConfigureAwait(false);
            HashSet<OwnerId> reported = [];
            while (!asked.Task.IsCompleted)
            {
                OwnerId[] blockers = host.Read(number, look);
                if (!blockers.All(reported.Contains))
                {
                    // What went away does no harm in a report: it is found to be held by nobody who waits.
                    reported = [.. blockers];
                    Blocker[] inTheWay = [.. blockers.Select(b => new Blocker(new Ticket(ticket.Object, b.Node, b.Number), 1))];
                    if (report is null && inTheWay.Any(b => owner.Tickets.Contains(b.Ticket)))
                    {
                        // Nobody but the owner could end it. (Later, the circle is in the graph.)
                        chosen(new DeadlockException($"{owner.Name} waits for a transaction of its own in '{ticket.Object}'"));
                        return;
                    }

                    if (report is null)
                        report = graph.Report(owner, ticket, inTheWay.Length, inTheWay, () => !asked.Task.IsCompleted && !over.IsCancellationRequested, chosen);
                    else
                        report.Update(inTheWay.Length, inTheWay);
                }

                await Task.Delay(NextLook, over).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or GroupException or ObjectDisposedException or InvalidOperationException)
        {
            // The wait is over, or this node is no member now: then what waited is at its end, too.
        }
        finally
        {
            report?.Dispose();
        }
    }
}
