// What a call of each kind comes back with when its node ends or is excluded before it: the table of Core.Groups/README.md ("What failures mean"), row by row.
namespace Core.Groups.Tests.Hosting;

public sealed class PendingCallKindsTests
{
    private const int Limit = 120_000; // milliseconds
    private const int Window = 64 << 10;

    /// <summary>How a kind of call is made, and whether its error says that the outcome is unknown; null: it ends without one.</summary>
    private sealed record Kind(string Name, bool? IsUnknown, Func<Scene, Task> Call);

    private static readonly Kind[] Kinds =
    [
        new("multicast", true, s => s.Node.MulticastAsync([s.Own, s.Caller], Order.Total, Scene.Body).AsTask()),
        new("multicast with a label", true, s => s.Own.TotalAsync("text", "label").AsTask()),
        new("GBCAST to several groups", true, s => s.Node.MulticastAsync([s.Own, s.Caller], Order.Group, Scene.Body).AsTask()),
        new("traced send", true, s => s.Own.SendTracedAsync(Order.Safe, Scene.Body).AsTask()),
        new("send to a group by its name", true, s => s.Node.SendAsync(Scene.OthersName, Order.Total, Scene.Body).AsTask()),
        new("send that waits for credit", false, s => s.Full.SendAsync(Order.Total, new byte[Window - 1000]).AsTask()),
        new("request", true, s => s.Own.RequestAsync(Order.Total, Scene.Body, Replies.All).AsTask()),
        new("request to an entry point", true, s => s.Own.RequestEntryAsync(7, Order.Fifo, Scene.Body, Replies.First).AsTask()),
        new("request to several groups", true, s => s.Node.RequestAsync([s.Own, s.Caller], Order.Total, Scene.Body, Replies.Majority).AsTask()),
        new("request to a group by its name", true, s => s.Node.RequestAsync(Scene.OthersName, Order.Total, Scene.Body, Replies.All).AsTask()),
        new("request as a group", true, s => s.Caller.RequestAsGroupAsync(Scene.OthersName, 1, Order.Total, Scene.Body, Replies.All).AsTask()),
        new("flush", true, s => s.Own.FlushAsync().AsTask()),
        new("configure", true, s => s.Own.ConfigureAsync("key", "value").AsTask()),
        new("rank", true, s => s.Own.RankAsync([s.Node.Id]).AsTask()),
        new("join", true, s => s.Node.JoinAsync("/new").AsTask()),
        new("joins in bulk", true, s => s.Node.JoinAllAsync(["/many/1", "/many/2"]).AsTask()),
        new("migrate", true, s => s.Caller.MigrateAsync(s.Other).AsTask()),
        new("look-up", true, s => s.Node.FindGroupAsync(Scene.OthersName).AsTask()),
        new("listing", true, s => s.Node.ListGroupsAsync().AsTask()),
        new("watch of a group", true, s => s.Node.WatchGroupAsync(Scene.OthersName).AsTask()),
        new("kill", true, s => s.Node.KillAsync(Scene.OthersName, "enough").AsTask()),
        new("delete", true, s => s.Node.DeleteGroupAsync(Scene.OthersName).AsTask()),
        new("deletions in bulk", true, s => s.Node.DeleteAllAsync([Scene.OthersName, "/none"]).AsTask()),
        new("leave", null, s => s.Left.LeaveAsync().AsTask()),
    ];

