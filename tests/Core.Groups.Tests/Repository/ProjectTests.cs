// Each project is documented, is in the solution, takes its package versions from one place, and stays in its part of the whole.
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Core.Groups.Tests.Repository;

public sealed partial class ProjectTests
{
    [Fact]
    public void EveryProjectHasAReadme() =>
        Violations.None(RepositoryFiles.Projects.Where(project => !RepositoryFiles.Exists(ReadmeOf(project))).Select(project => $"{ReadmeOf(project)} is missing"));

    [Fact]
    public void EveryProjectIsInTheSolution() =>
        Violations.None(NotInSolution(RepositoryFiles.Projects.Select(project => project.Path), RepositoryFiles.ReadOne("Toolkit.sln").Text));

    [Fact]
    public void NoProjectNamesAPackageVersion() => Violations.None(RepositoryFiles.Projects.SelectMany(PackageVersions));

    [Fact]
    public void DependenciesBetweenProjectsPointOneWay() => Violations.None(RepositoryFiles.Projects.SelectMany(WrongReferences));

    [Fact]
    public void ToolkitsSeeThePublicApiOnly() =>
        Violations.None(RepositoryFiles.Projects.Concat(RepositoryFiles.Sources).SelectMany(OpenedToOthers));

    [Fact]
    public void AProjectOutsideTheSolutionIsSeen() =>
        Assert.Equal("b/b.csproj is not in Toolkit.sln: run 'dotnet sln Toolkit.sln add b/b.csproj'", Assert.Single(NotInSolution(["a/a.csproj", "b/b.csproj", "Toolkit.Recovery.LiteDb/c.csproj"], @"""a\a.csproj""")));

    [Theory]
    [InlineData("""<Project><ItemGroup><PackageReference Include="x" Version="1" /></ItemGroup></Project>""")]
    [InlineData("""<Project><ItemGroup><PackageReference Include="x" VersionOverride="1" /></ItemGroup></Project>""")]
    [InlineData("""<Project><ItemGroup><PackageReference Include="x"><Version>1</Version></PackageReference></ItemGroup></Project>""")]
    public void APackageVersionIsSeen(string project) => Assert.Single(PackageVersions(new("a/a.csproj", project)));

    [Theory]
    [InlineData("Core.Groups/Core.Groups.csproj", "../Toolkit.Locks/Toolkit.Locks.csproj")]
    [InlineData("Toolkit.Locks/Toolkit.Locks.csproj", "../tests/Simulator/Simulator.csproj")]
    [InlineData("samples/Ticker/Ticker.csproj", @"..\..\tests\Simulator\Simulator.csproj")]
    public void AWrongReferenceIsSeen(string path, string reference) =>
        Assert.Single(WrongReferences(new(path, $"""<Project><ItemGroup><ProjectReference Include="{reference}" /></ItemGroup></Project>""")));

    [Theory]
    [InlineData("Core.Groups/Core.Groups.csproj", """<InternalsVisibleTo Include="Toolkit.Locks" />""")]
    [InlineData("Core.Groups/Model/Friends.cs", """[assembly: InternalsVisibleTo("Toolkit.Locks")]""")]
    [InlineData("Toolkit.Locks/Back.cs", """[assembly: IgnoresAccessChecksTo("Core.Groups")]""")]
    [InlineData("Toolkit.Locks/Back.cs", "typeof(View).GetFields(BindingFlags.NonPublic)")]
    public void AnInternalThatIsOpenedIsSeen(string path, string text) => Assert.Single(OpenedToOthers(new(path, text)));

    private static string ReadmeOf(RepositoryFile project) => project.Path[..(project.Path.LastIndexOf('/') + 1)] + "README.md";

    /// <summary>Adapters to packages that cannot be restored everywhere: their folders stand outside the solution, and say so in their README.</summary>
    private static readonly string[] Adapters = ["Core.Groups.MessagePack", "Toolkit.Recovery.LiteDb"];

    private static IEnumerable<string> NotInSolution(IEnumerable<string> projects, string solution) =>
        from path in projects
        where !Adapters.Contains(path.Split('/')[0]) && !solution.Replace('\\', '/').Contains($"\"{path}\"", StringComparison.Ordinal)
        select $"{path} is not in Toolkit.sln: run 'dotnet sln Toolkit.sln add {path}'";

    private static IEnumerable<string> PackageVersions(RepositoryFile project) =>
        from package in XDocument.Parse(project.Text).Descendants("PackageReference")
        where package.Attributes().Select(a => a.Name).Concat(package.Elements().Select(e => e.Name)).Any(n => n.LocalName.StartsWith("Version", StringComparison.Ordinal))
        select $"{project.Path}: the version of {package.Attribute("Include")?.Value} belongs in Directory.Packages.props";

    /// <summary>The library knows no other project, a toolkit knows the library and toolkits, a sample these; tests may know all.</summary>
    private static IEnumerable<string> WrongReferences(RepositoryFile project)
    {
        string[] known = project.Path.Split('/')[0] switch
        {
            "Core.Groups" => [],
            "tests" => ["Core.Groups", "Toolkit.", "samples", "tests"],
            _ => ["Core.Groups", "Toolkit."],
        };
        return from reference in XDocument.Parse(project.Text).Descendants("ProjectReference").Select(r => r.Attribute("Include")!.Value)
               let path = Path.GetRelativePath(".", Path.Combine(Path.GetDirectoryName(project.Path)!, reference.Replace('\\', '/')))
               where !known.Any(name => path.StartsWith(name, StringComparison.Ordinal))
               select $"{project.Path} must not refer to {reference}";
    }

    private static IEnumerable<string> OpenedToOthers(RepositoryFile file)
    {
        Regex? wrong = file.IsUnder(Layers.Project) ? OpensToToolkit() : file.Path.StartsWith("Toolkit.", StringComparison.Ordinal) ? LooksInside() : null;
        return wrong?.Match(file.Text) is { Success: true } match ? [$"{file.Path}: {match.Value}"] : [];
    }

    [GeneratedRegex(@"InternalsVisibleTo[^\n]*Toolkit\.(?!Tests\W)[^\n]*")]
    private static partial Regex OpensToToolkit();

    [GeneratedRegex(@"IgnoresAccessChecksTo|BindingFlags\.NonPublic|UnsafeAccessor")]
    private static partial Regex LooksInside();
}
