// A configuration change, and a node that dies right before the k-th frame of it is delivered: for every node, every k, in both modes.
namespace Core.Groups.Tests.Paper;

public sealed class CrashAtEveryStepTests
{
    /// <summary>More frames than any of these changes has; then the crash comes when all is quiet.</summary>
    private const int MostFrames = 70;

    private const string Load = "send a Total g, send b Causal g, send c Safe g, send b CausalTotal h, send c Group g";

    [Theory]
    [InlineData("abc", "g=abc h=bc", "sever bc", "")]
    [InlineData("abc", "g=abc h=bc", "sever bc", "send a Total g, send b Causal g, send c Fifo g, send b CausalTotal h, send c Total g")]
    [InlineData("abc", "g=ab h=bc", "sever ab", "join c g, dl ca, dl ac, dl ca, dl ab, send b Total g, leave c h")]
    [InlineData("abcde", "g=abc h=bcde", "crash e", "send b Total h, send a Causal g, send c CausalTotal h, dl bc, dl cd, send d Fifo h, join a h")]
    [InlineData("abcd", "g=abc h=bcd", "crash d", Load)]
    [InlineData("abc", "g=ab h=abc", "sever bc", Load, true)]
    [InlineData("abcd", "g=abc h=bcd", "sever ac, sever ad, sever bc, sever bd", Load, true)]
    [InlineData("abcd", "g=abc h=bcd", "sever ac, sever ad, sever bc, sever bd, drain, send a Total g, send c Safe g, drain, mend ac, mend ad, mend bc, mend bd", Load, true)]
    public void NothingIsLost(string names, string groups, string trigger, string load, bool isExtended = false)
    {
        var failures = new List<string>();
        foreach (char victim in names)
        {
            for (int frames = 0; frames < MostFrames; frames++)
            {
                var schedule = new Schedule(names, groups, $"{load}, {trigger}, some {frames}, crash {victim}", IsExtended: isExtended);
                if (schedule.Run() is { Count: > 0 } violations) failures.Add($"{schedule}: {violations[0]}");
            }
        }
        Assert.True(failures.Count == 0, string.Join('\n', failures));
    }

    /// <summary>With stable stores any number may die at once: each set of nodes, before each frame, and some of them come back first.</summary>
    [Theory]
    [InlineData("sever bc", "")]
    [InlineData("sever ab", "send a Total g, send b Causal g, send c Fifo g")]
    [InlineData("crash c", "send a Total g, join b h")]
    public void NothingIsForgottenWithStores(string trigger, string load)
    {
        string[] victims = ["a", "b", "c", "ab", "ac", "bc", "abc"];
        var failures = new List<string>();
        foreach (string set in victims)
        {
            for (int frames = 0; frames < MostFrames; frames++)
            {
                string crashes = string.Join(", ", set.Select(victim => $"crash {victim}"));
                // The last to die is the first to come back, and some frames pass before the next.
                string starts = string.Join(", some 9, ", set.Reverse().Select(victim => $"start {victim}"));
                var schedule = new Schedule("abc", "g=abc h=ac", $"{load}, {trigger}, some {frames}, {crashes}, some 5, {starts}", IsStored: true);
                if (schedule.Run() is { Count: > 0 } violations) failures.Add($"{schedule}: {violations[0]}");
            }
        }
        Assert.True(failures.Count == 0, string.Join('\n', failures));
    }
}
