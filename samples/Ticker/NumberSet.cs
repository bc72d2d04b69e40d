// A set of the numbers 1, 2, 3, … that has few holes: everything up to a number, and some beyond it.
using System.Text.Json.Serialization;

namespace Ticker;

/// <summary>Which quotes of a symbol have come. Not thread-safe.</summary>
internal sealed class NumberSet
{
    /// <summary>All numbers from 1 to this one are in the set.</summary>
    public int UpTo { get; set; }

    /// <summary>The numbers beyond <see cref="UpTo"/> that are in it.</summary>
    public SortedSet<int> Beyond { get; set; } = [];

    [JsonIgnore]
    public int Count => UpTo + Beyond.Count;

    public bool Contains(int number) => number <= UpTo || Beyond.Contains(number);

    /// <summary>False: it was there.</summary>
    public bool Add(int number)
    {
        if (number < 1 || Contains(number))
            return false;
        Beyond.Add(number);
        while (Beyond.Remove(UpTo + 1))
            UpTo++;
        return true;
    }

    /// <summary>How many of the numbers from 1 to <paramref name="last"/> are not in it.</summary>
    public int MissingUpTo(int last) => last <= UpTo ? 0 : last - UpTo - Beyond.Count(number => number <= last);
}
