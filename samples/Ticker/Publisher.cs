// Publishes quotes to their symbols' groups and tells the ticker group when they have arrived.
// Keeps: a quote is called published only when it is stable, that is, with every client of its symbol; what fails is tried
// again for as long as it is wanted of this process.
using System.Threading.Channels;
using Core.Groups;

namespace Ticker;

/// <summary>The sending side of a ticker process. Safe for any thread.</summary>
/// <param name="isWanted">Whether a quote is still to be published by this process.</param>
/// <param name="notify">Tells the ticker group.</param>
internal sealed class Publisher(GroupNode node, Func<Quote, bool> isWanted, Func<PublishedNotice, CancellationToken, ValueTask> notify)
{
    private const int MostUnderWay = 256;
    private const int MostPerNotice = 512;
    private static readonly TimeSpan SendPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(100);

    private readonly Channel<Quote> _queue = Channel.CreateUnbounded<Quote>(); // holds no more than the ledger does
    private readonly Channel<QuoteNumber> _notices = Channel.CreateUnbounded<QuoteNumber>();
    private readonly SemaphoreSlim _room = new(MostUnderWay);
    private readonly HashSet<(string Symbol, int Number)> _taken = [];
    private long _published;

    /// <summary>How many quotes this process has published.</summary>
    public long Published => Interlocked.Read(ref _published);

    /// <summary>Takes a quote. One that is under way is not taken again.</summary>
    public void Publish(Quote quote)
    {
        lock (_taken)
        {
            if (!_taken.Add((quote.Symbol, quote.Number)))
                return;
        }

        _queue.Writer.TryWrite(quote);
    }

    /// <summary>Works until it is over.</summary>
    public Task RunAsync(CancellationToken ended) => Task.WhenAll(PublishAllAsync(ended), NotifyAllAsync(ended));

    private async Task PublishAllAsync(CancellationToken ended)
    {
        await foreach (Quote quote in _queue.Reader.ReadAllAsync(ended))
        {
            await _room.WaitAsync(ended);
            _ = PublishAsync(quote, ended);
        }
    }

    private async Task PublishAsync(Quote quote, CancellationToken ended)
    {
        byte[] body = quote.ToBytes();
        bool isSent = false;
        while (!ended.IsCancellationRequested && isWanted(quote) && !isSent)
        {
            isSent = await TrySendAsync(quote, body, ended);
            if (!isSent)
                await Task.Delay(RetryAfter, ended).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        _room.Release();
        lock (_taken)
            _taken.Remove((quote.Symbol, quote.Number));

        // Given up as another's, and perhaps ours again since: then whoever said so was told that it is under way.
        if (!isSent && isWanted(quote))
            Publish(quote);
    }

    private async Task<bool> TrySendAsync(Quote quote, byte[] body, CancellationToken ended)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ended);
        limit.CancelAfter(SendPatience);
        try
        {
            await node.SendAsync(Quote.GroupOf(quote.Symbol), Order.Fifo, body, limit.Token);
            Interlocked.Increment(ref _published);
        }
        catch (GroupNotFoundException)
        {
            // Nobody wants quotes of this symbol.
        }
        catch (Exception e) when (e is GroupException or TimeoutException or OperationCanceledException)
        {
            return false;
        }

        _notices.Writer.TryWrite(new QuoteNumber(quote.Symbol, quote.Number));
        return true;
    }

    private async Task NotifyAllAsync(CancellationToken ended)
    {
        while (await _notices.Reader.WaitToReadAsync(ended))
        {
            var notice = new PublishedNotice([]);
            while (notice.Quotes.Count < MostPerNotice && _notices.Reader.TryRead(out QuoteNumber? quote))
                notice.Quotes.Add(quote);
            try
            {
                await notify(notice, ended);
            }
            catch (GroupException)
            {
                // Excluded: whoever took over publishes these quotes again, and the clients drop them.
            }
        }
    }
}
