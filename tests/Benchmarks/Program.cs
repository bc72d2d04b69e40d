// Benchmarks of real processes on loopback: throughput, round trip, fail-over, idle groups, joins. One JSON object out.
using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;

namespace Benchmarks;

/// <summary>The process: the parent, or a measured node.</summary>
internal static class Program
{
    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(60);

    private static readonly Option<int> Members = Number("--members", 3, "Processes.", 1, 32);
    private static readonly Option<int> Size = Number("--size", 100, "Bytes a message.", 8, 8 << 20);
    private static readonly Option<double> Seconds = new("--seconds") { Description = "How long is measured.", DefaultValueFactory = _ => 5 };
    private static readonly Option<double> Warmup = new("--warmup") { Description = "How long is not measured before, in seconds: the runtime compiles the hot path a second time.", DefaultValueFactory = _ => 8 };
    private static readonly Option<string> OrderName = new("--order") { Description = "The primitive.", DefaultValueFactory = _ => "total" };
    private static readonly Option<string> Senders = new("--senders") { Description = "Who sends.", DefaultValueFactory = _ => "all" };
    private static readonly Option<int> Count = Number("--count", 5000, "Requests that are measured.", 1, 10_000_000);
    private static readonly Option<int> Rounds = Number("--rounds", 6, "Failures of each kind.", 1, 1000);
    private static readonly Option<int> Suspect = Number("--suspect", 2000, "The silence after which a node is suspected, in milliseconds.", 400, 60_000);
    private static readonly Option<int> PerTurn = Number("--per-turn", 100, "Messages that each machine sends in a turn.", 1, 10_000);
    private static readonly Option<int> Items = Number("--items", 100_000, "Topics, or items on the board.", 1, 10_000_000);
    private static readonly Option<int> Groups = Number("--groups", 1000, "Groups.", 1, 100_000);
    private static readonly Option<int> ManyMembers = Number("--members", 5, "Processes.", 2, 32);
    private static readonly Option<int> Many = Number("--groups", 5000, "Groups, each with some of the processes as members.", 1, 100_000);
    private static readonly Option<int[]> Clients = new("--clients") { Description = "Clients, of each measurement.", DefaultValueFactory = _ => [1, 100, 1000, 5000], AllowMultipleArgumentsPerToken = true };
    private static readonly Option<int> Kills = Number("--rounds", 3, "Failures.", 1, 1000);

    /// <summary>The toolkits that can be measured.</summary>
    public static IReadOnlyList<ToolkitBench> Toolkits { get; } = [new DataBench(), new LocksBench(), new TasksBench(), new NewsBench(), new BoardBench(), new LoggedBench()];

    public static Task<int> Main(string[] args)
    {
        OrderName.AcceptOnlyFromAmong("reliable", "fifo", "causal", "total", "causaltotal", "safe", "group");
        Senders.AcceptOnlyFromAmong("all", "1");
        var root = new RootCommand("Measures process groups between processes of this machine; prints one JSON object.")
        {
            Measure("throughput", "Messages a second, when senders send as fast as credit allows.", ThroughputAsync, OrderName, Members, Senders, Size, Seconds, Warmup),
            Measure("roundtrip", "A FIFO request to all members, and all replies.", RoundtripAsync, Members, Count),
            Measure("failover", "From a SIGKILL, or a SIGSTOP, to the new view at all survivors.", FailoverAsync, Members, Rounds, Suspect),
            Measure("idle", "What a node takes that is in many groups.", IdleAsync, Members, Groups, Seconds),
            Measure("groups", "How fast groups are made and joined.", given => Measurements.GroupsAsync(given.GetValue(Members), given.GetValue(Groups)), Members, Groups),
            Measure(ManyGroups.Name, "Many groups of some members each: joins a second, memory of an idle one, new views after a SIGKILL.", ManyGroupsAsync, ManyMembers, Many, Kills),
            Measure(ThinClients.Name, "Thousands of clients at one node: connecting, idle, asking, and moving to another node after a SIGKILL.", ThinClientsAsync, Clients, Seconds),
            Measure("machine", "What a delivery costs the protocol alone, without sockets and threads.", MachineAsync, OrderName, Members, Size, PerTurn),
            Measure("all", "All of these.", AllAsync, Members, Size, Seconds, Warmup, Count, Rounds, Suspect, Groups, Items),
            NodeCommand(),
        };
        foreach (ToolkitBench toolkit in Toolkits)
            root.Add(Measure(toolkit.Name, toolkit.Description, given => ToolkitAsync(given, toolkit), Members, Seconds, Warmup, Rounds, Items));
        return root.Parse(args).InvokeAsync();
    }

    private static Task<JsonObject> ThroughputAsync(ParseResult given) => ThroughputAsync(given, given.GetValue(OrderName)!, given.GetValue(Senders) == "all");

    private static Task<JsonObject> ThroughputAsync(ParseResult given, string order, bool allSend) => Measurements.ThroughputAsync(
        Enum.Parse<Order>(order, ignoreCase: true), given.GetValue(Members), allSend, given.GetValue(Size), given.GetValue(Warmup), given.GetValue(Seconds));

    private static Task<JsonObject> RoundtripAsync(ParseResult given) =>
        Measurements.RoundtripAsync(given.GetValue(Members), warmup: given.GetValue(Count) / 2, given.GetValue(Count));

