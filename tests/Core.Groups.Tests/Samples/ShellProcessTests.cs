// GroupShell as a process, driven through its pipes: the contract that programs in other languages rely on.
extern alias Ticker;
using System.Text.Json.Nodes;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses;

namespace Core.Groups.Tests.Samples;

public sealed class ShellProcessTests
{
    [Fact]
    public async Task Three_shells_form_a_group_and_see_the_same_messages_and_the_same_failure()
    {
        string[] addresses = FreeAddresses.Take(3);
        await using Shell a = new("a", addresses[0], addresses), b = new("b", addresses[1], addresses), c = new("c", addresses[2], addresses);
        foreach (Shell shell in (Shell[])[a, b, c])
        {
            JsonObject ready = await shell.ReadAsync(line => true);
            Assert.Equal("ready", (string?)ready["ev"]);
            Assert.True((bool)(await shell.AskAsync("join", "\"group\":\"/g\""))["ok"]!);
        }

        // What one client gives in a row leaves in that order, whatever its kind; the answers bear the ids of the deliveries.
        a.Tell("s1", "send", "\"group\":\"/g\",\"order\":\"fifo\",\"text\":\"1\"");
        a.Tell("s2", "send", "\"group\":\"/g\",\"order\":\"total\",\"size\":20,\"count\":2");
        JsonObject first = await a.ReadAsync(line => (string?)line["re"] == "s1");
        JsonObject second = await a.ReadAsync(line => (string?)line["re"] == "s2");
        string[] ids = [.. first["ids"]!.AsArray().Concat(second["ids"]!.AsArray()).Select(id => (string)id!)];
        Assert.Equal(3, ids.Distinct().Count());
        foreach (string id in ids)
        {
            JsonObject delivery = await c.ReadAsync(line => (string?)line["msg"] == id);
            Assert.Equal(("deliver", "a"), ((string?)delivery["ev"], (string?)delivery["from"]));
            Assert.True(id == ids[0] ? (string?)delivery["text"] == "1" : (int?)delivery["size"] == 20);
        }

        JsonObject answer = await b.AskAsync("request", "\"group\":\"/g\",\"order\":\"total\",\"text\":\"who\"");
        Assert.Equal(["a:who", "b:who", "c:who"], answer["answers"]!.AsArray().Select(x => (string)x!["text"]!).Order());

        // Configuration data: one event at every member, at one place among all; a value is any JSON.
        Assert.True((bool)(await b.AskAsync("configure", "\"group\":\"/g\",\"key\":\"feed\",\"value\":{\"by\":\"b\"}"))["ok"]!);
        foreach (Shell shell in (Shell[])[a, b, c])
            Assert.Equal("b", (string?)(await shell.ReadAsync(line => (string?)line["ev"] == "configured" && (string?)line["key"] == "feed"))["value"]!["by"]);

        // One message in several groups is one event, with its body, at a member of both.
        foreach (Shell shell in (Shell[])[a, b])
            Assert.True((bool)(await shell.AskAsync("join", "\"group\":\"/h\""))["ok"]!);
        JsonObject both = await a.AskAsync("send", "\"groups\":[\"/g\",\"/h\"],\"order\":\"total\",\"text\":\"both\",\"label\":\"L\"");
        string bothId = (string)both["ids"]!.AsArray()[0]!;
        foreach (Shell shell in (Shell[])[a, b, c])
        {
            JsonObject delivery = await shell.ReadAsync(line => (string?)line["msg"] == bothId);
            Assert.Equal(("both", "L", 2), ((string?)delivery["text"], (string?)delivery["label"], delivery["groups"]!.AsArray().Count));
        }

        a.Kill();
        foreach (Shell shell in (Shell[])[b, c])
            await shell.ReadAsync(line => (string?)line["ev"] == "view" && string.Concat(line["members"]!.AsArray()) == "bc");
        Assert.True((bool)(await b.AskAsync("stop", ""))["ok"]!);
        Assert.Equal(0, await b.ExitAsync());
    }

