// Who watches a group is told every change as a member remembers it that was there, whoever is asked first.
using System.Collections.Immutable;
using Core.Groups.Protocol.Groups;

namespace Core.Groups.Tests.Paper;

public sealed class WatchTests
{
    /// <summary>A member that had left and joined again answered first: it knew of no change before its own, and the watch took the difference for failures.</summary>
    [Fact]
    public void A_member_that_joined_again_does_not_speak_for_the_time_before()
    {
        var cluster = new HandDrivenCluster("abcde", new Dictionary<string, string> { ["g"] = "cde" });
        cluster["b"].Watch("g");
        cluster.Quiet();
        cluster.Hold("b", "d");
        cluster["c"].Leave("g"); // it was asked to tell b: now b looks for another one, which is d
        cluster.Drain();
        cluster.Tick("b");
        cluster.Drain();
        cluster["d"].Leave("g");
        cluster.Drain();
        cluster["d"].Join("g");
        cluster.Drain();
        cluster.Release("b", "d");
        Assert.True(cluster.Quiet());

        Assert.Equal(["- c", "- d", "+ d"], cluster["b"].Watched.Select(TextOf));
        Assert.Empty(cluster.Judge());
    }

    private static string TextOf(ViewChange change) =>
        string.Join(' ', Names("+", change.Joined).Concat(Names("-", change.Left)).Concat(Names("failed", change.Failed)));

    private static IEnumerable<string> Names(string what, ImmutableArray<NodeId> nodes) => nodes.Select(node => $"{what} {node.Name}");
}
