// A client of the service: writes growing numbers to keys of its own, at any server that answers, and remembers what was acknowledged.
// Keeps: a number is written with the version that it follows, so that asking again, at another server, writes it once at most.
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;

namespace ReplicatedKeyValue;

/// <summary>One writer.</summary>
internal sealed class Writer(HttpClient http, Servers servers, int id)
{
    private const int Keys = 5;

    private readonly Dictionary<string, Entry> _acknowledged = [];

    /// <summary>The last number of each key that a server has answered for.</summary>
    public IReadOnlyDictionary<string, long> Acknowledged => _acknowledged.ToDictionary(a => a.Key, a => long.Parse(a.Value.Value!, CultureInfo.InvariantCulture));

    /// <summary>Writes that were acknowledged.</summary>
    public long Count { get; private set; }

    /// <summary>Requests that were made again at another server.</summary>
    public long Repeated { get; private set; }

    /// <summary>The longest time that a write took, with all its repetitions.</summary>
    public TimeSpan Longest { get; private set; }

    /// <summary>Writes until it is told to stop, and ends the write that it has begun.</summary>
    public async Task RunAsync(CancellationToken stop, CancellationToken giveUp)
    {
        while (!stop.IsCancellationRequested)
        {
            string key = string.Create(CultureInfo.InvariantCulture, $"writer{id}.key{Count % Keys}");
            Entry last = _acknowledged.GetValueOrDefault(key, new Entry("0", 0));
            string next = (long.Parse(last.Value!, CultureInfo.InvariantCulture) + 1).ToString(CultureInfo.InvariantCulture);
            long start = Stopwatch.GetTimestamp();
            _acknowledged[key] = await WriteAsync(key, next, last.Version, giveUp);
            TimeSpan took = Stopwatch.GetElapsedTime(start);
            Longest = took > Longest ? took : Longest;
            Count++;
        }
    }

    private async Task<Entry> WriteAsync(string key, string value, long version, CancellationToken giveUp)
    {
        while (true)
        {
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Put, $"{servers.Next()}/values/{key}") { Content = new StringContent(value) };
                request.Headers.TryAddWithoutValidation("If-Match", version.ToString(CultureInfo.InvariantCulture));
                using HttpResponseMessage response = await http.SendAsync(request, giveUp);
                if (response.StatusCode is HttpStatusCode.OK or HttpStatusCode.PreconditionFailed)
                {
                    Entry there = (await response.Content.ReadFromJsonAsync(StoreJson.Default.Entry, giveUp))!;
                    if (there.Value == value)
                        return there; // now, or by an earlier attempt whose answer was lost
                    if (there.Version > version)
                        throw new InvalidOperationException($"{key} holds {there.Value} of version {there.Version}, and nobody else writes it: {value} was expected.");
                }
            }
            catch (Exception e) when (e is HttpRequestException or IOException || (e is OperationCanceledException && !giveUp.IsCancellationRequested))
            {
                // killed, or cut off: another one
            }

            Repeated++;
            await Task.Delay(10, giveUp);
        }
    }
}

/// <summary>Where servers answer, in turn.</summary>
internal sealed class Servers(string[] urls)
{
    private int _next;

    public IReadOnlyList<string> All => urls;

    public string Next() => urls[(int)((uint)Interlocked.Increment(ref _next) % (uint)urls.Length)];
}
