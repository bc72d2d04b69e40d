// How a check of this folder ends: with every violation in full, since whoever reads them must mend them.
namespace Core.Groups.Tests.Repository;

internal static class Violations
{
    public static void None(IEnumerable<string> violations)
    {
        string[] all = [.. violations];
        if (all.Length > 0) Assert.Fail(string.Join('\n', all));
    }
}
