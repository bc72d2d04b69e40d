// What a call of each kind of the toolkits comes back with when its node ends or is excluded before it: who may have had its effect says so.
using Core.Groups;
using Core.Groups.Tests.Hosting;
using Toolkit.BulletinBoard;
using Toolkit.CoordinatorCohort;
using Toolkit.Locks;
using Toolkit.News;
using Toolkit.Recovery;
using Toolkit.ReplicatedData;

namespace Toolkit.Tests.Replication;

public sealed class PendingCallKindsTests
{
    private const int Limit = 120_000; // milliseconds

    [Theory(Timeout = Limit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Of_a_node_that_ends(bool crashes)
    {
        DirectoryInfo data = Directory.CreateTempSubdirectory("pending");
        await using (RealNodes nodes = await RealNodes.StartAsync(3, o => o.DataDirectory = Path.Combine(data.FullName, o.Name)))
        {
            Scene scene = await Scene.SetAsync(nodes, isLogged: true).WaitAsync(RealNodes.Patience);
            nodes[0].Crash();
            nodes[1].Crash();
            await nodes[2].WaitForBlockedAsync().AsTask().WaitAsync(RealNodes.Patience); // nothing comes to an end any more
            List<Call> calls = scene.MakeCalls();
            Assert.Equal([], calls.Where(call => call.Result.IsCompleted).Select(call => call.Kind));
            if (crashes)
                nodes[2].Crash();
            else
                await nodes[2].StopAsync().AsTask().WaitAsync(RealNodes.Patience);
            await CheckAsync(calls, static error => (error as NodeStoppedException)?.OutcomeUnknown);
        }

        data.Delete(recursive: true);
    }

    [Fact(Timeout = Limit)]
    public async Task Of_a_node_that_is_excluded()
    {
        using var gate = new TurnGate();
        DirectoryInfo data = Directory.CreateTempSubdirectory("pending");
        await using (RealNodes nodes = await RealNodes.StartAsync(3, o =>
        {
            RealNodes.SuspectsSoon(o);
            o.DataDirectory = Path.Combine(data.FullName, o.Name);
            if (o.Name == "c")
                gate.AddTo(o);
        }))
        {
            Scene scene = await Scene.SetAsync(nodes, isLogged: true).WaitAsync(RealNodes.Patience);
            List<Call> calls = [];
            await gate.HoldAsync(() => scene.Board.PostAsync(["a turn"]).AsTask(), async () =>
            {
                calls = scene.MakeCalls();
                await TurnGate.OnlyTwoAsync(nodes[0]);
            });
            await CheckAsync(calls.Where(call => call.Kind != Call.Task), static error => (error as ExcludedException)?.OutcomeUnknown);
            Assert.False(calls.Single(call => call.Kind == Call.Task).Result.IsCompleted); // its caller does not notice: it is asked again under the same number
        }

        data.Delete(recursive: true);
    }

    private static async Task CheckAsync(IEnumerable<Call> calls, Func<Exception?, bool?> saysUnknown)
    {
        var wrong = new List<string>();
        foreach (Call call in calls)
        {
            Exception? error = await Record.ExceptionAsync(() => call.Result.WaitAsync(RealNodes.Patience));
            if (saysUnknown(error) != call.IsUnknown)
                wrong.Add($"{call.Kind}, unknown {saysUnknown(error)}: {error?.ToString() ?? "no error"}");
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    /// <summary>A call that waits, and whether its error says that the outcome is unknown.</summary>
    private sealed record Call(string Kind, bool IsUnknown, Task Result)
    {
        public const string Task = "task";
    }

    /// <summary>One object of each kind at the last node, and at the first one what its calls wait for.</summary>
    private sealed class Scene
    {
        private DistributedLock _lock = null!;
        private DistributedSemaphore _semaphore = null!;
        private DistributedReaderWriterLock _readWrite = null!;
        private DistributedMonitor _monitor = null!;
        private ReplicatedSpace _space = null!;
        private ReplicatedVariable<int> _inSpace = null!;
        private ReplicatedVariable<string> _variable = null!;
        private ReplicatedDictionary<string, string> _dictionary = null!;
        private Cohort<string, string> _cohort = null!;
        private NewsService _news = null!;
        private LoggedGroup? _logged;

        public Board Board { get; private set; } = null!;

        public static async Task<Scene> SetAsync(RealNodes nodes, bool isLogged)
        {
            var scene = new Scene();
            if (isLogged)
                await Task.WhenAll(nodes.All.Select(node => RecoveryManager.OpenAsync(node).AsTask())); // a logged group begins with a majority of them
            foreach (GroupNode node in (GroupNode[])[nodes[0], nodes[2]])
            {
                scene._lock = await node.OpenLockAsync("/lock");
                scene._semaphore = await node.OpenSemaphoreAsync("/sem", permits: 1);
                scene._readWrite = await node.OpenReaderWriterLockAsync("/rw");
                scene._monitor = await node.OpenMonitorAsync("/monitor");
                if (node == nodes[0])
                {
                    await scene._lock.AcquireAsync();
                    await scene._semaphore.AcquireAsync();
                    await scene._readWrite.AcquireWriteLockAsync();
                    await scene._monitor.EnterAsync();
                }

                scene._space = await ReplicatedSpace.OpenAsync(node, "/space");
                scene._inSpace = await scene._space.OpenVariableAsync<int>("in");
                scene._variable = await node.ReplicatedAsync<string>("/var");
                scene._dictionary = await node.ReplicatedDictionaryAsync<string, string>("/dict");
                scene._cohort = await node.ServeCohortAsync<string, string>("/up", static async (text, _, stop) =>
                {
                    await Task.Delay(Timeout.InfiniteTimeSpan, stop);
                    return text;
                });
                scene.Board = await node.OpenBoardAsync("/board");
                scene._news = node.OpenNews();
                await using NewsSubscription subscription = await scene._news.SubscribeAsync("here.>", static _ => default);
                if (isLogged)
                    scene._logged = await node.JoinLoggedAsync("/logged", new GroupOptions { State = StateTransfer.Json(static () => 0, static _ => { }), Configure = static group => group.OnMessage(static _ => default) });
            }

            return scene;
        }

        public List<Call> MakeCalls()
        {
            // Of a hold there is nothing left, and a transaction that does not yet commit has changed nothing: that is known.
            List<Call> calls =
            [
                new("lock", false, _lock.AcquireAsync().AsTask()),
                new("semaphore", false, _semaphore.AcquireAsync().AsTask()),
                new("read lock", false, _readWrite.AcquireReadLockAsync().AsTask()),
                new("write lock", false, _readWrite.AcquireWriteLockAsync().AsTask()),
                new("monitor", false, _monitor.EnterAsync().AsTask()),
                new("update of a variable", true, _variable.SetAsync("x").AsTask()),
                new("compare and set", true, _variable.CompareAndSetAsync(0, "y").AsTask()),
                new("linearizable read", false, _variable.ReadAsync().AsTask()),
                new("entry of a dictionary", true, _dictionary.SetAsync("key", "value").AsTask()),
                new("removal", true, _dictionary.RemoveAsync("key").AsTask()),
                new("transaction", false, _space.TransactAsync(t => t.WriteAsync(_inSpace, 1)).AsTask()),
                new(Call.Task, true, _cohort.RunAsync("text").AsTask()),
                new("post", true, Board.PostAsync(["x"]).AsTask()),
                new("take that waits", true, Board.TakeAsync(new Template("none")).AsTask()),
                new("hold that waits", true, Board.HoldAsync(new Template("none")).AsTask()),
                new("clear", true, Board.ClearAsync(new Template("x")).AsTask()),
                new("news", true, _news.PostAsync("here.now", new byte[1]).AsTask()),
            ];
            if (_logged is { } logged)
            {
                calls.Add(new("logged update", true, logged.UpdateAsync(new byte[1]).AsTask()));
                calls.Add(new("logged flush", true, logged.FlushAsync()));
                calls.Add(new("checkpoint", true, logged.CheckpointAsync().AsTask()));
            }

            return calls;
        }
    }
}
