// The key/value service: its judgement, and two servers of it behind real sockets.
extern alias Ticker;

using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using ReplicatedKeyValue;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses; // the one that all tests of this process ask: another copy would give its addresses again

namespace Core.Groups.Tests.Samples;

public sealed class KeyValueTests
{
    private const int Limit = 120_000; // milliseconds: a test that hangs is a test that failed

    [Fact]
    public void A_verdict_rests_on_every_server()
    {
        var acknowledged = new Dictionary<string, long> { ["a"] = 5, ["b"] = 7 };
        Verdict Judge(params Dictionary<string, long>[] servers) =>
            new(acknowledged, [.. servers.Select((s, i) => new Held($"server{i}", s))], Writes: 12, Repeated: 0, TimeSpan.Zero);
        var all = new Dictionary<string, long> { ["a"] = 5, ["b"] = 7 };
        Assert.True(Judge(all, all).IsGood);

        Verdict behind = Judge(all, new() { ["a"] = 3, ["b"] = 7 });
        Assert.Equal((2L, false), (behind.Lost, behind.IsGood));
        Assert.Contains("verdict: ACKNOWLEDGED WRITES WERE LOST", behind.Lines());

        Verdict without = Judge(all, new() { ["a"] = 5 });
        Assert.Equal((7L, false), (without.Lost, without.IsGood));
        Assert.False(Judge(all, new() { ["a"] = 6, ["b"] = 7 }).IsGood); // they differ
        Assert.False(Judge().IsGood);
        Assert.False((Judge(all) with { Writes = 0 }).IsGood);
    }

    [Fact(Timeout = Limit)]
    public async Task Any_server_answers_and_the_page_sees_it()
    {
        string[] addresses = FreeAddresses.Take(6);
        await using Server first = await StartAsync(addresses, 0);
        await using Server second = await StartAsync(addresses, 1);
        await using Server third = await StartAsync(addresses, 2);
        await Task.WhenAll(((Server[])[first, second, third]).Select(s => s.WhenReadyAsync(default)));
        using var http = new HttpClient();

        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync($"{first.Url}/values/key")).StatusCode);
        Entry written = await ReadAsync(await http.PutAsync($"{first.Url}/values/key", new StringContent("one")), HttpStatusCode.OK);
        Assert.Equal(written, await http.GetFromJsonAsync<Entry>($"{second.Url}/values/key?latest=true"));

        // A write that is made again finds itself there; one of somebody else's version changes nothing.
        Entry next = await ReadAsync(await PutIfAsync(http, second, "two", written.Version), HttpStatusCode.OK);
        Assert.Equal(next, await ReadAsync(await PutIfAsync(http, first, "two", written.Version), HttpStatusCode.PreconditionFailed));
        Assert.Equal(HttpStatusCode.BadRequest, (await PutIfAsync(http, first, "x", -1)).StatusCode);

        Assert.Contains("EventSource", await http.GetStringAsync(first.Url));
        Assert.Equal("Healthy", await http.GetStringAsync($"{second.Url}/health"));
        using (var events = new StreamReader(await http.GetStreamAsync($"{first.Url}/events")))
        {
            JsonNode picture = JsonNode.Parse((await LineAsync(events, "data: "))["data: ".Length..])!;
            Assert.Equal((3, "two"), (picture["members"]!.AsArray().Count, (string?)picture["entries"]!["key"]));
            await http.PutAsync($"{second.Url}/values/other", new StringContent("x"));
            while (!(await LineAsync(events, "data: ")).Contains("other")) { } // a view may come between
        }

        await second.DisposeAsync();
        Assert.Equal(next, await ReadAsync(await http.GetAsync($"{first.Url}/values/key"), HttpStatusCode.OK));
        await ReadAsync(await http.PutAsync($"{first.Url}/values/key", new StringContent("three")), HttpStatusCode.OK);
    }

    private static Task<Server> StartAsync(string[] addresses, int server) => Server.StartAsync(
        o => (o.Name, o.Listen, o.Seeds, o.SuspectAfter) = ($"server{server + 1}", addresses[server], addresses[..3], TimeSpan.FromSeconds(20)), $"http://{addresses[3 + server]}", default);

    private static async Task<HttpResponseMessage> PutIfAsync(HttpClient http, Server server, string value, long version)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, $"{server.Url}/values/key") { Content = new StringContent(value) };
        request.Headers.TryAddWithoutValidation("If-Match", version.ToString(System.Globalization.CultureInfo.InvariantCulture));
        return await http.SendAsync(request);
    }

    private static async Task<Entry> ReadAsync(HttpResponseMessage response, HttpStatusCode expected)
    {
        Assert.True(expected == response.StatusCode, await response.Content.ReadAsStringAsync());
        return (await response.Content.ReadFromJsonAsync<Entry>())!;
    }

    private static async Task<string> LineAsync(StreamReader reader, string beginning)
    {
        string line;
        do
            line = await reader.ReadLineAsync() ?? throw new IOException("The stream has ended.");
        while (!line.StartsWith(beginning, StringComparison.Ordinal));
        return line;
    }
}
