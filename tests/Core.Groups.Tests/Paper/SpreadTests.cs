// Which messages go to more than one group, and which only look so.
using Core.Groups.Protocol;

namespace Core.Groups.Tests.Paper;

public sealed class SpreadTests
{
    /// <summary>
    /// As a message to the domain of all nodes it would have another boundary than the group: one member could deliver it in
    /// the regular configuration that another delivers in the transitional one (found by the simulator: stored-crashes 33).
    /// </summary>
    [Fact]
    public void A_message_to_one_group_and_to_members_of_it_is_a_message_of_that_group()
    {
        var cluster = new HandDrivenCluster("abc", new Dictionary<string, string> { ["g"] = "ab" });
        NodeId b = cluster["b"].Id, c = cluster["c"].Id;
        cluster["a"].Send(["g"], Order.Total, null, b);
        cluster.Quiet();
        Assert.All([cluster["a"], cluster["b"]], node => Assert.True(node.LastDelivery is { Body.Length: 8, Spread: null }));

        cluster["a"].Send(["g"], Order.Total, null, c);
        cluster.Quiet();
        Assert.All(cluster.Nodes, node => Assert.NotNull(node.LastDelivery.Spread));
    }
}
