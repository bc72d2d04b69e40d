// A small web service on several processes: any of them answers, one may be killed, and nothing that was acknowledged is lost.
// Exit codes: 0 nothing was lost, 1 an acknowledged write was lost, 2 the run could not be carried out.
using System.CommandLine;
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;

namespace ReplicatedKeyValue;

/// <summary>The process: the parent without arguments, or one of the servers.</summary>
internal static class Program
{
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(60);

    public static Task<int> Main(string[] args)
    {
        Option<double> seconds = new("--seconds") { Description = "How long is written, 2 to 3600.", DefaultValueFactory = _ => 10 };
        Option<bool> stay = new("--stay") { Description = "The servers stay until you press Ctrl+C, so that you can look at their pages." };
        seconds.Validators.Add(given =>
        {
            if (given.Tokens.Count > 0 && given.GetValueOrDefault<double>() is not (>= 2 and <= 3600))
                given.AddError("--seconds must be from 2 to 3600.");
        });
        var root = new RootCommand("A replicated key/value store behind HTTP on three processes, with a kill in the middle.") { seconds, stay };
        root.SetAction((given, stop) => PlayAsync(TimeSpan.FromSeconds(given.GetValue(seconds)), given.GetValue(stay), stop));
        root.Add(NodeCommand());
        return root.Parse(args).InvokeAsync();
    }

    private static Task<int> PlayAsync(TimeSpan time, bool stay, CancellationToken stop) => Performance.RunAsync(async () =>
    {
        await using var play = new Play(Console.WriteLine);
        Verdict verdict = await play.RunAsync(time, stop);
        if (stay)
        {
            Console.WriteLine("the servers stay until Ctrl+C; the verdict follows");
            await Task.Delay(Timeout.Infinite, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return verdict;
    });

    private static Command NodeCommand()
    {
        Option<string> name = new("--name") { Description = "The node's name.", Required = true };
        Option<string> listen = new("--listen") { Description = "Where the other nodes reach it.", Required = true };
        Option<string> seeds = new("--seeds") { Description = "Where the nodes are, with commas between.", Required = true };
        Option<string> url = new("--url") { Description = "Where it answers HTTP, such as http://127.0.0.1:8001.", Required = true };
        var command = new Command("node", "One server; ends with its standard input.") { name, listen, seeds, url };
        command.SetAction((given, _) => ServeAsync(
            o =>
            {
                (o.Name, o.Listen, o.Seeds, o.Cluster) = (given.GetRequiredValue(name), given.GetRequiredValue(listen), given.GetRequiredValue(seeds).Split(','), "key-value");
                o.SuspectAfter = ChildProcess.MayStandStill;
            },
            given.GetRequiredValue(url)));
        return command;
    }

    private static async Task<int> ServeAsync(Action<GroupNodeOptions> configure, string url)
    {
        var parent = new ParentLink();
        try
        {
            await using Server server = await Server.StartAsync(configure, url, parent.Gone);
            await server.WhenReadyAsync(parent.Gone).WaitAsync(StartPatience);
            parent.Report(new JsonObject { ["ev"] = "ready", ["url"] = server.Url });
            Task ended = server.Completion;
            await Task.WhenAny(ended, Task.Delay(Timeout.Infinite, parent.Gone));
            return parent.Gone.IsCancellationRequested ? 0 : 1;
        }
        catch (OperationCanceledException) when (parent.Gone.IsCancellationRequested)
        {
            return 0;
        }
        catch (Exception e) when (e is GroupException or TimeoutException or ArgumentException or IOException or Microsoft.Extensions.Options.OptionsValidationException)
        {
            Console.Error.WriteLine(e.Message);
            return 1;
        }
    }
}
