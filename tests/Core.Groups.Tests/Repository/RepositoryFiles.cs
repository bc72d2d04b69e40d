// The files of this repository as the tests of this folder see them: found from the place of the test assembly upwards.
// Keeps: what a build makes (bin, obj) and what version control keeps are never looked at.
namespace Core.Groups.Tests.Repository;

/// <summary>A text file. <paramref name="Path"/> is relative to the root, with forward slashes.</summary>
internal sealed record RepositoryFile(string Path, string Text)
{
    public string[] Lines { get; } = Text.Split('\n');

    /// <summary>The file's text without comments and without the contents of literals.</summary>
    public string Code => CSharpText.WithoutCommentsAndLiterals(Text);

    public bool IsUnder(string folder) => Path.StartsWith(folder + "/", StringComparison.Ordinal);
}

internal static class RepositoryFiles
{
    private static readonly string[] NotLookedAt = ["bin", "obj", ".git", ".vs", "TestResults", "BenchmarkDotNet.Artifacts"];

    public static string Root { get; } = FindRoot();

    public static IReadOnlyList<RepositoryFile> Sources { get; } = Read("*.cs");

    public static IReadOnlyList<RepositoryFile> Projects { get; } = Read("*.csproj");

    public static RepositoryFile ReadOne(string path) => new(path, File.ReadAllText(Path.Combine(Root, path)));

    public static bool Exists(string path) => File.Exists(Path.Combine(Root, path));

    private static List<RepositoryFile> Read(string pattern) =>
        [.. Find(Root, pattern).Order(StringComparer.Ordinal).Select(ReadOne)];

    private static IEnumerable<string> Find(string folder, string pattern)
    {
        foreach (string file in Directory.EnumerateFiles(folder, pattern))
        {
            yield return Path.GetRelativePath(Root, file).Replace('\\', '/');
        }
        foreach (string inner in Directory.EnumerateDirectories(folder).Where(d => !NotLookedAt.Contains(Path.GetFileName(d))))
        {
            foreach (string file in Find(inner, pattern)) yield return file;
        }
    }

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Toolkit.sln"))) return folder.FullName;
        }
        throw new InvalidOperationException($"No Toolkit.sln above {AppContext.BaseDirectory}: these tests run inside a checkout.");
    }
}
