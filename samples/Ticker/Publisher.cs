// Publishes quotes to their symbols' groups, and tells the ticker group which it has published.
// Keeps: the notice is a causal message, sent after the quotes; so if it is delivered anywhere, no failure can undo the
// quotes (RFC 992: a failure leaves no gap in a chain of causal messages, even when their destinations differ).
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
    private const int MostPerNotice = 256;
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(100);

    private readonly Channel<Quote> _queue = Channel.CreateUnbounded<Quote>(); // what waits is in the ledger anyway
    private long _published;

    /// <summary>How many quotes this process has published.</summary>
    public long Published => Interlocked.Read(ref _published);

    /// <summary>Takes a quote; one that is no longer wanted when its turn comes is passed over.</summary>
    public void Publish(Quote quote) => _queue.Writer.TryWrite(quote);

    /// <summary>Works until it is over.</summary>
    public async Task RunAsync(CancellationToken ended)
    {
        while (await _queue.Reader.WaitToReadAsync(ended))
        {
            var notice = new PublishedNotice([]);
            while (notice.Quotes.Count < MostPerNotice && _queue.Reader.TryRead(out Quote? quote))
            {
                if (await SendAsync(quote, ended))
                    notice.Quotes.Add(new QuoteNumber(quote.Symbol, quote.Number));
            }

            await NotifyAsync(notice, ended);
        }
    }

    private async Task<bool> SendAsync(Quote quote, CancellationToken ended)
    {
        while (isWanted(quote))
        {
            try
            {
                await groupOf(quote.Symbol).CausalAsync(quote, ended);
                Interlocked.Increment(ref _published);
                return true;
            }
            catch (ExcludedException)
            {
                await Task.Delay(RetryAfter, ended); // the group is being joined again
            }
        }

        return false;
    }

    private async Task NotifyAsync(PublishedNotice notice, CancellationToken ended)
    {
        if (notice.Quotes.Count == 0)
            return;
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
