// A member of the ticker group: it gets every quote of the feed, keeps the ledger, and takes part in every hand-over.
// Keeps: a quote that some member has got is published by one that survives; perhaps by two, never by none.
// Follows: "a toolkit and META", figures 3, 11 and 12. Deviation: a new owner also publishes what waits in the ledger.
using System.Collections.Immutable;
using System.Threading.Channels;
using Core.Groups;

namespace Ticker;

/// <summary>One process's membership of the ticker group.</summary>
internal sealed class TickerMember(GroupNode node)
{
    public const string GroupName = "/tickers";

    private static readonly TimeSpan PollPatience = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new(); // guards the two below: handlers change them, other threads ask them
    private readonly Handover _handover = new();
    private Ledger _ledger = new();
    private readonly Channel<View> _toConfirm = Channel.CreateUnbounded<View>();
    private volatile ProcessGroup? _group;

    /// <summary>A quote is this member's to publish. Called by handlers, in delivery order.</summary>
    public Action<Quote>? OnMine { get; init; }

    /// <summary>A new assignment counts.</summary>
    public Action? OnAssigned { get; init; }

    /// <summary>The group's state was transferred to this member; so many quotes are published.</summary>
    public Action<int>? OnState { get; init; }

    /// <summary>What counts now; null before the first view.</summary>
    public Assignment? Assignment
    {
        get
        {
            lock (_gate)
                return _handover.Present;
        }
    }

    public bool IsHandingOver
    {
        get
        {
            lock (_gate)
                return _handover.IsUnderWay;
        }
    }

    public async Task<ProcessGroup> JoinAsync(CancellationToken ct) => await node.JoinAsync(GroupName, new GroupOptions
    {
        State = StateTransfer.Json(Save, Load),
        Configure = Register,
        OnView = OnView,
    }, ct);

    /// <summary>Confirms hand-overs, whenever this member is the oldest, until it is over.</summary>
    public async Task ConfirmAllAsync(CancellationToken ended)
    {
        await foreach (View view in _toConfirm.Reader.ReadAllAsync(ended))
            await ConfirmAsync(view, ended);
    }

    /// <summary>Whether this member is to publish a quote, and nobody has said that it is published.</summary>
    public bool IsWanted(Quote quote)
    {
        lock (_gate)
            return _ledger.IsWaiting(quote) && _handover.IsResponsible(node.Id, quote.Symbol);
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
        group.On<Switch>((change, _) => OnSwitch(change));
        group.OnRequest<Poll, PollAnswer>((_, _) => ValueTask.FromResult(new PollAnswer()));
    }

    private ValueTask OnQuote(Quote quote)
    {
        bool isMine;
        lock (_gate)
            isMine = _ledger.Add(quote) && _handover.IsResponsible(node.Id, quote.Symbol);
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
        bool isOldest;
        lock (_gate)
        {
            if (view.Joined.Contains(node.Id))
                _handover.Reset();
            _handover.OnView(view);
            isOldest = _handover.Present!.Members is [var oldest, ..] && oldest == node.Id;
        }

        PassBacklog();
        if (isOldest)
            _toConfirm.Writer.TryWrite(view); // not here: the answers to its poll come after this handler
        OnAssigned?.Invoke();
        return default;
    }

    private ValueTask OnSwitch(Switch change)
    {
        lock (_gate)
            _handover.OnSwitch(change.View);
        return default;
    }

    // Everyone who answers has seen the view. If the view has changed meanwhile, the next one's oldest member does this again.
    private async Task ConfirmAsync(View view, CancellationToken ended)
    {
        while (_group is { } group && group.View.Id == view.Id)
        {
            try
            {
                await group.RequestAsync<Poll, PollAnswer>(new Poll(view.Number), Replies.All, timeout: PollPatience, ct: ended);
                if (group.View.Id == view.Id)
                    await group.TotalAsync(new Switch(view.Number), ended);
                return;
            }
            catch (TimeoutException)
            {
                // The members are slow, or a change is under way: ask again if there is still something to ask.
            }
            catch (ExcludedException)
            {
                return; // others confirm their view
            }
        }
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
            mine = [.. _ledger.WaitingOf(symbol => _handover.IsResponsible(node.Id, symbol))];
        foreach (Quote quote in mine)
            OnMine?.Invoke(quote);
    }
}
