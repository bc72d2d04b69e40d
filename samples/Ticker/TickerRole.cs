// A ticker process: publishes the quotes that it is responsible for to the groups of those who want them.
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;

namespace Ticker;

/// <summary>One ticker process.</summary>
internal sealed class TickerRole
{
    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(250);

    private readonly GroupNode _node;
    private readonly ParentLink _parent;
    private readonly string[] _symbols;
    private readonly Dictionary<string, ProcessGroup> _groups = [];
    private readonly TickerMember _member;
    private readonly Publisher _publisher;

    public TickerRole(GroupNode node, ParentLink parent, string[] symbols)
    {
        (_node, _parent, _symbols) = (node, parent, symbols);
        _member = new TickerMember(node)
        {
            OnMine = quote => _publisher!.Publish(quote),
            OnAssigned = Report,
            OnState = published => parent.Report(new JsonObject { ["kind"] = "state", ["published"] = published }),
        };
        _publisher = new Publisher(symbol => _groups[symbol], _member.IsWanted, _member.NotifyAsync);
    }

    /// <summary>Joins and works until the parent is gone.</summary>
    public async Task RunAsync(CancellationToken ended)
    {
        // The symbols' groups first: once it has a part of the alphabet, it must be able to publish.
        foreach (string symbol in _symbols)
            _groups.Add(symbol, await _node.JoinAsync(Quote.GroupOf(symbol), new GroupOptions { Configure = group => group.IgnoreMessages() }, ended));
        await _member.JoinAsync(ended);
        await Task.WhenAll(_publisher.RunAsync(ended), _member.Partition.RunAsync(ended), ReportAsync(ended));
    }

    private async Task ReportAsync(CancellationToken ended)
    {
        using var timer = new PeriodicTimer(ReportInterval);
        while (await timer.WaitForNextTickAsync(ended))
            Report();
    }

    private void Report()
    {
        if (_member.Partition.Present is not { Members.IsEmpty: false } present)
            return;
        _parent.Report(new JsonObject
        {
            ["kind"] = "ticker",
            ["view"] = present.View,
            ["members"] = Names(present.Members.Select(m => m.Name)),
            ["primary"] = Names(_symbols.Where(s => _member.Partition.OwnerOf(s) == _node.Id)),
            ["secondary"] = Names(_symbols.Where(s => _member.Partition.BackupOf(s) == _node.Id)),
            ["published"] = _publisher.Count,
            ["handover"] = _member.Partition.IsHandingOver,
            ["blocked"] = _node.IsBlocked,
        });
    }

    private static JsonArray Names(IEnumerable<string> names) => [.. names.Select(n => JsonValue.Create(n))];
}
