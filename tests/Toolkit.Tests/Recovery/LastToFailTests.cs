// Who failed last, case by case; and logs that are not what was written.
using System.Collections.Immutable;
using Core.Groups;
using Toolkit.Recovery.Decision;
using Toolkit.Recovery.Logs;
using Toolkit.Tests.Recovery.Simulation;

namespace Toolkit.Tests.Recovery;

public sealed class LastToFailTests
{
    [Fact]
    public void TheMembersOfTheNewestViewAreWaitedFor()
    {
        CatalogueEntry group = Group("a", "b", "c");
        Assert.Equal("wait b c", Decide(group, Has("a", 5, "a", "b", "c")));
        Assert.Equal("wait c", Decide(group, Has("a", 5, "a", "b", "c"), Has("b", 6, "b", "c")));
        Assert.Equal("b", Decide(group, Has("a", 5, "a", "b", "c"), Has("b", 6, "b")));
        Assert.Equal("b", Decide(group, Has("b", 6, "b")));
        Assert.Equal("c", Decide(group, Has("b", 6, "b", "c"), Has("c", 7, "c"))); // c knows that it went on alone
    }

    [Fact]
    public void OfThoseThatFailedTogetherTheLongestLogCountsAndThenTheName()
    {
        CatalogueEntry group = Group("a", "b");
        Assert.Equal("a", Decide(group, Has("a", 5, "a", "b"), Has("b", 5, "a", "b")));
        Assert.Equal("b", Decide(group, Has("a", 5, "a", "b"), Has("b", 5, "a", "b") with { Report = new LogReport(new LogPoint(0, 1, 5, 9), ["a", "b"]) }));
        Assert.Equal("wait b", Decide(group, Has("a", 5, "a", "b"), Has("b", 6, "b") with { Wants = false })); // it has it, and is not asked to join
        Assert.Equal("a", Decide(group, Has("a", 5, "a", "b"), Nothing("b"))); // b came too late to log the view, and knows no later one
    }

    [Fact]
    public void ALogThatIsLostIsNotTakenForAnEmptyOne()
    {
        CatalogueEntry group = Group("a", "b");
        Assert.Equal("wait b", Decide(group, Has("a", 5, "a", "b"), Nothing("b") with { Store = 99 }));
        Assert.Equal("a", Decide(group, Has("a", 5, "a"), Nothing("b") with { Store = 99 })); // it was not among the last
    }

    [Fact]
    public void WhomAnOperatorChoseGoOnAndTheirLogOutranksTheOthers()
    {
        CatalogueEntry group = Group("a", "b", "c");
        (group.Forced, group.Chosen) = (1, ["a"]);
        Assert.Equal("a", Decide(group, Has("a", 5, "a", "b", "c"), Has("b", 9, "b")));
        Assert.Equal("wait a", Decide(group, Has("b", 9, "b"))); // also after all have failed again
        Candidate forced = Has("a", 1, "a") with { Report = new LogReport(new LogPoint(1, 2, 1, 0), ["a"]) };
        Assert.Equal("a", Decide(group, forced, Has("b", 9, "b")));
    }

    [Fact]
    public void AGroupThatNeverLoggedIsBegunByWhoWasLetIn()
    {
        Assert.Equal("wait b", Decide(Group("b"), Nothing("a")));
        Assert.Equal("b", Decide(Group("b"), Nothing("a"), Nothing("b")));
    }

    [Fact]
    public async Task ALogThatIsNotWhatWasWrittenIsRefusedWithItsName()
    {
        var platter = new SimulatedPlatter(1);
        platter.Values[LogNames.Checkpoint("/g")] = [7, 1, 2, 3];
        StableStoreException refused = await Assert.ThrowsAsync<StableStoreException>(() => GroupLog.OpenAsync(new SimulatedStore(platter, Weakness.None), "/g").AsTask());
        Assert.Contains("/g", refused.Message);
        Assert.Contains("format 7", refused.Message);
    }

    [Fact]
    public void BytesThatNobodyWroteAreFormatErrorsAndNothingElse()
    {
        var random = new Random(1);
        var view = new LoggedView(1, 2, 3, "id", [new NodeId("a", 1), new NodeId("b", 2)]);
        var place = new StatePlace(5, view, 7, 1, [new KeptCheckpoint(1, new CutPoint("id", 1))], ImmutableSortedDictionary.Create<string, string>().Add("key", "value"));
        var since = new LoggedCut(view, new CutPoint("id", 1), 4, 0);
        byte[][] good =
        [
            LogFormat.EncodeView(view), LogFormat.EncodeHead(new StateHead(place, 9, since), StateBody.Of(new byte[20])), LogFormat.EncodeGift(place, since),
            LogFormat.EncodeMessage(new(), new JournalMessage(new NodeId("a", 1), Order.Total, new MessageId(new NodeId("c", 1), 1, 2), new byte[9], IsRequest: true)),
        ];
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bytes = [.. good[i % good.Length].AsSpan(0, random.Next(good[i % good.Length].Length + 1))];
            for (int flips = random.Next(4); flips > 0 && bytes.Length > 0; flips--) bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
            if (bytes.Length == 0) continue;
            Try(() => LogFormat.DecodeView(bytes));
            Try(() => LogFormat.DecodeMessage(bytes));
            Try(() => LogFormat.DecodeHead(bytes));
            Try(() => LogFormat.DecodeGift(bytes));
            Try(() => place.After(bytes));
        }

        static void Try(Action read)
        {
            try
            {
                read();
            }
            catch (FormatException)
            {
                // As it should be.
            }
        }
    }

    private static string Decide(CatalogueEntry group, params Candidate[] here) =>
        LastToFail.Decide(here, group) is { Source: { } source } ? source : "wait " + string.Join(" ", LastToFail.Decide(here, group).WaitingFor);

    private static CatalogueEntry Group(params string[] holders)
    {
        var group = new CatalogueEntry("/g");
        foreach (string holder in holders) group.Holders[holder] = new Holder(holder[0], 1);
        return group;
    }

    private static Candidate Has(string name, long view, params string[] members) => new(name, name[0], new LogReport(new LogPoint(0, 1, view, 0), [.. members]), Wants: true);

    private static Candidate Nothing(string name) => new(name, name[0], null, Wants: true);
}
