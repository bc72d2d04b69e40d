// A ledger on three processes that survives the death of all of them: they are killed and started again in all orders, while they
// write, take checkpoints and hand on their state. Exit codes: 0 nothing acknowledged was lost, 1 something was, 2 it could not be run.
using System.CommandLine;
using Samples.Shared;

namespace RecoveringService;

/// <summary>The process: the parent without arguments, or one of its children.</summary>
internal static class Program
{

    public static Task<int> Main(string[] args)
    {
        Option<int> seconds = new("--seconds") { Description = "How long to kill and restart, 1 to 86400.", DefaultValueFactory = _ => 25 };
        Option<int> members = new("--members") { Description = "Member processes, 1 to 7.", DefaultValueFactory = _ => 3 };
        Option<int> seed = new("--seed") { Description = "Chooses orders and moments.", DefaultValueFactory = _ => 1 };
        AddRange(seconds, 1, 86400);
        AddRange(members, 1, 7);
        var root = new RootCommand("A ledger that is killed and comes back, again and again.") { seconds, members, seed };
        root.SetAction((given, _) => PlayAsync(given.GetValue(seconds), given.GetValue(members), given.GetValue(seed)));
        root.Add(Member());
        return root.Parse(args).InvokeAsync();
    }

    private static Task<int> PlayAsync(int seconds, int members, int seed) => Performance.RunAsync(async () =>
    {
        DirectoryInfo data = Directory.CreateTempSubdirectory("recovering-service");
        try
        {
            await using var play = new Play(data.FullName, members, new Random(seed));
            return await play.RunAsync(TimeSpan.FromSeconds(seconds));
        }
        finally
        {
            data.Delete(recursive: true);
        }
    });

    private static Command Member()
    {
        Option<string> name = new("--name") { Required = true }, listen = new("--listen") { Required = true }, seeds = new("--seeds") { Required = true }, data = new("--data") { Required = true };
        Option<long> keepLog = new("--keep-log");
        var command = new Command("member") { name, listen, seeds, data, keepLog };
        command.Hidden = true;
        command.SetAction((given, _) => MemberRole.RunAsync(
            given.GetRequiredValue(name), given.GetRequiredValue(listen), given.GetRequiredValue(seeds).Split(','), given.GetRequiredValue(data), given.GetValue(keepLog), new ParentLink()));
        return command;
    }

    private static void AddRange(Option<int> option, int lowest, int highest) => option.Validators.Add(given =>
    {
        if (given.Tokens.Count > 0 && given.GetValueOrDefault<int>() is int value && (value < lowest || value > highest))
            given.AddError($"{option.Name} must be from {lowest} to {highest}.");
    });
}
