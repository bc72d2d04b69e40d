// Lineages of primaries: which one goes on when several meet, what an operator may force, and that the losers are told.
using System.Collections.Immutable;
using Core.Groups.Protocol;
using Core.Groups.Protocol.Primary;
using Core.Groups.Testing.Checkers;
using Core.Groups.Testing.Simulation;

namespace Core.Groups.Tests.Paper;

public sealed class LineageTests
{
    private static readonly LineageId Low = new(1, 1), High = new(1, 2), Forced = new(1, 3, Forced: 1), New = new(9, 9);

    [Fact]
    public void TheHeavierOfTwoLineagesGoesOnThenTheLowerId()
    {
        Voter a = In(Session(Low, 5, "a"), "a"), b = In(Session(High, 5, "b", "c"), "b"), c = In(Session(High, 5, "b", "c"), "c");
        Assert.Equal(High, Decide(a, b, c).Lineage);
        Voter d = In(Session(High, 5, "d"), "d");
        Assert.Equal(Low, Decide(a, d).Lineage);
    }

    [Fact]
    public void ALineageThatCannotGoOnGivesWayToOneThatCan()
    {
        Session large = Session(Low, 9, "a", "b", "c", "d", "e");
        Voter a = In(large, "a"), b = In(large, "b"), f = In(Session(High, 3, "f"), "f");
        Assert.Equal(High, Decide(a, b, f).Lineage);
        Assert.False(Decide(a, b).IsPrimary);
    }

    [Fact]
    public void AForcedLineageGoesBeforeAllThatWereThere()
    {
        Session old = Session(Low, 5, "a", "b", "c");
        PrimaryDecision forced = PrimaryRule.Force([In(old, "a")], old.Number, New);
        Assert.Equal((true, New with { Forced = 1 }, old.Number), (forced.IsPrimary, forced.Lineage, forced.Base!.Number));
        Session alone = Session(forced.Lineage, 6, "a");
        Assert.Equal(forced.Lineage, Decide(In(alone, "a"), In(old, "b"), In(old, "c")).Lineage);
        Assert.Equal(2, PrimaryRule.Force([In(alone, "a"), In(old, "b")], alone.Number, New).Lineage.Forced);
    }

    [Fact]
    public void WhatWasForcedBelowTheMinimumMayGoOnWithWhatItHas()
    {
        Session two = Session(Forced, 6, "a", "b");
        Assert.True(Decide(minimum: 3, In(two, "a"), In(two, "b")).IsPrimary);
        Assert.False(Decide(minimum: 3, In(two, "a")).IsPrimary);
        Assert.False(Decide(minimum: 3, In(Session(Low, 6, "a", "b"), "a"), In(Session(Low, 6, "a", "b"), "b")).IsPrimary);
    }

    /// <summary>Two nodes that were started apart, each alone, and a third that knows both.</summary>
    [Theory]
    [InlineData(1), InlineData(2), InlineData(3), InlineData(4), InlineData(5), InlineData(6), InlineData(7), InlineData(8)]
    public void TwoClustersThatBeganApartBecomeOneAndTheLosersAreTold(ulong seed)
    {
        ImmutableArray<string> seedsOfC = [SimulatedNetwork.AddressOf("a"), SimulatedNetwork.AddressOf("b")];
        var cluster = new SimulatedCluster(seed, ["a", "b", "c"], new SimulationOptions
        {
            Seeds = [],
            Settings = s => s with { Seeds = s.Address == SimulatedNetwork.AddressOf("c") ? seedsOfC : [], MinimumPrimaryWeight = 1 },
            Disk = seed % 2 == 0 ? new DiskProfile() : null,
        });
        foreach (string name in (string[])["a", "b"])
        {
            cluster.Start(name);
            cluster.Join(name, "/g");
            Assert.True(cluster.RunUntil(() => cluster[name].Process is { IsBlocked: false } p && p.Scripted.Find("/g") is { IsLoaded: true }, TimeSpan.FromSeconds(5)));
            Assert.NotNull(cluster.Send(name, Order.Total, "/g"));
        }
        cluster.Start("c");
        Assert.True(cluster.Quiesce(TimeSpan.FromSeconds(60)), string.Join('\n', cluster.Violations));
        Assert.InRange(cluster.LogLines.Count(line => line.Contains("excluded with its lineage")), 1, 2);
        SimulationRun.Judge(cluster, isQuiet: true, PrimaryContinuity.None);
        Assert.Empty(cluster.Violations);
    }

    /// <summary>
    /// All who remember stand still while the others begin anew. When one of them goes on, it takes itself for a member of the
    /// primary, until it has found out about the rest: it is the one that gives way.
    /// </summary>
    [Theory]
    [InlineData(1, true), InlineData(2, true), InlineData(3, true), InlineData(4, true), InlineData(1, false), InlineData(2, false)]
    public void FrozenNodesDoNotEndTheLineageThatBeganWithoutThem(ulong seed, bool isMajorityOfTheirSession)
    {
        var cluster = new SimulatedCluster(seed, ["a", "b", "c", "d"], new SimulationOptions { Seeds = ["a", "b", "c"] });
        StartAndJoin(cluster, "a", "b", "c", "d");
        if (isMajorityOfTheirSession)
        {
            cluster.Crash("c");
            Assert.True(cluster.RunUntil(() => cluster["a"].Process!.Scripted.Find("/g")?.View?.Members.Length == 3, TimeSpan.FromSeconds(30)));
        }
        cluster.Freeze("b");
        cluster.Freeze("d");
        cluster.Crash("a");
        if (!isMajorityOfTheirSession) cluster.Crash("c");
        StartAndJoin(cluster, "a", "c");
        cluster.Thaw("b");
        cluster.RunFor(TimeSpan.FromSeconds(1));
        cluster.Thaw("d");
        Assert.True(cluster.Quiesce(TimeSpan.FromSeconds(60)), string.Join('\n', cluster.Violations));
        Assert.DoesNotContain(cluster.LogLines, line => line.Contains("excluded with its lineage") && (line.Contains(" a.2: ") || line.Contains(" c.2: ")));
        SimulationRun.Judge(cluster, isQuiet: true);
        Assert.Empty(cluster.Violations);
    }

    private static void StartAndJoin(SimulatedCluster cluster, params string[] names)
    {
        cluster.Start(names);
        foreach (string name in names) cluster.Join(name, "/g");
        Assert.True(cluster.RunUntil(() => names.All(name => cluster[name].Process!.Scripted.Find("/g") is { IsLoaded: true }), TimeSpan.FromSeconds(30)));
    }

    private static Session Session(LineageId lineage, long epoch, params string[] names) =>
        new(lineage, new ConfigurationId(epoch, new NodeId(names[0], 1)), [.. names.Select(n => new SessionMember(new NodeId(n, 1), 1, 0, IsElector: true))]);

    private static Voter In(Session last, string name) => new(new NodeId(name, 1), 1, IsElector: true, Stays: true, last, []);

    private static PrimaryDecision Decide(params Voter[] voters) => PrimaryRule.Decide(voters, hasElectorate: false, 0, New);

    private static PrimaryDecision Decide(int minimum, params Voter[] voters) => PrimaryRule.Decide(voters, hasElectorate: true, minimum, New);
}
