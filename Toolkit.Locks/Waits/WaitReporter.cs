// Reports the wait of an owner that holds something else, once it has lasted a little: most waits are over before.
using Core.Groups;
using Toolkit.Locks.Replicas;

namespace Toolkit.Locks.Waits;

/// <summary>Keeps one wait in the graph while it lasts.</summary>
internal static class WaitReporter
{
    private static readonly TimeSpan FirstReport = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan NextLook = TimeSpan.FromMilliseconds(200);

    /// <param name="look">What is in the way now; null: nothing any more.</param>
    /// <param name="over">The wait is over.</param>
    public static async Task RunAsync(GroupNode node, LockHold hold, Func<Blockers?> look, CancellationToken over)
    {
        WaitReport? report = null;
        try
        {
            await Task.Delay(FirstReport, over).ConfigureAwait(false);
            WaitGraph graph = await WaitGraph.OpenAsync(node, over).ConfigureAwait(false);
            HashSet<Ticket> reported = [];
            while (hold.IsWaiting)
            {
                Blockers blockers = look() ?? new Blockers(0, []); // none while the request is on its way, or waits for a condition
                Blocker[] inTheWay = [.. blockers.Requests.Select(r => new Blocker(new Ticket(hold.Ticket.Object, r.Node, r.Call), r.Weight))];
                if (!inTheWay.All(b => reported.Contains(b.Ticket)))
                {
                    // What went away does no harm in a report: it is found to be held by nobody who waits.
                    reported = [.. inTheWay.Select(b => b.Ticket)];
                    if (report is null)
                        report = graph.Report(hold.Owner!, hold.Ticket, blockers.Need, inTheWay, () => hold.IsWaiting && !over.IsCancellationRequested, hold.Fail);
                    else
                        report.Update(blockers.Need, inTheWay);
                }

                await Task.Delay(NextLook, over).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or GroupException or ObjectDisposedException or InvalidOperationException)
        {
            // The wait is over, or this node is no member now: then its waits end, too.
        }
        finally
        {
            report?.Dispose();
        }
    }
}
