// Cohorts in the simulated cluster: requests of members and others under every kind of trouble.
using System.Text;
using Core.Groups;
using Core.Groups.Replication;
using Core.Groups.Testing.Replicas;
using Core.Groups.Testing.Simulation;
using Toolkit.CoordinatorCohort;
using Toolkit.CoordinatorCohort.Replication;
using Toolkit.Tests.Replication;

namespace Toolkit.Tests.CoordinatorCohort;

public sealed class CohortSimulationTests
{
    public static TheoryData<string> Scenarios => [.. ReplicaSimulation.Scenarios];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public void Every_request_has_one_result_whatever_fails(string scenario) =>
        ManySeeds.AllHold(scenario, seed => new CohortStory((int)(seed % 3)).Workload);

    [Theory]
    [InlineData(CohortFault.ViewsAreNotSeen, "was never answered")]
    [InlineData(CohortFault.EachChoosesItself, "was executed twice at attempt 1")]
    [InlineData(CohortFault.ResultsAreMixedUp, "was answered 'R")]
    [InlineData(CohortFault.AnswersAreTakenAgain, "was told twice of the result")]
    public void A_broken_cohort_is_found(CohortFault fault, string violation) => Assert.Contains(
        Enumerable.Range(1, 60).SelectMany(seed => ReplicaSimulation.Run((ulong)seed, "mix", new CohortStory(seed % 3, fault).Workload).Violations),
        v => v.Contains(violation, StringComparison.Ordinal));
}

/// <summary>What is broken, for a test of the judge.</summary>
public enum CohortFault { None, ViewsAreNotSeen, EachChoosesItself, ResultsAreMixedUp, AnswersAreTakenAgain }

/// <summary>The calls of a simulated run, and what is wrong with their ends.</summary>
internal sealed class CohortStory(int rule, CohortFault fault = CohortFault.None)
{
    private static readonly CoordinatorRule[] Rules = [CoordinatorRule.Hash, CoordinatorRule.LeastLoaded, CoordinatorRule.Locality];

    private readonly Dictionary<ExecutionId, string> _waiting = [];
    private readonly Dictionary<ExecutionId, Desk> _callers = [];
    private readonly HashSet<ExecutionId> _ended = [];
    private readonly List<string> _wrong = [];
    private readonly HashSet<(ExecutionId, int, int)> _executed = [];
    private long _lastId;
    private string _lastResult = "RNONE";

    private bool IsMixedUp => fault == CohortFault.ResultsAreMixedUp;

    public ReplicaWorkload<CohortReplica> Workload => new()
    {
        Groups = ["/search#task"],
        Create = site => Create(RuleOf(site), new Desk(this, site)),
        Act = Act,
        Check = _ => [.. _wrong, .. Lost()],
    };

    private IEnumerable<string> Lost() => _waiting.Where(w => _callers.TryGetValue(w.Key, out Desk? desk) && desk.Site.IsMember && desk.Site.Self == w.Key.Caller && ReferenceEquals(desk.Site.Replica, desk.Replica))
        .Select(w => $"{w.Key} was never answered");

    private CohortSettings RuleOf(ReplicaSite<CohortReplica> site) =>
        new(fault == CohortFault.EachChoosesItself ? new CoordinatorRule("self", choice => choice.View.RankOf(site.Self)) : Rules[rule], 20, TimeSpan.FromSeconds(20));

    private CohortReplica Create(CohortSettings settings, Desk desk) => fault switch
    {
        CohortFault.ViewsAreNotSeen => new BlindToViews(settings, desk),
        CohortFault.AnswersAreTakenAgain => new TakesAgain(settings, desk),
        _ => new CohortReplica(settings, desk),
    };

