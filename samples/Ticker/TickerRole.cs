// A ticker process: a member of /tickers, which gets every quote of the feed and publishes those that it is responsible for
// to the group of the symbol's clients.
// Keeps: a quote that some ticker has got is published by one that survives; perhaps by two, never by none.
// Follows: "a toolkit and META", figures 3, 11 and 12. Deviation: a new owner also publishes what waits in the ledger.
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Core.Groups;
using Samples.Shared;

namespace Ticker;

/// <summary>One ticker process.</summary>
internal sealed class TickerRole
{
    public const string GroupName = "/tickers";

    private static readonly TimeSpan PollPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(250);

    private readonly GroupNode _node;
    private readonly ParentLink _parent;
    private readonly string[] _symbols;
    private readonly Publisher _publisher;
    private readonly Lock _gate = new(); // guards the two below: handlers change them, the publisher asks them
    private readonly Handover _handover = new();
    private Ledger _ledger = new();
    private readonly Channel<View> _toConfirm = Channel.CreateUnbounded<View>();
    private volatile ProcessGroup? _group;

    public TickerRole(GroupNode node, ParentLink parent, string[] symbols)
    {
        (_node, _parent, _symbols) = (node, parent, symbols);
        _publisher = new Publisher(node, IsWanted, SendNoticeAsync);
    }

    /// <summary>Joins and works until the parent is gone.</summary>
    public async Task RunAsync(CancellationToken ended)
    {
        await using ProcessGroup group = await _node.JoinAsync(GroupName, new GroupOptions
        {
            State = StateTransfer.Json(Save, Load),
            Configure = Register,
            OnView = OnView,
        }, ended);
        await Task.WhenAll(_publisher.RunAsync(ended), ConfirmAllAsync(ended), ReportAsync(ended));
    }

    private void Register(ProcessGroup group)
    {
        _group = group;
        group.OnMessage(OnQuote); // the feed is no member: what it sends comes as bytes
        group.On<PublishedNotice>((notice, _) => OnPublished(notice));
        group.On<Switch>((change, _) => OnSwitch(change));
        group.OnRequest<Poll, PollAnswer>((_, _) => ValueTask.FromResult(new PollAnswer()));
    }

    private ValueTask OnQuote(GroupMessage message)
    {
        Quote quote = Quote.Read(message.Body);
        bool isMine;
        lock (_gate)
            isMine = _ledger.Add(quote) && _handover.IsResponsible(_node.Id, quote.Symbol);
        if (isMine)
            _publisher.Publish(quote);
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
        lock (_gate)
        {
            if (view.Joined.Contains(_node.Id))
                _handover.Reset();
            _handover.OnView(view);
        }

        PublishBacklog();
        if (view.RankOf(_node.Id) == 0)
            _toConfirm.Writer.TryWrite(view); // not here: the poll's answers come after this handler
        Report();
        return default;
    }

    private ValueTask OnSwitch(Switch change)
    {
        lock (_gate)
            _handover.OnSwitch(change.View);
        return default;
    }

    private async Task ConfirmAllAsync(CancellationToken ended)
    {
        await foreach (View view in _toConfirm.Reader.ReadAllAsync(ended))
            await ConfirmAsync(view, ended);
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
            catch (GroupException)
            {
                return; // excluded or stopped: others confirm their view
            }
        }
    }

    private Ledger Save()
    {
        lock (_gate)
        {
            return new Ledger
            {
                Published = _ledger.Published.ToDictionary(p => p.Key, p => new NumberSet { UpTo = p.Value.UpTo, Beyond = [.. p.Value.Beyond] }),
                Waiting = _ledger.Waiting.ToDictionary(w => w.Key, w => new SortedDictionary<int, Quote>(w.Value)),
            };
        }
    }

    private void Load(Ledger ledger)
    {
        lock (_gate)
            _ledger = ledger;
        _parent.Report(new JsonObject { ["kind"] = "state", ["published"] = ledger.PublishedCount });
        PublishBacklog();
    }

    private void PublishBacklog()
    {
        List<Quote> mine;
        lock (_gate)
            mine = [.. _ledger.WaitingOf(symbol => _handover.IsResponsible(_node.Id, symbol))];
        foreach (Quote quote in mine)
            _publisher.Publish(quote);
    }

    private bool IsWanted(Quote quote)
    {
        lock (_gate)
            return _ledger.IsWaiting(quote) && _handover.IsResponsible(_node.Id, quote.Symbol);
    }

    // Causal: at no member does the notice come before the quotes that it is about.
    private ValueTask SendNoticeAsync(PublishedNotice notice, CancellationToken ct) =>
        _group?.CausalAsync(notice, ct) ?? default;

    private async Task ReportAsync(CancellationToken ended)
    {
        using var timer = new PeriodicTimer(ReportInterval);
        while (await timer.WaitForNextTickAsync(ended))
            Report();
    }

    private void Report()
    {
        lock (_gate)
        {
            if (_handover.Present is not { } present)
                return;
            _parent.Report(new JsonObject
            {
                ["kind"] = "ticker",
                ["view"] = present.View,
                ["members"] = Names(present.Members.Select(m => m.Name)),
                ["primary"] = Names(_symbols.Where(s => present.PrimaryOf(s) == _node.Id)),
                ["secondary"] = Names(_symbols.Where(s => present.SecondaryOf(s) == _node.Id)),
                ["published"] = _publisher.Published,
                ["waiting"] = _ledger.Waiting.Values.Sum(w => w.Count),
                ["handover"] = _handover.IsUnderWay,
                ["blocked"] = _node.IsBlocked,
            });
        }
    }

    private static JsonArray Names(IEnumerable<string> names) => [.. names.Select(n => JsonValue.Create(n))];
}
