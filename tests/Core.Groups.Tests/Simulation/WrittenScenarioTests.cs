// The scenarios in Scenarios/*.txt: commands, a line of dashes, and what every node must have seen.
// With UPDATE_SCENARIOS=1 in the environment the expected halves are written anew; the change is then read and committed.
using System.Runtime.CompilerServices;
using Core.Groups.Testing.Simulation;

namespace Core.Groups.Tests.Simulation;

public sealed class WrittenScenarioTests
{
    private const string Separator = "\n----\n";

    public static TheoryData<string> Names => [.. Directory.GetFiles(Folder(), "*.txt").Select(path => Path.GetFileNameWithoutExtension(path)).Order()];

    [Theory]
    [MemberData(nameof(Names))]
    public void EveryNodeSeesWhatIsWritten(string name)
    {
        string path = Path.Combine(Folder(), name + ".txt");
        string[] halves = File.ReadAllText(path).ReplaceLineEndings("\n").Split(Separator, 2);
        string seen = ScriptedScenario.Run(halves[0], out SimulatedCluster cluster);
        Assert.True(cluster.Violations.Count == 0, string.Join('\n', cluster.Violations));
        if (Environment.GetEnvironmentVariable("UPDATE_SCENARIOS") == "1")
            File.WriteAllText(path, halves[0].TrimEnd('\n') + Separator + seen);
        else
            Assert.Equal(halves.Length == 2 ? halves[1] : "(nothing is expected yet: run with UPDATE_SCENARIOS=1)", seen);
    }

    [Theory]
    [InlineData("start a\nfly a", "Line 2")]
    [InlineData("start a\ncrash b", "Line 2")]
    [InlineData("start a\n\nrun 2", "Line 3")]
    [InlineData("start a\nsend a loudly /g x", "Line 2")]
    public void AWrongCommandIsNamedWithItsLine(string text, string expected)
    {
        FormatException exception = Assert.Throws<FormatException>(() => ScriptedScenario.Run(text, out _));
        Assert.Contains(expected, exception.Message);
    }

    [Theory]
    [InlineData("2s", 2000), InlineData("500ms", 500), InlineData("1500us", 1.5), InlineData("0.5s", 500)]
    public void TimesHaveUnits(string text, double milliseconds) =>
        Assert.Equal(milliseconds, ScriptedScenario.ParseTime(text).TotalMilliseconds);

    private static string Folder([CallerFilePath] string source = "") => Path.Combine(Path.GetDirectoryName(source)!, "Scenarios");
}
