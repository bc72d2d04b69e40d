using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;

namespace Benchmarks;

/// <summary>How a toolkit is measured.</summary>
/// <param name="Warmup">Seconds before each measurement.</param>
/// <param name="Seconds">Seconds of each measurement.</param>
/// <param name="Rounds">Failures.</param>
/// <param name="Items">Topics, or items on a board.</param>
internal sealed record ToolkitRun(double Warmup, double Seconds, int Rounds, int Items)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>How long the answer to one step may take.</summary>
    public TimeSpan StepPatience => Patience + TimeSpan.FromSeconds(Warmup + Seconds);
}

/// <summary>One toolkit: what the parent asks for, and what each node does.</summary>
internal abstract class ToolkitBench
{
    /// <summary>Names the command.</summary>
    public abstract string Name { get; }

    /// <summary>For the help.</summary>
    public abstract string Description { get; }

    /// <summary>In the parent: measures with a fresh cluster.</summary>
    public abstract Task<JsonObject> MeasureAsync(BenchCluster cluster, ToolkitRun run);

    /// <summary>In a node's process: does a step. The object lives as long as the process.</summary>
    public abstract Task<JsonObject> DoAsync(GroupNode node, ParentLink parent, JsonObject asked, CancellationToken ended);

    /// <summary>In the parent: a step for one member.</summary>
    protected Task<JsonObject> AskAsync(BenchCluster cluster, ToolkitRun run, int member, string step, JsonObject? more = null) =>
        cluster.AskAsync(member, Step(run, step, more, member), run.StepPatience);

    /// <summary>In the parent: a step for all members at once.</summary>
    protected Task<JsonObject[]> AskAllAsync(BenchCluster cluster, ToolkitRun run, string step, JsonObject? more = null) =>
        cluster.AskAllAsync(member => Step(run, step, more, member), run.StepPatience);

    /// <summary>The rate of all members together.</summary>
    protected static JsonObject Sum(JsonObject[] results) => new()
    {
        ["per_second"] = results.Sum(r => (double)r["per_second"]!),
        ["per_member"] = new JsonArray([.. results]),
    };

    /// <summary>In a node's process: the load that was asked for.</summary>
    protected static Task<JsonObject> LoadAsync(JsonObject asked, int loops, Func<int, ValueTask<bool>> operation, CancellationToken ended) =>
        Load.RunAsync(loops, (double)asked["warmup"]!, (double)asked["seconds"]!, operation, ended);

    private JsonObject Step(ToolkitRun run, string step, JsonObject? more, int member)
    {
        var asked = new JsonObject
        {
            ["do"] = Name, ["step"] = step, ["member"] = member, ["warmup"] = run.Warmup, ["seconds"] = run.Seconds, ["items"] = run.Items,
        };
        foreach ((string key, JsonNode? value) in more ?? [])
            asked[key] = value?.DeepClone();
        return asked;
    }
}
