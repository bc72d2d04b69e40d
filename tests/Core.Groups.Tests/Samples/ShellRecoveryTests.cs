// Logged groups and objects through real GroupShell processes: all are killed, in several orders, and come back.
extern alias Ticker;
using System.Text.Json.Nodes;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses;

namespace Core.Groups.Tests.Samples;

public sealed class ShellRecoveryTests
{
    private const string Names = "abc";

    [Fact]
    public async Task Three_shells_are_killed_in_several_orders_and_lose_nothing_that_was_answered()
    {
        string data = Directory.CreateTempSubdirectory("shell-recovery").FullName;
        string[] addresses = FreeAddresses.Take(3);
        try
        {
            int value = 0;
            long token = 0;
            foreach ((int[] kill, int[] start) in ((int[], int[])[])[([0, 1, 2], [2, 1, 0]), ([2, 0, 1], [2, 0, 1])])
            {
                token = await RoundAsync(data, addresses, value, token, kill, start);
                value++;
            }

            await RoundAsync(data, addresses, value, token, [1, 2, 0], [1, 0, 2]);
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }

    // Gives the token of a lock that is held when all are killed.
    private static async Task<long> RoundAsync(string data, string[] addresses, int before, long tokenBefore, int[] kill, int[] start)
    {
        var shells = new Shell[3];
        try
        {
            foreach (int i in start)
                shells[i] = new($"{Names[i]}", addresses[i], addresses, "--data", Path.Combine(data, $"{Names[i]}"));
            foreach (Shell shell in shells)
                shell.Tell("join", "join", "\"group\":\"/g\",\"logged\":true");
            foreach (Shell shell in shells)
                Assert.True((bool)(await shell.ReadAsync(line => (string?)line["re"] == "join"))["ok"]!);
            foreach (Shell shell in shells)
            {
                JsonObject found = await shell.AskAsync("dict.get", "\"name\":\"/d\",\"key\":\"k\",\"linearizable\":true,\"logged\":true");
                Assert.True((bool)found["ok"]!, found.ToJsonString());
                Assert.Equal(before, (int?)found["value"] ?? 0);
                JsonObject status = await shell.AskAsync("log.status", "\"group\":\"/g\"");
                Assert.Equal(("running", before), ((string?)status["state"], (int)status["delivered"]!));
                Assert.Equal("running", (string?)(await shell.AskAsync("log.status", "\"name\":\"/d\""))["state"]);
            }

            Shell writer = shells[kill[1]];
            long token = await HoldAsync(shells, shells[kill[2]], tokenBefore);
            await ReadAndPostNewsAsync(shells, writer, before);
            Assert.True((bool)(await writer.AskAsync("dict.set", $"\"name\":\"/d\",\"key\":\"k\",\"value\":{before + 1},\"logged\":true"))["ok"]!);
            Assert.True((bool)(await writer.AskAsync("send", "\"group\":\"/g\",\"order\":\"total\",\"text\":\"x\""))["ok"]!);
            Assert.True((bool)(await writer.AskAsync("flush", "\"group\":\"/g\""))["ok"]!);
            const string Both = "\"groups\":[\"/g\",\"/d#dict\"]"; // at one instant
            JsonObject checkpoint = await writer.AskAsync("log.checkpoint", Both);
            Assert.Equal(before + 1, (int)checkpoint["checkpoints"]!.AsArray()[^1]!);
            JsonObject back = await writer.AskAsync("log.rollback", $"{Both},\"number\":{before + 1}");
            Assert.True((bool)back["ok"]!, back.ToJsonString());
            Assert.Equal(before + 1, (int)(await writer.AskAsync("dict.get", "\"name\":\"/d\",\"key\":\"k\",\"logged\":true"))["value"]!);
            Assert.Equal("not-possible", (string?)(await writer.AskAsync("log.override", "\"group\":\"/g\",\"members\":[\"a\"]"))["error"]);
            foreach (int i in kill)
                shells[i].Kill();
            return token;
        }
        finally
        {
            foreach (Shell? shell in shells)
            {
                if (shell is not null)
                    await shell.DisposeAsync();
            }
        }
    }

    // Whoever held the lock is gone, and what it was given to write with is never given again.
    private static async Task<long> HoldAsync(Shell[] shells, Shell holder, long tokenBefore)
    {
        foreach (Shell shell in shells)
            shell.Tell("who", "lock.who", "\"name\":\"/l\",\"logged\":true"); // it comes back when the last that had it is there
        foreach (Shell shell in shells)
            Assert.True((bool)(await shell.ReadAsync(line => (string?)line["re"] == "who"))["ok"]!);
        JsonObject hold = await holder.AskAsync("lock.acquire", "\"name\":\"/l\",\"logged\":true");
        Assert.True((bool)hold["ok"]!, hold.ToJsonString());
        Assert.True((long)hold["token"]! > tokenBefore);
        return (long)hold["token"]!;
    }

    private static async Task ReadAndPostNewsAsync(Shell[] shells, Shell writer, int before)
    {
        IEnumerable<string> expected = Enumerable.Range(1, before).Select(n => $"story {n}");
        foreach (Shell shell in shells)
        {
            JsonObject back = await shell.AskAsync("news.back", "\"topic\":\"city.night\",\"count\":10,\"logged\":true");
            Assert.Equal(expected, back["posts"]!.AsArray().Select(p => (string)p!["text"]!));
        }

        Assert.True((bool)(await shells[0].AskAsync("news.subscribe", "\"topic\":\"city.>\",\"back\":10,\"logged\":true"))["ok"]!);
        JsonObject posted = await writer.AskAsync("news.post", $"\"topic\":\"city.night\",\"text\":\"story {before + 1}\",\"logged\":true");
        Assert.Equal(before + 1, (int?)posted["number"]);
        foreach (string story in expected.Append($"story {before + 1}"))
            await shells[0].ReadAsync(line => (string?)line["ev"] == "news" && (string?)line["text"] == story);
    }

    [Fact(Timeout = 120_000)]
    public async Task A_shell_that_cannot_write_any_more_leaves_the_group_and_the_others_go_on()
    {
        string data = Directory.CreateTempSubdirectory("shell-recovery").FullName;
        string[] addresses = FreeAddresses.Take(3);
        // No file of the third one may become larger than 256 KiB; the signal that says so is passed over, so that the write fails.
        string[] wrapper = ["bash", "-c", "export DOTNET_EnableWriteXorExecute=0; trap '' XFSZ; ulimit -f 256; exec \"$0\" \"$@\""];
        try
        {
            await using Shell a = Start([], 0), b = Start([], 1), c = Start(wrapper, 2);
            foreach (Shell shell in (Shell[])[a, b, c])
                shell.Tell("join", "join", "\"group\":\"/g\"");
            foreach (Shell shell in (Shell[])[a, b, c])
                Assert.True((bool)(await shell.ReadAsync(line => (string?)line["re"] == "join"))["ok"]!);
            a.Tell("many", "send", "\"group\":\"/g\",\"order\":\"total\",\"size\":4000,\"count\":100");
            await a.ReadAsync(line => (string?)line["ev"] == "view" && line["left"]!.AsArray().Any(n => (string?)n == "c"));
            Assert.True((bool)(await a.ReadAsync(line => (string?)line["re"] == "many"))["ok"]!);
            Assert.True((bool)(await a.AskAsync("flush", "\"group\":\"/g\""))["ok"]!);
            int delivered;
            do
                delivered = (int)(await a.AskAsync("log.status", "\"group\":\"/g\""))["delivered"]!;
            while (delivered < 100); // every member has got them; this one may still be writing them down
            Assert.Equal(100, delivered);
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }

        Shell Start(string[] command, int i) => new(command, $"{Names[i]}", addresses[i], addresses, "--data", Path.Combine(data, $"{Names[i]}"), "--logged");
    }

    [Fact]
    public async Task What_is_logged_needs_a_directory_and_an_operator_may_go_on_with_whom_is_there()
    {
        string data = Directory.CreateTempSubdirectory("shell-recovery").FullName;
        string[] addresses = FreeAddresses.Take(3);
        try
        {
            await using (Shell bare = new("a", addresses[0], [addresses[0]]))
                Assert.Equal("not-possible", (string?)(await bare.AskAsync("join", "\"group\":\"/g\",\"logged\":true"))["error"]);

            Shell[] first = [.. Enumerable.Range(0, 3).Select(Start)];
            foreach (Shell shell in first)
                Assert.True((bool)(await shell.AskAsync("join", "\"group\":\"/g\""))["ok"]!);
            foreach (Shell shell in first)
            {
                shell.Kill();
                await shell.DisposeAsync();
            }

            await using Shell a = Start(0), b = Start(1);
            a.Tell("join", "join", "\"group\":\"/g\"");
            b.Tell("join", "join", "\"group\":\"/g\"");
            JsonObject status;
            do
                status = await a.AskAsync("log.status", "\"group\":\"/g\"");
            while (status["waiting-for"]!.AsArray().Count != 1);
            Assert.Equal(("waiting", "c"), ((string?)status["state"], (string?)status["waiting-for"]!.AsArray()[0]));
            Assert.Equal("bad-field", (string?)(await a.AskAsync("log.override", "\"group\":\"/g\""))["error"]);
            Assert.True((bool)(await a.AskAsync("log.override", "\"group\":\"/g\",\"members\":[\"a\",\"b\"]"))["ok"]!);
            foreach (Shell shell in (Shell[])[a, b])
                Assert.True((bool)(await shell.ReadAsync(line => (string?)line["re"] == "join"))["ok"]!);
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }

        Shell Start(int i) => new($"{Names[i]}", addresses[i], addresses, "--data", Path.Combine(data, $"{Names[i]}"), "--logged");
    }
}