    [Fact]
    public async Task A_client_calls_by_the_groups_id_and_at_entry_points_and_goes_on_when_its_node_is_killed()
    {
        string[] addresses = FreeAddresses.Take(3);
        await using Shell a = new("a", addresses[0], addresses), b = new("b", addresses[1], addresses), c = new("c", addresses[2], addresses);
        var nodes = new Dictionary<string, Shell> { ["a"] = a, ["b"] = b, ["c"] = c };
        string id = "";
        foreach (Shell shell in nodes.Values)
            id = (string)(await shell.AskAsync("join", "\"group\":\"/g\",\"entries\":[\"tell\",7]"))["group-id"]!;
        await using var client = new Shell("teller", "127.0.0.1:0", addresses, "--client");
        JsonObject ready = await client.ReadAsync(line => true);
        Assert.StartsWith("teller-", (string?)ready["name"]);

        JsonObject found = await client.AskAsync("find", $"\"group\":\"{id}\"");
        Assert.Equal(("/g", id), ((string?)found["name"], (string?)found["group-id"]));
        Assert.Equal(["/g"], (await client.AskAsync("groups", ""))["names"]!.AsArray().Select(n => (string)n!));
        Assert.Equal("no-such-group", (string?)(await client.AskAsync("find", "\"group\":\"/none\""))["error"]);
        Assert.Equal(["a:1", "b:1", "c:1"], await TextsAsync("1", ""));
        Assert.Equal(["a@tell:2", "b@tell:2", "c@tell:2"], await TextsAsync("2", ",\"entry\":\"tell\""));
        Assert.Equal(["a#7:3", "b#7:3", "c#7:3"], await TextsAsync("3", ",\"entry\":7"));
        Assert.Equal(["a#7:m", "b#7:m", "c#7:m"], (await b.AskAsync("request", "\"group\":\"/g\",\"order\":\"total\",\"text\":\"m\",\"entry\":7"))["answers"]!.AsArray().Select(x => (string)x!["text"]!).Order());

        string served = (string)(await client.AskAsync("config", ""))["server"]!;
        nodes[served].Kill();
        string[] left = [.. nodes.Keys.Where(n => n != served)];
        JsonObject sent = await client.AskAsync("send", $"\"group\":\"{id}\",\"order\":\"total\",\"text\":\"after\"");
        foreach (string name in left)
            Assert.Equal("after", (string?)(await nodes[name].ReadAsync(line => (string?)line["msg"] == (string?)sent["ids"]!.AsArray()[0]))["text"]);
        Assert.Contains((string?)(await client.AskAsync("config", ""))["server"], left);
        Assert.True((bool)(await client.AskAsync("stop", ""))["ok"]!);
        Assert.Equal(0, await client.ExitAsync());

        async Task<string[]> TextsAsync(string text, string more) =>
            [.. (await client.AskAsync("request", $"\"group\":\"{id}\",\"order\":\"total\",\"text\":\"{text}\"{more}"))["answers"]!.AsArray().Select(x => (string)x!["text"]!).Order()];
    }