    private void Act(ReplicaSite<CohortReplica> site, SimulationRandom random)
    {
        string text = $"r{++_lastId}";
        Execution execution = random.Below(4) switch { 0 => Execution.Redundant, 1 => Execution.Subdivided, _ => Execution.Coordinator };
        var collation = (Collation)random.Below(3);
        byte[] request = Encoding.UTF8.GetBytes(text);
        if (random.Below(3) == 0)
        {
            var outside = new ExecutionId(new NodeId("outside-" + site.Node, 1), _lastId);
            site.Request(CohortFormat.RequestOrder, CohortFormat.Request(new BodyWriter(), outside, execution, collation, request).ToArray(), Replies.First, null, replies =>
            {
                if (replies is { Answers: [{ IsError: false } answer, ..] })
                    Ended(outside, text, CohortFormat.ReadReply(answer.Body));
            });
            return;
        }

        var id = new ExecutionId(site.Self, _lastId);
        site.Run(replica =>
        {
            _waiting.Add(id, text);
            _callers.Add(id, Desk.Of(replica));
            Desk.Of(replica).Replica = replica;
            replica.Submit(id, execution, collation, request);
        });
        if (random.Below(10) == 0)
        {
            site.After(TimeSpan.FromMilliseconds(random.Below(50)), replica =>
            {
                if (_waiting.Remove(id))
                    replica.Withdraw(id);
            });
        }
    }

    private void Ended(ExecutionId id, string text, CohortReply reply)
    {
        if (!_ended.Add(id))
            _wrong.Add($"{id} was answered twice");
        if (!reply.Answers.IsEmpty && CohortWorld.ResultOf(reply) != text.ToUpperInvariant())
            _wrong.Add($"{id} was answered '{CohortWorld.ResultOf(reply)}', not '{text.ToUpperInvariant()}'");
    }

    private sealed class Desk(CohortStory story, ReplicaSite<CohortReplica> site) : ICohortEffects
    {
        private readonly HashSet<ExecutionId> _applied = [];

        public ReplicaSite<CohortReplica> Site => site;
        public CohortReplica? Replica { get; set; }

        public static Desk Of(CohortReplica replica) => (Desk)replica.Effects;

        public void Execute(in Assignment assignment)
        {
            Assignment given = assignment;
            if (!story._executed.Add((given.Id, given.Part, given.Attempt)))
                story._wrong.Add($"{given.Id} was executed twice at attempt {given.Attempt}");
            string text = Encoding.UTF8.GetString(given.Request.Span).ToUpperInvariant();
            byte[] result = Encoding.UTF8.GetBytes(story.IsMixedUp ? story._lastResult : text);
            story._lastResult = text;
            site.After(TimeSpan.FromMilliseconds(given.Number * 37 % 400), replica =>
            {
                replica.Report(given.Number, given.Part, given.Attempt, "half"u8);
                replica.Finish(given.Number, given.Part, given.Attempt, AnswerKind.Result, result);
            });
        }

        public void Stop(long number, int part, int attempt) { }

        public void Applied(ExecutionRecord record)
        {
            if (!_applied.Add(record.Id))
                story._wrong.Add($"{site.Self} was told twice of the result of {record.Id}");
        }

        public void Completed(ExecutionId call, CohortReply reply)
        {
            if (story._waiting.Remove(call, out string? text))
                story.Ended(call, text, reply);
        }

        public void Progressed(ExecutionId call, ReadOnlyMemory<byte> progress) { }

        public void Ended(ExecutionId call, MembershipEnd end) => story._waiting.Remove(call);

        public ReadOnlyMemory<byte> SaveState() => default;

        public void LoadState(ReadOnlyMemory<byte>? state) => _applied.Clear();
    }

    private sealed class BlindToViews(CohortSettings settings, ICohortEffects effects) : CohortReplica(settings, effects)
    {
        protected override void OnView(View view) { }
    }

    /// <summary>Tells of all results again when a member has failed.</summary>
    private sealed class TakesAgain(CohortSettings settings, ICohortEffects effects) : CohortReplica(settings, effects)
    {
        protected override void OnView(View view)
        {
            base.OnView(view);
            if (view.Left.IsEmpty)
                return;
            foreach (ExecutionRecord record in Finished.ToArray())
                Effects.Applied(record);
        }
    }
}
