// The task farm: what is computed, and the judgement. That crashes tear nothing is seen by running the sample.
extern alias TaskFarm;

using TaskFarm::TaskFarm;

namespace Core.Groups.Tests.Samples;

public sealed class TaskFarmTests
{
    [Fact]
    public void Primes_are_counted() => Assert.Equal([168, 135, 127], [Job.Answer(0), Job.Answer(1), Job.Answer(2)]);

    [Fact]
    public void A_verdict_rests_on_every_copy_of_the_board()
    {
        Result[] all = [.. Enumerable.Range(0, 3).Select(Right)];
        Assert.True(Judge(all, [.. all.Reverse()]).IsGood);

        Verdict lost = Judge(all, all[..2]);
        Assert.Equal((1L, 0L, 0L, false), (lost.Lost, lost.Repeated, lost.Wrong, lost.IsGood));

        Verdict repeated = Judge(all, [.. all, Right(1) with { By = "another" }]);
        Assert.Equal((0L, 1L, 0L, false), (repeated.Lost, repeated.Repeated, repeated.Wrong, repeated.IsGood));
        Assert.Contains("verdict: JOBS WERE LOST OR REPEATED", repeated.Lines());

        Verdict wrong = Judge(all, [all[0], all[1], all[2] with { Answer = 1 }]);
        Assert.Equal((0L, 0L, 1L, false), (wrong.Lost, wrong.Repeated, wrong.Wrong, wrong.IsGood));

        Assert.False(Judge(all, [all[0], all[1], all[2] with { By = "another" }]).IsGood); // they differ
        Assert.Equal(3, Judge().Lost);
        Assert.Equal(1, Judge([.. all, Right(3)]).Repeated); // of no job at all
    }

    private static Result Right(int job) => new(job, Job.Answer(job), "worker");

    private static Verdict Judge(params Result[][] copies) =>
        new(Jobs: 3, Kills: 1, copies.Select((c, i) => ($"copy{i}", c)).ToDictionary(c => c.Item1, c => (IReadOnlyList<Result>)c.c));
}
