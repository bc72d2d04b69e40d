// The operations of bulletin boards over real GroupShell processes.
extern alias Ticker;
using System.Text.Json.Nodes;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses;

namespace Core.Groups.Tests.Samples;

public sealed class ShellBoardTests
{
    [Fact]
    public async Task Items_are_posted_read_and_taken_once_by_board_and_by_Linda_names()
    {
        string[] addresses = FreeAddresses.Take(3);
        await using Shell a = new("a", addresses[0], addresses), b = new("b", addresses[1], addresses), c = new("c", addresses[2], addresses);
        Assert.True((bool)(await a.AskAsync("out", "\"name\":\"/jobs\",\"item\":[\"job\",1,2.5,true,null,{\"x\":[1]}]"))["ok"]!);
        JsonObject read = await b.AskAsync("rd", "\"name\":\"/jobs\",\"template\":[{\"prefix\":\"jo\"},{\"min\":0,\"max\":5},null,true,null,null]");
        Assert.Equal("""["job",1,2.5,true,null,{"x":[1]}]""", read["item"]!.ToJsonString());
        Assert.StartsWith("a.", (string?)read["item-id"]);
        Assert.Null((await b.AskAsync("rdp", "\"name\":\"/jobs\",\"template\":[\"job\"]"))["item"]);
        Assert.Equal("timeout", (string?)(await b.AskAsync("in", "\"name\":\"/jobs\",\"template\":[\"no\"],\"timeout\":\"50ms\""))["error"]);
        Assert.Equal("bad-field", (string?)(await b.AskAsync("in", "\"name\":\"/jobs\",\"template\":[{\"min\":1}]"))["error"]);
        Assert.Equal("bad-field", (string?)(await b.AskAsync("out", "\"name\":\"/jobs\",\"item\":[]"))["error"]);

        // Two wait, one item: one of them gets it, and its death does not bring it back.
        b.Tell("tb", "in", "\"name\":\"/jobs\",\"template\":[\"one\",null]");
        c.Tell("tc", "in", "\"name\":\"/jobs\",\"template\":[\"one\",null]");
        foreach (int number in (int[])[1, 2])
            Assert.True((bool)(await a.AskAsync("board.post", $"\"name\":\"/jobs\",\"item\":[\"one\",{number}]"))["ok"]!);
        JsonObject[] taken = [await b.ReadAsync(line => (string?)line["re"] == "tb"), await c.ReadAsync(line => (string?)line["re"] == "tc")];
        Assert.Equal(["""["one",1]""", """["one",2]"""], taken.Select(t => t["item"]!.ToJsonString()).Order());
        b.Kill();
        Assert.Null((await c.AskAsync("board.take", "\"name\":\"/jobs\",\"template\":[\"one\",null],\"wait\":false"))["item"]);
        Assert.Single((await c.AskAsync("board.list", "\"name\":\"/jobs\",\"template\":[\"job\",null,null,null,null,null]"))["items"]!.AsArray());

        Assert.True((bool)(await a.AskAsync("board.post", "\"name\":\"/causal\",\"consistency\":\"causal\",\"item\":[\"x\"],\"lifetime\":\"100ms\""))["ok"]!);
        JsonObject left;
        do
            left = await a.AskAsync("board.list", "\"name\":\"/causal\",\"template\":[\"x\"]");
        while (left["items"]!.AsArray().Count > 0);
    }
}
