// Boards on real nodes.
using Core.Groups;
using Toolkit.BulletinBoard;

namespace Toolkit.Tests.BulletinBoard;

public sealed class BoardNodeTests
{
    private const int Limit = 120_000; // milliseconds

    private sealed record Move(string Text, int Depth);

    [Fact(Timeout = Limit)]
    public async Task Every_job_is_taken_by_one_worker()
    {
        const int Jobs = 300;
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        Board[] boards = [await nodes[0].OpenBoardAsync("/jobs"), await nodes[1].OpenBoardAsync("/jobs"), await nodes[2].OpenBoardAsync("/jobs")];
        using var over = new CancellationTokenSource();
        var taken = new System.Collections.Concurrent.ConcurrentBag<long>();
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task[] workers = [.. boards.Select(board => Task.Run(async () =>
        {
            while (true) // so that each ends with a call that is given up
            {
                taken.Add((await board.InAsync(new Template("job", Match.Any), over.Token))[1].Whole);
                if (taken.Count == Jobs)
                    all.TrySetResult();
            }
        }))];
        await Task.WhenAll(Enumerable.Range(0, Jobs).Select(i => boards[i % 3].OutAsync("job", i).AsTask())).WaitAsync(RealNodes.Patience);
        await all.Task.WaitAsync(RealNodes.Patience);
        await over.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(workers));
        Assert.Equal(Enumerable.Range(0, Jobs).Select(i => (long)i), taken.Order());
        await RealNodes.SeesAsync(() => boards.All(b => b.Count == 0)); // the last take may be another node's
    }

    [Fact(Timeout = Limit)]
    public async Task A_job_that_its_worker_died_with_is_done_by_another_and_has_one_result()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        Board a = await nodes[0].OpenBoardAsync("/jobs"), b = await nodes[1].OpenBoardAsync("/jobs"), c = await nodes[2].OpenBoardAsync("/jobs");
        await a.PostAsync(["job", 7]);
        await using BoardHold lost = await c.HoldAsync(new Template("job", Match.Any));
        await c.PostWhenAsync(Guard.Failed(nodes[2].Id), ["gone", "c"]);
        Assert.Null(await a.TryTakeAsync(new Template("job", Match.Any)));
        nodes[2].Crash();
        await using BoardHold hold = await b.HoldAsync(new Template("job", 7)).AsTask().WaitAsync(RealNodes.Patience);
        Assert.True(await hold.CompleteAsync(["result", 7, "done"]));
        Assert.Equal("done", (await a.TakeAsync(new Template("result", 7, Match.Any)).AsTask().WaitAsync(RealNodes.Patience))[2].Text);
        Assert.Equal("(gone, c)", (await a.ReadAsync(new Template("gone", Match.Any)).AsTask().WaitAsync(RealNodes.Patience)).ToString());
        Assert.Equal(1, a.Count);
    }

    [Fact(Timeout = Limit)]
    public async Task On_a_causal_board_who_sees_an_answer_has_seen_the_question_over_two_boards()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        Board[] questions = new Board[3], answers = new Board[3];
        for (int i = 0; i < 3; i++)
        {
            questions[i] = await nodes[i].OpenBoardAsync("/questions", BoardConsistency.Causal);
            answers[i] = await nodes[i].OpenBoardAsync("/answers", BoardConsistency.Causal);
        }

        for (int i = 0; i < 50; i++)
        {
            await questions[0].PostAsync(["q", i]);
            await questions[1].ReadAsync(new Template("q", i)).AsTask().WaitAsync(RealNodes.Patience);
            await answers[1].PostAsync(["a", i]);
            await answers[2].ReadAsync(new Template("a", i)).AsTask().WaitAsync(RealNodes.Patience);
            await questions[2].ReadAsync(new Template("q", i)).AsTask().WaitAsync(RealNodes.Patience);
        }
    }

    [Fact(Timeout = Limit)]
    public async Task Objects_are_taken_by_predicates_and_a_call_that_is_given_up_leaves_nothing_behind()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        await using Board a = await nodes[0].OpenBoardAsync("/chess"), b = await nodes[1].OpenBoardAsync("/chess");
        Task<Move> deep = b.TakeAsync<Move>(m => m.Depth > 6).AsTask();
        await a.PostAsync(new Move("e4", 2));
        await a.PostAsync(new Move("Nf3", 8));
        Assert.Equal("Nf3", (await deep.WaitAsync(RealNodes.Patience)).Text);
        Assert.Equal("e4", (await a.ReadAsync<Move>()).Text);

        using (var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(50)))
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => b.InAsync(new Template("nothing"), soon.Token).AsTask());
        await a.OutAsync("nothing");
        await b.InAsync(new Template("nothing")).AsTask().WaitAsync(RealNodes.Patience); // it may have gone to the call given up, and come back
        OperationId item = await a.PostAsync(["count", 1]);
        Assert.True(await a.UpdateAsync(item, ["count", 2]));
        Assert.Equal(2, (await b.ReadAsync(new Template("count", 2)).AsTask().WaitAsync(RealNodes.Patience))[1].Whole);
        await b.ClearAsync(new Template("count", Match.Any));
        Assert.Null(b.Rdp(new Template("count", Match.Any)));
    }
}
