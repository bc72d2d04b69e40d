// GroupShell processes with groups in bulk, and with states of a chosen size: what their readers see at both ends.
extern alias Ticker;
using System.Text.Json.Nodes;
using GroupShell;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses;

namespace Core.Groups.Tests.Samples;

public sealed class ShellStateTests
{
    [Fact]
    public async Task Groups_are_joined_and_deleted_in_bulk_all_or_none()
    {
        string[] addresses = FreeAddresses.Take(2);
        await using Shell a = new("a", addresses[0], addresses), b = new("b", addresses[1], addresses);
        Assert.Equal(50, (int)(await a.AskAsync("join-all", "\"prefix\":\"/m/\",\"count\":50,\"credentials\":\"word\",\"entries\":[7]"))["joined"]!);

        // None, if one of them cannot be joined: what it would have created is gone again.
        Assert.Equal("join-refused", (string?)(await b.AskAsync("join-all", "\"groups\":[\"/new\",\"/m/7\"]"))["error"]);
        Assert.Equal("not-member", (string?)(await b.AskAsync("members", "\"group\":\"/new\""))["error"]);
        Assert.Equal(50, (await b.AskAsync("groups", ""))["names"]!.AsArray().Count);

        // What is given right behind a bulk join waits for it, and finds the groups as a join makes them.
        b.Tell("all", "join-all", "\"prefix\":\"/m/\",\"count\":40,\"credentials\":\"word\",\"entries\":[7]");
        JsonObject answers = await b.AskAsync("request", "\"group\":\"/m/33\",\"order\":\"total\",\"text\":\"who\",\"entry\":7");
        Assert.Equal(["a#7:who", "b#7:who"], answers["answers"]!.AsArray().Select(x => (string)x!["text"]!).Order());
        Assert.Equal(40, (int)(await b.ReadAsync(line => (string?)line["re"] == "all"))["joined"]!);

        Assert.Equal(50, (int)(await b.AskAsync("delete-all", "\"prefix\":\"/m/\",\"count\":60"))["deleted"]!);
        Assert.Equal("not-member", (string?)(await b.AskAsync("members", "\"group\":\"/m/40\""))["error"]);
        await a.ReadAsync(line => (string?)line["ev"] == "leave" && (string?)line["group"] == "/m/50");
        Assert.Empty((await a.AskAsync("groups", ""))["names"]!.AsArray());
    }

    [Theory]
    [InlineData(100_000, "")]
    [InlineData(5_000_001, ",\"streamed\":true")]
    public async Task A_state_of_a_chosen_size_comes_to_a_joiner_and_both_ends_tell(long bytes, string streamed)
    {
        string[] addresses = FreeAddresses.Take(2);
        await using Shell a = new("a", addresses[0], addresses), b = new("b", addresses[1], addresses);
        Assert.Equal(bytes, (long)(await a.AskAsync("join", $"\"group\":\"/g\",\"state\":{bytes}{streamed}"))["state"]!);
        Assert.Equal(bytes, (long)(await b.AskAsync("join", $"\"group\":\"/g\",\"state\":0{streamed}"))["state"]!); // the first one's size counts

        foreach ((Shell shell, string end) in new[] { (a, "donor"), (b, "joiner") })
        {
            JsonObject last = await shell.ReadAsync(line => (string?)line["ev"] == "progress" && (bool)line["complete"]!);
            Assert.Equal(("/g", end, bytes, bytes), ((string?)last["group"], (string?)last["end"], (long)last["bytes"]!, (long)last["length"]!));
            bool isOnTheWay = shell.Seen.Any(line => (string?)line["ev"] == "progress" && !(bool)line["complete"]! && (long)line["bytes"]! < bytes);
            Assert.Equal(streamed.Length > 0, isOnTheWay);
        }

        // A member that moved would leave its state behind.
        Assert.Equal("not-supported", (string?)(await a.AskAsync("migrate", "\"group\":\"/g\",\"to\":\"b\""))["error"]);
    }

    [Fact]
    public async Task In_extended_mode_the_largest_state_counts_when_components_meet()
    {
        string[] addresses = FreeAddresses.Take(3);
        await using Shell a = new("a", addresses[0], [], "--mode", "extended"), b = new("b", addresses[1], [], "--mode", "extended"); // each goes on alone
        Assert.Equal(7_000, (long)(await a.AskAsync("join", "\"group\":\"/g\",\"state\":7000"))["state"]!);
        Assert.Equal(50_000, (long)(await b.AskAsync("join", "\"group\":\"/g\",\"state\":50000"))["state"]!);
        await using Shell between = new("c", addresses[2], addresses[..2], "--mode", "extended"); // through it they meet
        foreach (Shell shell in (Shell[])[a, b])
        {
            JsonObject merged = await shell.ReadAsync(line => (string?)line["end"] == "merge");
            Assert.Equal(50_000, (long)merged["bytes"]!);
            Assert.Equal(50_000, (long)(await shell.AskAsync("members", "\"group\":\"/g\""))["state"]!);
        }
    }

    [Fact]
    public async Task Members_are_ranked_anew_in_a_view_of_their_own()
    {
        string[] addresses = FreeAddresses.Take(2);
        await using Shell a = new("a", addresses[0], addresses), b = new("b", addresses[1], addresses);
        Assert.True((bool)(await a.AskAsync("join", "\"group\":\"/g\""))["ok"]!);
        Assert.True((bool)(await b.AskAsync("join", "\"group\":\"/g\""))["ok"]!);
        Assert.Equal("bad-field", (string?)(await a.AskAsync("rank", "\"group\":\"/g\""))["error"]);
        Assert.Equal("not-member", (string?)(await a.AskAsync("rank", "\"group\":\"/h\",\"members\":[\"b\"]"))["error"]);
        Assert.True((bool)(await a.AskAsync("rank", "\"group\":\"/g\",\"members\":[\"b\"]"))["ok"]!);
        foreach (Shell shell in (Shell[])[a, b])
            await shell.ReadAsync(line => (string?)line["ev"] == "view" && string.Concat(line["members"]!.AsArray()) == "ba");
    }

    [Fact]
    public async Task A_state_has_bounds_and_is_not_for_groups_that_have_one_already()
    {
        string[] address = FreeAddresses.Take(1);
        await using Shell shell = new("a", address[0], address);
        foreach (string wrong in (string[])["-1", "\"much\"", "1.5", $"{SizedState.LargestObject + 1}", "5,\"streamed\":7", "5,\"logged\":true"])
            Assert.Equal("bad-field", (string?)(await shell.AskAsync("join", $"\"group\":\"/g\",\"state\":{wrong}"))["error"]);
        Assert.Equal("not-supported", (string?)(await shell.AskAsync("join-all", "\"groups\":[\"/g\"],\"logged\":true"))["error"]);
        Assert.True((bool)(await shell.AskAsync("join", "\"group\":\"/g\""))["ok"]!);
    }

    [Fact]
    public void The_bytes_of_a_state_follow_from_their_places()
    {
        var whole = new byte[5000];
        SizedState.Fill(whole, 0);
        var part = new byte[777];
        SizedState.Fill(part, 1003);
        Assert.Equal(whole[1003..1780], part);
        Assert.NotEqual(whole[1002..1779], part);
    }
}
