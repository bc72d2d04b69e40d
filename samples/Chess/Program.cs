// Experts that play chess around a causal bulletin board: the example of "Exploiting virtual synchrony", section 4.3.
// Exit codes: 0 a game was played and causes came before effects, 1 not so, 2 the run could not be carried out.
using System.CommandLine;
using Samples.Shared;

namespace Chess;

/// <summary>The process: the parent without arguments, or one of the experts.</summary>
internal static class Program
{
    private const string Cluster = "chess";

    public static Task<int> Main(string[] args)
    {
        Option<int> plies = new("--plies") { Description = "Moves of both sides together, 1 to 500.", DefaultValueFactory = _ => 40 };
        plies.Validators.Add(given =>
        {
            if (given.Tokens.Count > 0 && given.GetValueOrDefault<int>() is < 1 or > 500)
                given.AddError("--plies must be from 1 to 500.");
        });
        var root = new RootCommand("A game of chess by experts in processes of their own, around a bulletin board.") { plies };
        root.SetAction((given, stop) => PlayAsync(given.GetValue(plies), stop));
        root.Add(NodeProcess.Child("display", Cluster, (given, node, parent, ended) => new Display(node, parent, given.GetValue(plies)).RunAsync(ended), plies));
        root.Add(NodeProcess.Child("generator", Cluster, (_, node, parent, ended) => new Generator(node, parent).RunAsync(ended)));
        root.Add(NodeProcess.Child("evaluator", Cluster, (_, node, parent, ended) => new Evaluator(node, parent).RunAsync(ended)));
        return root.Parse(args).InvokeAsync();
    }

    private static Task<int> PlayAsync(int plies, CancellationToken stop) => Performance.RunAsync(async () =>
    {
        await using var play = new Play(plies, Console.WriteLine);
        return await play.RunAsync(stop);
    });
}
