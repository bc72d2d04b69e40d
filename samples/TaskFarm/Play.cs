// The parent: starts a foreman and workers, kills one after the other while they work, and judges what is on the board at the end.
using System.Diagnostics;
using System.Text.Json.Nodes;
using Samples.Shared;

namespace TaskFarm;

/// <summary>One run.</summary>
/// <param name="jobs">How many jobs.</param>
/// <param name="workers">How many workers.</param>
/// <param name="say">Where what happens is told.</param>
internal sealed class Play(int jobs, int workers, Action<string> say) : IAsyncDisposable
{
    private const string ForemanName = "foreman";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan AllPatience = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan BetweenKills = TimeSpan.FromMilliseconds(400);

    private readonly string[] _names = [ForemanName, .. Enumerable.Range(1, workers).Select(i => $"worker{i}")];
    private Cast? _cast;

    /// <exception cref="TimeoutException">A step took too long.</exception>
    public async Task<Verdict> RunAsync(CancellationToken stop)
    {
        _cast = new Cast(_names);
        foreach (string name in _names)
            Start(name, begins: true);
        await Task.WhenAll(_names.Select(ReadyAsync));
        say($"{workers} workers and a foreman; {jobs} jobs");
        int kills = await KillUntilCompleteAsync(stop);
        say($"all results are there, after {kills} kills");
        return new Verdict(jobs, kills, await AskAsync());
    }

    public async ValueTask DisposeAsync()
    {
        if (_cast is not null)
            await _cast.DisposeAsync();
    }

    // One at a time: a majority always lives. Everybody has a turn, the foreman first.
    private async Task<int> KillUntilCompleteAsync(CancellationToken stop)
    {
        long start = Stopwatch.GetTimestamp();
        for (int kills = 0; ; kills++)
        {
            if (Stopwatch.GetElapsedTime(start) > AllPatience)
                throw new TimeoutException($"Not all results were there after {AllPatience.TotalMinutes:F0} minutes.");
            if (await CompleteWithinAsync(BetweenKills, stop))
                return kills;
            string victim = _names[kills % _names.Length];
            await _cast!.KillAsync(victim);
            Start(victim, begins: false);
            await ReadyAsync(victim);
            say($"{victim} was killed, and is back");
        }
    }

    private async Task<bool> CompleteWithinAsync(TimeSpan time, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        try
        {
            await _cast!.WaitAsync(ForemanName, "complete", time);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private async Task<IReadOnlyDictionary<string, IReadOnlyList<Result>>> AskAsync()
    {
        var copies = new Dictionary<string, IReadOnlyList<Result>>();
        foreach (string name in _names)
        {
            _cast!.Tell(name, new JsonObject { ["report"] = true });
            JsonObject report = await _cast.WaitAsync(name, "results", Patience);
            copies[name] = [.. report["results"]!.AsArray().Select(r => new Result((long)r![0]!, (long)r[1]!, (string)r[2]!))];
        }

        return copies;
    }

    private Task ReadyAsync(string name) => _cast!.WaitAsync(name, "ready", Patience);

    private void Start(string name, bool begins)
    {
        if (name == ForemanName)
            _cast!.Start(name, "foreman", "--jobs", jobs.ToString(System.Globalization.CultureInfo.InvariantCulture), "--begins", begins ? "true" : "false");
        else
            _cast!.Start(name, "worker");
    }
}
