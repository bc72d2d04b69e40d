// The feed: reads quotes and gives every one of them to every ticker process, at an even speed. It is a member of the
// ticker group without a part of the alphabet, so that it sees in the ledger what has come through.
// Keeps: it ends only when every quote is in the ledger; what an exclusion of this node swallowed is sent again.
using System.Diagnostics;
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;

namespace Ticker;

/// <summary>The feed process.</summary>
internal sealed class FeedRole(TickerMember member, ParentLink parent, IReadOnlyList<Quote> quotes, double speed)
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(250);

    private int _sent;

    /// <summary>Waits for the parent's word, then sends everything.</summary>
    public async Task RunAsync(CancellationToken ended)
    {
        ProcessGroup group = await member.JoinAsync(ended);
        parent.Report(new JsonObject { ["kind"] = "joined" });
        await parent.Said.ReadAsync(ended);

        using var all = CancellationTokenSource.CreateLinkedTokenSource(ended);
        Task reports = ReportAsync(all.Token);
        await SendAllAsync(group, ended);
        await SendMissingAsync(group, ended);
        await all.CancelAsync();
        await reports.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Report(isDone: true);
        await Task.Delay(Timeout.Infinite, ended);
    }

    private async Task SendAllAsync(ProcessGroup group, CancellationToken ended)
    {
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < quotes.Count; i++)
        {
            TimeSpan early = TimeSpan.FromSeconds(i / speed) - Stopwatch.GetElapsedTime(start);
            if (early > TimeSpan.FromMilliseconds(1))
                await Task.Delay(early, ended);
            await SendAsync(group, quotes[i], ended);
            Volatile.Write(ref _sent, i + 1);
        }
    }

    // A quote that is on its way and not handled here yet is sent twice: its number tells.
    private async Task SendMissingAsync(ProcessGroup group, CancellationToken ended)
    {
        List<Quote> missing = [.. quotes];
        while (missing.Count > 0)
        {
            await Task.Delay(RetryAfter, ended);
            await group.FlushAsync(ended);
            missing.RemoveAll(member.Knows);
            foreach (Quote quote in missing)
                await SendAsync(group, quote, ended);
        }
    }

    private static async Task SendAsync(ProcessGroup group, Quote quote, CancellationToken ended)
    {
        while (true)
        {
            try
            {
                await group.FifoAsync(quote, ended);
                return;
            }
            catch (ExcludedException)
            {
                await Task.Delay(RetryAfter, ended); // the group is being joined again
            }
        }
    }

    private async Task ReportAsync(CancellationToken ended)
    {
        using var timer = new PeriodicTimer(ReportInterval);
        while (await timer.WaitForNextTickAsync(ended))
            Report(isDone: false);
    }

    private void Report(bool isDone) =>
        parent.Report(new JsonObject { ["kind"] = "feed", ["sent"] = Volatile.Read(ref _sent), ["done"] = isDone });
}
