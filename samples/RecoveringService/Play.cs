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
    private static readonly TimeSpan LongestWatch = TimeSpan.FromSeconds(5);

    private readonly string[] _names = [.. Enumerable.Range(0, members).Select(i => ((char)('a' + i)).ToString())];
    private readonly string[] _addresses = FreeAddresses.Take(members);
    private readonly ConcurrentDictionary<string, ChildProcess> _children = [];
    private readonly ConcurrentDictionary<ChildProcess, bool> _ready = [];
    private readonly ConcurrentDictionary<string, bool> _stable = [];
    private readonly ConcurrentDictionary<string, string[]> _ledgers = [];
    private readonly ConcurrentDictionary<string, bool> _halted = [];
    private readonly List<TimeSpan> _recoveries = [];
    private TaskCompletionSource _news = NewSource();
    private readonly Dictionary<Moment, int> _moments = [];
    private TaskCompletionSource<string> _transfer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _kills;
    private int _starts;
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
            await KillAtAsync(victims[0], (Moment)random.Next((int)Moment.Transfer));
            await KillAsync(victims[1..]);
            Tell(victims);
            await StartAsync(Shuffle(victims), killInTransfer: random.Next(2) == 0);
        }
        while (clock.Elapsed < time);

        foreach (string name in _names) _children[name].Tell(new JsonObject { ["halt"] = true });
        await WaitAsync("not all members have stopped to write", () => _halted.Count == members);
        foreach (string name in _names) _children[name].Tell(new JsonObject { ["ask"] = true });
        await WaitAsync("not all members have told what they have", () => _ledgers.Count == members);
        return new Verdict([.. _stable.Keys], new Dictionary<string, string[]>(_ledgers), _kills, _moments, _totalFailures, _recoveries);
    }

    public async ValueTask DisposeAsync() => await Task.WhenAll(_children.Values.Select(c => c.DisposeAsync().AsTask()));

    private async Task KillAsync(string[] victims)
    {
        foreach (string name in victims)
        {
            await KillAsync(name, Moment.Any);
            if (random.Next(3) > 0) await PauseAsync(); // else at once: the others have not noticed
        }
    }

    private async Task KillAtAsync(string name, Moment moment)
    {
        using var watch = new StoreWatch(Path.Combine(data, name), moment);
        bool isSeen = moment != Moment.Any && await Task.WhenAny(watch.Seen, Task.Delay(LongestWatch)) == watch.Seen;
        await KillAsync(name, isSeen ? moment : Moment.Any);
    }

    private async Task KillAsync(string name, Moment moment)
    {
        _children[name].Kill();
        await _children[name].DisposeAsync();
        _kills++;
        _moments[moment] = _moments.GetValueOrDefault(moment) + 1;
    }

    private void Tell(string[] victims)
    {
        if (victims.Length == members) _totalFailures++;
        Console.WriteLine($"killed {string.Join(", ", victims)} ({_stable.Count} entries are stable)");
    }

    private async Task StartAsync(string[] order, bool killInTransfer = false)
    {
        Volatile.Write(ref _transfer, new(TaskCreationOptions.RunContinuationsAsynchronously));
        foreach (string name in order)
        {
            Start(name);
            if (random.Next(2) > 0) await PauseAsync();
            if (random.Next(8) == 0)
            {
                // While it starts, restores, or is given the state.
                await KillAsync(name, Moment.Any);
                Start(name);
            }
        }

        if (killInTransfer && await Task.WhenAny(_transfer.Task, Task.Delay(LongestWatch)) == _transfer.Task)
        {
            string name = await _transfer.Task; // the one who gives, or the one who takes
            await KillAsync(name, Moment.Transfer);
            Start(name);
        }

        var clock = Stopwatch.StartNew();
        await WaitAsync("nobody serves again", () => order.Any(IsReady));
        if (order.Length == members) _recoveries.Add(clock.Elapsed);
        await WaitAsync("not all members serve again", () => _names.All(IsReady));
    }

    private void Start(string name)
    {
        int index = Array.IndexOf(_names, name);
        _children[name] = ChildProcess.Start(
            name, ["member", "--name", name, "--listen", _addresses[index], "--seeds", string.Join(',', _addresses), "--data", Path.Combine(data, name), "--keep-log", $"{(_starts++ % 2 == 0 ? 0 : 64 << 20)}"], Hear);
    }

    private void Hear(ChildProcess child, JsonObject said)
    {
        if (said["stable"] is { } entry) _stable[entry.GetValue<string>()] = true;
        if (said["ready"] is not null) _ready[child] = true;
        if (said["gives"] is not null || said["takes"] is not null) Volatile.Read(ref _transfer).TrySetResult(child.Name);
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
