// Moves of members, and requests that more than one group has a part in, over real GroupShell processes.
extern alias Ticker;
using System.Text.Json.Nodes;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses;

namespace Core.Groups.Tests.Samples;

public sealed class ShellAnswerTests
{
    [Fact]
    public async Task Members_move_answers_are_copied_and_passed_on_and_groups_ask_as_one()
    {
        string[] addresses = FreeAddresses.Take(3);
        await using Shell a = new("a", addresses[0], addresses), b = new("b", addresses[1], addresses), c = new("c", addresses[2], addresses);
        foreach (Shell shell in (Shell[])[a, b])
            Ok(await shell.AskAsync("join", "\"group\":\"/g\""));
        JsonObject moved = Ok(await a.AskAsync("migrate", "\"group\":\"/g\",\"to\":\"c\""));
        Assert.Equal("bc", string.Concat(moved["members"]!.AsArray()));
        JsonObject view = await b.ReadAsync(line => (string?)line["ev"] == "view" && (long?)line["view"] == (long)moved["view"]!);
        Assert.Equal(("c", "a"), ((string?)view["joined"]!.AsArray().Single(), (string?)view["left"]!.AsArray().Single()));
        Assert.Equal("bad-field", (string?)(await b.AskAsync("migrate", "\"group\":\"/g\",\"to\":\"z\""))["error"]);
        Assert.Equal("migration-failed", (string?)(await b.AskAsync("migrate", "\"group\":\"/g\",\"to\":\"c\""))["error"]);
        Assert.Equal("not-member", (string?)(await a.AskAsync("migrate", "\"group\":\"/g\",\"to\":\"b\""))["error"]);
        Assert.Equal("c:x", Texts(await c.AskAsync("request", "\"group\":\"/g\",\"order\":\"fifo\",\"text\":\"x\",\"replies\":\"all\""))[1]);

        // b is in both groups and answers once.
        foreach (Shell shell in (Shell[])[a, b])
            Ok(await shell.AskAsync("join", "\"group\":\"/h\""));
        Assert.Equal(["a:both", "b:both", "c:both"], Texts(await b.AskAsync("request", "\"groups\":[\"/g\",\"/h\"],\"order\":\"total\",\"text\":\"both\"")));

        // What is asked of /desk at c is answered by /g; what is asked of /teller at a is copied to /h.
        Ok(await c.AskAsync("join", "\"group\":\"/desk\",\"pass-on\":\"/g\",\"pass-to\":\"b\""));
        JsonObject passed = Ok(await a.AskAsync("request", "\"group\":\"/desk\",\"order\":\"fifo\",\"text\":\"hard\""));
        JsonNode answer = Assert.Single(passed["answers"]!.AsArray())!;
        Assert.Equal(("b", "b:hard", "c"), ((string?)answer["from"], (string?)answer["text"], (string?)answer["in-place-of"]));
        Ok(await a.AskAsync("join", "\"group\":\"/teller\",\"copies\":[\"/h\"]"));
        Assert.Equal(["a:sum"], Texts(await c.AskAsync("request", "\"group\":\"/teller\",\"order\":\"fifo\",\"text\":\"sum\"")));
        await b.ReadAsync(line => (string?)line["ev"] == "deliver" && (string?)line["text"] == "a:sum");

        // Both members of /h ask /g under one number: it is handled once and answered to both.
        string asked = "\"group\":\"/g\",\"as\":\"/h\",\"number\":1,\"order\":\"total\",\"text\":\"together\"";
        a.Tell("t", "request", asked);
        Assert.Equal(["b:together", "c:together"], Texts(await b.AskAsync("request", asked)));
        Assert.Equal(["b:together", "c:together"], Texts(await a.ReadAsync(line => (string?)line["re"] == "t")));
        Assert.Equal("not-possible", (string?)(await a.AskAsync("request", asked))["error"]);
    }

    private static string[] Texts(JsonObject answer) => [.. Ok(answer)["answers"]!.AsArray().Select(x => (string)x!["text"]!).Order()];

    private static JsonObject Ok(JsonObject answer)
    {
        Assert.True((bool)answer["ok"]!, answer.ToJsonString());
        return answer;
    }
}