    [Theory(Timeout = Limit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Of_a_node_that_ends(bool crashes)
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3, o => o.CreditWindow = Window);
        Scene scene = await Scene.SetAsync(cluster);
        await cluster.CrashAsync(0);
        await cluster.CrashAsync(1);
        await scene.Node.WaitForBlockedAsync().AsTask().WaitAsync(RealCluster.Patience); // nothing comes to an end any more
        Dictionary<Kind, Task> calls = scene.MakeCalls();
        Task primary = scene.Node.WaitForPrimaryAsync().AsTask();
        Assert.DoesNotContain(calls, call => call.Value.IsCompleted);

        if (crashes)
            scene.Node.Crash();
        else
            await scene.Node.StopAsync().AsTask().WaitAsync(RealCluster.Patience);
        Task moves = calls.Single(call => call.Key.Name == "migrate").Value;
        if (!crashes)
            await Assert.ThrowsAsync<MigrationFailedException>(() => moves.WaitAsync(RealCluster.Patience)); // the member left instead: that is known
        await EndAsync<NodeStoppedException>(calls.Where(call => crashes || call.Value != moves), e => e.OutcomeUnknown);
        Assert.True((await Assert.ThrowsAsync<NodeStoppedException>(() => scene.Loading.WaitAsync(RealCluster.Patience))).OutcomeUnknown);
        await Assert.ThrowsAsync<NodeStoppedException>(() => primary.WaitAsync(RealCluster.Patience));
        await Assert.ThrowsAsync<NodeStoppedException>(() => scene.Watching.WaitAsync(RealCluster.Patience));

        // Whatever is called from now on never leaves.
        foreach (Kind kind in Kinds.Where(k => k.IsUnknown is not null))
            Assert.False((await Assert.ThrowsAsync<NodeStoppedException>(() => kind.Call(scene).WaitAsync(RealCluster.Patience))).OutcomeUnknown, kind.Name);
    }

    [Fact(Timeout = Limit)]
    public async Task Of_a_node_that_is_excluded()
    {
        using var gate = new TurnGate();
        await using RealCluster cluster = await RealCluster.StartAsync(3, o =>
        {
            (o.SuspectAfter, o.CreditWindow) = (RealCluster.Soon, Window);
            if (o.Name == "c")
                gate.AddTo(o);
        });
        Scene scene = await Scene.SetAsync(cluster);
        Dictionary<Kind, Task> calls = [];
        await gate.HoldAsync(() => scene.Caller.FifoAsync("a turn").AsTask(), async () =>
        {
            calls = scene.MakeCalls();
            await TurnGate.OnlyTwoAsync(cluster.Nodes[0]);
        });
        await EndAsync<ExcludedException>(calls, e => e.OutcomeUnknown);
        Assert.True((await Assert.ThrowsAsync<ExcludedException>(() => scene.Loading.WaitAsync(RealCluster.Patience))).OutcomeUnknown);
        await Assert.ThrowsAsync<ExcludedException>(() => scene.Watching.WaitAsync(RealCluster.Patience));
    }

    [Fact(Timeout = Limit)]
    public async Task Of_a_client_that_stops()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(1);
        await using ProcessGroup group = await cluster.Nodes[0].JoinAsync("/g", new GroupOptions { Configure = static g => g.IgnoreMessages() });
        await using GroupClient client = await GroupClient.ConnectAsync(new GroupClientOptions { Nodes = [cluster.Nodes[0].ListenAddress], ConnectTimeout = RealCluster.Patience });
        Func<Task>[] kinds =
        [
            () => client.SendAsync("/g", Order.Total, Scene.Body).AsTask(), () => client.RequestAsync("/g", Order.Total, Scene.Body, Replies.All).AsTask(),
            () => client.RequestEntryAsync("/g", 7, Order.Total, Scene.Body, Replies.First).AsTask(), () => client.FindGroupAsync("/g").AsTask(),
            () => client.ListGroupsAsync().AsTask(), () => client.KillAsync("/g", "enough").AsTask(), () => client.DeleteGroupAsync("/g").AsTask(),
        ];
        await using (await StandStill.BeginAsync(cluster.Nodes[0]))
        {
            Task[] calls = [.. kinds.Select(call => call())]; // they leave, and nobody answers
            await client.DisposeAsync().AsTask().WaitAsync(RealCluster.Patience);
            foreach (Task call in calls)
                Assert.True((await Assert.ThrowsAsync<ClientStoppedException>(() => call.WaitAsync(RealCluster.Patience))).OutcomeUnknown);
        }

