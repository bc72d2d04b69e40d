// Credit is taken before a message is numbered: what is numbered, forwarded or control is taken in whatever the application does.
// Follows: protocol.md section 2. What waits for the application on its link holds up the frames behind it, also those of a
// configuration change, and a handler may wait for that very change.
namespace Core.Groups.Tests.Paper;

public sealed class CreditTests
{
    private const string Sends = "send a Total g, send a Causal g, send c Fifo g, send a Safe g, drain, send a Total g, send a Causal h, drain";

    [Theory]
    [InlineData(false), InlineData(true)]
    public void ANodeWhoseHandlerStandsChangesItsConfigurationLikeTheOthers(bool isExtended)
    {
        HandDrivenCluster cluster = Stand(new HandDrivenCluster("abc", Groups, isExtended: isExtended));
        cluster.Crash("c");
        Assert.True(cluster.Work("ab"), "The change waits for a handler.");
        cluster.Start("c");
        Assert.True(cluster.Work("abc"), "The change waits for a handler.");
        Assert.True(cluster["b"].IsBehind);
        cluster["b"].GoOn();
        Assert.True(cluster.Quiet());
        Assert.Empty(cluster.Judge());
    }

    /// <summary>The rule is needed: where numbered messages wait for the application, the change waits until the handler returns.</summary>
    [Theory]
    [InlineData(false), InlineData(true)]
    public void WhereNumberedMessagesWaitForTheApplicationAChangeWaitsForTheHandler(bool isExtended)
    {
        HandDrivenCluster cluster = Stand(new HandDrivenCluster("abc", Groups, isExtended: isExtended) { ReceivesByCredit = true });
        cluster.Crash("c");
        Assert.False(cluster.Work("ab"));
        cluster["b"].GoOn();
        Assert.True(cluster.Work("ab"));
        Assert.True(cluster.Quiet());
        Assert.Empty(cluster.Judge());
    }

    private static Dictionary<string, string> Groups => new() { ["g"] = "abc", ["h"] = "ab" };

    /// <summary>b's handler of the first message does not return, and the others go on sending.</summary>
    private static HandDrivenCluster Stand(HandDrivenCluster cluster)
    {
        cluster["b"].IsStanding = true;
        foreach (string act in Sends.Split(", ")) Schedule.Do(cluster, act.Split(' '));
        return cluster;
    }
}
