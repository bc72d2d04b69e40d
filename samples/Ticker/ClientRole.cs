// A client process: it joins the group of each symbol that it wants, and counts what comes.
using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;

namespace Ticker;

/// <summary>One client process.</summary>
internal sealed class ClientRole(GroupNode node, ParentLink parent, string[] symbols)
{
    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(250);

    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly Lock _gate = new(); // the handlers of different groups run at the same time
    private readonly Tally _tally = new();

    /// <summary>Joins and counts until the parent is gone.</summary>
    public async Task RunAsync(CancellationToken ended)
    {
        await Task.WhenAll(symbols.Select(symbol => node.JoinAsync(
            Quote.GroupOf(symbol), new GroupOptions { Configure = group => group.On<Quote>((quote, _) => OnQuote(quote)) }, ended).AsTask()));
        parent.Report(new JsonObject { ["kind"] = "joined" });
        await Task.WhenAll(AnswerAsync(ended), ReportAsync(ended));
    }

    private ValueTask OnQuote(Quote quote)
    {
        lock (_gate)
            _tally.Add(quote, Stopwatch.GetElapsedTime(_start));
        return default;
    }

    // The parent says what was sent; what is lost is for the client to say.
    private async Task AnswerAsync(CancellationToken ended)
    {
        await foreach (JsonObject said in parent.Said.ReadAllAsync(ended))
        {
            if (said["sent"].Deserialize(TickerJson.Default.DictionaryStringInt32) is { } sent)
                Report(sent);
        }
    }

    private async Task ReportAsync(CancellationToken ended)
    {
        using var timer = new PeriodicTimer(ReportInterval);
        while (await timer.WaitForNextTickAsync(ended))
            Report(sent: null);
    }

    private void Report(Dictionary<string, int>? sent)
    {
        lock (_gate)
        {
            parent.Report(new JsonObject
            {
                ["kind"] = "client",
                ["received"] = _tally.Received,
                ["duplicates"] = _tally.Duplicates,
                ["gap"] = _tally.LongestGap.TotalMilliseconds,
                ["lost"] = sent is null ? null : _tally.Lost(sent),
                ["newest"] = new JsonObject(_tally.Newest.Select(q => KeyValuePair.Create(q.Symbol, (JsonNode?)JsonValue.Create(q.Value)))),
            });
        }
    }
}
