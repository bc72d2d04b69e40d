// The feed: reads quotes and gives every one of them to every ticker process, at an even speed. It is no member of the group.
// Keeps: a quote counts as sent when it is with all tickers of the view; until then it is sent again after a failure.
using System.Diagnostics;
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;

namespace Ticker;

/// <summary>The feed process.</summary>
internal sealed class FeedRole(GroupNode node, ParentLink parent, IReadOnlyList<Quote> quotes, double speed)
{
    private const int MostUnderWay = 256;
    private static readonly TimeSpan SendPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(250);

    private readonly SemaphoreSlim _room = new(MostUnderWay);
    private int _sent;

    /// <summary>Waits for the parent's word, then sends everything.</summary>
    public async Task RunAsync(CancellationToken ended)
    {
        parent.Report(new JsonObject { ["kind"] = "joined" });
        await parent.Said.ReadAsync(ended);
        using var all = CancellationTokenSource.CreateLinkedTokenSource(ended);
        Task reports = ReportAsync(all.Token);
        await SendAllAsync(ended);
        await all.CancelAsync();
        await reports.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Report(isDone: true);
        await Task.Delay(Timeout.Infinite, ended).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task SendAllAsync(CancellationToken ended)
    {
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < quotes.Count; i++)
        {
            TimeSpan early = TimeSpan.FromSeconds(i / speed) - Stopwatch.GetElapsedTime(start);
            if (early > TimeSpan.FromMilliseconds(1))
                await Task.Delay(early, ended);
            await _room.WaitAsync(ended);
            _ = SendAsync(quotes[i], ended);
        }

        for (int i = 0; i < MostUnderWay; i++)
            await _room.WaitAsync(ended);
    }

    private async Task SendAsync(Quote quote, CancellationToken ended)
    {
        byte[] body = quote.ToBytes();
        while (!ended.IsCancellationRequested)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(ended);
            limit.CancelAfter(SendPatience);
            try
            {
                await node.SendAsync(TickerRole.GroupName, Order.Fifo, body, limit.Token);
                Interlocked.Increment(ref _sent);
                break;
            }
            catch (Exception e) when (e is GroupException or TimeoutException or OperationCanceledException)
            {
                // Perhaps it came through all the same: then the tickers know its number.
                await Task.Delay(RetryAfter, ended).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        _room.Release();
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
