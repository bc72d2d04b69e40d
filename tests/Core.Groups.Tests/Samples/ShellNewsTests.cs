// The operations of the news over real GroupShell processes.
extern alias Ticker;
using System.Text.Json.Nodes;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses;

namespace Core.Groups.Tests.Samples;

public sealed class ShellNewsTests
{
    [Fact]
    public async Task Posts_reach_subscribers_and_back_issues_outlive_their_poster()
    {
        string[] addresses = FreeAddresses.Take(3);
        await using Shell a = new("a", addresses[0], addresses), b = new("b", addresses[1], addresses), c = new("c", addresses[2], addresses);
        Assert.Equal(1, (int?)(await a.AskAsync("news.post", "\"topic\":\"markets.nyse.SUN\",\"text\":\"51\""))["number"]);
        Assert.True((bool)(await b.AskAsync("news.subscribe", "\"topic\":\"markets.*.SUN\",\"back\":5"))["ok"]!);
        Assert.Equal(2, (int?)(await c.AskAsync("news.post", "\"topic\":\"markets.nyse.SUN\",\"text\":\"52\""))["number"]);
        Assert.True((bool)(await c.AskAsync("news.post", "\"topic\":\"markets.nyse.IBM\",\"text\":\"no\""))["ok"]!);
        foreach (string text in (string[])["51", "52"])
        {
            JsonObject post = await b.ReadAsync(line => (string?)line["ev"] == "news" && (string?)line["text"] == text);
            Assert.Equal(("markets.nyse.SUN", text == "51" ? "a" : "c"), ((string?)post["topic"], (string?)post["from"]));
        }

        a.Kill();
        await b.ReadAsync(line => (string?)line["ev"] == "conf" && line["members"]!.AsArray().Count == 2);
        JsonObject back = await c.AskAsync("news.back", "\"topic\":\"markets.nyse.SUN\",\"count\":10");
        Assert.Equal(["51", "52"], back["posts"]!.AsArray().Select(p => (string)p!["text"]!));
        Assert.True((bool)(await b.AskAsync("news.unsubscribe", "\"topic\":\"markets.*.SUN\""))["ok"]!);
        Assert.Equal("not-subscribed", (string?)(await b.AskAsync("news.unsubscribe", "\"topic\":\"markets.*.SUN\""))["error"]);
        Assert.Equal("bad-field", (string?)(await b.AskAsync("news.subscribe", "\"topic\":\"a..b\""))["error"]);
        Assert.Equal("bad-field", (string?)(await b.AskAsync("news.post", "\"topic\":\"a.*\",\"text\":\"x\""))["error"]);
    }
}
