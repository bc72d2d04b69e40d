// What calls that wait come back with when the others have gone on without their node: a node that stood still for longer than they wait.
using System.Threading.Channels;

namespace Core.Groups.Tests.Hosting;

public sealed class ExclusionTests
{
    private const int Limit = 120_000; // milliseconds

    [Fact(Timeout = Limit)]
    public async Task A_call_that_waits_ends_and_says_whether_it_may_have_had_its_effect()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using RealCluster cluster = await RealCluster.StartAsync(3, o => (o.SuspectAfter, o.CreditWindow) = (RealCluster.Soon, 64 << 10));
        Channel<View> views = Channel.CreateUnbounded<View>();
        GroupOptions Options() => new()
        {
            State = StateTransfer.Json(static () => 0, static _ => { }),
            Configure = group =>
            {
                group.OnMessage(async message => await (message.Body.Length > 0 && group.Node.Name == "a" ? release.Task : Task.CompletedTask));
                group.OnRequest(async _ =>
                {
                    await release.Task;
                    return default;
                });
            },
        };
        GroupOptions told = Options();
        told.OnView = view => views.Writer.WriteAsync(view);
        await cluster.Nodes[0].JoinAsync("/seen", told).AsTask().WaitAsync(RealCluster.Patience); // what is shown in the others waits for their handlers
        await cluster.Nodes[2].JoinAsync("/seen", Options()).AsTask().WaitAsync(RealCluster.Patience);
        await cluster.Nodes[0].JoinAsync("/held", Options()).AsTask().WaitAsync(RealCluster.Patience);
        GroupOptions door = Options();
        door.InspectJoin = async (_, _) =>
        {
            await release.Task;
            return null;
        };
        await cluster.Nodes[0].JoinAsync("/door", door).AsTask().WaitAsync(RealCluster.Patience);
        await cluster.Nodes[0].JoinAsync("/asked", Options()).AsTask().WaitAsync(RealCluster.Patience);
        ProcessGroup held = await cluster.Nodes[2].JoinAsync("/held", Options()), asked = await cluster.Nodes[2].JoinAsync("/asked", Options());
        var rejoined = new TaskCompletionSource<View>(TaskCreationOptions.RunContinuationsAsynchronously);
        held.Rejoined += view => rejoined.TrySetResult(view);

        byte[] body = new byte[60 << 10];
        await held.SendAsync(Order.Total, body).AsTask().WaitAsync(RealCluster.Patience); // a does not come to an end with it, so the next one waits for credit
        Task waits = held.SendAsync(Order.Total, body).AsTask(), request = asked.RequestAsync(Order.Total, default, Replies.All).AsTask();
        await asked.FlushAsync().AsTask().WaitAsync(RealCluster.Patience); // the request is at all members

        Task joins = cluster.Nodes[2].JoinAsync("/door", Options()).AsTask(); // a thinks about it
        await using (await StandStill.BeginAsync(cluster.Nodes[2]))
        {
            while ((await views.Reader.ReadAsync().AsTask().WaitAsync(RealCluster.Patience)) is not { Members.Length: 1, Left.Length: > 0 })
            {
            }
        }

        Assert.True((await EndAsync(request)).OutcomeUnknown);
        Assert.False((await EndAsync(waits)).OutcomeUnknown);
        Assert.True((await EndAsync(joins)).OutcomeUnknown);
        release.SetResult();
        Assert.Equal(["a", "c"], (await rejoined.Task.WaitAsync(RealCluster.Patience)).Members.Select(m => m.Name));
        await held.FlushAsync().AsTask().WaitAsync(RealCluster.Patience);
    }

    private static Task<ExcludedException> EndAsync(Task call) => Assert.ThrowsAsync<ExcludedException>(() => call.WaitAsync(RealCluster.Patience));
}
