// The farm: its items on a total board, and the two roles that work on them.
// Keeps: one item says which job comes next; jobs are posted in the step that moves it on, and a job's item goes in the step that posts its
// result. So whoever is killed, between steps or in one, each job is posted once and has one result.
// Follows: the bulletin boards of "Exploiting virtual synchrony", 4.3, and the bag of tasks of Linda.
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;
using Toolkit.BulletinBoard;

namespace TaskFarm;

/// <summary>The names of the farm's items.</summary>
internal static class Farm
{
    public const string Path = "/farm";

    private const string Next = "next";
    private const string Job = "job";
    private const string Result = "result";

    public static Template AnyNext { get; } = new(Next, Match.Any);
    public static Template AnyJob { get; } = new(Job, Match.Any);
    public static Template Nothing { get; } = new("nothing");
    public static Template AnyResult { get; } = new(Result, Match.Any, Match.Any, Match.Any);

    public static Field[] NextJob(long number) => [Next, number];
    public static Field[] JobOf(long number) => [Job, number];
    public static Field[] ResultOf(long number, long answer, string by) => [Result, number, answer, by];

    /// <summary>All results, for the parent's judgement: what was on any copy before this was called is on this node's, too.</summary>
    public static async Task<JsonObject> ReportAsync(Board board, CancellationToken ended)
    {
        await AgainAsync(async () => await board.TryTakeAsync(Nothing, ended), ended); // in vain; but a take has its place in the order of all that changes the board
        return new JsonObject
        {
            ["ev"] = "results",
            ["results"] = new JsonArray([.. board.List(AnyResult).Select(r => new JsonArray(r[1].Whole, r[2].Whole, r[3].Text))]),
        };
    }

    /// <summary>Does a step until it is done; after an exclusion, and a while, again.</summary>
    public static async Task AgainAsync(Func<Task> step, CancellationToken ended)
    {
        while (true)
        {
            try
            {
                await step();
                return;
            }
            catch (ExcludedException)
            {
                await Task.Delay(100, ended); // the board is being joined again; what this node held is back on it
            }
        }
    }
}

/// <summary>Posts the jobs, a batch at a time, and waits for all results. There is one; after a crash the next one goes on where it was.</summary>
internal sealed class Foreman(GroupNode node, ParentLink parent, int jobs, bool begins)
{
    private const int Batch = 20;

    public async Task RunAsync(CancellationToken ended)
    {
        await using Board board = await node.OpenBoardAsync(Farm.Path, ct: ended);
        if (begins)
            await board.PostAsync(Farm.NextJob(0), ct: ended);
        parent.Report(new JsonObject { ["ev"] = "ready" });
        bool isPosted = false;
        while (!isPosted)
            await Farm.AgainAsync(async () => isPosted = await PostBatchAsync(board, ended), ended);

        var all = Guard.Present(Farm.AnyResult, jobs);
        await Farm.AgainAsync(async () => await board.ReadAsync(Farm.AnyResult, all, ended), ended);
        parent.Report(new JsonObject { ["ev"] = "complete" });
        await foreach (JsonObject _ in parent.Said.ReadAllAsync(ended))
            parent.Report(await Farm.ReportAsync(board, ended));
    }

    // True: all jobs are posted.
    private async Task<bool> PostBatchAsync(Board board, CancellationToken ended)
    {
        await using BoardHold next = await board.HoldAsync(Farm.AnyNext, ended);
        long first = next.Item[1].Whole;
        if (first >= jobs)
            return true;
        long after = Math.Min(jobs, first + Batch);
        IEnumerable<Field[]> posts = Enumerable.Range((int)first, (int)(after - first)).Select(n => Farm.JobOf(n));
        await next.CompleteAsync([.. posts, Farm.NextJob(after)]);
        return false;
    }
}

/// <summary>Takes jobs and posts their results.</summary>
/// <param name="pause">How much longer a job takes than its computation.</param>
internal sealed class Worker(GroupNode node, ParentLink parent, TimeSpan pause)
{
    public async Task RunAsync(CancellationToken ended)
    {
        await using Board board = await node.OpenBoardAsync(Farm.Path, ct: ended);
        parent.Report(new JsonObject { ["ev"] = "ready" });
        await Task.WhenAll(WorkAsync(board, ended), ReportAsync(board, ended));
    }

    private async Task WorkAsync(Board board, CancellationToken ended)
    {
        while (true)
            await Farm.AgainAsync(() => DoOneAsync(board, ended), ended);
    }

    private async Task DoOneAsync(Board board, CancellationToken ended)
    {
        await using BoardHold job = await board.HoldAsync(Farm.AnyJob, ended);
        long number = job.Item[1].Whole;
        long answer = Job.Answer(number);
        await Task.Delay(pause, ended);
        await job.CompleteAsync(Farm.ResultOf(number, answer, node.Name));
    }

    private async Task ReportAsync(Board board, CancellationToken ended)
    {
        await foreach (JsonObject _ in parent.Said.ReadAllAsync(ended))
            parent.Report(await Farm.ReportAsync(board, ended));
    }
}