        foreach (Func<Task> call in kinds)
            Assert.False((await Assert.ThrowsAsync<ClientStoppedException>(() => call().WaitAsync(RealCluster.Patience))).OutcomeUnknown);
    }

    private static async Task EndAsync<TError>(IEnumerable<KeyValuePair<Kind, Task>> calls, Func<TError, bool> isUnknown)
        where TError : GroupException
    {
        var wrong = new List<string>();
        foreach ((Kind kind, Task call) in calls)
        {
            Exception? error = await Record.ExceptionAsync(() => call.WaitAsync(RealCluster.Patience));
            bool isRight = error is TError typed ? isUnknown(typed) == kind.IsUnknown : error is null && kind.IsUnknown is null;
            if (!isRight)
                wrong.Add($"{kind.Name}: {error?.ToString() ?? "no error"}");
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    /// <summary>Three nodes; the calls are those of the last one.</summary>
    private sealed class Scene(RealCluster cluster)
    {
        public const string OthersName = "/others";
        public static readonly ReadOnlyMemory<byte> Body = new byte[] { 1 };

        public GroupNode Node => cluster.Nodes[2];
        public NodeId Other { get; } = cluster.Nodes[1].Id;
        public ProcessGroup Own { get; private set; } = null!;
        public ProcessGroup Caller { get; private set; } = null!;
        public ProcessGroup Full { get; private set; } = null!;
        public ProcessGroup Left { get; private set; } = null!;

        /// <summary>A join whose state is being loaded.</summary>
        public Task Loading { get; private set; } = null!;

        /// <summary>A watch, to its end.</summary>
        public Task Watching { get; private set; } = null!;

        public static async Task<Scene> SetAsync(RealCluster cluster)
        {
            var scene = new Scene(cluster);
            await JoinAsync(cluster.Nodes[0], OthersName);
            await JoinAsync(cluster.Nodes[1], OthersName); // the last to crash: so the group is there as long as anything is ordered
            await JoinAsync(cluster.Nodes[0], "/own");
            scene.Own = await JoinAsync(scene.Node, "/own");
            scene.Caller = await JoinAsync(scene.Node, "/caller");
            scene.Full = await JoinAsync(scene.Node, "/full");
            scene.Left = await JoinAsync(scene.Node, "/left");
            IAsyncEnumerable<WatchEvent> events = await scene.Node.WatchGroupAsync(OthersName);
            scene.Watching = ReadToTheEndAsync(events);

            var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            GroupOptions WithState() => new()
            {
                State = new StateTransfer
                {
                    Save = static () => ValueTask.FromResult(Body),
                    Load = async _ =>
                    {
                        begun.TrySetResult();
                        await Task.Delay(Timeout.InfiniteTimeSpan, scene.Own.Ended);
                    },
                },
            };
            await cluster.Nodes[0].JoinAsync("/loaded", WithState()).AsTask().WaitAsync(RealCluster.Patience);
            scene.Loading = scene.Node.JoinAsync("/loaded", WithState()).AsTask();
            await begun.Task.WaitAsync(RealCluster.Patience);
            await scene.Own.FlushAsync().AsTask().WaitAsync(RealCluster.Patience);
            return scene;
        }

        private static async Task ReadToTheEndAsync(IAsyncEnumerable<WatchEvent> events)
        {
            await foreach (WatchEvent _ in events)
            {
            }
        }

        public Dictionary<Kind, Task> MakeCalls()
        {
            Assert.True(Own.GroupAsync("halt").AsTask().IsCompletedSuccessfully); // the group stands still, so what is sent in it waits
            Assert.True(Full.SendAsync(Order.Total, new byte[Window - 1000]).AsTask().IsCompletedSuccessfully); // the next one waits
            return Kinds.ToDictionary(kind => kind, kind => kind.Call(this));
        }

        private static async Task<ProcessGroup> JoinAsync(GroupNode node, string name) => await node.JoinAsync(name, new GroupOptions
        {
            Configure = group =>
            {
                group.OnMessage(static _ => default);
                group.OnRequest(static _ => ValueTask.FromResult(Body));
                group.OnEntryRequest(7, static _ => ValueTask.FromResult(Body));
                group.On<string>(static (_, _) => default);
            },
        }).AsTask().WaitAsync(RealCluster.Patience);
    }
}
