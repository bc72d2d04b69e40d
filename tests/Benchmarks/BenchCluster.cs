// The parent's view of the measured processes: starts them, asks them, and waits for their views, all within bounds.
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Samples.Shared;

namespace Benchmarks;

/// <summary>N processes with a node each, all members of the main group.</summary>
internal sealed class BenchCluster : IAsyncDisposable
{
    /// <summary>The cluster's name.</summary>
    public const string Name = "benchmarks";

    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ViewPatience = TimeSpan.FromSeconds(60);

    private readonly string[] _addresses;
    private readonly TimeSpan _suspect;
    private readonly DirectoryInfo? _data;
    private readonly ChildProcess?[] _children;
    private readonly string[][] _views;
    private readonly long[] _viewAt;
    private readonly bool[] _ready;
    private readonly Dictionary<int, TaskCompletionSource<JsonObject>> _asked = [];
    private readonly Lock _gate = new();
    private TaskCompletionSource _changed = NewSource();
    private (string Event, TaskCompletionSource<int> Who)? _expected;
    private int _lastId;

    private BenchCluster(int members, TimeSpan suspect, bool needsData)
    {
        _suspect = suspect;
        _data = needsData ? Directory.CreateTempSubdirectory("benchmarks") : null;
        _addresses = FreeAddresses.Take(members);
        (_children, _views, _viewAt, _ready) = (new ChildProcess?[members], [.. Enumerable.Repeat<string[]>([], members)], new long[members], new bool[members]);
    }

    public int Members => _children.Length;

    /// <summary>The times that each member needed to join its groups, one member after the other, in seconds.</summary>
    public List<double> JoinSeconds { get; } = [];

    /// <summary>Starts the processes; they are members of <paramref name="groups"/> groups each when this completes.</summary>
    public static async Task<BenchCluster> StartAsync(int members, int groups = 1, TimeSpan? suspect = null, bool needsData = false)
    {
        var cluster = new BenchCluster(members, suspect ?? TimeSpan.FromSeconds(2), needsData);
        try
        {
            for (int i = 0; i < members; i++)
                cluster.Start(i);
            await cluster.WaitAsync("not all processes are in a primary configuration", () => cluster._ready.All(r => r), StartPatience);
            for (int i = 0; i < members; i++)
                cluster.JoinSeconds.Add((double)(await cluster.JoinAsync(i, groups))["seconds"]!);
            await cluster.WaitForAllAsync();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    public ChildProcess this[int member] => _children[member]!;

    /// <summary>Starts a member again after its process was killed.</summary>
    public async Task RestartAsync(int member)
    {
        await this[member].DisposeAsync();
        lock (_gate)
            _children[member] = null; // or the first lines of the new process would be taken for another's
        Start(member);
        await WaitAsync($"{NameOf(member)} is not in a primary configuration", () => _ready[member], StartPatience);
        await JoinAsync(member, 1);
        await WaitForAllAsync();
    }

    /// <summary>Kills all members at once and starts them again; they are in a primary configuration when this completes, and in no group.</summary>
    public async Task RestartAllAsync()
    {
        for (int i = 0; i < Members; i++)
            this[i].Kill();
        for (int i = 0; i < Members; i++)
        {
            await this[i].DisposeAsync();
            lock (_gate)
                _children[i] = null;
            Start(i);
        }

        await WaitAsync("not all processes are in a primary configuration", () => _ready.All(r => r), StartPatience);
    }

    /// <summary>Waits until all members have a view of all members.</summary>
    public Task WaitForAllAsync() => WaitAsync("not all members see all", () => _views.All(v => v.Length == Members), ViewPatience);

    /// <summary>Waits until all other members have a view without one; gives the time of the last of these, of the stopwatch.</summary>
    public async Task<long> WaitForViewWithoutAsync(int member)
    {
        int[] others = [.. Enumerable.Range(0, Members).Where(i => i != member)];
        await WaitAsync($"not all have a view without {NameOf(member)}", () => others.All(i => !_views[i].Contains(NameOf(member))), ViewPatience);
        lock (_gate)
            return others.Max(i => _viewAt[i]);
    }

    /// <summary>Asks a member to do something; gives the result.</summary>
    /// <exception cref="InvalidOperationException">It could not.</exception>
    public async Task<JsonObject> AskAsync(int member, JsonObject what, TimeSpan patience)
    {
        var answered = new TaskCompletionSource<JsonObject>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            what["id"] = ++_lastId;
            _asked.Add(_lastId, answered);
        }

        this[member].Tell(what);
        JsonObject answer = await answered.Task.WaitAsync(patience);
        return answer["result"]?.DeepClone().AsObject() ?? throw new InvalidOperationException($"{NameOf(member)}: {answer["error"]}");
    }

    /// <summary>Asks all members at once.</summary>
    public Task<JsonObject[]> AskAllAsync(Func<int, JsonObject> what, TimeSpan patience) =>
        Task.WhenAll(Enumerable.Range(0, Members).Select(i => AskAsync(i, what(i), patience)));

    /// <summary>The first member that tells of an event from now on. One call at a time.</summary>
    public Task<int> WhoSaysAsync(string name)
    {
        var who = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
            _expected = (name, who);
        return who.Task;
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_children.OfType<ChildProcess>().Select(c => c.DisposeAsync().AsTask()));
        if (_data is { Exists: true })
            _data.Delete(recursive: true);
    }