    [Fact]
    public async Task Groups_are_listed_deleted_by_anyone_and_their_processes_end_when_asked_to()
    {
        string[] addresses = FreeAddresses.Take(2);
        await using Shell a = new("a", addresses[0], addresses, "--site", "NewYork"), b = new("b", addresses[1], addresses);
        foreach (string group in (string[])["/x/1", "/x/2", "@NewYork:/x"])
            Assert.True((bool)(await a.AskAsync("join", $"\"group\":\"{group}\""))["ok"]!);
        Assert.Equal("join-refused", (string?)(await b.AskAsync("join", "\"group\":\"@NewYork:/x\""))["error"]);
        Assert.Equal("bad-field", (string?)(await b.AskAsync("join", "\"group\":\"x\""))["error"]);
        Assert.Equal(["/x/1", "/x/2", "@NewYork:/x"], (await b.AskAsync("groups", ""))["names"]!.AsArray().Select(n => (string)n!));
        Assert.Equal(["/x/1", "/x/2"], (await b.AskAsync("groups", "\"prefix\":\"/x/\""))["names"]!.AsArray().Select(n => (string)n!));

        Assert.True((bool)(await b.AskAsync("watch", "\"group\":\"/x/1\""))["ok"]!);
        Assert.True((bool)(await b.AskAsync("watch", "\"node\":\"a\""))["ok"]!);
        Assert.Equal("no-such-group", (string?)(await b.AskAsync("watch", "\"group\":\"/none\""))["error"]);
        Assert.True((bool)(await b.AskAsync("delete", "\"group\":\"/x/1\""))["ok"]!);
        await a.ReadAsync(line => (string?)line["ev"] == "leave" && (string?)line["group"] == "/x/1");
        await b.ReadAsync(line => line is { } e && (string?)e["ev"] == "watch" && (string?)e["group"] == "/x/1" && (string?)e["node"] == "a" && (string?)e["what"] == "left");
        Assert.Equal("no-such-group", (string?)(await b.AskAsync("delete", "\"group\":\"/x/1\""))["error"]);
        Assert.Equal(["/x/2"], (await b.AskAsync("groups", "\"prefix\":\"/x/\""))["names"]!.AsArray().Select(n => (string)n!));
        Assert.True((bool)(await a.AskAsync("join", "\"group\":\"/x/1\""))["ok"]!);

        Assert.True((bool)(await a.AskAsync("join", "\"group\":\"/door\",\"credentials\":\"word\""))["ok"]!);
        Assert.Equal("join-refused", (string?)(await b.AskAsync("join", "\"group\":\"/door\",\"credentials\":\"other\""))["error"]);
        Assert.Equal("join-refused", (string?)(await b.AskAsync("join", "\"group\":\"/door\""))["error"]);
        Assert.Equal(2, (int)(await b.AskAsync("join", "\"group\":\"/door\",\"credentials\":\"word\""))["view"]!);

        Assert.True((bool)(await b.AskAsync("kill", "\"group\":\"/x/2\",\"text\":\"enough\""))["ok"]!);
        await a.ReadAsync(line => (string?)line["ev"] == "deliver" && (string?)line["text"] == "enough");
        Assert.Equal(0, await a.ExitAsync());
    }

    [Fact]
    public async Task Nothing_on_the_input_ends_the_process_but_what_should()
    {
        string[] address = FreeAddresses.Take(1);
        await using Shell shell = new("a", address[0], address);
        shell.Write("garbage\n\u0000\u0001\n{}\n[]\n{\"id\":{},\"op\":{}}\n");
        Assert.Equal("unknown-operation", (string?)(await shell.AskAsync("fly", ""))["error"]);
        Assert.Equal("no-such-group", (string?)(await shell.AskAsync("log.status", "\"name\":\"/l\""))["error"]);
        Assert.Equal("bad-field", (string?)(await shell.AskAsync("join", "\"group\":7"))["error"]);
        Assert.Equal("not-member", (string?)(await shell.AskAsync("leave", "\"group\":\"/g\""))["error"]);
        Assert.True((bool)(await shell.AskAsync("join", "\"group\":\"/g\""))["ok"]!);

        shell.CloseInput();
        Assert.Equal(0, await shell.ExitAsync());
    }

    [Fact]
    public async Task A_name_that_a_live_node_has_is_refused_and_a_crash_is_a_crash()
    {
        string[] addresses = FreeAddresses.Take(2);
        await using Shell first = new("a", addresses[0], addresses[..1]);
        Assert.True((bool)(await first.AskAsync("join", "\"group\":\"/g\""))["ok"]!);
        await using Shell second = new("a", addresses[1], addresses[..1]);
        Assert.Equal(3, await second.ExitAsync());

        // Alone and without its seed, a node is blocked: its calls end with their time-outs.
        await using Shell lonely = new("b", addresses[1], [addresses[1], "127.0.0.1:1"]);
        Assert.Equal("timeout", (string?)(await lonely.AskAsync("join", "\"group\":\"/g\",\"timeout\":\"50ms\""))["error"]);

        first.Tell("x", "crash", "");
        Assert.Equal(137, await first.ExitAsync());
    }

    [Theory]
    [InlineData("--listen", "localhost")]
    [InlineData("--heartbeat", "200")]
    [InlineData("--mode", "secondary")]
    [InlineData("--key-file", "/there/is/no/such/file")]
    [InlineData("--listen", "0.0.0.0:0")]
    public async Task Wrong_options_end_the_process(string option, string value)
    {
        string address = FreeAddresses.Take(1)[0];
        await using Shell shell = option == "--listen" ? new("a", value, [address]) : new("a", address, [address], option, value);
        Assert.Equal(2, await shell.ExitAsync());
    }
}
