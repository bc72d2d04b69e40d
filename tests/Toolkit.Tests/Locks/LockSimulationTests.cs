// Locks on real protocol machines in simulated clusters, under crashes, partitions, freezes, exclusions and joins.
using System.Collections.Concurrent;
using System.Globalization;
using Core.Groups;
using Core.Groups.Replication;
using Core.Groups.Testing.Replicas;
using Toolkit.Locks.Replicas;

namespace Toolkit.Tests.Locks;

public sealed class LockSimulationTests
{
    // More by the environment: LOCK_SEEDS=1..2000 dotnet test tests/Toolkit.Tests -c Release --filter Nothing_is_held
    private static readonly int[] Seeds = [.. (Environment.GetEnvironmentVariable("LOCK_SEEDS") ?? "1..5").Split("..").Select(s => int.Parse(s, CultureInfo.InvariantCulture))];

    public static TheoryData<string, string> Runs()
    {
        var runs = new TheoryData<string, string>();
        foreach (string scenario in ReplicaSimulation.Scenarios)
        {
            foreach (string kind in (string[])["mutex", "semaphore", "read-write"]) runs.Add(scenario, kind);
        }

        return runs;
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void Nothing_is_held_against_the_rules_and_nothing_is_left_behind(string scenario, string kind)
    {
        var failed = new ConcurrentBag<string>();
        Parallel.For(Seeds[0], Seeds[1] + 1, seed =>
        {
            LockHistory history = HistoryOf(kind);
            ReplicaRun run = ReplicaSimulation.Run((ulong)seed, scenario, history.Workload);
            if (run.Violations.Count > 0) failed.Add(run.ToString());
            else if ((history.CheckLinearizable() ?? history.CheckFairness()) is { } wrong) failed.Add($"Seed {seed} of '{scenario}': {wrong}");
        });
        Assert.True(failed.IsEmpty, string.Join('\n', failed));
    }

    [Fact]
    public void Runs_are_full_of_grants_and_of_trouble()
    {
        LockHistory[] mutexes = [.. Enumerable.Range(1, 30).Select(seed => RunOf("mutex", seed))];
        LockHistory[] readers = [.. Enumerable.Range(1, 30).Select(seed => RunOf("read-write", seed))];
        Assert.True(mutexes.Sum(h => h.Grants) > 300, $"{mutexes.Sum(h => h.Grants)} grants.");
        Assert.True(mutexes.Sum(h => h.Refused) > 5, $"{mutexes.Sum(h => h.Refused)} refused tries.");
        Assert.True(mutexes.Sum(h => h.Withdrawn) > 10, $"{mutexes.Sum(h => h.Withdrawn)} withdrawn.");
        Assert.True(mutexes.Sum(h => h.Ended) > 2, $"{mutexes.Sum(h => h.Ended)} ended by the end of a membership.");
        Assert.True(mutexes.Sum(h => h.Pulsed) > 2, $"{mutexes.Sum(h => h.Pulsed)} pulsed.");
        Assert.True(readers.Sum(h => h.LocalReads) > 50, $"{readers.Sum(h => h.LocalReads)} local reads.");
        Assert.True(readers.Sum(h => h.Grants - h.LocalReads) > 50, $"{readers.Sum(h => h.Grants - h.LocalReads)} grants by the queue.");
    }

    [Theory]
    [InlineData("mutex of two", "is granted while")]
    [InlineData("impatient writers", "is granted while")]
    [InlineData("deaf waiters", "still waits for its condition")]
    [InlineData("tickets of its own", "was given twice")]
    public void A_broken_lock_is_found(string broken, string violation)
    {
        IEnumerable<string> found = Enumerable.Range(1, 60).SelectMany(seed => ReplicaSimulation.Run((ulong)seed, "mix", HistoryOf(broken).Workload).Violations);
        Assert.Contains(found, v => v.Contains(violation, StringComparison.Ordinal));
    }

    private static LockHistory RunOf(string kind, int seed)
    {
        LockHistory history = HistoryOf(kind);
        Assert.Empty(ReplicaSimulation.Run((ulong)seed, "mix", history.Workload).Violations);
        return history;
    }

    internal static LockHistory HistoryOf(string kind) => kind switch
    {
        "mutex" => new(clock => new LockReplica(1, clock), 1),
        "semaphore" => new(clock => new LockReplica(3, clock), 3),
        "read-write" => new(clock => new ReadWriteReplica(clock), 1),
        "mutex of two" => new(clock => new LockReplica(2, clock), 1),
        "deaf waiters" => new(clock => new DeafWaiters(clock), 1),
        "tickets of its own" => new(clock => new TicketsOfItsOwn(clock), 1),
        "impatient writers" => new(clock => new ImpatientWriters(clock), 1),
        _ => throw new ArgumentException($"There is no kind '{kind}'.", nameof(kind)),
    };

    /// <summary>A writer that does not wait until all members know of it.</summary>
    private sealed class ImpatientWriters(Func<long> clock) : ReadWriteReplica(clock)
    {
        protected override bool HaveClosed(long ticket) => true;
    }

    /// <summary>A pulse now and then wakes nobody.</summary>
    private sealed class DeafWaiters(Func<long> clock) : LockReplica(1, clock)
    {
        protected override void OnMessage(Kind kind, NodeId from, long call, ref BodyReader body)
        {
            if (kind != Kind.Pulse || call % 3 != 0) base.OnMessage(kind, from, call, ref body);
        }
    }

    /// <summary>What is withdrawn uses up no ticket at the member that withdrew it.</summary>
    private sealed class TicketsOfItsOwn(Func<long> clock) : LockReplica(1, clock)
    {
        protected override void OnMessage(Kind kind, NodeId from, long call, ref BodyReader body)
        {
            if (kind != Kind.Request || from != Port.Self || IsOwn(call)) base.OnMessage(kind, from, call, ref body);
        }
    }
}
