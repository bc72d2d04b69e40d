// What the parent knows of its children, from their own lines. Safe for any thread; whoever waits for something to become
// true is woken by every line.
using System.Collections.Immutable;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Samples.Shared;

namespace Ticker;

/// <summary>One child, as it last reported.</summary>
internal sealed record Actor(string Name, string Role)
{
    public string State { get; init; } = "starts";
    public long View { get; init; }
    public ImmutableArray<string> Members { get; init; } = [];
    public ImmutableArray<string> Primary { get; init; } = [];
    public ImmutableArray<string> Secondary { get; init; } = [];
    /// <summary>Quotes published (ticker), received (client) or sent (feed) since the process started.</summary>
    public long Quotes { get; init; }
    public double Rate { get; init; }
    public TimeSpan ReportedAt { get; init; }
    public bool HasJoined { get; init; }
    public bool IsDone { get; init; }
    public ClientReport? Report { get; init; }
}

/// <summary>All children, and what has happened.</summary>
internal sealed class Scene
{
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, Actor> _actors = new(StringComparer.Ordinal);
    private readonly List<string> _happened = [];
    private TaskCompletionSource _changed = NewSource();

    public TimeSpan Now => Stopwatch.GetElapsedTime(_start);

    public ImmutableArray<Actor> Actors
    {
        get
        {
            lock (_gate)
                return [.. _actors.Values];
        }
    }

    public Actor this[string name]
    {
        get
        {
            lock (_gate)
                return _actors[name];
        }
    }

    /// <summary>What has happened from the given place on, and the place after it.</summary>
    public IReadOnlyList<string> HappenedSince(ref int place)
    {
        lock (_gate)
        {
            string[] news = [.. _happened.Skip(place)];
            place = _happened.Count;
            return news;
        }
    }

    /// <summary>A child begins, or begins again.</summary>
    public void Enter(string name, string role) => Change(() => _actors[name] = new Actor(name, role) { ReportedAt = Now });

    public void Say(string happened) => Change(() => _happened.Add($"{Now.TotalSeconds,6:F1} s  {happened}"));

    public void Mark(string name, string state) => Change(() => _actors[name] = _actors[name] with { State = state, Rate = 0, Primary = [], Secondary = [] });

    /// <summary>A child's line. What is not as it should be is passed over: the parent's waits are bounded anyway.</summary>
    public void Hear(ChildProcess child, JsonObject line)
    {
        try
        {
            Change(() => Take(child.Name, line));
        }
        catch (Exception e) when (e is InvalidOperationException or NullReferenceException or FormatException)
        {
            Say($"{child.Name} said something odd: {line.ToJsonString()}");
        }
    }

    /// <summary>Waits until something is so.</summary>
    /// <exception cref="TimeoutException">It did not come to be so in time; the message says what.</exception>
    public async Task WaitAsync(string what, Func<Scene, bool> isSo, TimeSpan patience)
    {
        TimeSpan end = Now + patience;
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                if (isSo(this))
                    return;
                changed = _changed.Task;
            }

            TimeSpan left = end - Now;
            if (left <= TimeSpan.Zero || await Task.WhenAny(changed, Task.Delay(left)) != changed)
                throw new TimeoutException($"After {patience.TotalSeconds:F0} s: {what}.");
        }
    }

    private void Take(string name, JsonObject line)
    {
        Actor actor = _actors[name];
        switch ((string?)line["kind"])
        {
            case "joined":
                _actors[name] = actor with { HasJoined = true, State = "ready" };
                break;
            case "state":
                _happened.Add($"{Now.TotalSeconds,6:F1} s  {name} got the group's state: {(long)line["published"]!} quotes are published");
                break;
            case "ticker":
                TakeTicker(actor, line);
                break;
            case "client":
                _actors[name] = Counted(actor, (long)line["received"]!) with { Report = FinalReport(name, line) ?? actor.Report };
                break;
            case "feed":
                _actors[name] = Counted(actor, (long)line["sent"]!) with { IsDone = (bool)line["done"]! };
                break;
        }
    }

    private void TakeTicker(Actor actor, JsonObject line)
    {
        ImmutableArray<string> members = Names(line["members"]);
        long view = (long)line["view"]!;
        if (view != actor.View)
            _happened.Add($"{Now.TotalSeconds,6:F1} s  {actor.Name} sees view {view}: {string.Join(", ", members)}");
        string state = (bool)line["blocked"]! ? "blocked" : (bool)line["handover"]! ? "hands over" : "works";
        _actors[actor.Name] = Counted(actor, (long)line["published"]!) with
        {
            HasJoined = true,
            State = state,
            View = view,
            Members = members,
            Primary = Names(line["primary"]),
            Secondary = Names(line["secondary"]),
        };
    }

    // Only the answer to the parent's question tells what is lost.
    private static ClientReport? FinalReport(string name, JsonObject line) => line["lost"] is { } lost
        ? new ClientReport(name, (long)line["received"]!, (long)lost, (long)line["duplicates"]!, (double)line["gap"]!)
        : null;

    private Actor Counted(Actor actor, long quotes)
    {
        TimeSpan passed = Now - actor.ReportedAt;
        if (passed < TimeSpan.FromMilliseconds(100))
            return actor with { Quotes = quotes };
        return actor with { Quotes = quotes, Rate = (quotes - actor.Quotes) / passed.TotalSeconds, ReportedAt = Now };
    }

    private void Change(Action change)
    {
        lock (_gate)
        {
            change();
            _changed.TrySetResult();
            _changed = NewSource();
        }
    }

    private static ImmutableArray<string> Names(JsonNode? names) => [.. names!.AsArray().Select(n => (string)n!)];

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
