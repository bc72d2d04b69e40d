// GroupShell: one node of a cluster, driven by a person at a terminal or by a program that speaks JSON lines.
// Exit codes: 0 stopped, 1 failed, 2 wrong options, 3 the name is taken by a live node, 137 the command `crash`.
using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net.Sockets;
using Core.Groups;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace GroupShell;

/// <summary>The process.</summary>
internal static class Program
{
    private static readonly TimeSpan LastLinesPatience = TimeSpan.FromSeconds(5);

    public static async Task<int> Main(string[] args)
    {
        var options = new ShellOptions();
        options.Command.SetAction((given, terminate) => RunAsync(options, given, terminate));
        ParseResult parsed = options.Command.Parse(args);
        if (parsed.Errors.Count == 0)
            return await parsed.InvokeAsync();

        // Not on standard output, where programs expect nothing but JSON.
        foreach (ParseError error in parsed.Errors)
            Console.Error.WriteLine(error.Message);
        return ExitCode.WrongOptions;
    }

    private static async Task<int> RunAsync(ShellOptions options, ParseResult given, CancellationToken terminate)
    {
        if (options.IsJson(given))
        {
            var lines = new LineOutput(Console.OpenStandardOutput());
            IAsyncEnumerable<byte[]?> commands = new LineInput(Console.OpenStandardInput()).ReadAsync(terminate);
            int exitCode = options.IsClient(given)
                ? await RunClientAsync(options, given, lines, (_, _) => commands, terminate)
                : await RunNodeAsync(options, given, lines, (_, _) => commands, terminate);
            lines.Close(LastLinesPatience);
            return exitCode;
        }

        var terminal = new Interactive.Terminal();
        return options.IsClient(given)
            ? await RunClientAsync(options, given, terminal, terminal.ReadCommands, terminate)
            : await RunNodeAsync(options, given, terminal, terminal.ReadCommands, terminate);
    }

    private static async Task<int> RunClientAsync(ShellOptions options, ParseResult given, ILineOutput output, CommandSource commands, CancellationToken terminate)
    {
        var answers = new Answers(output);
        using ILoggerFactory logging = LogToStandardError();
        GroupClient client;
        try
        {
            GroupClientOptions clientOptions = options.ClientOptions(given);
            clientOptions.LoggerFactory = logging;
            client = await GroupClient.ConnectAsync(clientOptions, terminate);
        }
        catch (Exception e) when (e is ArgumentException or TimeoutException or NotSupportedException)
        {
            Console.Error.WriteLine(e.Message);
            answers.Fatal(e);
            return e is TimeoutException ? ExitCode.Failed : ExitCode.WrongOptions;
        }

        answers.Ready(client.Id.Name, null);
        var shell = new ClientShell(client, answers);
        return await shell.RunAsync(commands($"Client [bold]{client.Id.Name}[/] is served by {client.Server?.Name}", shell.Operations), terminate);
    }

    private static async Task<int> RunNodeAsync(
        ShellOptions options, ParseResult given, ILineOutput output, CommandSource commands, CancellationToken terminate)
    {
        var answers = new Answers(output);
        var feed = new EventFeed(output);
        using ILoggerFactory logging = LogToStandardError();
        var migrants = new Migrants();
        GroupNode node;
        try
        {
            GroupNodeOptions nodeOptions = options.NodeOptions(given);
            nodeOptions.Traced = feed.OnTraced;
            nodeOptions.LoggerFactory = logging;
            nodeOptions.OnMigration = migrants.OptionsOf;
            node = await GroupNode.StartAsync(nodeOptions, terminate);
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or NotSupportedException or GroupException or SocketException or IOException)
        {
            Console.Error.WriteLine(e.Message);
            answers.Fatal(e);
            return e is NotSupportedException ? ExitCode.WrongOptions : ExitCode.Of(e);
        }

        answers.Ready(node.Name, node.ListenAddress);
        feed.Open();
        using var ticks = new Timer(_ => feed.Tick(), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
        var shell = new Shell(node, feed, answers, migrants, options.LogsAll(given));
        return await shell.RunAsync(commands($"Node [bold]{node.Name}[/] listens on {node.ListenAddress}", shell.Operations), terminate);
    }

    /// <summary>Where commands come from.</summary>
    /// <param name="who">Whom they drive, for people.</param>
    /// <param name="operations">What there is to be asked for, for the help.</param>
    private delegate IAsyncEnumerable<byte[]?> CommandSource(FormattableString who, IReadOnlyCollection<string> operations);

    // Standard output is for answers and events alone.
    private static ILoggerFactory LogToStandardError() => LoggerFactory.Create(logging => logging
        .SetMinimumLevel(LogLevel.Warning)
        .AddSimpleConsole(console => console.SingleLine = true)
        .Services.Configure<ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace));
}
