// Times as people write them: a number and a unit, "250ms", "5s", "1.5m". Bare numbers are refused: nobody knows their unit.
using System.Globalization;

namespace GroupShell;

/// <summary>Reads durations.</summary>
internal static class Durations
{
    private static readonly (string Unit, double Milliseconds)[] Units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

    // More than any wait makes sense for, and well below what timers can take.
    private static readonly TimeSpan Longest = TimeSpan.FromDays(30);

    public static bool TryParse(string? text, out TimeSpan duration)
    {
        duration = default;
        foreach ((string unit, double milliseconds) in Units)
        {
            if (text is not null && text.EndsWith(unit, StringComparison.Ordinal)
                && double.TryParse(text.AsSpan(0, text.Length - unit.Length), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)
                && number * milliseconds <= Longest.TotalMilliseconds)
            {
                duration = TimeSpan.FromMilliseconds(number * milliseconds);
                return true;
            }
        }

        return false;
    }
}
