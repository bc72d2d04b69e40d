// Toolkit.BulletinBoard: posts, reads and takes while very many items are on the board.
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;
using Toolkit.BulletinBoard;

namespace Benchmarks;

/// <summary>Bulletin boards.</summary>
internal sealed class BoardBench : ToolkitBench
{
    private const int Pipeline = 256;
    private const int Payload = 16;

    private Board? _board;
    private int _posted; // the number of this node's last post
    private uint _read;

    public override string Name => "board";

    public override string Description => "Posts, reads and takes, with many items on a total board.";

    public override async Task<JsonObject> MeasureAsync(BenchCluster cluster, ToolkitRun run)
    {
        await AskAllAsync(cluster, run, "open");
        await AskAsync(cluster, run, 0, "fill");
        var result = new JsonObject { ["members"] = cluster.Members, ["items"] = run.Items };
        result["local_reads"] = await AskAsync(cluster, run, 0, "read");
        result["one_take"] = await AskAsync(cluster, run, 0, "take", new JsonObject { ["loops"] = 1 });
        result["posts"] = Sum(await AskAllAsync(cluster, run, "post"));
        // Without a warm-up: it would leave nothing to take.
        result["takes"] = Sum(await AskAllAsync(cluster, run with { Warmup = 0 }, "take", new JsonObject { ["loops"] = Pipeline }));
        return result;
    }

    public override async Task<JsonObject> DoAsync(GroupNode node, ParentLink parent, JsonObject asked, CancellationToken ended) => (string?)asked["step"] switch
    {
        "open" => await OpenAsync(node, ended),
        "fill" => await FillAsync((int)asked["items"]!, ended),
        "read" => await LoadAsync(asked, 1, _ => ValueTask.FromResult(Read()), ended),
        "post" => await LoadAsync(asked, Pipeline, async _ => await PostAsync(ended), ended),
        "take" => await TakeAsync(asked, ended),
        var step => throw new InvalidOperationException($"There is no step '{step}'."),
    };

    private async Task<JsonObject> OpenAsync(GroupNode node, CancellationToken ended)
    {
        _board = await node.OpenBoardAsync("/bench/board", ct: ended);
        return [];
    }

    private async Task<JsonObject> FillAsync(int items, CancellationToken ended)
    {
        await Task.WhenAll(Enumerable.Range(0, Pipeline).Select(_ => Task.Run(async () =>
        {
            while (Volatile.Read(ref _posted) < items)
                await PostAsync(ended);
        }, ended)));
        return [];
    }

    private async ValueTask<bool> PostAsync(CancellationToken ended)
    {
        await _board!.PostAsync(["job", Interlocked.Increment(ref _posted), new byte[Payload]], ct: ended);
        return true;
    }

    // Another item each time.
    private bool Read()
    {
        _read = (_read * 747796405) + 2891336453;
        return _board!.TryRead(new Template("job", 1 + (_read % _posted), Match.Any)) is not null;
    }

    // Any job: they are taken in the order in which they came, until none is left.
    private async Task<JsonObject> TakeAsync(JsonObject asked, CancellationToken ended)
    {
        var any = new Template("job", Match.Any, Match.Any);
        return await LoadAsync(asked, (int)asked["loops"]!, async _ => await _board!.TryTakeAsync(any, ended) is not null, ended);
    }
}
