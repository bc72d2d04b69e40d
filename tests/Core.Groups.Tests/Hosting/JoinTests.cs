using System.Text;
using System.Threading.Channels;

namespace Core.Groups.Tests.Hosting;

/// <summary>Joins over real nodes: who is let in, and who may leave a state to whom.</summary>
public sealed class JoinTests
{
    private const int Limit = 120_000; // milliseconds

    [Fact(Timeout = Limit)]
    public async Task A_joiner_without_the_right_credentials_is_refused_and_no_view_shows_it()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        Channel<View> views = Channel.CreateUnbounded<View>();
        GroupOptions Options(string credentials) => new()
        {
            Credentials = Encoding.UTF8.GetBytes(credentials),
            InspectJoin = (joiner, shown) => ValueTask.FromResult(shown.Span.SequenceEqual("signature"u8) ? null : $"{joiner.Name} shows no signature"),
            Configure = g => g.IgnoreMessages(),
        };
        GroupOptions first = Options("of no matter for the first");
        first.OnView = view => views.Writer.WriteAsync(view);
        await cluster.Nodes[0].JoinAsync("/test/door", first);
        var refused = await Assert.ThrowsAsync<JoinRefusedException>(() => cluster.Nodes[1].JoinAsync("/test/door", Options("forged")).AsTask().WaitAsync(RealCluster.Patience));
        Assert.Equal(("/test/door", "b shows no signature"), (refused.Group, refused.Reason));
        await cluster.Nodes[2].JoinAsync("/test/door", Options("signature")).AsTask().WaitAsync(RealCluster.Patience);
        await cluster.Nodes[1].JoinAsync("/test/door", Options("signature")).AsTask().WaitAsync(RealCluster.Patience);
        foreach (string expected in (string[])["a", "a c", "a c b"])
        {
            View view = await views.Reader.ReadAsync().AsTask().WaitAsync(RealCluster.Patience);
            Assert.Equal(expected, string.Join(' ', view.Members.Select(m => m.Name)));
        }
    }

    [Fact(Timeout = Limit)]
    public async Task A_validator_that_throws_lets_nobody_in_and_credentials_are_bounded()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(2);
        await cluster.Nodes[0].JoinAsync("/test/door", new GroupOptions { InspectJoin = (_, _) => throw new InvalidOperationException("as asked") });
        var refused = await Assert.ThrowsAsync<JoinRefusedException>(() => cluster.Nodes[1].JoinAsync("/test/door").AsTask().WaitAsync(RealCluster.Patience));
        Assert.DoesNotContain("as asked", refused.Reason); // what failed inside is not for strangers
        await Assert.ThrowsAsync<ArgumentException>(() => cluster.Nodes[1].JoinAsync("/test/door", new GroupOptions { Credentials = new byte[20_000] }).AsTask());
    }

    [Fact(Timeout = Limit)]
    public async Task The_only_member_with_the_state_stays_until_a_joiner_has_loaded_it()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        ProcessGroup a = await cluster.Nodes[0].JoinAsync("/test/heir", new GroupOptions { State = StateTransfer.Bytes(() => "heirloom"u8.ToArray(), _ => { }), Configure = g => g.IgnoreMessages() });
        var loading = new TaskCompletionSource();
        var mayLoad = new TaskCompletionSource();
        ReadOnlyMemory<byte> loaded = default;
        Task<ProcessGroup> joining = cluster.Nodes[1].JoinAsync("/test/heir", new GroupOptions
        {
            Configure = g => g.IgnoreMessages(),
            State = new StateTransfer
            {
                Save = () => ValueTask.FromResult(loaded),
                Load = async state =>
                {
                    loading.SetResult();
                    await mayLoad.Task;
                    loaded = state;
                },
            },
        }).AsTask();
        await loading.Task.WaitAsync(RealCluster.Patience);
        Task leaving = a.LeaveAsync().AsTask();

        // A message through all members takes as many hops as a leave would have.
        for (int i = 0; i < 3; i++)
        {
            await cluster.Nodes[2].SendAsync("/test/heir", Order.Total, "hello"u8.ToArray()).AsTask().WaitAsync(RealCluster.Patience);
        }

        Assert.False(leaving.IsCompleted);
        Assert.Equal(2, (await cluster.Nodes[2].FindGroupAsync("/test/heir"))!.Members.Length);
        mayLoad.SetResult();
        await joining.WaitAsync(RealCluster.Patience);
        await leaving.WaitAsync(RealCluster.Patience);
        Assert.Equal("heirloom", Encoding.UTF8.GetString(loaded.Span));
    }

    [Fact(Timeout = Limit)]
    public async Task A_join_ends_with_an_error_when_everybody_who_has_the_state_is_gone()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        var saving = new TaskCompletionSource();
        await cluster.Nodes[0].JoinAsync("/test/lost", new GroupOptions
        {
            State = new StateTransfer
            {
                Save = async () =>
                {
                    saving.SetResult();
                    await Task.Delay(Timeout.InfiniteTimeSpan, new CancellationTokenSource(RealCluster.Patience).Token);
                    return default;
                },
                Load = _ => default,
            },
        });
        Task<ProcessGroup> joining = cluster.Nodes[1].JoinAsync("/test/lost", new GroupOptions { State = StateTransfer.Bytes(() => default, _ => { }) }).AsTask();
        await saving.Task.WaitAsync(RealCluster.Patience);
        cluster.Nodes[0].Crash();
        await Assert.ThrowsAsync<StateTransferException>(() => joining.WaitAsync(RealCluster.Patience));
        await cluster.Nodes[1].JoinAsync("/test/lost").AsTask().WaitAsync(RealCluster.Patience);
    }
}
