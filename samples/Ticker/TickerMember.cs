// A member of the ticker group: it gets every quote of the feed, keeps the ledger, and takes part in every hand-over.
// Keeps: a quote that some member has got is published by one that survives; perhaps by two, never by none.
// Follows: "a toolkit and META", figures 3, 11 and 12. Deviation: a new owner also publishes what waits in the ledger.
using System.Collections.Immutable;
using Core.Groups;
using Toolkit.ReplicatedData;

namespace Ticker;

/// <summary>One process's membership of the ticker group.</summary>
internal sealed class TickerMember(GroupNode node)
{
    public const string GroupName = "/tickers";

    private readonly Lock _gate = new(); // guards the ledger: handlers change it, other threads ask it
    private Ledger _ledger = new();
    private volatile ProcessGroup? _group;

    /// <summary>A quote is this member's to publish. Called by handlers, in delivery order.</summary>
    public Action<Quote>? OnMine { get; init; }

    /// <summary>A new assignment counts.</summary>
    public Action? OnAssigned { get; init; }

    /// <summary>The group's state was transferred to this member; so many quotes are published.</summary>
    public Action<int>? OnState { get; init; }

    /// <summary>Which stocks are this member's, without a gap at any moment.</summary>
    public WorkPartition<string> Partition { get; } = Alphabet.CreatePartition();

    public async Task<ProcessGroup> JoinAsync(CancellationToken ct) => await node.JoinAsync(GroupName, Partition.AddTo(new GroupOptions
    {
        State = StateTransfer.Json(Save, Load, TickerJson.Default.Ledger),
        Configure = Register,
        OnView = OnView,
    }), ct);

    /// <summary>Whether this member is to publish a quote, and nobody has said that it is published.</summary>
    public bool IsWanted(Quote quote)
    {
        lock (_gate)
            return _ledger.IsWaiting(quote) && Partition.IsMine(quote.Symbol);
    }

    /// <summary>Whether a quote has come through, published or not.</summary>
    public bool Knows(Quote quote)
    {
        lock (_gate)
            return _ledger.Knows(quote);
    }

    public ValueTask NotifyAsync(PublishedNotice notice, CancellationToken ct) => _group!.CausalAsync(notice, ct);

    private void Register(ProcessGroup group)
    {
        _group = group;
        group.On<Quote>((quote, _) => OnQuote(quote));
        group.On<PublishedNotice>((notice, _) => OnPublished(notice));
    }

    private ValueTask OnQuote(Quote quote)
    {
        bool isMine;
        lock (_gate)
            isMine = _ledger.Add(quote) && Partition.IsMine(quote.Symbol);
        if (isMine)
            OnMine?.Invoke(quote);
        return default;
    }

    private ValueTask OnPublished(PublishedNotice notice)
    {
        lock (_gate)
        {
            foreach (QuoteNumber quote in notice.Quotes)
                _ledger.MarkPublished(quote.Symbol, quote.Number);
        }

        return default;
    }

    private ValueTask OnView(View view)
    {
        PassBacklog();
        OnAssigned?.Invoke();
        return default;
    }

    private Ledger Save()
    {
        lock (_gate)
            return _ledger.Copy();
    }

    private void Load(Ledger ledger)
    {
        lock (_gate)
            _ledger = ledger;
        OnState?.Invoke(ledger.PublishedCount);
        PassBacklog();
    }

    private void PassBacklog()
    {
        ImmutableArray<Quote> mine;
        lock (_gate)
            mine = [.. _ledger.WaitingOf(Partition.IsMine)];
        foreach (Quote quote in mine)
            OnMine?.Invoke(quote);
    }
}
