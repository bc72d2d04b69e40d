// Members die or stop and are started again, in any order and at any moment, with stores and without: the cluster works again by itself,
// and as long as one with the state lives it has that state. No node is cut off here, so nobody has a reason to lose it.
// (Without stores that one is a seed: seeds that all begin anew cannot know of others.)
using Core.Groups.Testing.Simulation;

namespace Core.Groups.Tests.Paper;

public sealed class SurvivorTests
{
    private const int Histories = 80, Rounds = 3;

    [Theory]
    [InlineData(3, 3, false), InlineData(3, 3, true)]
    [InlineData(5, 5, false), InlineData(5, 5, true)]
    [InlineData(5, 3, false), InlineData(5, 3, true)]
    public void ItWorksAgainAndTheStateOfWhoeverSurvivesIsKept(int nodes, int seeds, bool isStored)
    {
        for (ulong seed = 1; seed <= Histories; seed++) Holds(seed, nodes, seeds, isStored, stopChance: seed % 2 * 0.25);
    }

    [Theory]
    [InlineData(542, 5, 5, true)]       // who waited for its own disk took the others for silent, and was left out with the only state
    [InlineData(2006, 5, 3, false)]     // of two lineages neither gave way: what one had been told before it was blocked was not looked at again
    public void WhatHasFailedHolds(ulong seed, int nodes, int seeds, bool isStored) => Holds(seed, nodes, seeds, isStored, stopChance: 0);

    private static void Holds(ulong seed, int nodes, int seeds, bool isStored, double stopChance)
    {
        SimulatedCluster cluster = Run(seed, nodes, seeds, isStored, stopChance);
        Assert.True(cluster.Violations.Count == 0, $"Seed {seed}: {string.Join('\n', cluster.Violations)}\n{string.Join('\n', cluster.LogLines)}");
    }

    private static SimulatedCluster Run(ulong seed, int nodes, int seeds, bool isStored, double stopChance)
    {
        var random = new SimulationRandom(seed);
        string[] names = [.. Enumerable.Range('a', nodes).Select(c => ((char)c).ToString())];
        var cluster = new SimulatedCluster(seed, [.. names], new SimulationOptions { Seeds = [.. names.Take(seeds)], Disk = isStored ? new DiskProfile() : null });
        cluster.Start(names);
        foreach (string name in names) cluster.Join(name, "/g");
        var told = new List<SentMessage>();
        for (int round = 0; round < Rounds; round++)
        {
            if (!cluster.RunUntil(() => names.All(name => Knows(cluster, name, told)), TimeSpan.FromSeconds(60)))
            {
                cluster.Violate($"Round {round}: a state is lost, or somebody never had it: {string.Join(' ', names.Where(name => !Knows(cluster, name, told)))}.");
                return cluster;
            }
            told.Add(cluster.Send(random.Pick(names), Order.Total, "/g")!);
            Assert.True(cluster.RunUntil(() => names.All(name => Knows(cluster, name, told)), TimeSpan.FromSeconds(60)));
            string[] left = KillSome(cluster, random, names, stopChance);
            if (left.Length == 0 || !(isStored || left.Any(names[..seeds].Contains))) told.Clear();
        }
        if (!cluster.Quiesce(TimeSpan.FromSeconds(60))) cluster.Violate("The cluster did not come to rest.");
        if (!names.All(name => Knows(cluster, name, told))) cluster.Violate("A state is lost in the end.");
        SimulationRun.Judge(cluster, isQuiet: true);
        return cluster;
    }

    /// <summary>Some or all, one after the other or at once; then each is started again. Gives those that lived on.</summary>
    private static string[] KillSome(SimulatedCluster cluster, SimulationRandom random, string[] names, double stopChance)
    {
        string[] victims = [.. names];
        random.Shuffle(victims);
        victims = victims[..random.Between(1, names.Length)];
        TimeSpan gap = random.Pick([TimeSpan.Zero, TimeSpan.FromMilliseconds(2), TimeSpan.FromMilliseconds(30), TimeSpan.FromSeconds(3)]);
        TimeSpan rest = random.Pick([TimeSpan.Zero, TimeSpan.FromMilliseconds(2), TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5)]);
        foreach (string victim in victims)
        {
            if (stopChance > 0 && random.Chance(stopChance)) cluster.Stop(victim);
            else cluster.Crash(victim);
            cluster.RunFor(random.Between(TimeSpan.Zero, gap));
        }
        cluster.RunFor(random.Between(TimeSpan.Zero, rest));
        random.Shuffle(victims);
        foreach (string victim in victims)
        {
            if (cluster[victim].Process is not null) cluster.Crash(victim);      // it still stops
            cluster.Start(victim);
            cluster.RunFor(random.Between(TimeSpan.Zero, gap));
        }
        return [.. names.Except(victims)];
    }

    /// <summary>Whether a node is in the group with all others that live now, and has the state.</summary>
    private static bool Knows(SimulatedCluster cluster, string name, List<SentMessage> told) =>
        cluster[name].Process?.Scripted.Find("/g") is { IsLoaded: true, View: { } view } replica
        && cluster.Names.All(n => view.Contains(cluster.NodeIdOf(n))) && told.TrueForAll(m => replica.Knows(m.Marker));
}