    private Task<JsonObject> JoinAsync(int member, int groups) =>
        AskAsync(member, new JsonObject { ["do"] = "join", ["groups"] = groups }, StartPatience + TimeSpan.FromSeconds(groups / 10.0));

    private void Start(int member)
    {
        lock (_gate)
            (_ready[member], _views[member]) = (false, []);
        string[] arguments =
        [
            "node", "--name", NameOf(member), "--listen", _addresses[member], "--seeds", string.Join(',', _addresses),
            "--suspect", _suspect.TotalMilliseconds.ToString(CultureInfo.InvariantCulture),
            .. _data is null ? Array.Empty<string>() : ["--data", Path.Combine(_data.FullName, NameOf(member))],
        ];
        ChildProcess started = ChildProcess.Start(NameOf(member), arguments, (child, line) => Hear(member, child, line));
        lock (_gate)
            _children[member] = started;
    }

    private void Hear(int member, ChildProcess child, JsonObject line)
    {
        lock (_gate)
        {
            if (line["re"] is { } id)
            {
                if (_asked.Remove((int)id, out TaskCompletionSource<JsonObject>? answered))
                    answered.TrySetResult(line);
            }
            else if (_expected is { } expected && (string?)line["ev"] == expected.Event)
            {
                expected.Who.TrySetResult(member);
                _expected = null;
            }
            else if (child == _children[member] || _children[member] is null)
            {
                _ready[member] = true;
                if (line["members"] is JsonArray members)
                    (_views[member], _viewAt[member]) = ([.. members.Select(m => (string)m!)], (long)line["at"]!);
            }

            _changed.TrySetResult();
            _changed = NewSource();
        }
    }

    private async Task WaitAsync(string what, Func<bool> isSo, TimeSpan patience)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                if (isSo())
                    return;
                changed = _changed.Task;
            }

            TimeSpan left = patience - Stopwatch.GetElapsedTime(start);
            if (left <= TimeSpan.Zero || await Task.WhenAny(changed, Task.Delay(left)) != changed)
                throw new TimeoutException($"After {patience.TotalSeconds:F0} s: {what}.");
        }
    }

    /// <summary>Where a member's node listens.</summary>
    public string AddressOf(int member) => _addresses[member];

    /// <summary>The name of a member's node.</summary>
    public static string NameOf(int member) => $"bench{member}";

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
