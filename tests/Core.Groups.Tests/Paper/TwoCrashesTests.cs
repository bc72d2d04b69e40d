// A configuration change, and two crashes in it: before every pair of its frames, of every two nodes, or of one that comes back between them.
// A fixed sample of the schedules; all of them (some 20,000 for each row, a minute) with CORE_GROUPS_LONG_TESTS=1.
using Core.Groups.Protocol;

namespace Core.Groups.Tests.Paper;

public sealed class TwoCrashesTests
{
    private const int MostFrames = 60;

    /// <summary>One schedule of so many is run; a prime number, so that all pairs of nodes and steps have their turn.</summary>
    private const int Stride = 331;

    private const string Load = "send a Total g, send b Causal g, send c Safe g, send b CausalTotal h, send c Group h";

    /// <summary>Two components meet that have gone on apart.</summary>
    private const string Merge = "sever ab, sever ac, drain, send a Total g, send b Safe g, send c Causal h, drain, mend ab, mend ac";

    [Theory]
    [InlineData("abc", "g=abc h=bc", "sever bc")]
    [InlineData("abc", "g=ab h=abc", "join c g, leave a h")]
    [InlineData("abcd", "g=abc h=bcd", "crash d")]
    [InlineData("abcde", "g=abc h=bcde", "crash e")]
    [InlineData("abc", "g=abc h=bc", "sever bc", true)]
    [InlineData("abcd", "g=abc h=bcd", "crash d", true)]
    [InlineData("abc", "g=ab h=abc", Merge, false, true)]
    [InlineData("abcd", "g=abc h=bcd", "crash d", false, true)]
    public void NothingIsLost(string names, string groups, string trigger, bool isStored = false, bool isExtended = false)
    {
        bool isLong = Environment.GetEnvironmentVariable("CORE_GROUPS_LONG_TESTS") == "1";
        string[] failures = [.. Failures(names, groups, trigger, isStored, isExtended, isLong ? 1 : Stride, WeakRules.None).Take(5)];
        Assert.True(failures.Length == 0, string.Join('\n', failures));
    }

    /// <summary>The enumeration is able to fail.</summary>
    [Theory]
    [InlineData(nameof(WeakRules.VotesByName))]
    public void ItBites(string rule) =>
        Assert.NotEmpty(Failures("abc", "g=abc h=bc", "sever bc", false, false, Stride, Enum.Parse<WeakRules>(rule)));

    private static IEnumerable<string> Failures(string names, string groups, string trigger, bool isStored, bool isExtended, int stride, WeakRules weak)
    {
        int drawn = 0;
        foreach (string crashes in Pairs(names))
        {
            for (int first = 0; first < MostFrames; first++)
            {
                for (int second = 0; second < MostFrames; second++)
                {
                    if (drawn++ % stride != 0) continue;
                    var schedule = new Schedule(names, groups, $"{Load}, {trigger}, {string.Format(null, crashes, first, second)}", isStored, isExtended);
                    if (schedule.Run(weak) is { Count: > 0 } violations) yield return $"{schedule}: {violations[0]}";
                }
            }
        }
    }

    private static IEnumerable<string> Pairs(string names) =>
        from one in names
        from other in names
        select one == other ? $"some {{0}}, crash {one}, start {one}, some {{1}}, crash {one}" : $"some {{0}}, crash {one}, some {{1}}, crash {other}";
}
