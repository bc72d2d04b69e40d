// The parent: starts the experts, shows their game, kills one of the two evaluators in the middle, and judges.
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Samples.Shared;

namespace Chess;

/// <summary>One run.</summary>
/// <param name="plies">After so many moves the game ends.</param>
/// <param name="say">Where what happens is told.</param>
internal sealed class Play(int plies, Action<string> say) : IAsyncDisposable
{
    private const string DisplayName = "display";
    private const string Victim = "evaluator1";
    private static readonly string[] Names = [DisplayName, "generator", Victim, "evaluator2"];
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private Cast? _cast;

    /// <exception cref="TimeoutException">A step took too long.</exception>
    public async Task<Verdict> RunAsync(CancellationToken stop)
    {
        _cast = new Cast(Names);
        foreach (string name in Names)
            _cast.Start(name, name.TrimEnd('1', '2'), name == DisplayName ? ["--plies", plies.ToString(CultureInfo.InvariantCulture)] : []);
        foreach (string name in Names)
            await _cast.WaitAsync(name, "ready", Patience);
        _cast.Tell(DisplayName, new JsonObject { ["go"] = true });

        bool isKilled = false;
        long lastMove = Stopwatch.GetTimestamp();
        for (int shown = 0; ;)
        {
            stop.ThrowIfCancellationRequested();
            if (_cast.HasEnded(DisplayName) || Stopwatch.GetElapsedTime(lastMove) > Patience)
                throw new TimeoutException($"There was no move within {Patience.TotalSeconds:F0} s.");
            Task<JsonObject> over = _cast.WaitAsync(DisplayName, "over", TimeSpan.FromMilliseconds(100));
            await ((Task)over).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            IReadOnlyList<JsonObject> moved = _cast.Said(DisplayName, "moved");
            for (; shown < moved.Count; shown++, lastMove = Stopwatch.GetTimestamp())
                Show(shown, moved[shown]);
            if (over.IsCompletedSuccessfully)
                return Judge(over.Result);
            if (!isKilled && shown >= plies / 2)
            {
                isKilled = true;
                await _cast.KillAsync(Victim);
                say($"{Victim} is killed; the other one goes on");
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_cast is not null)
            await _cast.DisposeAsync();
    }

    private void Show(int number, JsonObject moved)
    {
        say($"{(number / 2) + 1}{(number % 2 == 0 ? "." : "…")} {moved["move"]}");
        if (number % 10 == 9)
            say(Position.Parse((string)moved["position"]!).Draw());
    }

    private Verdict Judge(JsonObject over)
    {
        int unseen = (int)over["unseen"]! + Names.Sum(name => _cast!.Said(name, "evaluated") is [.., { } last] ? (int)last["unseen"]! : 0);
        return new Verdict([.. _cast!.Said(DisplayName, "moved").Select(m => (string)m["move"]!)], (string?)over["position"], plies, unseen);
    }
}
