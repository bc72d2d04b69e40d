// What the audience sees: a live table on a terminal, plain lines elsewhere.
using System.Globalization;
using Spectre.Console;

namespace Ticker;

/// <summary>Shows a scene while a run goes on.</summary>
internal sealed class Board(Scene scene)
{
    private const int NewsShown = 12;
    private static readonly TimeSpan LiveInterval = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan PlainInterval = TimeSpan.FromSeconds(2);

    private readonly List<string> _news = [];
    private int _place;

    /// <summary>Shows until the run is over.</summary>
    public Task ShowAsync(Task run) => Console.IsOutputRedirected ? ShowPlainAsync(run) : ShowLiveAsync(run);

    /// <summary>The table of a moment.</summary>
    public static Table Render(IEnumerable<Actor> actors)
    {
        Table table = new Table().Border(TableBorder.Rounded)
            .AddColumns("process", "state", "view", "quotes", "quotes/s", "primary for", "secondary for");
        foreach (Actor a in actors)
        {
            table.AddRow(Cell(a.Name), Cell(a.State), Cell(a.View == 0 ? "" : Number(a.View)), Cell(Number(a.Quotes)),
                Cell(a.Rate.ToString("F0", CultureInfo.InvariantCulture)), Cell(string.Join(' ', a.Primary)), Cell(string.Join(' ', a.Secondary)));
        }

        return table;
    }

    /// <summary>The same in one line.</summary>
    public static string Summary(IEnumerable<Actor> actors) => string.Join("  ", actors.Select(a =>
        string.Create(CultureInfo.InvariantCulture, $"{a.Name} {a.State} {a.Quotes} ({a.Rate:F0}/s{(a.Primary.IsEmpty ? "" : $", {string.Join('+', a.Primary)}")})")));

    private async Task ShowLiveAsync(Task run)
    {
        await AnsiConsole.Live(Render([])).StartAsync(async live =>
        {
            do
            {
                _news.AddRange(scene.HappenedSince(ref _place));
                var lines = new Rows(_news.TakeLast(NewsShown).Select(n => new Text(n)));
                live.UpdateTarget(new Rows(Render(scene.Actors), lines));
            }
            while (await Task.WhenAny(run, Task.Delay(LiveInterval)) != run);
        });
    }

    private async Task ShowPlainAsync(Task run)
    {
        do
        {
            foreach (string news in scene.HappenedSince(ref _place))
                Console.WriteLine(news);
            Console.WriteLine($"{scene.Now.TotalSeconds,6:F1} s  {Summary(scene.Actors)}");
        }
        while (await Task.WhenAny(run, Task.Delay(PlainInterval)) != run);
        foreach (string news in scene.HappenedSince(ref _place))
            Console.WriteLine(news);
    }

    private static Text Cell(string text) => new(text);

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);
}