    private static Task<JsonObject> FailoverAsync(ParseResult given) =>
        Measurements.FailoverAsync(given.GetValue(Members), given.GetValue(Rounds), TimeSpan.FromMilliseconds(given.GetValue(Suspect)));

    private static Task<JsonObject> IdleAsync(ParseResult given) =>
        Measurements.IdleAsync(given.GetValue(Members), given.GetValue(Groups), given.GetValue(Seconds));

    private static Task<JsonObject> ManyGroupsAsync(ParseResult given) =>
        ManyGroups.MeasureAsync(given.GetValue(ManyMembers), given.GetValue(Many), given.GetValue(Kills));

    private static Task<JsonObject> ThinClientsAsync(ParseResult given) => ThinClients.MeasureAsync(given.GetValue(Clients)!, given.GetValue(Seconds));

    private static Task<JsonObject> MachineAsync(ParseResult given) => Task.FromResult(MachineBench.Measure(
        Enum.Parse<Order>(given.GetValue(OrderName)!, ignoreCase: true), given.GetValue(Members), given.GetValue(Size), given.GetValue(PerTurn)));

    private static async Task<JsonObject> ToolkitAsync(ParseResult given, ToolkitBench toolkit)
    {
        await using BenchCluster cluster = await BenchCluster.StartAsync(given.GetValue(Members), needsData: toolkit.NeedsData);
        return await toolkit.MeasureAsync(cluster, new ToolkitRun(given.GetValue(Warmup), given.GetValue(Seconds), given.GetValue(Rounds), given.GetValue(Items)));
    }

    private static async Task<JsonObject> AllAsync(ParseResult given)
    {
        var throughput = new JsonArray();
        foreach ((string order, bool allSend) in new[] { ("total", true), ("total", false), ("causal", true), ("fifo", true), ("reliable", true), ("causaltotal", true), ("safe", true), ("group", true) })
        {
            Console.Error.WriteLine($"throughput, {order}, {(allSend ? "all send" : "one sends")} …");
            throughput.Add(await ThroughputAsync(given, order, allSend));
        }

        var result = new JsonObject { ["throughput"] = throughput };
        foreach ((string name, Func<ParseResult, Task<JsonObject>> measure) in
            new (string, Func<ParseResult, Task<JsonObject>>)[] { ("roundtrip", RoundtripAsync), ("failover", FailoverAsync), ("idle", IdleAsync) })
        {
            Console.Error.WriteLine($"{name} …");
            result[name] = await measure(given);
        }

        foreach (ToolkitBench toolkit in Toolkits)
        {
            Console.Error.WriteLine($"{toolkit.Name} …");
            result[toolkit.Name] = await ToolkitAsync(given, toolkit);
        }

        return result;
    }

    private static Command Measure(string name, string description, Func<ParseResult, Task<JsonObject>> measure, params Option[] options)
    {
        var command = new Command(name, description);
        foreach (Option option in options)
            command.Add(option);
        command.SetAction(async (given, _) =>
        {
            try
            {
                JsonObject result = await measure(given);
                result.Insert(0, "benchmark", name);
                result.Insert(1, "machine", new JsonObject { ["cores"] = Environment.ProcessorCount, ["runtime"] = Environment.Version.ToString() });
                Console.WriteLine(result.ToJsonString(Readable));
                return 0;
            }
            catch (Exception e) when (e is TimeoutException or InvalidOperationException)
            {
                Console.Error.WriteLine(e.Message);
                return 1;
            }
        });
        return command;
    }

    private static Command NodeCommand()
    {
        Option<string> name = new("--name") { Required = true };
        Option<string> listen = new("--listen") { Required = true };
        Option<string> seeds = new("--seeds") { Required = true };
        Option<string?> data = new("--data");
        var command = new Command("node") { Hidden = true };
        command.Add(data);
        command.Add(name);
        command.Add(listen);
        command.Add(seeds);
        command.Add(Suspect);
        command.SetAction((given, _) => RunNodeAsync(new GroupNodeOptions
        {
            Name = given.GetRequiredValue(name),
            Listen = given.GetRequiredValue(listen),
            Seeds = given.GetRequiredValue(seeds).Split(','),
            Cluster = BenchCluster.Name,
            DataDirectory = given.GetValue(data),
            SuspectAfter = TimeSpan.FromMilliseconds(given.GetValue(Suspect)),
        }));
        return command;
    }

    private static async Task<int> RunNodeAsync(GroupNodeOptions options)
    {
        var parent = new ParentLink();
        try
        {
            await using GroupNode node = await GroupNode.StartAsync(options, parent.Gone);
            await node.WaitForPrimaryAsync(parent.Gone).AsTask().WaitAsync(StartPatience);
            await new BenchNode(node, parent).RunAsync(parent.Gone);
            return 0;
        }
        catch (OperationCanceledException) when (parent.Gone.IsCancellationRequested)
        {
            return 0;
        }
        catch (Exception e) when (e is GroupException or TimeoutException or ArgumentException or IOException)
        {
            Console.Error.WriteLine($"{options.Name}: {e.Message}");
            return 1;
        }
    }

    private static Option<int> Number(string name, int usual, string description, int lowest, int highest)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => usual };
        option.Validators.Add(given =>
        {
            if (given.GetValueOrDefault<int>() is int value && (value < lowest || value > highest))
                given.AddError($"{name} must be from {lowest} to {highest}.");
        });
        return option;
    }
}
