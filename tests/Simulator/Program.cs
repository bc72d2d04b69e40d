// The simulator's command line: many seeds, all scenarios, and the replay of the one that failed.
// Exit code: 0 when every run kept every promise, 1 at a violation, 2 when the command line makes no sense.
using System.CommandLine;
using Core.Groups.Protocol;
using Core.Groups.Testing.Simulation;
using Simulator;

Option<string> seeds = new("--seeds") { Description = "One seed (17) or a range (1..10000).", DefaultValueFactory = _ => "1..100" };
Option<string> scenario = new("--scenario") { Description = "all, or names separated by commas.", DefaultValueFactory = _ => "all" };
Option<int> parallel = new("--parallel") { Description = "How many runs at once.", DefaultValueFactory = _ => Environment.ProcessorCount };
Option<DirectoryInfo?> trace = new("--trace") { Description = "Writes the traces of the failed runs to this folder." };
Option<bool> verbose = new("--verbose") { Description = "Prints every run; for a single seed, its whole trace." };
Option<bool> stopOnFirst = new("--stop-on-first") { Description = "Ends at the first violation instead of counting them all." };
Option<bool> shrink = new("--shrink") { Description = "Looks for the fewest acts with which the first violated run still fails alike." };
Option<int?> nodes = new("--nodes") { Description = "So many nodes in every run, in place of the scenario's own number (2 to 500)." };
Option<string> acts = new("--acts") { Description = "Does only these acts of the schedule (3,17,22), as --shrink found them.", DefaultValueFactory = _ => "" };
Option<FileInfo?> script = new("--script") { Description = "Runs one written scenario and prints what every node saw; with --verbose, all traces." };
Option<WeakRules> weak = new("--weak") { Description = "Takes rules of the protocol away (see WeakRules): the checkers must notice." };
Option<string?> frames = new("--frames") { Description = "Measures what messages cost in a group of so many nodes (10,50,100,200), in frames, with floors told directly and gathered." };
Option<bool> list = new("--list") { Description = "Lists the scenarios." };

RootCommand command = new("Runs simulated clusters, one for each seed and scenario, and checks what they promise.")
{
    seeds, scenario, parallel, trace, verbose, stopOnFirst, shrink, acts, nodes, script, list, weak, frames,
};
command.SetAction(result =>
{
    if (result.GetValue(list))
    {
        foreach (Scenario known in Scenarios.All.Append(Scenarios.Hundreds)) Console.WriteLine($"{known.Name,-18} {known.Promise}");
        return 0;
    }
    if (result.GetValue(script) is { } file) return ScriptRun.Run(file, result.GetValue(verbose));
    if (result.GetValue(frames) is { } sizes) return FrameTable.Run(sizes);
    if (!Selection.TryParse(result.GetValue(seeds)!, result.GetValue(scenario)!, result.GetValue(acts)!, result.GetValue(nodes), result.GetValue(weak), out Selection? selection, out string error))
    {
        Console.Error.WriteLine(error);
        return 2;
    }
    Batch batch = new(selection, result.GetValue(verbose), result.GetValue(stopOnFirst), result.GetValue(shrink), result.GetValue(trace));
    return batch.Run(Math.Max(1, result.GetValue(parallel))) ? 0 : 1;
});
return command.Parse(args).Invoke();
