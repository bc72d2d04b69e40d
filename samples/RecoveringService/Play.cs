// The parent: starts the members, kills them in one order after another, starts them in another one, and adds up what it was told.
// Keeps: every wait has its time; whatever fails, all children are ended.
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Samples.Shared;

namespace RecoveringService;

/// <summary>One run.</summary>
internal sealed class Play(string data, int members, Random random) : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan LongestGap = TimeSpan.FromMilliseconds(500);

    private readonly string[] _names = [.. Enumerable.Range(0, members).Select(i => ((char)('a' + i)).ToString())];
    private readonly string[] _addresses = FreeAddresses.Take(members);
    private readonly ConcurrentDictionary<string, ChildProcess> _children = [];
    private readonly ConcurrentDictionary<ChildProcess, bool> _ready = [];
    private readonly ConcurrentDictionary<string, bool> _stable = [];
    private readonly ConcurrentDictionary<string, string[]> _ledgers = [];
    private readonly ConcurrentDictionary<string, bool> _halted = [];
    private readonly List<TimeSpan> _recoveries = [];
    private TaskCompletionSource _news = NewSource();
    private int _kills;
    private int _totalFailures;

    /// <exception cref="TimeoutException">A step took too long.</exception>
    public async Task<Verdict> RunAsync(TimeSpan time)
    {
        var clock = Stopwatch.StartNew();
        await StartAsync(_names);
        do
        {
            await GatherUpdatesAsync();
            string[] victims = Shuffled(random.Next(4) > 0 ? members : random.Next(1, members + 1)); // mostly all of them
            await KillAsync(victims);
            await StartAsync(Shuffle(victims));
        }
        while (clock.Elapsed < time);

        foreach (string name in _names) _children[name].Tell(new JsonObject { ["halt"] = true });
        await WaitAsync("not all members have stopped to write", () => _halted.Count == members);
        foreach (string name in _names) _children[name].Tell(new JsonObject { ["ask"] = true });
        await WaitAsync("not all members have told what they have", () => _ledgers.Count == members);
        return new Verdict([.. _stable.Keys], new Dictionary<string, string[]>(_ledgers), _kills, _totalFailures, _recoveries);
    }

    public async ValueTask DisposeAsync() => await Task.WhenAll(_children.Values.Select(c => c.DisposeAsync().AsTask()));

    private async Task KillAsync(string[] victims)
    {
        foreach (string name in victims)
        {
            _children[name].Kill();
            await _children[name].DisposeAsync();
            _kills++;
            if (random.Next(3) > 0) await PauseAsync(); // else at once: the others have not noticed
        }

        if (victims.Length == members) _totalFailures++;
        Console.WriteLine($"killed {string.Join(", ", victims)} ({_stable.Count} entries are stable)");
    }

    private async Task StartAsync(string[] order)
    {
        foreach (string name in order)
        {
            Start(name);
            if (random.Next(2) > 0) await PauseAsync();
            if (random.Next(8) == 0)
            {
                // While it starts, restores, or is given the state.
                _children[name].Kill();
                await _children[name].DisposeAsync();
                _kills++;
                Start(name);
            }
        }

        var clock = Stopwatch.StartNew();
        await WaitAsync("nobody serves again", () => order.Any(IsReady));
        if (order.Length == members) _recoveries.Add(clock.Elapsed);
        await WaitAsync("not all members serve again", () => order.All(IsReady));
    }

    private void Start(string name)
    {
        int index = Array.IndexOf(_names, name);
        _children[name] = ChildProcess.Start(
            name, ["member", "--name", name, "--listen", _addresses[index], "--seeds", string.Join(',', _addresses), "--data", Path.Combine(data, name)], Hear);
    }

    private void Hear(ChildProcess child, JsonObject said)
    {
        if (said["stable"] is { } entry) _stable[entry.GetValue<string>()] = true;
        if (said["ready"] is not null) _ready[child] = true;
        if (said["halted"] is not null) _halted[child.Name] = true;
        if (said["entries"] is JsonArray entries) _ledgers[child.Name] = [.. entries.Select(e => e!.GetValue<string>())];
        if (said["waits"] is { } reason) Console.WriteLine($"{child.Name} waits: {reason}");
        Interlocked.Exchange(ref _news, NewSource()).TrySetResult();
    }

    private bool IsReady(string name) => _ready.ContainsKey(_children[name]);

    private Task GatherUpdatesAsync()
    {
        int enough = _stable.Count + random.Next(1, 120);
        return WaitAsync("no updates become stable", () => _stable.Count >= enough);
    }

    private async Task WaitAsync(string problem, Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            Task news = Volatile.Read(ref _news).Task;
            if (condition()) return;
            foreach (ChildProcess child in _children.Values)
            {
                if (child.ExitCode is { } code) throw new InvalidOperationException($"{child.Name} has ended with exit code {code}.");
            }

            try
            {
                await news.WaitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException($"{problem} after {Patience.TotalSeconds} s.");
            }
        }
    }

    private Task PauseAsync() => Task.Delay(random.NextDouble() * LongestGap);

    private string[] Shuffled(int count) => [.. Shuffle(_names).Take(count)];

    private string[] Shuffle(string[] names)
    {
        string[] shuffled = [.. names];
        random.Shuffle(shuffled);
        return shuffled;
    }

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
