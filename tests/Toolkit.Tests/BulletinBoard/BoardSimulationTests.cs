// Boards in the simulated cluster: posts, takes, holds and guards under every kind of trouble.
using Core.Groups;
using Core.Groups.Replication;
using Core.Groups.Testing.Replicas;
using Toolkit.BulletinBoard;
using Toolkit.BulletinBoard.Replication;
using Toolkit.Tests.Replication;

namespace Toolkit.Tests.BulletinBoard;

public sealed class BoardSimulationTests
{
    public static TheoryData<string, BoardConsistency> Runs
    {
        get
        {
            var runs = new TheoryData<string, BoardConsistency>();
            foreach (string scenario in ReplicaSimulation.Scenarios)
            {
                runs.Add(scenario, BoardConsistency.Total);
                runs.Add(scenario, BoardConsistency.Causal);
            }

            return runs;
        }
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void An_item_is_taken_once_and_guards_run_whatever_fails(string scenario, BoardConsistency consistency) =>
        ManySeeds.AllHold(scenario, _ => new BoardStory(consistency).Workload);

    [Fact]
    public void Runs_are_full_of_takes_and_guards()
    {
        BoardStory[] stories = [.. Enumerable.Range(1, 20).Select(_ => new BoardStory(BoardConsistency.Total))];
        for (int seed = 1; seed <= stories.Length; seed++)
            Assert.Empty(ReplicaSimulation.Run((ulong)seed, "mix", stories[seed - 1].Workload).Violations);
        Assert.True(stories.Sum(s => s.Consumed) > 50, $"{stories.Sum(s => s.Consumed)} items were taken.");
        Assert.True(stories.Sum(s => s.Guarded) > 50, $"{stories.Sum(s => s.Guarded)} guards were accepted.");
        Assert.True(stories.Sum(s => s.Kept) > 50, $"{stories.Sum(s => s.Kept)} items were posted to stay.");
    }

    [Theory]
    [InlineData(typeof(OthersLate), BoardConsistency.Total, "was taken by")]
    [InlineData(typeof(OthersLate), BoardConsistency.Total, "in different orders")]
    [InlineData(typeof(OthersLate), BoardConsistency.Causal, "which its poster had seen")]
    [InlineData(typeof(BlindToViews), BoardConsistency.Total, "but it never ran")]
    [InlineData(typeof(BlindToViews), BoardConsistency.Causal, "but it never ran")]
    [InlineData(typeof(ForgetsAtFailures), BoardConsistency.Total, "and it is not there")]
    [InlineData(typeof(ForgetsAtFailures), BoardConsistency.Causal, "and it is not there")]
    public void A_broken_board_is_found(Type broken, BoardConsistency consistency, string violation) => Assert.Contains(
        Enumerable.Range(1, 60).SelectMany(seed => ReplicaSimulation.Run((ulong)seed, "mix", new BoardStory(consistency, broken).Workload).Violations),
        v => v.Contains(violation, StringComparison.Ordinal));

    /// <summary>What others send is carried out one message too late: no order is kept.</summary>
    internal sealed class OthersLate : TracedBoard
    {
        private readonly OneLate _late;

        public OthersLate(BoardConsistency asked, IBoardEffects effects) : base(asked, effects) => _late = new OneLate(base.OnMessage);

        protected override void OnMessage(in ReplicaMessage message) => _late.OnMessage(message, Port.Self);

        protected override void OnView(View view)
        {
            _late.CarryOut();
            base.OnView(view);
        }
    }

    internal sealed class BlindToViews(BoardConsistency asked, IBoardEffects effects) : TracedBoard(asked, effects)
    {
        protected override void OnView(View view) { }
    }

    internal sealed class ForgetsAtFailures(BoardConsistency asked, IBoardEffects effects) : TracedBoard(asked, effects)
    {
        protected override void OnView(View view)
        {
            if (!view.Left.IsEmpty)
                Initialize(); // all members alike
            base.OnView(view);
        }
    }
}
