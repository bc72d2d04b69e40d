using System.Collections.Concurrent;
using Core.Groups;
using Core.Groups.Replication;
using Core.Groups.Testing.Replicas;
using Core.Groups.Testing.Simulation;

namespace Toolkit.Tests.Replication;

/// <summary>The log in a simulated cluster: as an example of a toolkit's simulated histories, and as a test of the harness.</summary>
public sealed class ReplicaSimulationTests
{
    // More by hand: REPLICA_SEEDS=1..2000 dotnet test tests/Toolkit.Tests -c Release --filter The_log_is_one_log
    private static readonly string[] Seeds = (Environment.GetEnvironmentVariable("REPLICA_SEEDS") ?? "1..10").Split("..");

    public static TheoryData<string> Scenarios => [.. ReplicaSimulation.Scenarios];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public void The_log_is_one_log_whatever_fails(string scenario)
    {
        var failed = new ConcurrentBag<ReplicaRun>();
        Parallel.For(long.Parse(Seeds[0]), long.Parse(Seeds[1]) + 1, seed => KeepIfWrong(ReplicaSimulation.Run((ulong)seed, scenario, new LogHistory().Workload), failed));
        Assert.True(failed.IsEmpty, string.Join('\n', failed));
    }

    [Fact]
    public void The_same_seed_gives_the_same_run()
    {
        ReplicaRun first = ReplicaSimulation.Run(7, "mix", new LogHistory().Workload), second = ReplicaSimulation.Run(7, "mix", new LogHistory().Workload);
        Assert.Equal(first.Fingerprint, second.Fingerprint);
        Assert.Equal(first.Log, second.Log);
        Assert.NotEqual(first.Fingerprint, ReplicaSimulation.Run(8, "mix", new LogHistory().Workload).Fingerprint);
    }

    [Fact]
    public void Runs_are_full_of_trouble_and_of_work()
    {
        var history = new LogHistory();
        ReplicaRun[] runs = [.. Enumerable.Range(1, 20).Select(seed => ReplicaSimulation.Run((ulong)seed, "mix", history.Again().Workload))];
        Assert.All(runs, run => Assert.Empty(run.Violations));
        Assert.True(runs.Sum(run => run.Crashes) > 20, "Hardly a crash.");
        Assert.True(runs.Sum(run => run.Exclusions) > 5, "Hardly an exclusion.");
        Assert.True(runs.Sum(run => run.StateTransfers) > 50, "Hardly a state transfer.");
        Assert.True(history.Appended > 300, $"Only {history.Appended} appends ended well.");
        Assert.True(history.Ended > 10, $"Only {history.Ended} appends were ended by the end of a membership.");
        Assert.True(history.Asked > 10, $"Only {history.Asked} requests were answered.");
        Assert.True(history.Flushed > 50, $"Only {history.Flushed} flushes ended.");
        Assert.True(history.Wakes > 50, $"Only {history.Wakes} wake-ups.");
    }

    [Theory]
    [InlineData(typeof(AppliesAtOnce), "states of /log")]
    [InlineData(typeof(LoadsNoSum), "states of /log")]
    [InlineData(typeof(KeepsStateAfterExclusion), "states of /log")]
    [InlineData(typeof(Throws), "threw")]
    [InlineData(typeof(ForgetsCalls), "never ended")]
    [InlineData(typeof(CallsItself), "from inside a call")]
    public void A_broken_replica_is_found(Type broken, string violation)
    {
        ReplicaRun? found = Enumerable.Range(1, 60)
            .Select(seed => ReplicaSimulation.Run((ulong)seed, "mix", new LogHistory(broken).Workload))
            .FirstOrDefault(run => run.Violations.Count > 0);
        Assert.NotNull(found);
        Assert.Contains(violation, found.Violations[0], StringComparison.Ordinal);
        Assert.Contains($"Seed {found.Seed} of scenario 'mix'", found.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_scenario_is_refused_with_the_names_of_those_there_are() =>
        Assert.Contains("partitions", Assert.Throws<ArgumentException>(() => ReplicaSimulation.Run(1, "nonsense", new LogHistory().Workload)).Message, StringComparison.Ordinal);

    private static void KeepIfWrong(ReplicaRun run, ConcurrentBag<ReplicaRun> failed)
    {
        if (run.Violations.Count > 0)
        {
            failed.Add(run);
        }
    }

    /// <summary>Shows its own calls before the others see them.</summary>
    internal sealed class AppliesAtOnce(ILogEffects effects) : LogReplica(effects)
    {
        public override void Append(long call, long value)
        {
            base.Append(call, value);
            Apply(default, call, value);
        }

        protected override void Apply(NodeId from, long call, long value)
        {
            if (from != Port.Self)
            {
                base.Apply(from, call, value);
            }
        }
    }

    internal sealed class LoadsNoSum(ILogEffects effects) : LogReplica(effects)
    {
        protected internal override void Load(ReadOnlyMemory<byte> state)
        {
            byte[] copy = state.ToArray();
            copy.AsSpan(0, 8).Clear();
            base.Load(copy);
        }
    }

    internal sealed class KeepsStateAfterExclusion(ILogEffects effects) : LogReplica(effects)
    {
        protected internal override void Load(ReadOnlyMemory<byte> state)
        {
            if (Log.Count == 0)
            {
                base.Load(state);
            }
        }
    }

    internal sealed class Throws(ILogEffects effects) : LogReplica(effects)
    {
        protected override void Apply(NodeId from, long call, long value)
        {
            if (value % 50 == 0)
            {
                throw new InvalidOperationException("as it was written");
            }

            base.Apply(from, call, value);
        }
    }

    /// <summary>Does not end its calls when a membership ends.</summary>
    internal sealed class ForgetsCalls(ILogEffects effects) : LogReplica(effects)
    {
        protected internal override void OnEnded(MembershipEnd end)
        {
        }
    }

    internal sealed class CallsItself(ILogEffects effects) : LogReplica(effects)
    {
        private readonly ILogEffects _effects = effects;

        protected internal override void OnWake() => ((LogHistory.Site)_effects).RunInside();
    }
}
