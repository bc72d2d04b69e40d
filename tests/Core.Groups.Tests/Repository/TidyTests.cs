// Sources that a reader can take in: short files that open with their promise, sealed types, and tests that await events.
using System.Text.RegularExpressions;

namespace Core.Groups.Tests.Repository;

public sealed partial class TidyTests
{
    private const int LongestFile = 500;
    private const int LongestPromise = 8;

    /// <summary>Tests that let time pass on purpose, each with the reason why no event can be awaited there.</summary>
    private static readonly Dictionary<string, string> MayLetTimePass = new()
    {
        ["tests/Benchmarks/BenchCluster.cs"] = "a limit on how long a measurement may take",
        ["tests/Benchmarks/BenchNode.cs"] = "a measurement lasts as long as it is told to",
        ["tests/Benchmarks/Toolkits/Load.cs"] = "a measurement lasts as long as it is told to",
        ["tests/Benchmarks/Measurements.cs"] = "an idle system is one that is left alone",
        ["tests/Core.Groups.Tests/Samples/ProcessFaultTests.cs"] = "faults come at any time, and processes are asked until they agree",
    };

    [Fact]
    public void NoFileOfTheLibraryIsTooLong() => Violations.None(RepositoryFiles.Sources.SelectMany(TooLong));

    [Fact]
    public void FilesOfTheProtocolOpenWithTheirPromise() => Violations.None(RepositoryFiles.Sources.SelectMany(WithoutPromise));

    [Fact]
    public void TestsAwaitEvents() => Violations.None(RepositoryFiles.Sources.Where(file => !MayLetTimePass.ContainsKey(file.Path)).SelectMany(Sleeps));

    [Fact]
    public void TheListOfTestsThatLetTimePassIsShortAndTrue()
    {
        Assert.InRange(MayLetTimePass.Count, 0, 5);
        Assert.All(MayLetTimePass, entry => Assert.NotEmpty(Sleeps(RepositoryFiles.ReadOne(entry.Key))));
        Assert.All(MayLetTimePass, entry => Assert.NotEqual("", entry.Value));
    }

    [Fact]
    public void ClassesAreSealedUnlessSomethingDerives() => Violations.None(NotSealed(typeof(NodeId).Assembly.GetTypes()));

    [Fact]
    public void ALongFileIsSeen() => Assert.Single(TooLong(new("Core.Groups/Model/File.cs", new string('\n', LongestFile + 1))));

    [Theory]
    [InlineData("namespace Core.Groups.Protocol;\n// Late.")]
    [InlineData("using System;\n\nnamespace Core.Groups.Protocol;")]
    [InlineData("//\nnamespace Core.Groups.Protocol;")]
    [InlineData("// 1\n// 2\n// 3\n// 4\n// 5\n// 6\n// 7\n// 8\n// 9\nnamespace Core.Groups.Protocol;")]
    public void AMissingPromiseIsSeen(string text) => Assert.Single(WithoutPromise(new("Core.Groups/Protocol/Ordering/File.cs", text)));

    [Theory]
    [InlineData("Thread.Sleep(10);")]
    [InlineData("await Task.Delay(10);")]
    [InlineData("await Task\n    .Delay(10);")]
    public void ASleepIsSeen(string code) => Assert.Single(Sleeps(new("tests/Core.Groups.Tests/File.cs", code)));

    [Fact]
    public void WaitingForATokenIsNoSleep() => Assert.Empty(Sleeps(new("tests/File.cs", "await Task.Delay(Timeout.InfiniteTimeSpan, stop);")));

    [Fact]
    public void AnOpenClassIsSeen() => Assert.Equal([nameof(Open)], NotSealed([typeof(Base), typeof(Derived), typeof(Open), typeof(Layers)]));

    private static IEnumerable<string> TooLong(RepositoryFile file) =>
        file.IsUnder(Layers.Project) && file.Lines.Length > LongestFile + 1 ? [$"{file.Path} has {file.Lines.Length - 1} lines, {LongestFile} are allowed"] : [];

    private static IEnumerable<string> WithoutPromise(RepositoryFile file)
    {
        if (!file.IsUnder("Core.Groups/Protocol")) return [];
        string[] promise = [.. file.Lines.TakeWhile(line => line.StartsWith("//", StringComparison.Ordinal))];
        return promise.Length is >= 1 and <= LongestPromise && promise[0].Length > 3
            ? []
            : [$"{file.Path} must open with its promise: its role, what it keeps, what it follows, where it deviates, in one to {LongestPromise} comment lines"];
    }

    private static IEnumerable<string> Sleeps(RepositoryFile file) =>
        file.IsUnder("tests") && Sleep().Match(file.Code) is { Success: true } match ? [$"{file.Path}: {match.Value} (await an event, or say here why not)"] : [];

    private static IEnumerable<string> NotSealed(IReadOnlyCollection<Type> types) =>
        from type in types
        where type.IsClass && !type.IsSealed && !type.IsAbstract && !type.Name.Contains('<') && !types.Any(other => DerivesFrom(other, type))
        select type.Name;

    private static bool DerivesFrom(Type type, Type ancestor) =>
        type.BaseType is { } parent && (parent.IsGenericType ? parent.GetGenericTypeDefinition() : parent) == ancestor;

    [GeneratedRegex(@"\bThread\s*\.\s*Sleep\b|\bTask\s*\.\s*Delay\b(?!\(Timeout\.Infinite)")]
    private static partial Regex Sleep();

    private class Base;

    private sealed class Derived : Base;

#pragma warning disable CA1852 // the test is about a class that nobody sealed
    private class Open;
#pragma warning restore CA1852
}
