// The operations on locks, semaphores and read/write locks, between processes.
extern alias Ticker;
using System.Text.Json.Nodes;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses;

namespace Core.Groups.Tests.Samples;

public sealed class ShellLockTests
{
    [Fact]
    public async Task Locks_are_held_by_one_shell_at_a_time_and_a_deadlock_ends_for_one()
    {
        string[] addresses = FreeAddresses.Take(2);
        await using Shell a = new("a", addresses[0], addresses), b = new("b", addresses[1], addresses);
        JsonObject x = await a.AskAsync("lock.acquire", "\"name\":\"/x\""), y = await b.AskAsync("lock.acquire", "\"name\":\"/y\"");
        Assert.False((bool)(await b.AskAsync("lock.try", "\"name\":\"/x\""))["acquired"]!);
        Assert.Equal("timeout", (string?)(await b.AskAsync("lock.acquire", "\"name\":\"/x\",\"timeout\":\"30ms\""))["error"]);
        Assert.Equal("re-entrant", (string?)(await a.AskAsync("lock.acquire", "\"name\":\"/x\""))["error"]);
        JsonObject who = await b.AskAsync("lock.who", "\"name\":\"/x\"");
        Assert.Equal(("a", (long)x["token"]!), ((string?)who["holder"], (long)who["token"]!));

        a.Tell("ay", "lock.acquire", "\"name\":\"/y\"");
        b.Tell("bx", "lock.acquire", "\"name\":\"/x\"");
        JsonObject ended = await Shell.FirstAsync((a, "ay"), (b, "bx"));
        Assert.Equal("deadlock", (string?)ended["error"]);
        bool isA = (string?)ended["re"] == "ay";
        (Shell victim, Shell other, JsonObject held) = isA ? (a, b, x) : (b, a, y);
        Assert.True((bool)(await victim.AskAsync("lock.release", Hold(held)))["ok"]!);
        Assert.True((long)(await other.ReadAsync(line => (string?)line["re"] == (isA ? "bx" : "ay")))["token"]! > (long)held["token"]!);
        Assert.Equal("not-held", (string?)(await victim.AskAsync("lock.release", Hold(held)))["error"]);

        JsonObject permit = await a.AskAsync("sem.wait", "\"name\":\"/s\",\"count\":2");
        Assert.True((bool)(await b.AskAsync("sem.wait", "\"name\":\"/s\""))["ok"]!);
        Assert.Equal("timeout", (string?)(await b.AskAsync("sem.wait", "\"name\":\"/s\",\"timeout\":\"50ms\""))["error"]);
        Assert.True((bool)(await a.AskAsync("sem.signal", Hold(permit)))["ok"]!);
        Assert.True((bool)(await b.AskAsync("sem.wait", "\"name\":\"/s\""))["ok"]!);

        JsonObject read = await a.AskAsync("rw.read", "\"name\":\"/r\"");
        Assert.True((bool)(await b.AskAsync("rw.read", "\"name\":\"/r\""))["ok"]!);
        Assert.Equal("timeout", (string?)(await a.AskAsync("rw.write", "\"name\":\"/r\",\"owner\":\"another\",\"timeout\":\"50ms\""))["error"]);
        Assert.True((bool)(await a.AskAsync("rw.release", Hold(read)))["ok"]!);

        // Without a majority a node gives up what it holds, at once.
        JsonObject z = await a.AskAsync("lock.acquire", "\"name\":\"/z\"");
        b.Kill();
        JsonObject lost = await a.ReadAsync(line => (string?)line["ev"] == "hold-lost" && (string?)line["name"] == "/z");
        Assert.Equal((string?)z["hold"], (string?)lost["hold"]);
        Assert.Equal("not-held", (string?)(await a.AskAsync("lock.release", Hold(z)))["error"]);

        static string Hold(JsonObject held) => $"\"hold\":{held["hold"]!.ToJsonString()}";
    }
}
