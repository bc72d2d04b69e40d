// A configuration change, and a cut of the network right before the k-th frame of it is delivered: for every cut, every k, in both
// modes, healed soon or when the components have gone their ways. CORE_GROUPS_LONG_TESTS=1 enumerates four nodes too.
using Core.Groups.Protocol;

namespace Core.Groups.Tests.Paper;

public sealed class CutAtEveryStepTests
{
    /// <summary>More frames than any of these changes has; then the cut comes when all is quiet.</summary>
    private const int MostFrames = 90;
    private const string Load = "send a Total g, send b Causal g, send c Safe g, send b CausalTotal h, send c Group g";

    /// <summary>Two components meet that have gone on apart.</summary>
    private const string Merge = "sever ab, sever ac, drain, send a Total g, send b Safe g, send c Causal h, drain, mend ab, mend ac";
    private const string MergeOfFour = "sever ac, sever ad, sever bc, sever bd, drain, send a Total g, send c Safe g, drain, mend ac, mend ad, mend bc, mend bd";

    /// <summary>Each is a list of pairs that cannot talk: one node alone, each in turn, and a cut that is not transitive.</summary>
    private static readonly string[] CutsOfThree = ["ab ac", "ab bc", "ac bc", "ab"];
    private static readonly string[] CutsOfFour = ["ab ac ad", "ab bc bd", "ac bc cd", "ad bd cd", "ac ad bc bd", "ab ad bc cd", "ab ac bd cd", "ab", "ab cd"];

    [Theory]
    [InlineData(false, "sever bc", "")]
    [InlineData(false, "crash c", Load)]
    [InlineData(false, "join c g, leave a h", Load)]
    [InlineData(true, "sever bc", "")]
    [InlineData(true, "crash c", Load)]
    [InlineData(true, Merge, Load)]
    [InlineData(true, "join c g, leave a h", Load)]
    public void NothingIsLost(bool isExtended, string trigger, string load) => Enumerate("abc", "g=ab h=abc", CutsOfThree, isExtended, trigger, load);

    [Theory]
    [InlineData(false, "crash d", Load)]
    [InlineData(true, "crash d", Load)]
    [InlineData(true, MergeOfFour, Load)]
    public void NothingIsLostAmongFour(bool isExtended, string trigger, string load)
    {
        if (Environment.GetEnvironmentVariable("CORE_GROUPS_LONG_TESTS") != "1") return;
        Enumerate("abcd", "g=abc h=bcd", CutsOfFour, isExtended, trigger, load);
    }

    /// <summary>The enumeration is able to fail.</summary>
    [Theory]
    [InlineData(nameof(WeakRules.PromisesAreForgotten))]
    public void ItBites(string rule) =>
        Assert.True(Failures("abc", "g=ab h=abc", CutsOfThree, isExtended: true, Merge, Load, Enum.Parse<WeakRules>(rule)).Any());

    private static void Enumerate(string names, string groups, string[] cuts, bool isExtended, string trigger, string load)
    {
        string[] failures = [.. Failures(names, groups, cuts, isExtended, trigger, load).Take(5)];
        Assert.True(failures.Length == 0, string.Join('\n', failures));
    }

    private static IEnumerable<string> Failures(string names, string groups, string[] cuts, bool isExtended, string trigger, string load, WeakRules weak = WeakRules.None)
    {
        foreach (string cut in cuts)
        {
            string sever = string.Join(", ", cut.Split(' ').Select(pair => $"sever {pair}"));
            foreach (string heal in new[] { "some 4", "drain" })
            {
                for (int frames = 0; frames < MostFrames; frames++)
                {
                    var schedule = new Schedule(names, groups, $"{load}, {trigger}, steps {frames}, {sever}, {heal}", IsExtended: isExtended);
                    if (schedule.Run(weak) is { Count: > 0 } violations) yield return $"{schedule}: {violations[0]}";
                }
            }
        }
    }
}
