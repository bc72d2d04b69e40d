// The shell for a person: what is typed becomes the commands that programs send, and their lines become readable again.
// The views of all groups stand in a table that is printed whenever one of them changes, as long as they are few.
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;

namespace GroupShell.Interactive;

/// <summary>Input and output at a terminal; also usable with input from a file or pipe.</summary>
internal sealed class Terminal : ILineOutput
{
    private static readonly string[] Orders = [.. OrderNames.All.Select(OrderNames.Of)];

    private const int MostInTable = 20;

    private readonly LineEditor _editor;
    private readonly SortedDictionary<string, JsonObject> _views = new(StringComparer.Ordinal);
    private IReadOnlyCollection<string> _operations = [];

    public Terminal() => _editor = new LineEditor("> ", Complete);

    /// <summary>The commands that are typed, until the end of input.</summary>
    /// <param name="who">Whom they drive.</param>
    /// <param name="operations">What there is to be asked for.</param>
    public async IAsyncEnumerable<byte[]?> ReadCommands(FormattableString who, IReadOnlyCollection<string> operations)
    {
        _operations = [.. operations, "crash", "stop"];
        Print(() => AnsiConsole.MarkupInterpolated(who));
        Print(() => AnsiConsole.MarkupLine(". Type [bold]help[/] for the commands."));
        while (await Task.Run(ReadLine) is { } line)
        {
            if (line.Trim() is "help" or "?")
                Print(PrintHelp);
            else if (line.Trim() == "views")
                Print(PrintViews);
            else if (Phrase.Translate(line) is { } command)
                yield return Encoding.UTF8.GetBytes(command.ToJsonString());
        }
    }

    public void Append(ReadOnlySpan<byte> line)
    {
        var shown = (JsonObject)JsonNode.Parse(line)!;
        Print(() => Show(shown));
    }

    public ValueTask WhenDrained() => default;

    private string? ReadLine() => Console.IsInputRedirected ? Console.In.ReadLine() : _editor.ReadLine();

    private void Print(Action print) => _editor.Print(print);

    private void Show(JsonObject line)
    {
        if (line["re"] is not null || line.ContainsKey("re"))
        {
            ShowAnswer(line);
            return;
        }

        string group = Text(line, "group");
        switch (Text(line, "ev"))
        {
            case "deliver":
                AnsiConsole.MarkupLineInterpolated($"[blue]{group}[/] {Text(line, "order")} from [bold]{Text(line, "from")}[/]: {Contents(line)}");
                break;
            case "view":
                _views[group] = line;
                if (_views.Count <= MostInTable)
                    PrintViews();
                else
                    AnsiConsole.MarkupLineInterpolated($"[blue]{group}[/] view {Text(line, "view")}: {Names(line, "members")}");
                break;
            case "leave":
                _views.Remove(group);
                AnsiConsole.MarkupLineInterpolated($"[blue]{group}[/] left");
                break;
            case "conf":
                AnsiConsole.MarkupLineInterpolated($"[grey]configuration {Text(line, "conf")} {Text(line, "type")}: {Names(line, "members")}[/]");
                break;
            case "block":
                AnsiConsole.MarkupLine("[yellow]blocked: this node is not in a primary configuration[/]");
                break;
            case "unblock":
                AnsiConsole.MarkupLine("[green]works again[/]");
                break;
            case "exclude":
                AnsiConsole.MarkupLine("[red]excluded: the others went on without this node; it comes back as a new incarnation[/]");
                break;
            case "watch":
                AnsiConsole.MarkupLineInterpolated($"[blue]{group}[/] [bold]{Text(line, "node")}[/] {Text(line, "what")}");
                break;
            case "configured":
                AnsiConsole.MarkupLineInterpolated($"[blue]{group}[/] {Text(line, "key")} is {line["value"]?.ToJsonString(Relaxed) ?? "removed"}");
                break;
            case "progress":
                AnsiConsole.MarkupLineInterpolated($"[blue]{group}[/] state at the {Text(line, "end")}: {Text(line, "bytes")} of {Text(line, "length")} bytes");
                break;
            case "news":
                AnsiConsole.MarkupLineInterpolated($"[blue]{Text(line, "topic")}[/] {Text(line, "number")} from [bold]{Text(line, "from")}[/]: {Text(line, "text")}");
                break;
            case "hold-lost":
                AnsiConsole.MarkupLineInterpolated($"[red]the hold {Text(line, "hold")} of {Text(line, "name")} is lost[/]");
                break;
            case "error":
                AnsiConsole.MarkupLineInterpolated($"[red]{Text(line, "message")}[/]");
                break;
        }
    }

    private static void ShowAnswer(JsonObject answer)
    {
        if (!answer["ok"]!.GetValue<bool>())
        {
            AnsiConsole.MarkupLineInterpolated($"[red]{Text(answer, "error")}[/]: {Text(answer, "message")}");
            return;
        }

        answer.Remove("re");
        answer.Remove("ok");
        if (answer.Count == 0)
            AnsiConsole.MarkupLine("[green]done[/]");
        foreach ((string field, JsonNode? value) in answer)
            AnsiConsole.MarkupLineInterpolated($"[grey]{field}[/] {value?.ToJsonString(Relaxed) ?? "none"}");
    }

    private static readonly JsonSerializerOptions Relaxed = new() { Encoder = Answers.WriterOptions.Encoder };

    private void PrintViews()
    {
        Table table = new Table().Border(TableBorder.Rounded).AddColumns("group", "view", "members by rank", "joined", "left");
        foreach ((string group, JsonObject view) in _views)
            table.AddRow(Cell(group), Cell(Text(view, "view")), Cell(Names(view, "members")), Cell(Names(view, "joined")), Cell(Names(view, "left")));
        AnsiConsole.Write(table);
    }

    private void PrintHelp()
    {
        Table table = new Table().Border(TableBorder.None).HideHeaders().AddColumns("command", "what it does");
        foreach ((string operation, string[] fields, string help) in Phrase.Table.Where(row => _operations.Contains(row.Operation)))
            table.AddRow(Cell($"{operation} {string.Join(' ', fields).ToUpperInvariant()}"), Cell(help));
        table.AddRow(Cell("views"), Cell("the views of all groups joined here"));
        AnsiConsole.Write(table);
    }

    private IReadOnlyList<string> Complete(string line) => line.Split(' ').Length switch
    {
        1 => [.. _operations, "help", "views"],
        2 => [.. _views.Keys],
        _ => Orders,
    };

    private static Text Cell(string text) => new(text);

    private static string Contents(JsonObject line) => line.ContainsKey("size") ? $"({Text(line, "size")} bytes)" : Text(line, "text");

    private static string Text(JsonObject line, string field) => line[field]?.ToString() ?? "";

    private static string Names(JsonObject line, string field) => string.Join(", ", line[field]?.AsArray().Select(n => n?.ToString()) ?? []);
}
