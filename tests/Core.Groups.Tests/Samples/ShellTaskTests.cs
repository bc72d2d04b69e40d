// The operations of the coordinator-cohort tool over real GroupShell processes.
extern alias Ticker;
using System.Text.Json.Nodes;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses;

namespace Core.Groups.Tests.Samples;

public sealed class ShellTaskTests
{
    [Fact(Timeout = 120_000)]
    public async Task A_request_outlives_the_process_that_executes_it()
    {
        string[] addresses = FreeAddresses.Take(3);
        await using Shell a = new("a", addresses[0], addresses), b = new("b", addresses[1], addresses), c = new("c", addresses[2], addresses);
        foreach (Shell server in (Shell[])[a, b])
            Ok(await server.AskAsync("task.serve", "\"name\":\"/up\""));
        JsonObject quick = Ok(await c.AskAsync("task.run", "\"name\":\"/up\",\"text\":\"abc\""));
        Assert.Equal(("ABC", 1), ((string?)quick["result"], (int?)quick["attempt"]));
        JsonObject parts = Ok(await a.AskAsync("task.run", "\"name\":\"/up\",\"text\":\"abcdef\",\"execution\":\"subdivided\""));
        Assert.Equal(("ABCDEF", "ab"), ((string?)parts["result"], string.Concat(parts["parts"]!.AsArray())));
        Assert.Equal("timeout", (string?)(await c.AskAsync("task.run", "\"name\":\"/up\",\"text\":\"x\",\"work\":\"1h\",\"timeout\":\"100ms\""))["error"]);
        Assert.Equal("no-such-group", (string?)(await c.AskAsync("task.run", "\"name\":\"/nobody\",\"text\":\"x\""))["error"]);
        Assert.Equal("not-member", (string?)(await c.AskAsync("task.status", "\"name\":\"/up\""))["error"]);

        // Of several some fall to each server: those of the one that dies are done by the other.
        for (int i = 0; i < 8; i++)
            c.Tell($"t{i}", "task.run", $"\"name\":\"/up\",\"text\":\"t{i}\",\"work\":\"1s\"");
        JsonObject status;
        do
            status = Ok(await a.AskAsync("task.status", "\"name\":\"/up\""));
        while ((long)status["results"]! < 3); // the first three are there; of the others some are under way
        a.Kill();
        var results = new List<JsonObject>();
        for (int i = 0; i < 8; i++)
        {
            string id = $"t{i}";
            results.Add(Ok(await c.ReadAsync(line => (string?)line["re"] == id)));
            Assert.Equal($"T{i}", (string?)results[i]["result"]);
        }

        Assert.All(results.Where(r => (int?)r["attempt"] == 2), r => Assert.Equal("b", (string?)r["by"]));
        do
            status = Ok(await b.AskAsync("task.status", "\"name\":\"/up\""));
        while ((int)status["results"]! < 11); // the cancelled one too; c may be told of the last one before b is
        Assert.Equal(11, (int)status["results"]!);
    }

    private static JsonObject Ok(JsonObject answer)
    {
        Assert.True((bool)answer["ok"]!, answer.ToJsonString());
        return answer;
    }
}
