// GroupShell processes under one fault after the other, at times and at nodes that a seed chooses, while all of them send: killed, started
// again, frozen, woken up, and (where networks can be made) cut off and set apart. Then everything is mended, all agree again, and the
// checkers of the simulator judge what the processes' traces say, with the claim that nothing is missing at the end.
// CORE_GROUPS_LONG_TESTS=1: many more faults.
extern alias Ticker;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Core.Groups.Testing.Checkers;
using Core.Groups.Tracing;
using Xunit.Abstractions;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses;

namespace Core.Groups.Tests.Samples;

public sealed class ProcessFaultTests(ITestOutputHelper output) : IDisposable
{
    private static readonly string[] Orders = ["fifo", "causal", "total", "causal-total", "safe", "group"];

    private readonly DirectoryInfo _files = Directory.CreateTempSubdirectory("core-groups-faults");
    private readonly List<string> _story = [];

    private enum Health
    {
        Runs,
        Stands,
        IsDead,
    }

    public void Dispose() => _files.Delete(recursive: true);

    [Theory]
    [InlineData("primary", false, 3, 1)]
    [InlineData("primary", true, 5, 2)]
    [InlineData("extended", false, 4, 3)]
    public async Task Processes_survive_one_fault_after_the_other(string mode, bool isStored, int nodes, int seed)
    {
        if (!OperatingSystem.IsLinux()) return; // SIGSTOP
        (NodeNetworks? made, string reason) = await NodeNetworks.MakeAsync(nodes);
        if (made is null) output.WriteLine($"No cuts: network namespaces cannot be made here ({reason.Trim()}).");
        await using NodeNetworks? networks = made;
        string[] addresses = made is null ? FreeAddresses.Take(nodes) : [.. Enumerable.Range(0, nodes).Select(i => NodeNetworks.AddressOf(NameOf(i)))];
        var random = new Random(seed);
        int faults = Environment.GetEnvironmentVariable("CORE_GROUPS_LONG_TESTS") == "1" ? 150 : 6;
        Site[] sites = [.. addresses.Select((address, i) => new Site(NameOf(i), name => new Shell(made?.In(name) ?? [], $"{name}", address, addresses, OptionsOf(name, mode, isStored))))];
        try
        {
            foreach (Site site in sites) await site.StartAsync();
            await AgreeAsync(sites, "begin");
            for (int i = 0; i < faults; i++)
            {
                foreach (Site site in sites.Where(s => s.Health == Health.Runs)) Send(site, random);
                await FaultAsync(sites, networks, random);
                await Task.Delay(random.Next(random.Next(2) == 0 ? 30 : 4000)); // a fault comes at any time, that of a configuration change included
            }

            foreach (Site site in sites) await MendAsync(site, networks);
            await AgreeAsync(sites, "end");
            Judge(mode == "primary", isStored, sites);
        }
        catch (Exception e) when (e is not Xunit.Sdk.XunitException)
        {
            throw new InvalidOperationException($"{string.Join('\n', _story)}\n{e.Message}", e);
        }
        finally
        {
            foreach (Site site in sites) await site.DisposeAsync();
        }
    }

    private static char NameOf(int index) => (char)('a' + index);

    private string[] OptionsOf(char name, string mode, bool isStored) =>
    [
        "--trace", _files.CreateSubdirectory("traces").FullName, "--heartbeat", "50ms", "--suspect", "3s", "--insecure", "--mode", mode,
        .. isStored ? (string[])["--data", Path.Combine(_files.FullName, $"{name}")] : [],
    ];

    private static void Send(Site site, Random random)
    {
        int groups = random.Next(3);
        string to = groups switch { 0 => "\"group\":\"/g\"", 1 => "\"group\":\"/h\"", _ => "\"groups\":[\"/g\",\"/h\"]" };
        // A GBCAST to several groups that is announced and never sent is in no trace, and the checkers would have to know of it.
        string order = Orders[random.Next(groups == 2 ? Orders.Length - 1 : Orders.Length)];
        site.Shell.Tell("burst", "send", $"{to},\"order\":\"{order}\",\"size\":{random.Next(1, 2000)},\"count\":{(order == "group" ? 3 : 50)}");
    }

    private async Task FaultAsync(Site[] sites, NodeNetworks? networks, Random random)
    {
        Site site = sites[random.Next(sites.Length)];
        switch (random.Next(networks is null ? 3 : 7))
        {
            case 0 when site.Health != Health.IsDead:
                Tell("killed", site);
                await site.KillAsync();
                break;
            case 1 when site.Health == Health.Runs:
                Tell("frozen", site);
                await site.Shell.SignalAsync("STOP");
                site.Health = Health.Stands;
                break;
            case 3 or 4:
                Tell("cut off", site);
                await networks!.CutOffAsync(site.Name);
                break;
            case 5:
                Tell("set apart", site);
                await networks!.SetApartAsync(site.Name);
                break;
            case 6:
                Tell("healed", site);
                await networks!.HealAsync(site.Name);
                break;
            default:
                await MendAsync(site, networks);
                break;
        }
    }

