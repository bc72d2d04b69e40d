using System.Collections.Immutable;
using Core.Groups.Testing.Checkers;

namespace Core.Groups.Tests.Checkers;

/// <summary>What tests of checkers need: a sound history passes all checkers, a broken one is found by the right one.</summary>
public abstract class CheckerTests
{
    private protected const string Three = TextHistory.ThreeInOneGroup;

    private protected static readonly CheckOptions Primary = new();
    private protected static readonly CheckOptions Extended = new() { IsPrimaryMode = false, Continuity = PrimaryContinuity.None };

    private protected static void Passes(string text, CheckOptions? options = null) =>
        Assert.Equal([], AllCheckers.Run(TextHistory.Parse(text), options ?? Primary).Select(violation => violation.ToString()));

    /// <summary>The checker of that name finds what is wrong, in these words, and shows the lines.</summary>
    private protected static void Finds(string checker, string words, string text, CheckOptions? options = null)
    {
        IReadOnlyList<Violation> violations = AllCheckers.Run(TextHistory.Parse(text), options ?? Primary);
        List<Violation> found = [.. violations.Where(violation => violation.Checker == checker)];
        Assert.True(found.Exists(violation => violation.Message.Contains(words, StringComparison.Ordinal)),
            $"expected \"{checker}: …{words}…\", found: {string.Join("; ", violations)}");
        Assert.All(found, violation => Assert.NotEmpty(violation.Events));
    }

    private protected static ImmutableHashSet<NodeId> Nodes(params string[] names) => [.. names.Select(name => new NodeId(name, 1))];
}
