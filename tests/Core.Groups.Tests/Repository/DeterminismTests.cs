// The same input gives the same output: Model, Wire and Protocol have no task, lock, clock, chance, socket or file.
// The analyzer (RS0030) stops a build at a call; it does not see declared types, a lock's Monitor, or an await. These tests do.
using System.Text.RegularExpressions;

namespace Core.Groups.Tests.Repository;

public sealed partial class DeterminismTests
{
    [Fact]
    public void DeterministicSourcesHaveNoLockAndNoAwait() => Violations.None(RepositoryFiles.Sources.SelectMany(WrongWords));

    [Fact]
    public void DeterministicTypesReferToNothingBanned() => Violations.None(
        typeof(NodeId).Assembly.GetTypes().Where(type => Layers.Deterministic.Contains(Layers.Of(type))).SelectMany(BannedReferences));

    [Fact]
    public void TheAnalyzerIsSwitchedOnForTheDeterministicFolders()
    {
        string style = RepositoryFiles.ReadOne(".editorconfig").Text;
        string section = $"[Core.Groups/{{{string.Join(',', Layers.Deterministic)}}}/**.cs]\ndotnet_diagnostic.RS0030.severity = error\n";
        Assert.Contains(section, style, StringComparison.Ordinal);
        Assert.Contains("<AdditionalFiles Include=\"BannedSymbols.txt\" />", RepositoryFiles.ReadOne("Core.Groups/Core.Groups.csproj").Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("lock (gate) { }")]
    [InlineData("lock(gate) { }")]
    [InlineData("async void Run() { }")]
    [InlineData("await next;")]
    public void AWrongWordIsSeen(string code) => Assert.Single(WrongWords(new("Core.Groups/Wire/File.cs", $"class C {{ void M() {{ {code} }} }}")));

    [Theory]
    [InlineData("Core.Groups/Wire/File.cs", "// await the lock (of async things)")]
    [InlineData("Core.Groups/Wire/File.cs", "int block = Unlock(awaited);")]
    [InlineData("Core.Groups/Hosting/File.cs", "lock (gate) { }")]
    public void OtherWordsAreNotSeen(string path, string code) => Assert.Empty(WrongWords(new(path, code)));

    [Theory]
    [InlineData(typeof(HasLock), "System.Threading.Monitor")]
    [InlineData(typeof(HasTask), "System.Threading.Tasks.ValueTask`1")]
    [InlineData(typeof(HasClock), "get_UtcNow")]
    [InlineData(typeof(HasChance), "System.Random")]
    [InlineData(typeof(HasSocket), "System.Net.Sockets.Socket")]
    [InlineData(typeof(HasGuid), "NewGuid")]
    public void ABannedReferenceIsSeen(Type type, string banned) =>
        Assert.Contains(BannedReferences(type), found => found.Contains(banned, StringComparison.Ordinal));

    [Fact]
    public void WhatIsNotBannedIsNotSeen() => Assert.Empty(BannedReferences(typeof(HasNothing)));

    private static IEnumerable<string> WrongWords(RepositoryFile file) =>
        Layers.Deterministic.Contains(Layers.Of(file)) && Word().Match(file.Code) is { Success: true } word
            ? [$"{file.Path}: '{word.Value}' has no place in a deterministic layer"]
            : [];

    private static IEnumerable<string> BannedReferences(Type type) =>
        References.Of(type).Where(BannedSymbols.OfTheLibrary.Contains).Select(member => $"{type} refers to {member.DeclaringType?.FullName} {member}");

    [GeneratedRegex(@"\block\s*\(|\basync\b|\bawait\b")]
    private static partial Regex Word();

    private sealed class HasLock
    {
        public void Method(object gate)
        {
            lock (gate) { }
        }
    }

    private abstract class HasTask
    {
        public abstract ValueTask<int> Method();
    }

    private sealed class HasClock
    {
        public static DateTime Method() => DateTime.UtcNow;
    }

    private sealed class HasChance
    {
        public Random? Field = null;
    }

    private sealed class HasSocket
    {
        public System.Net.Sockets.Socket? Property { get; set; }
    }

    private sealed class HasGuid
    {
        public static string Method() => Guid.NewGuid().ToString();
    }

    private sealed class HasNothing
    {
        public static TimeSpan Method(DateTime time) => time - DateTime.UnixEpoch;
    }
}
