// The commands that README.md shows are those that .ci/run runs, and the projects that it lists are those that there are.
namespace Core.Groups.Tests.Repository;

public sealed class CommandTests
{
    private static readonly string Readme = RepositoryFiles.ReadOne("README.md").Text;

    [Fact]
    public void TheTestCommandOfTheReadmeIsTheOneThatRuns()
    {
        const string Command = "dotnet test Toolkit.sln -c Release";
        Assert.Contains($"    {Command} ", Readme, StringComparison.Ordinal);
        Assert.Contains($" {Command} ", RepositoryFiles.ReadOne(".ci/run").Text, StringComparison.Ordinal);
    }

    [Fact]
    public void TheReadmeListsEveryProject() => Violations.None(NotListed(RepositoryFiles.Projects, Readme));

    [Fact]
    public void AProjectThatIsNotListedIsSeen() =>
        Assert.Equal(["b/c"], NotListed([new("a/a.csproj", ""), new("b/c/c.csproj", "")], "| [a](a/README.md) | the first |"));

    private static IEnumerable<string> NotListed(IEnumerable<RepositoryFile> projects, string readme) =>
        from project in projects
        let folder = project.Path[..project.Path.LastIndexOf('/')]
        where !readme.Contains($"]({folder}/README.md)", StringComparison.Ordinal)
        select folder;
}
