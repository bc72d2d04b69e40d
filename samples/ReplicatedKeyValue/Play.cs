// The parent: starts the servers, lets writers write, kills the oldest server in the middle and starts it again, and judges.
// Keeps: every step has its time; whatever fails, all children are ended and the run ends.
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Samples.Shared;

namespace ReplicatedKeyValue;

/// <summary>One run.</summary>
/// <param name="say">Where what happens is told.</param>
internal sealed class Play(Action<string> say) : IAsyncDisposable
{
    private const int ServerCount = 3;
    private const int WriterCount = 6;
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan EndPatience = TimeSpan.FromSeconds(30);

    private readonly string[] _addresses = FreeAddresses.Take(2 * ServerCount);
    private readonly ChildProcess?[] _children = new ChildProcess?[ServerCount];
    private readonly TaskCompletionSource[] _ready = new TaskCompletionSource[ServerCount];
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(10) };

    /// <exception cref="TimeoutException">A step took too long.</exception>
    public async Task<Verdict> RunAsync(TimeSpan time, CancellationToken stop)
    {
        for (int i = 0; i < ServerCount; i++)
            Start(i);
        await Task.WhenAll(_ready.Select(r => r.Task)).WaitAsync(StartPatience, stop);
        string[] urls = [.. Enumerable.Range(0, ServerCount).Select(UrlOf)];
        say($"{ServerCount} servers; look at {string.Join(" or ", urls)}");

        using var enough = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var servers = new Servers(urls);
        Writer[] writers = [.. Enumerable.Range(1, WriterCount).Select(i => new Writer(_http, servers, i))];
        Task writing = Task.WhenAll(writers.Select(w => Task.Run(() => w.RunAsync(enough.Token, giveUp.Token), stop)));
        await PassAsync(writing, time * 0.35, stop);
        await KillAndRestartAsync(writers, writing, time * 0.3, stop);
        await PassAsync(writing, time * 0.35, stop);
        await enough.CancelAsync();
        giveUp.CancelAfter(EndPatience);
        await writing;
        return await JudgeAsync(writers, stop);
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_children.OfType<ChildProcess>().Select(c => c.DisposeAsync().AsTask()));
        _http.Dispose();
    }

    // The oldest one: it represents the configuration, so nobody's death is harder on the others.
    private async Task KillAndRestartAsync(Writer[] writers, Task writing, TimeSpan without, CancellationToken stop)
    {
        JsonObject picture = await FirstPictureAsync(1, stop);
        int victim = int.Parse(((string)picture["members"]![0]!)[^1..], CultureInfo.InvariantCulture) - 1;
        long before = writers.Sum(w => w.Count);
        long killedAt = Stopwatch.GetTimestamp();
        _children[victim]!.Kill();
        say($"{NameOf(victim)} is killed after {before} writes");
        await PassAsync(writing, without, stop);
        say($"the others have acknowledged {writers.Sum(w => w.Count) - before} more in {Stopwatch.GetElapsedTime(killedAt).TotalSeconds:F1} s");
        await _children[victim]!.DisposeAsync();
        Start(victim);
        await _ready[victim].Task.WaitAsync(StartPatience, stop);
        say($"{NameOf(victim)} is back, with all keys");
    }

    private async Task<Verdict> JudgeAsync(Writer[] writers, CancellationToken stop)
    {
        Dictionary<string, long> acknowledged = writers.SelectMany(w => w.Acknowledged).ToDictionary();
        var held = new List<Held>();
        for (int i = 0; i < ServerCount; i++)
        {
            Dictionary<string, string> values = await ReadAllAsync(UrlOf(i), stop);
            held.Add(new Held(NameOf(i), values.ToDictionary(v => v.Key, v => long.Parse(v.Value, CultureInfo.InvariantCulture))));
        }

        return new Verdict(acknowledged, held, writers.Sum(w => w.Count), writers.Sum(w => w.Repeated), writers.Max(w => w.Longest));
    }

    // All that was answered anywhere before. A server that is cut off or very busy does not know that, says so, and is asked again.
    private async Task<Dictionary<string, string>> ReadAllAsync(string url, CancellationToken stop)
    {
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(stop);
        giveUp.CancelAfter(EndPatience);
        while (true)
        {
            try
            {
                using HttpResponseMessage fresh = await _http.GetAsync($"{url}/values/any?latest=true", giveUp.Token); // its copy is up to date from here on
                if (fresh.StatusCode is HttpStatusCode.OK or HttpStatusCode.NotFound)
                    return (await _http.GetFromJsonAsync($"{url}/values", StoreJson.Default.DictionaryStringString, giveUp.Token))!;
            }
            catch (Exception e) when (e is HttpRequestException || (e is OperationCanceledException && !giveUp.IsCancellationRequested))
            {
                // as above
            }

            await Task.Delay(100, giveUp.Token);
        }
    }

    private async Task<JsonObject> FirstPictureAsync(int server, CancellationToken stop)
    {
        using Stream events = await _http.GetStreamAsync($"{UrlOf(server)}/events", stop);
        using var reader = new StreamReader(events);
        while (await reader.ReadLineAsync(stop) is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal))
                return JsonNode.Parse(line["data: ".Length..])!.AsObject();
        }

        throw new IOException($"{NameOf(server)} shows nothing.");
    }

    // The time; a writer that fails ends it.
    private static async Task PassAsync(Task writing, TimeSpan time, CancellationToken stop)
    {
        if (await Task.WhenAny(writing, Task.Delay(time, stop)) == writing)
            await writing;
        stop.ThrowIfCancellationRequested();
    }

    private void Start(int server)
    {
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _ready[server] = ready;
        string[] arguments =
        [
            "node", "--name", NameOf(server), "--listen", _addresses[server], "--seeds", string.Join(',', _addresses.Take(ServerCount)), "--url", UrlOf(server),
        ];
        _children[server] = ChildProcess.Start(NameOf(server), arguments, (_, line) =>
        {
            if ((string?)line["ev"] == "ready")
                ready.TrySetResult();
        });
    }

    private string UrlOf(int server) => $"http://{_addresses[ServerCount + server]}";

    private static string NameOf(int server) => string.Create(CultureInfo.InvariantCulture, $"server{server + 1}");
}
