// The names of groups: paths, optionally of one site.
// Follows: "isis toolkit", joining process groups ("@NewYork:/analysis/technology"); protocol.md section 7.
using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Core.Groups;

/// <summary>
/// The rules of group names. A name is a path, <c>/analysis/technology</c>, or a path at a site, <c>@NewYork:/analysis/technology</c>:
/// the members of such a group are nodes of that site (<see cref="GroupNodeOptions.Site"/>), and anyone may call it. The two are different
/// groups. Names are compared character by character; a group can also be addressed by its <see cref="GroupId"/>.
/// </summary>
public static class GroupName
{
    /// <summary>The longest name, in bytes of UTF-8.</summary>
    public const int MaximumLength = 255;

    /// <summary>Whether a text is a group's name.</summary>
    public static bool IsValid([NotNullWhen(true)] string? name) => ProblemOf(name) is null;

    /// <summary>Checks a name.</summary>
    /// <exception cref="ArgumentException">It is none; the message says what is wrong.</exception>
    public static void Validate([NotNull] string? name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (ProblemOf(name) is { } problem) throw new ArgumentException($"'{name}' is not a group's name: {problem}. Write /path/of/group or @Site:/path/of/group.", nameof(name));
    }

    /// <summary>The site in whose nodes a group resides; null if it may reside anywhere.</summary>
    public static string? SiteOf(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        int colon = name.IndexOf(':', StringComparison.Ordinal);
        return name.StartsWith('@') && colon > 1 ? name[1..colon] : null;
    }

    private static string? ProblemOf(string? name)
    {
        if (string.IsNullOrEmpty(name)) return "it is empty";
        if (Encoding.UTF8.GetByteCount(name) > MaximumLength) return $"it has more than {MaximumLength} bytes";
        if (name.Any(char.IsControl) || HasHalfCharacter(name)) return "it has characters that cannot be written";
        string path = name;
        if (name[0] == '@')
        {
            if (SiteOf(name) is not { } site) return "after @ comes a site, then a colon";
            if (site.Contains('/', StringComparison.Ordinal) || site != site.Trim()) return "a site has no slash, nor blanks at its ends";
            path = name[(site.Length + 2)..];
        }
        if (!path.StartsWith('/')) return "a path begins with a slash";
        string[] steps = path[1..].Split('/');
        if (steps.Any(string.IsNullOrWhiteSpace)) return "a step of its path is empty";
        return steps.Any(step => step is "." or "..") ? "its path has a step . or .." : null;
    }

    private static bool HasHalfCharacter(string name)
    {
        foreach (Rune rune in name.EnumerateRunes())
        {
            if (rune == Rune.ReplacementChar) return true;
        }
        return false;
    }
}
