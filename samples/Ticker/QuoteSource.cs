// Where quotes come from: a file of comma-separated values, or a series of our own making.
using System.Globalization;

namespace Ticker;

/// <summary>Reads or makes quotes, in the order in which they are to be sent.</summary>
internal static class QuoteSource
{
    private static readonly string[] OwnSymbols = ["ACME", "BOLT", "FERN", "HARP", "KITE", "NOVA", "TIDE", "ZINC"];
    private const int OwnDays = 400;

    /// <summary>A file with a header line and the columns row number, date, symbol, value, change in percent.</summary>
    /// <exception cref="FormatException">A line is not of this form; the message names it.</exception>
    public static List<Quote> ReadFile(string path) => Read(File.ReadLines(path));

    /// <inheritdoc cref="ReadFile"/>
    public static List<Quote> Read(IEnumerable<string> lines)
    {
        var quotes = new List<Quote>();
        var numbers = new Dictionary<string, int>();
        int row = 0;
        foreach (string line in lines)
        {
            row++;
            if (row == 1 || string.IsNullOrWhiteSpace(line))
                continue;
            string[] fields = line.Split(',');
            if (fields.Length != 5
                || !DateOnly.TryParseExact(fields[1], "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out DateOnly date)
                || fields[2].Trim('"') is not { Length: > 0 } symbol
                || !TryParse(fields[3], out decimal value) || !TryParse(fields[4], out decimal change))
            {
                throw new FormatException($"Line {row} is not: row number, date, symbol, value, change in percent.");
            }

            int number = numbers[symbol] = numbers.GetValueOrDefault(symbol) + 1;
            quotes.Add(new Quote(symbol, number, date, value, change));
        }

        return quotes;
    }

    /// <summary>Eight stocks that do not exist, on a random walk that is the same every time.</summary>
    public static List<Quote> Own()
    {
        var random = new Random(1989);
        decimal[] values = [.. OwnSymbols.Select((_, i) => 20m + (15m * i))];
        var quotes = new List<Quote>(OwnSymbols.Length * OwnDays);
        for (int day = 1; day <= OwnDays; day++)
        {
            for (int s = 0; s < OwnSymbols.Length; s++)
            {
                decimal change = Math.Round((decimal)(random.NextDouble() - 0.49) * 4, 3);
                values[s] = Math.Round(Math.Max(1, values[s] * (1 + (change / 100))), 4);
                quotes.Add(new Quote(OwnSymbols[s], day, new DateOnly(1989, 1, 1).AddDays(day), values[s], change));
            }
        }

        return quotes;
    }

    private static bool TryParse(string text, out decimal number) =>
        decimal.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out number);
}
