// Dependencies point one way. Checked twice: in the sources (what a file names) and in the assembly (what its code refers to).
using System.Text.RegularExpressions;

namespace Core.Groups.Tests.Repository;

public sealed partial class LayerTests
{
    [Fact]
    public void SourcesNameOnlyLayersThatTheyMayUse() => Violations.None(RepositoryFiles.Sources.SelectMany(WrongNames));

    [Fact]
    public void CompiledTypesReferOnlyToLayersThatTheyMayUse() =>
        Violations.None(typeof(NodeId).Assembly.GetTypes().SelectMany(type => WrongReferences(type, Layers.Of)));

    [Fact]
    public void EverySourceOfTheLibraryStandsInALayer() =>
        Violations.None(RepositoryFiles.Sources.Where(f => f.IsUnder(Layers.Project) && !Layers.Allowed.ContainsKey(Layers.Of(f) ?? "")).Select(f => f.Path));

    [Fact]
    public void NamespacesFollowFolders() => Violations.None(RepositoryFiles.Sources.Where(f => Layers.Of(f) is not null).SelectMany(WrongNamespace));

    [Fact]
    public void EveryPublicTypeIsFoundInItsFolder() =>
        Violations.None(typeof(NodeId).Assembly.GetTypes().Where(type => type.Namespace == Layers.Project && Layers.Of(type) is null).Select(type => type.Name));

    [Fact]
    public void TheLayersOfTypesAreKnown()
    {
        Assert.Equal("Model", Layers.Of(typeof(NodeId)));
        Assert.Equal("Protocol", Layers.Of(typeof(Core.Groups.Protocol.NodeMachine)));
        Assert.Null(Layers.Of(typeof(string)));
        Assert.Contains(RepositoryFiles.Sources, file => file.Path == "Core.Groups/Protocol/NodeMachine.cs" && Layers.Of(file) == "Protocol");
    }

    [Theory]
    [InlineData("Protocol", "using Core.Groups.Hosting;")]
    [InlineData("Protocol", "using static Core.Groups.Transport.HostPort;")]
    [InlineData("Wire", "class C { Core.Groups.Protocol.Outcome o; }")]
    [InlineData("Transport", "using Core.Groups.Testing.Checkers;")]
    [InlineData("Model", "class C { Wire.WireReader r; }")]
    public void AWrongNameInASourceIsSeen(string layer, string text) => Assert.Single(WrongNames(new($"Core.Groups/{layer}/File.cs", text)));

    [Theory]
    [InlineData("Protocol", "using Core.Groups.Wire; // not Core.Groups.Hosting")]
    [InlineData("Hosting", "using Core.Groups.Transport;")]
    [InlineData("Protocol", "class C { string s = \"Core.Groups.Hosting\"; }")]
    [InlineData("Hosting", "namespace Core.Groups.Hosting;")]
    public void AllowedNamesAreNotSeen(string layer, string text) => Assert.Empty(WrongNames(new($"Core.Groups/{layer}/File.cs", text)));

    [Theory]
    [InlineData(typeof(HasField))]
    [InlineData(typeof(HasParameter))]
    [InlineData(typeof(HasBody))]
    [InlineData(typeof(HasArgument))]
    public void AWrongReferenceInAnAssemblyIsSeen(Type type) =>
        Assert.NotEmpty(WrongReferences(type, t => t == typeof(Upper) ? "Hosting" : t == type ? "Protocol" : null));

    [Theory]
    [InlineData("Core.Groups/Wire/File.cs", "namespace Core.Groups.Protocol;")]
    [InlineData("Core.Groups/Wire/File.cs", "namespace Core.Groups;")]
    [InlineData("Core.Groups/Model/File.cs", "namespace Core.Groups.Models;")]
    public void AWrongNamespaceIsSeen(string path, string text) => Assert.Single(WrongNamespace(new(path, text)));

    private static IEnumerable<string> WrongNames(RepositoryFile file)
    {
        if (Layers.Of(file) is not { } user || !Layers.Allowed.ContainsKey(user)) yield break;
        foreach (Match match in LayerName().Matches(NamespaceLine().Replace(file.Code, "")))
        {
            // Where a single type of a layer may be used, its namespace may be named: the assembly shows that it stops there.
            string used = match.Groups["layer"].Value;
            bool excepted = Layers.Exceptions.Any(e => e.User == user && e.Used == used);
            if (!excepted && !Layers.MayUse(user, used, "")) yield return $"{file.Path}: {user} must not name {used} ({match.Value})";
        }
    }

    private static IEnumerable<string> WrongReferences(Type type, Func<Type, string?> layerOf)
    {
        if (layerOf(type) is not { } user) yield break;
        foreach (Type other in References.Of(type).OfType<Type>())
        {
            if (layerOf(other) is { } used && !Layers.MayUse(user, used, other.Name)) yield return $"{type}: {user} must not refer to {used} ({other})";
        }
    }

    private static IEnumerable<string> WrongNamespace(RepositoryFile file)
    {
        string layer = Layers.Of(file)!;
        string actual = CSharpText.Namespace(file.Code) ?? "";
        bool isPublicApi = actual == Layers.Project && layer is ("Model" or "Storage" or "Hosting");
        bool isInLayer = (actual + ".").StartsWith($"{Layers.Project}.{layer}.", StringComparison.Ordinal) && layer != "Model";
        if (!isPublicApi && !isInLayer) yield return $"{file.Path}: namespace {actual} does not follow the folder";
    }

    [GeneratedRegex(@"\bCore\.Groups\.(?<layer>Model|Tracing|Storage|Wire|Protocol|Transport|Hosting|Replication|Testing)\b|(?<![\w.])(?<layer>Storage|Wire|Protocol|Transport|Hosting|Replication|Testing)\.[A-Z]")]
    private static partial Regex LayerName();

    [GeneratedRegex(@"^\s*namespace[^\n]*", RegexOptions.Multiline)]
    private static partial Regex NamespaceLine();

    private sealed class Upper
    {
        public static int Value => 1;
    }

    private sealed class HasField
    {
        public Upper? Field = null;
    }

    private abstract class HasParameter
    {
        public abstract void Method(IReadOnlyList<Upper[]> parameter);
    }

    private sealed class HasBody
    {
        public int Method() => Upper.Value + GetHashCode();
    }

    private sealed class HasArgument
    {
        public Array Method() => Array.Empty<Upper>();
    }
}
