// Thousands of groups over a few nodes, with irregular overlap: how fast they are made and joined all at once, what an idle one takes of
// memory at each member, and how long it takes until every group has its new view after a node was killed.
using System.Diagnostics;
using System.Text.Json.Nodes;
using Core.Groups;
using Samples.Shared;

namespace Benchmarks;

/// <summary>The measurement: what the parent asks for, and what each node does.</summary>
internal sealed class ManyGroups
{
    /// <summary>Names the step for a node.</summary>
    public const string Name = "many-groups";

    private const int FewestMembers = 2;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly HashSet<string> _waiting = [];
    private TaskCompletionSource<long> _allSeen = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? _victim;

    /// <summary>In the parent: measures with a fresh cluster.</summary>
    /// <param name="members">Nodes.</param>
    /// <param name="groups">Groups; each has from two members to all.</param>
    /// <param name="rounds">How often a node is killed.</param>
    public static async Task<JsonObject> MeasureAsync(int members, int groups, int rounds)
    {
        await using BenchCluster cluster = await BenchCluster.StartAsync(members);
        int memberships = Enumerable.Range(0, groups).Sum(group => MembersOf(group, members).Count());
        long[] before = await HeapsAsync(cluster);
        long start = Stopwatch.GetTimestamp();
        await AskAllAsync(cluster, "join", groups);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Console.Error.WriteLine($"{memberships} joins in {seconds:F1} s");
        JsonArray joined = await MemoryAsync(cluster, before, groups);
        var failures = new List<double>();
        for (int round = 0; round < rounds; round++)
            failures.Add(await FailAsync(cluster, round % members, groups));
        JsonArray failed = await MemoryAsync(cluster, before, groups);
        start = Stopwatch.GetTimestamp();
        await AskAsync(cluster, 0, "delete", groups);
        double deleting = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return new JsonObject
        {
            ["members"] = members,
            ["groups"] = groups,
            ["memberships"] = memberships,
            ["joins_per_second"] = Math.Round(memberships / seconds),
            ["deletions_per_second"] = Math.Round(groups / deleting),
            ["bytes_per_idle_group_and_member"] = joined,
            ["bytes_per_idle_group_and_member_after_kills"] = failed,
            ["killed_until_all_views_ms"] = new JsonArray([.. failures.Select(f => (JsonNode)f)]),
        };
    }

    /// <summary>In a node's process: does a step. The object lives as long as the process.</summary>
    public async Task<JsonObject> DoAsync(GroupNode node, JsonObject asked, CancellationToken ended)
    {
        int members = (int)asked["members"]!, groups = (int)asked["groups"]!;
        switch ((string?)asked["step"])
        {
            case "join":
                GroupOptions options = SameForAll();
                await node.JoinAllAsync(GroupsOf((int)asked["member"]!, members, groups), _ => options, ended);
                return [];
            case "delete":
                return new JsonObject { ["deleted"] = await node.DeleteAllAsync(Enumerable.Range(0, groups).Select(NameOf), ended) };
            case "heap":
                GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
                return new JsonObject { ["bytes"] = GC.GetTotalMemory(forceFullCollection: true) };
            case "expect":
                Expect(GroupsOf((int)asked["member"]!, members, groups).Intersect(GroupsOf((int)asked["victim"]!, members, groups)), BenchCluster.NameOf((int)asked["victim"]!));
                return [];
            case "await":
                return new JsonObject { ["at"] = await _allSeen.Task.WaitAsync(ended) };
            case var step:
                throw new InvalidOperationException($"There is no step '{step}'.");
        }
    }

    /// <summary>From the SIGKILL of a node until each of its groups has its view without it at all survivors; the node joins again then.</summary>
    private static async Task<double> FailAsync(BenchCluster cluster, int victim, int groups)
    {
        int[] survivors = [.. Enumerable.Range(0, cluster.Members).Where(m => m != victim)];
        await Task.WhenAll(survivors.Select(m => AskAsync(cluster, m, "expect", groups, victim)));
        long start = Stopwatch.GetTimestamp();
        cluster[victim].Kill();
        JsonObject[] seen = await Task.WhenAll(survivors.Select(m => AskAsync(cluster, m, "await", groups, victim)));
        Console.Error.WriteLine($"killed {victim}: all views are there");
        double took = Stopwatch.GetElapsedTime(start, seen.Max(s => (long)s["at"]!)).TotalMilliseconds;
        await cluster.RestartAsync(victim);
        await AskAsync(cluster, victim, "join", groups);
        return Math.Round(took, 1);
    }

    /// <summary>Who is in a group: as good as random, and the same wherever it is asked.</summary>
    private static IEnumerable<int> MembersOf(int group, int members)
    {
        var random = new Random(group);
        int count = random.Next(Math.Min(FewestMembers, members), members + 1);
        int[] all = [.. Enumerable.Range(0, members)];
        random.Shuffle(all);
        return all.Take(count);
    }

    private static IEnumerable<string> GroupsOf(int member, int members, int groups) =>
        Enumerable.Range(0, groups).Where(group => MembersOf(group, members).Contains(member)).Select(NameOf);

    // The same for all groups: what the library takes for each is measured.
    private GroupOptions SameForAll() => new() { Configure = static group => group.IgnoreMessages(), OnView = OnView };

    private ValueTask OnView(View view)
    {
        lock (_waiting)
        {
            if (_victim is { } victim && view.Members.All(m => m.Name != victim) && _waiting.Remove(view.GroupName) && _waiting.Count == 0)
                _allSeen.TrySetResult(Stopwatch.GetTimestamp());
        }

        return default;
    }

    private void Expect(IEnumerable<string> names, string victim)
    {
        lock (_waiting)
        {
            _allSeen = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Clear();
            _waiting.UnionWith(names);
            _victim = victim;
            if (_waiting.Count == 0)
                _allSeen.SetResult(Stopwatch.GetTimestamp());
        }
    }

    /// <summary>Of each node, what the heap holds more than before for each of its groups, once nothing happens any more.</summary>
    private static async Task<JsonArray> MemoryAsync(BenchCluster cluster, long[] before, int groups)
    {
        await Measurements.SettleAsync();
        long[] now = await HeapsAsync(cluster);
        return [.. now.Select((bytes, m) => (JsonNode)Math.Round((bytes - before[m]) / (double)Math.Max(1, GroupsOf(m, cluster.Members, groups).Count())))];
    }

    private static async Task<long[]> HeapsAsync(BenchCluster cluster) => [.. (await AskAllAsync(cluster, "heap", 0)).Select(r => (long)r["bytes"]!)];

    private static Task<JsonObject[]> AskAllAsync(BenchCluster cluster, string step, int groups) =>
        Task.WhenAll(Enumerable.Range(0, cluster.Members).Select(m => AskAsync(cluster, m, step, groups)));

    private static Task<JsonObject> AskAsync(BenchCluster cluster, int member, string step, int groups, int victim = -1) => cluster.AskAsync(member, new JsonObject
    {
        ["do"] = Name, ["step"] = step, ["member"] = member, ["members"] = cluster.Members, ["groups"] = groups, ["victim"] = victim,
    }, Patience);

    private static string NameOf(int group) => $"/many/{group}";
}
