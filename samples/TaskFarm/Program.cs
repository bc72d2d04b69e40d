// A farm of tasks on a total bulletin board: processes are killed one after the other, and no task is lost or repeated.
// Exit codes: 0 every job has one result, 1 jobs were lost or repeated, 2 the run could not be carried out.
using System.CommandLine;
using Samples.Shared;

namespace TaskFarm;

/// <summary>The process: the parent without arguments, or one of its children.</summary>
internal static class Program
{
    private const string Cluster = "task-farm";
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    public static Task<int> Main(string[] args)
    {
        Option<int> jobs = Number("--jobs", 1000, "Jobs, 1 to 100,000.", 1, 100_000);
        Option<int> workers = Number("--workers", 4, "Worker processes, 2 to 20.", 2, 20);
        var root = new RootCommand("A task farm on a bulletin board whose processes are killed, with a verdict.") { jobs, workers };
        root.SetAction((given, stop) => PlayAsync(given.GetValue(jobs), given.GetValue(workers), stop));
        Option<bool> begins = new("--begins");
        root.Add(NodeProcess.Child(
            "foreman", Cluster, (given, node, parent, ended) => new Foreman(node, parent, given.GetValue(jobs), given.GetValue(begins)).RunAsync(ended), jobs, begins));
        root.Add(NodeProcess.Child("worker", Cluster, (_, node, parent, ended) => new Worker(node, parent, Pause).RunAsync(ended)));
        return root.Parse(args).InvokeAsync();
    }

    private static Task<int> PlayAsync(int jobs, int workers, CancellationToken stop) => Performance.RunAsync(async () =>
    {
        await using var play = new Play(jobs, workers, Console.WriteLine);
        return await play.RunAsync(stop);
    });

    private static Option<int> Number(string name, int usual, string description, int lowest, int highest)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => usual };
        option.Validators.Add(given =>
        {
            if (given.Tokens.Count > 0 && given.GetValueOrDefault<int>() is int value && (value < lowest || value > highest))
                given.AddError($"{name} must be from {lowest} to {highest}.");
        });
        return option;
    }
}
