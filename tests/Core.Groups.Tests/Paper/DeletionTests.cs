// When a deletion has ended: not before the registry knows of it (RFC 992: a name that is free can be used again).
namespace Core.Groups.Tests.Paper;

public sealed class DeletionTests
{
    /// <summary>Who had deleted a group found it again, where the keeper of the names heard of it last.</summary>
    [Fact]
    public void A_group_is_deleted_when_nobody_who_asks_finds_it_any_more()
    {
        var cluster = new HandDrivenCluster("abc", new Dictionary<string, string> { ["g"] = "c" });
        cluster.Hold("c", "a");      // a keeps the names: what the member tells it is late
        cluster["b"].Delete("g");
        cluster.Drain();
        Assert.Empty(cluster["c"].Replicas);
        Assert.True(cluster["b"].IsDeleting);

        cluster.Release("c", "a");
        cluster.Drain();
        cluster.Tick("b"); // it asks again
        cluster.Quiet();
        Assert.False(cluster["b"].IsDeleting);
        Assert.Empty(cluster.Judge());
    }
}
