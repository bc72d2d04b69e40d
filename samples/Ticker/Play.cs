// The parent: starts the processes, kills and restarts a ticker in the middle, and asks the clients for what they got.
// Keeps: every step has its time; whatever fails, all children are ended and the run ends.
using System.Globalization;
using System.Text.Json.Nodes;
using Samples.Shared;

namespace Ticker;

/// <summary>One run.</summary>
/// <param name="quotes">What the feed will send.</param>
/// <param name="feedArguments">How the feed process finds the same quotes.</param>
/// <param name="speed">Quotes a second.</param>
internal sealed class Play(Scene scene, IReadOnlyList<Quote> quotes, IReadOnlyList<string> feedArguments, double speed, int tickers, int clients) : IAsyncDisposable
{
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ChangePatience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan SlowFeedPatience = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan ReportPatience = TimeSpan.FromSeconds(60);
    private const string FeedName = "feed";

    private readonly Dictionary<string, ChildProcess> _children = [];
    private readonly Dictionary<string, string> _addresses = [];
    private readonly Dictionary<string, int> _sent = quotes.GroupBy(q => q.Symbol).ToDictionary(s => s.Key, s => s.Count());

    private IEnumerable<string> TickerNames => Enumerable.Range(1, tickers).Select(i => $"ticker{i}");

    private IEnumerable<string> ClientNames => Enumerable.Range(1, clients).Select(i => $"client{i}");

    /// <exception cref="TimeoutException">A step took too long.</exception>
    public async Task<Verdict> RunAsync()
    {
        ChooseAddresses();
        foreach (string name in TickerNames)
            Start(name, "ticker");
        foreach (string name in ClientNames)
            Start(name, "client");
        Start(FeedName, "feed", [.. feedArguments, "--speed", speed.ToString(CultureInfo.InvariantCulture)]);
        await scene.WaitAsync("not all processes have joined", AllAreReady, StartPatience);

        scene.Say($"the feed begins: {quotes.Count} quotes of {_sent.Count} symbols, {speed:F0} a second");
        _children[FeedName].Tell(new JsonObject { ["go"] = true });
        await WaitForFeedAsync(0.35);
        await KillAndRestartAsync();
        await scene.WaitAsync("the feed has not ended", s => s[FeedName].IsDone, TimeSpan.FromSeconds(quotes.Count / speed) + SlowFeedPatience);
        scene.Say("the feed has ended");
        return await AskClientsAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_children.Values.Select(c => c.DisposeAsync().AsTask()));
        _children.Clear();
    }

    // The oldest member: it coordinates the hand-overs, so nobody's death is harder on the others.
    private async Task KillAndRestartAsync()
    {
        string victim = scene[TickerNames.First()].Members[0];
        string[] others = [.. TickerNames.Where(t => t != victim)];
        TimeSpan killedAt = scene.Now;
        _children[victim].Kill();
        scene.Mark(victim, "killed");
        scene.Say($"{victim} is killed");
        await scene.WaitAsync($"the others still see {victim}", s => others.All(o => !s[o].Members.Contains(victim)), ChangePatience);
        scene.Say($"the others go on without {victim} after {(scene.Now - killedAt).TotalMilliseconds:F0} ms");

        await WaitForFeedAsync(0.6);
        await _children[victim].DisposeAsync();
        Start(victim, "ticker");
        scene.Say($"{victim} is restarted");
        await scene.WaitAsync($"{victim} has not joined again", s => TickerNames.All(t => s[t].HasJoined && s[t].Members.Length == tickers), StartPatience);
        scene.Say($"{victim} has its place again: primary for {string.Join(", ", scene[victim].Primary)}");
    }

    private Task WaitForFeedAsync(double share) => scene.WaitAsync(
        $"the feed has not sent {share:P0}", s => s[FeedName].Quotes >= quotes.Count * share || s[FeedName].IsDone,
        TimeSpan.FromSeconds(quotes.Count / speed) + SlowFeedPatience);

    private async Task<Verdict> AskClientsAsync()
    {
        long expected = quotes.Count;
        try
        {
            await scene.WaitAsync("not all quotes have come", s => ClientNames.All(c => s[c].Quotes >= expected), ReportPatience);
        }
        catch (TimeoutException e)
        {
            scene.Say(e.Message); // the reports will say what is missing
        }

        var question = new JsonObject { ["sent"] = new JsonObject(_sent.Select(s => KeyValuePair.Create(s.Key, (JsonNode?)s.Value))) };
        foreach (string name in ClientNames)
            _children[name].Tell(question);
        try
        {
            await scene.WaitAsync("not all clients have reported", s => ClientNames.All(c => s[c].Report is not null), ReportPatience);
        }
        catch (TimeoutException e)
        {
            scene.Say(e.Message);
        }

        ClientReport[] reports = [.. ClientNames.Select(c => scene[c].Report).OfType<ClientReport>()];
        return new Verdict(quotes.Count, reports, [.. ClientNames.Where(c => scene[c].Report is null)]);
    }

    private bool AllAreReady(Scene s)
    {
        if (_children.Values.FirstOrDefault(c => c.ExitCode is not null) is { } dead)
            throw new InvalidOperationException($"{dead.Name} has ended with exit code {dead.ExitCode}.");
        return TickerNames.All(t => s[t].Members.Length == tickers) && s.Actors.All(a => a.HasJoined);
    }

    private void ChooseAddresses()
    {
        string[] names = [.. TickerNames, .. ClientNames, FeedName];
        foreach ((string name, string address) in names.Zip(FreeAddresses.Take(names.Length)))
            _addresses.Add(name, address);
    }

    private void Start(string name, string role, params string[] more)
    {
        scene.Enter(name, role);
        string[] arguments = [.. NodeArguments.Write(role, name, _addresses[name], _addresses.Values, _sent.Keys), .. more];
        _children[name] = ChildProcess.Start(name, arguments, scene.Hear);
    }
}
