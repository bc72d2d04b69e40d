// Publishes quotes to their symbols' groups, and tells the ticker group which it has published.
// Keeps: the notice is a causal message, sent after the quotes; so if it is delivered anywhere, no failure can undo the
// quotes (RFC 992: a failure leaves no gap in a chain of causal messages, even when their destinations differ). It waits
// until that is so, about a round trip; the quotes, sent FIFO, do not wait behind it.
using System.Threading.Channels;
using Core.Groups;

namespace Ticker;

/// <summary>The sending side of a ticker process.</summary>
/// <param name="groupOf">The group of a symbol.</param>
/// <param name="isWanted">Whether a quote is still to be published by this process.</param>
/// <param name="notify">Tells the ticker group.</param>
internal sealed class Publisher(
    Func<string, ProcessGroup> groupOf, Func<Quote, bool> isWanted, Func<PublishedNotice, CancellationToken, ValueTask> notify)
{
    // The longer, the more duplicates after a failure; the shorter, the more notices.
    private static readonly TimeSpan NoticeInterval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(100);

    private readonly Channel<Quote> _queue = Channel.CreateUnbounded<Quote>(); // what waits is in the ledger anyway
    private readonly Channel<QuoteNumber> _published = Channel.CreateUnbounded<QuoteNumber>();
    private long _count;

    /// <summary>How many quotes this process has published.</summary>
    public long Count => Interlocked.Read(ref _count);

    /// <summary>Takes a quote; one that is no longer wanted when its turn comes is passed over.</summary>
    public void Publish(Quote quote) => _queue.Writer.TryWrite(quote);

    /// <summary>Works until it is over.</summary>
    public Task RunAsync(CancellationToken ended) => Task.WhenAll(PublishAllAsync(ended), NotifyAllAsync(ended));

    private async Task PublishAllAsync(CancellationToken ended)
    {
        await foreach (Quote quote in _queue.Reader.ReadAllAsync(ended))
        {
            if (!await SendAsync(quote, ended))
                continue;
            Interlocked.Increment(ref _count);
            _published.Writer.TryWrite(new QuoteNumber(quote.Symbol, quote.Number));
        }
    }

    private async Task<bool> SendAsync(Quote quote, CancellationToken ended)
    {
        while (isWanted(quote))
        {
            try
            {
                await groupOf(quote.Symbol).FifoAsync(quote, ended);
                return true;
            }
            catch (ExcludedException)
            {
                await Task.Delay(RetryAfter, ended); // the group is being joined again
            }
        }

        return false;
    }

    private async Task NotifyAllAsync(CancellationToken ended)
    {
        while (await _published.Reader.WaitToReadAsync(ended))
        {
            await Task.Delay(NoticeInterval, ended);
            var notice = new PublishedNotice([]);
            while (_published.Reader.TryRead(out QuoteNumber? quote))
                notice.Quotes.Add(quote);
            try
            {
                await notify(notice, ended);
            }
            catch (ExcludedException)
            {
                // Whoever took over publishes these quotes again, and the clients drop them.
            }
        }
    }
}
