// Just enough of C#'s lexical structure to look for words in code: comments and literals are blanked, lines stay lines.
// Deviates: an interpolated string counts as one literal, the expressions in it included.
using System.Text.RegularExpressions;

namespace Core.Groups.Tests.Repository;

internal static partial class CSharpText
{
    public static string WithoutCommentsAndLiterals(string text) =>
        CommentOrLiteral().Replace(text, match => new string('\n', match.Value.Count(c => c == '\n')));

    /// <summary>The names of the types that a file declares, nested ones included.</summary>
    public static IEnumerable<string> DeclaredTypes(string code) =>
        TypeDeclaration().Matches(code).Select(match => match.Groups["name"].Value);

    public static string? Namespace(string code) =>
        NamespaceDeclaration().Match(code) is { Success: true } match ? match.Groups["name"].Value : null;

    [GeneratedRegex("""
        //[^\n]*
        | /\*.*?\*/
        | \$*(?<quotes>"{3,}).*?\k<quotes>"*
        | (?:\$@|@\$|@)"(?:[^"]|"")*"
        | \$?"(?:\\.|[^"\\\n])*"
        | '(?:\\[^\n]+?|[^'\\\n])'
        """, RegexOptions.Singleline | RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex CommentOrLiteral();

    [GeneratedRegex(@"\b(?:class|struct|interface|enum|record|delegate\s+[\w<>\[\],.?\s]+?)\s+(?<name>[A-Z]\w*)\s*(?=[<({:;\n])")]
    private static partial Regex TypeDeclaration();

    [GeneratedRegex(@"^\s*namespace\s+(?<name>[\w.]+)", RegexOptions.Multiline)]
    private static partial Regex NamespaceDeclaration();
}
