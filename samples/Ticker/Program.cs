// The ticker of "The Isis project: a toolkit and META": redundant ticker processes divide the stocks among them, publish
// quotes to the groups of those who want them, and lose none when one of them is killed.
// Exit codes: 0 every quote reached every client, 1 some were lost, 2 the run could not be carried out.
using System.CommandLine;
using System.Text.Json;
using System.Threading.Channels;
using Core.Groups;
using Samples.Shared;

namespace Ticker;

/// <summary>The process: the parent without arguments, or one of its children.</summary>
internal static class Program
{
    private const int UsualSeconds = 16;
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(60);

    public static Task<int> Main(string[] args)
    {
        Option<FileInfo?> file = new("--quotes") { Description = "A file of quotes: row number, date, symbol, value, change in percent; with a header line." };
        Option<double?> speed = new("--speed") { Description = "Quotes a second; usually so many that the run takes about 16 s." };
        Option<int> tickers = new("--tickers") { Description = "Ticker processes, 2 to 20.", DefaultValueFactory = _ => 3 };
        Option<int> clients = new("--clients") { Description = "Client processes, 1 to 20.", DefaultValueFactory = _ => 2 };
        AddRange(tickers, 2, 20);
        AddRange(clients, 1, 20);
        speed.Validators.Add(given =>
        {
            if (given.GetValueOrDefault<double?>() is not (null or (> 0 and <= 1_000_000)))
                given.AddError("--speed must be more than 0 and at most 1,000,000.");
        });
        var root = new RootCommand("Stock quotes from redundant tickers to their clients, with a crash in the middle.") { file, speed, tickers, clients };
        root.SetAction((given, _) => PlayAsync(given.GetValue(file), given.GetValue(speed), given.GetValue(tickers), given.GetValue(clients)));
        root.Add(Child("ticker", (node, parent, symbols, ended) => new TickerRole(node, parent, symbols).RunAsync(ended)));
        root.Add(Child("client", (node, parent, symbols, ended) => new ClientRole(node, parent, symbols).RunAsync(ended)));
        root.Add(FeedChild());
        return root.Parse(args).InvokeAsync();
    }

    private static Task<int> PlayAsync(FileInfo? file, double? speed, int tickers, int clients) => Performance.RunAsync(async () =>
    {
        List<Quote> quotes = Quotes(file);
        var scene = new Scene();
        await using var play = new Play(
            scene, quotes, file is null ? [] : ["--quotes", file.FullName], speed ?? Math.Max(1, quotes.Count / (double)UsualSeconds), tickers, clients);
        Task<Verdict> run = play.RunAsync();
        await new Board(scene).ShowAsync(run);
        return await run;
    });

    private static List<Quote> Quotes(FileInfo? file)
    {
        List<Quote> quotes = file is null ? QuoteSource.Own() : QuoteSource.ReadFile(file.FullName);
        return quotes.Count > 0 ? quotes : throw new FormatException("There are no quotes in the file.");
    }

    private static Command FeedChild()
    {
        Option<FileInfo?> file = new("--quotes");
        Option<double> speed = new("--speed") { Required = true };
        Command command = Child("feed", given => (node, parent, _, ended) =>
            new FeedRole(new TickerMember(node), parent, Quotes(given.GetValue(file)), given.GetValue(speed)).RunAsync(ended));
        command.Add(file);
        command.Add(speed);
        return command;
    }

    private static Command Child(string role, Func<GroupNode, ParentLink, string[], CancellationToken, Task> run) => Child(role, _ => run);

    private static Command Child(string role, Func<ParseResult, Func<GroupNode, ParentLink, string[], CancellationToken, Task>> run)
    {
        var command = new Command(role) { Hidden = true };
        var arguments = new NodeArguments();
        arguments.AddTo(command);
        command.SetAction((given, _) => RunChildAsync(arguments.NodeOptions(given), arguments.Symbols(given), run(given)));
        return command;
    }

    private static async Task<int> RunChildAsync(GroupNodeOptions options, string[] symbols, Func<GroupNode, ParentLink, string[], CancellationToken, Task> run)
    {
        var parent = new ParentLink();
        try
        {
            await using GroupNode node = await GroupNode.StartAsync(options, parent.Gone);
            await node.WaitForPrimaryAsync(parent.Gone).AsTask().WaitAsync(StartPatience);
            Task role = run(node, parent, symbols, parent.Gone);
            await Task.WhenAny(role, node.Completion);
            await (role.IsCompleted ? role : node.Completion);
            return 0;
        }
        catch (Exception e) when (parent.Gone.IsCancellationRequested && e is OperationCanceledException or ChannelClosedException)
        {
            return 0;
        }
        catch (Exception e) when (e is GroupException or TimeoutException or ArgumentException or IOException or JsonException)
        {
            Console.Error.WriteLine($"{options.Name}: {e.Message}");
            return 1;
        }
    }

    private static void AddRange(Option<int> option, int lowest, int highest) => option.Validators.Add(given =>
    {
        if (given.Tokens.Count > 0 && given.GetValueOrDefault<int>() is int value && (value < lowest || value > highest))
            given.AddError($"{option.Name} must be from {lowest} to {highest}.");
    });
}