    private async Task MendAsync(Site site, NodeNetworks? networks)
    {
        Tell("mended", site);
        if (networks is not null) await networks.HealAsync(site.Name);
        if (site.Health == Health.IsDead) await site.StartAsync();
        if (site.Health == Health.Stands) await site.Shell.SignalAsync("CONT");
        site.Health = Health.Runs;
    }

    private void Tell(string what, Site site) => _story.Add($"{what} {site.Name}");

    /// <summary>All are in one configuration and members of both groups, and each has got a message of every other one; nothing is under way.</summary>
    private static async Task AgreeAsync(Site[] sites, string text)
    {
        string incarnations = await SettleAsync(sites);
        foreach (string group in (string[])["/g", "/h"])
        {
            foreach (Site site in sites) await site.JoinAsync(group);
            foreach (Site site in sites)
            {
                await site.Shell.ReadUntilLastAsync(
                    line => (string?)line["ev"] == "view" && (string?)line["group"] == group, view => Incarnations(view["members"]!.AsArray(), view["incs"]!.AsArray()) == incarnations);
            }

            foreach (Site site in sites)
                Assert.True((bool)(await site.Shell.AskAsync("send", $"\"group\":\"{group}\",\"order\":\"total\",\"text\":\"{text}{group} {site.Name}\""))["ok"]!);
            foreach (Site site in sites)
            {
                foreach (Site from in sites) await site.Shell.ReadAsync(line => (string?)line["text"] == $"{text}{group} {from.Name}");
            }

            foreach (Site site in sites) Assert.True((bool)(await site.Shell.AskAsync("flush", $"\"group\":\"{group}\""))["ok"]!);
        }
    }

    /// <summary>Waits until all nodes say that they are in the same configuration of all of them.</summary>
    /// <returns>Their incarnations.</returns>
    private static async Task<string> SettleAsync(Site[] sites)
    {
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(60); await Task.Delay(50))
        {
            JsonObject[] answers = await Task.WhenAll(sites.Select(site => site.Shell.AskAsync("config", "")));
            JsonArray members = answers[0]["members"]!.AsArray();
            if (members.Count == sites.Length && answers.All(a => !(bool)a["blocked"]!) && answers.DistinctBy(a => (string?)a["id"]).Count() == 1)
                return Incarnations(members.Select(m => m!["name"]), members.Select(m => m!["inc"]));
        }

        throw new TimeoutException("There is no configuration of all.");
    }

    private static string Incarnations(IEnumerable<JsonNode?> names, IEnumerable<JsonNode?> incarnations) =>
        string.Join(' ', names.Zip(incarnations, (name, incarnation) => $"{name}.{incarnation}").Order());

    private void Judge(bool isPrimaryMode, bool isStored, Site[] sites)
    {
        List<TraceEvent> lines = [.. _files.GetFiles("*.jsonl", SearchOption.AllDirectories).SelectMany(file => TraceReader.ReadFile(file.FullName).Events)];
        IReadOnlyList<Violation> violations = AllCheckers.Run(History.From(lines), new CheckOptions
        {
            IsPrimaryMode = isPrimaryMode, Electorate = [.. sites.Select(site => $"{site.Name}")],
            Continuity = !isPrimaryMode ? PrimaryContinuity.None : isStored ? PrimaryContinuity.MajorityOfNames : PrimaryContinuity.VotesOrProof,
            Survivors = [.. lines.GroupBy(line => line.Node.Name).Select(lines => lines.Max(line => line.Node))],
        });
        output.WriteLine($"{lines.Count} lines, {lines.Count(l => l.Kind == TraceKind.Configuration)} configurations, {lines.Count(l => l.Kind == TraceKind.Deliver)} deliveries");
        Assert.True(violations.Count == 0, $"{string.Join('\n', _story)}\n{string.Join('\n', violations)}");
    }

    /// <summary>A node, over the processes that are it one after the other.</summary>
    private sealed class Site(char name, Func<char, Shell> start) : IAsyncDisposable
    {
        public char Name => name;
        public Shell Shell { get; private set; } = null!;
        public Health Health { get; set; } = Health.IsDead;

        public async Task StartAsync()
        {
            Shell = start(name);
            Health = Health.Runs;
            await Shell.ReadAsync(line => (string?)line["ev"] == "ready");
            foreach (string group in (string[])["/g", "/h"]) Shell.Tell($"join {group}", "join", $"\"group\":\"{group}\"");
        }

        public async Task KillAsync()
        {
            Shell.Kill();
            await Shell.DisposeAsync();
            Health = Health.IsDead;
        }

        /// <summary>Is a member in the end, whatever the join at the start came to.</summary>
        public async Task JoinAsync(string group)
        {
            await Shell.ReadAsync(line => (string?)line["re"] == $"join {group}");
            while (true)
            {
                JsonObject answer = await Shell.AskAsync("join", $"\"group\":\"{group}\"");
                if ((bool)answer["ok"]! || (string?)answer["error"] == "already-member") return;
                Assert.Equal("excluded", (string?)answer["error"]);
            }
        }

        public ValueTask DisposeAsync() => Health == Health.IsDead ? default : Shell.DisposeAsync();
    }
}
