// GroupShell processes that are frozen, killed and cut off from each other while all of them send. What each of them saw is
// in its trace, and the checkers of the simulator judge the traces.
extern alias Ticker;
using System.Text.Json.Nodes;
using Core.Groups.Testing.Checkers;
using Core.Groups.Tracing;
using Xunit.Abstractions;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses;

namespace Core.Groups.Tests.Samples;

public sealed class ProcessTraceTests(ITestOutputHelper output) : IDisposable
{
    private readonly DirectoryInfo _traces = Directory.CreateTempSubdirectory("core-groups-traces");

    public void Dispose() => _traces.Delete(recursive: true);

    /// <summary>A process that was frozen and excluded delivers nothing more in its old incarnation, and comes back by itself.</summary>
    [Fact]
    public async Task A_frozen_process_is_excluded_and_comes_back()
    {
        if (!OperatingSystem.IsLinux()) return; // SIGSTOP
        string[] addresses = FreeAddresses.Take(3);
        Shell[] shells = [.. addresses.Select((address, i) => Start($"{(char)('a' + i)}", address, addresses))];
        try
        {
            foreach (Shell shell in shells) Assert.True((bool)(await shell.AskAsync("join", "\"group\":\"/g\""))["ok"]!);
            foreach (Shell shell in shells) await shell.ReadAsync(IsView("abc"));
            foreach (Shell shell in shells) shell.Tell("burst", "send", "\"group\":\"/g\",\"order\":\"total\",\"size\":100,\"count\":200");

            await shells[2].SignalAsync("STOP");
            foreach (Shell shell in shells[..2]) await ReadNewAsync(shell, IsView("ab"));
            Assert.True((bool)(await shells[0].AskAsync("send", "\"group\":\"/g\",\"order\":\"total\",\"text\":\"without c\""))["ok"]!);
            await shells[1].ReadAsync(line => (string?)line["text"] == "without c");
            await shells[2].SignalAsync("CONT");

            JsonObject excluded = await shells[2].ReadAsync(line => (string?)line["ev"] == "exclude");
            long old = (long)excluded["inc"]!;
            foreach (Shell shell in shells) await shell.ReadAsync(line => IsView("abc")(line) && line["incs"]!.AsArray().Select(i => (long)i!).Last() > old);
            Assert.True((bool)(await shells[0].AskAsync("send", "\"group\":\"/g\",\"order\":\"total\",\"text\":\"with c\""))["ok"]!);
            await shells[2].ReadAsync(line => (string?)line["text"] == "with c");
            Assert.DoesNotContain(shells[2].Seen, line => (string?)line["text"] == "without c");
        }
        finally
        {
            foreach (Shell shell in shells) await shell.DisposeAsync();
        }

        Judge();
    }

    /// <summary>
    /// A process is cut off while all send, the others go on (in extended mode it goes on too, by itself), and the network is
    /// healed; then one is killed.
    /// </summary>
    [Theory]
    [InlineData("primary")]
    [InlineData("extended")]
    public async Task Processes_in_networks_of_their_own_survive_cuts_while_all_send(string mode)
    {
        (NodeNetworks? made, string reason) = await NodeNetworks.MakeAsync(3);
        if (made is null)
        {
            output.WriteLine($"Not run: network namespaces cannot be made here ({reason.Trim()}).");
            return;
        }

        await using NodeNetworks networks = made;
        string[] seeds = [.. "abc".Select(NodeNetworks.AddressOf)];
        Shell[] shells = [.. "abc".Select(n => new Shell(networks.In(n), $"{n}", NodeNetworks.AddressOf(n), seeds, [.. Options, "--insecure", "--mode", mode]))];
        try
        {
            foreach (Shell shell in shells) Assert.True((bool)(await shell.AskAsync("join", "\"group\":\"/g\""))["ok"]!);
            foreach (Shell shell in shells) await shell.ReadAsync(IsView("abc"));
            foreach (char victim in "cab") await CutAsync(networks, shells, victim, isExtended: mode == "extended");
            shells[0].Kill();
            foreach (Shell shell in shells[1..]) await ReadNewAsync(shell, IsView("bc"));
        }
        finally
        {
            foreach (Shell shell in shells) await shell.DisposeAsync();
        }

        Judge(isPrimaryMode: mode == "primary");
    }

    private static async Task CutAsync(NodeNetworks networks, Shell[] shells, char victim, bool isExtended)
    {
        Shell cut = shells[victim - 'a'];
        Shell[] others = [.. shells.Where(s => s != cut)];
        foreach (Shell shell in shells) shell.Tell($"burst{victim}", "send", "\"group\":\"/g\",\"order\":\"total\",\"size\":100,\"count\":300");
        await networks.CutOffAsync(victim);
        string text = $"without {victim}";
        await ReadNewAsync(others[0], IsView("abc".Replace($"{victim}", "")));
        await SendAsync(others[0], others[1], text);
        if (isExtended)
        {
            await ReadNewAsync(cut, IsView($"{victim}"));
            await SendAsync(cut, cut, $"{victim} alone");
        }

        await networks.HealAsync(victim);
        foreach (Shell shell in shells) await ReadNewAsync(shell, IsView("abc"));
        Assert.DoesNotContain(cut.Seen, line => (string?)line["text"] == text);
        Assert.DoesNotContain(others.SelectMany(s => s.Seen), line => (string?)line["text"] == $"{victim} alone");
    }

    private static async Task SendAsync(Shell from, Shell to, string text)
    {
        Assert.True((bool)(await from.AskAsync("send", $"\"group\":\"/g\",\"order\":\"causal\",\"text\":\"{text}\""))["ok"]!);
        await to.ReadAsync(line => (string?)line["text"] == text);
    }

    private string[] Options => ["--trace", _traces.FullName, "--heartbeat", "50ms", "--suspect", "3s"];

    /// <summary>A line that this test has not seen before.</summary>
    private static async Task ReadNewAsync(Shell shell, Func<JsonObject, bool> isIt)
    {
        var old = shell.Seen.ToHashSet();
        await shell.ReadAsync(line => !old.Contains(line) && isIt(line));
    }

    private Shell Start(string name, string address, string[] seeds) =>
        new(name, address, seeds, Options);

    private static Func<JsonObject, bool> IsView(string members) =>
        line => (string?)line["ev"] == "view" && string.Concat(line["members"]!.AsArray().Select(m => (string)m!).Order()) == members;

    private void Judge(bool isPrimaryMode = true)
    {
        List<TraceEvent> lines = [.. _traces.GetFiles("*.jsonl").SelectMany(file => TraceReader.ReadFile(file.FullName).Events)];
        Assert.NotEmpty(lines);
        IReadOnlyList<Violation> violations = AllCheckers.Run(History.From(lines), new CheckOptions
        {
            Electorate = ["a", "b", "c"], IsPrimaryMode = isPrimaryMode, Continuity = isPrimaryMode ? PrimaryContinuity.VotesOrProof : PrimaryContinuity.None,
        });
        Assert.True(violations.Count == 0, string.Join('\n', violations));
    }
}
