// A sample's child process that is one node and plays one role in it.
using System.CommandLine;
using System.Threading.Channels;
using Core.Groups;

namespace Samples.Shared;

/// <summary>What child processes of samples have in common: how they are started, and how they end.</summary>
internal static class NodeProcess
{
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(60);

    /// <summary>The arguments with which the parent starts a child.</summary>
    public static string[] Arguments(string role, string name, string address, IEnumerable<string> seeds, params string[] more) =>
        [role, "--name", name, "--listen", address, "--seeds", string.Join(',', seeds), .. more];

    /// <summary>The command of a child.</summary>
    /// <param name="role">Its name.</param>
    /// <param name="cluster">The cluster of its node.</param>
    /// <param name="run">Plays the role until the token fires; that ends the process.</param>
    /// <param name="options">More options of the command.</param>
    public static Command Child(string role, string cluster, Func<ParseResult, GroupNode, ParentLink, CancellationToken, Task> run, params Option[] options)
    {
        Option<string> name = new("--name") { Required = true };
        Option<string> listen = new("--listen") { Required = true };
        Option<string> seeds = new("--seeds") { Required = true };
        var command = new Command(role) { Hidden = true };
        foreach (Option option in (Option[])[name, listen, seeds, .. options])
            command.Add(option);
        command.SetAction((given, _) => RunAsync(
            new GroupNodeOptions
            {
                Name = given.GetRequiredValue(name), Listen = given.GetRequiredValue(listen), Seeds = given.GetRequiredValue(seeds).Split(','), Cluster = cluster,
                SuspectAfter = ChildProcess.MayStandStill,
            },
            (node, parent, ended) => run(given, node, parent, ended)));
        return command;
    }

    private static async Task<int> RunAsync(GroupNodeOptions options, Func<GroupNode, ParentLink, CancellationToken, Task> run)
    {
        var parent = new ParentLink();
        try
        {
            await using GroupNode node = await GroupNode.StartAsync(options, parent.Gone);
            await node.WaitForPrimaryAsync(parent.Gone).AsTask().WaitAsync(StartPatience);
            Task role = run(node, parent, parent.Gone);
            await Task.WhenAny(role, node.Completion);
            await (role.IsCompleted ? role : node.Completion);
            return 0;
        }
        catch (Exception e) when (parent.Gone.IsCancellationRequested && e is OperationCanceledException or ChannelClosedException)
        {
            return 0;
        }
        catch (Exception e) when (e is GroupException or TimeoutException or ArgumentException or IOException)
        {
            Console.Error.WriteLine($"{options.Name}: {e.Message}");
            return 1;
        }
    }
}
