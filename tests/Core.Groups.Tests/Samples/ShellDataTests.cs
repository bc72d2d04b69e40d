// Replicated data through real GroupShell processes, as programs in other languages use it.
extern alias Ticker;
using System.Text.Json.Nodes;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses;

namespace Core.Groups.Tests.Samples;

public sealed class ShellDataTests
{
    [Fact]
    public async Task Three_shells_share_variables_dictionaries_and_a_bank_and_a_killed_one_takes_nothing_with_it()
    {
        string[] addresses = FreeAddresses.Take(3);
        await using Shell a = new("a", addresses[0], addresses), b = new("b", addresses[1], addresses), c = new("c", addresses[2], addresses);

        JsonObject empty = await b.AskAsync("var.get", "\"name\":\"/x\"");
        Assert.True((bool)empty["ok"]! && (long)empty["version"]! == 0 && empty["value"] is null);
        Assert.Equal(1, (long)(await a.AskAsync("var.set", "\"name\":\"/x\",\"value\":{\"n\":[1,null]}"))["version"]!);
        JsonObject read = await c.AskAsync("var.get", "\"name\":\"/x\",\"linearizable\":true");
        Assert.Equal("{\"n\":[1,null]}", read["value"]!.ToJsonString());
        Assert.True((bool)(await b.AskAsync("var.cas", "\"name\":\"/x\",\"expect\":1,\"value\":2"))["swapped"]!);
        Assert.False((bool)(await c.AskAsync("var.cas", "\"name\":\"/x\",\"expect\":1,\"value\":3"))["swapped"]!);
        long causal = (long)(await a.AskAsync("var.set", "\"name\":\"/x\",\"value\":\"now\",\"mode\":\"causal\""))["version"]!;
        JsonObject here = await a.AskAsync("var.get", "\"name\":\"/x\"");
        Assert.True((string?)here["value"] == "now" && (long)here["version"]! == causal);

        // The place of a name in the groups of names of other kinds is its own.
        await a.AskAsync("dict.set", "\"name\":\"/x\",\"key\":\"k\",\"value\":true");
        await b.AskAsync("dict.set", "\"name\":\"/x\",\"key\":\"l\",\"value\":null");
        Assert.True((bool)(await c.AskAsync("dict.remove", "\"name\":\"/x\",\"key\":\"l\""))["removed"]!);
        Assert.False((bool)(await c.AskAsync("dict.remove", "\"name\":\"/x\",\"key\":\"l\""))["removed"]!);
        Assert.Null((await c.AskAsync("dict.get", "\"name\":\"/x\",\"key\":\"l\",\"linearizable\":true"))["value"]);
        Assert.Equal("{\"k\":true}", (await b.AskAsync("dict.list", "\"name\":\"/x\",\"linearizable\":true"))["entries"]!.ToJsonString());

        for (int i = 0; i < 10; i++)
        {
            Shell[] shells = [a, b, c];
            JsonObject[] moved = await Task.WhenAll(shells.Select((shell, n) =>
                shell.AskAsync("txn.transfer", $"\"name\":\"/bank\",\"from\":\"p{n}\",\"to\":\"p{(n + 1) % 3}\",\"amount\":7")));
            Assert.All(moved, answer => Assert.True((bool)answer["committed"]!));
        }

        Assert.False((bool)(await a.AskAsync("txn.transfer", "\"name\":\"/bank\",\"from\":\"p0\",\"to\":\"p1\",\"amount\":1000"))["committed"]!);
        a.Kill();
        Assert.True((bool)(await b.AskAsync("txn.transfer", "\"name\":\"/bank\",\"from\":\"p0\",\"to\":\"p1\",\"amount\":1,\"timeout\":\"30s\""))["committed"]!);
        Assert.Equal("{\"p0\":99,\"p1\":101,\"p2\":100}", (await c.AskAsync("txn.balances", "\"name\":\"/bank\""))["balances"]!.ToJsonString());
        Assert.Equal("now", (string?)(await c.AskAsync("var.get", "\"name\":\"/x\",\"linearizable\":true"))["value"]);

        Assert.Equal("bad-field", (string?)(await b.AskAsync("var.set", "\"name\":\"/x\""))["error"]);
        Assert.Equal("bad-field", (string?)(await b.AskAsync("var.set", "\"name\":\"/x\",\"value\":1,\"mode\":\"fast\""))["error"]);
        Assert.Equal("bad-field", (string?)(await b.AskAsync("txn.transfer", "\"name\":\"/bank\",\"from\":\"p0\",\"to\":\"p1\",\"amount\":-1"))["error"]);
    }
}
