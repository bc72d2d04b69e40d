using System.Text;

namespace Core.Groups.Tests.Hosting;

/// <summary>Members that move from node to node, over real nodes.</summary>
public sealed class MigrationTests
{
    private const int Limit = 120_000; // milliseconds

    private static Task<RealCluster> StartAsync(int nodes, Dictionary<string, Member> taken) => RealCluster.StartAsync(nodes, o =>
    {
        o.OnMigration = name =>
        {
            if (name == "/nobody")
            {
                return null;
            }

            var member = new Member();
            lock (taken)
            {
                taken[o.Name] = member;
            }

            return member.Options();
        };
    });

    [Fact(Timeout = Limit)]
    public async Task A_member_moves_in_one_view_and_the_target_has_the_state_of_that_place()
    {
        var taken = new Dictionary<string, Member>();
        await using RealCluster cluster = await StartAsync(3, taken);
        Member a = await Member.JoinAsync(cluster.Nodes[0], "/test/move"), b = await Member.JoinAsync(cluster.Nodes[1], "/test/move");
        await a.SendAsync("before");
        GroupInfo moved = await a.Group.MigrateAsync(cluster.Nodes[2].Id).AsTask().WaitAsync(RealCluster.Patience);
        Assert.Equal(["b", "c"], moved.Members.Select(m => m.Name));
        View view = await b.ViewOfAsync("b", "c");
        Assert.Equal((moved.ViewNumber, "c", "a"), (view.Number, view.Joined.Single().Name, view.Left.Single().Name));
        await Assert.ThrowsAsync<NotMemberException>(() => a.SendAsync("too late").AsTask());

        await b.SendAsync("after");
        Assert.Equal(["before", "after"], await b.ReadAsync(2));
        Assert.Equal(["after"], await taken["c"].ReadAsync(1));
        Assert.Equal(["before", "after"], taken["c"].Texts);
    }

    [Fact(Timeout = Limit)]
    public async Task The_only_member_takes_its_state_along_and_callers_find_it_where_it_is()
    {
        var taken = new Dictionary<string, Member>();
        await using RealCluster cluster = await StartAsync(2, taken);
        Member a = await Member.JoinAsync(cluster.Nodes[0], "/test/alone");
        await a.SendAsync("one");
        await a.ReadAsync(1);
        GroupId id = a.Group.Id;
        GroupInfo moved = await a.Group.MigrateAsync(cluster.Nodes[1].Id).AsTask().WaitAsync(RealCluster.Patience);
        Assert.Equal((id, "b"), (moved.Id, moved.Members.Single().Name));
        await cluster.Nodes[0].SendAsync("/test/alone", Order.Total, "two"u8.ToArray());
        Assert.Equal(["two"], await taken["b"].ReadAsync(1));
        Assert.Equal(["one", "two"], taken["b"].Texts);
    }

    [Fact(Timeout = Limit)]
    public async Task A_move_that_is_refused_leaves_the_member_where_it_is()
    {
        await using RealCluster cluster = await StartAsync(2, []);
        Member a = await Member.JoinAsync(cluster.Nodes[0], "/nobody"), b = await Member.JoinAsync(cluster.Nodes[1], "/test/both");
        var refused = await Assert.ThrowsAsync<MigrationFailedException>(() => a.Group.MigrateAsync(cluster.Nodes[1].Id).AsTask());
        Assert.Contains("OnMigration", refused.Message);
        Assert.Contains("configuration", (await Assert.ThrowsAsync<MigrationFailedException>(() => a.Group.MigrateAsync(new NodeId("z", 1)).AsTask())).Reason);
        await Member.JoinAsync(cluster.Nodes[0], "/test/both");
        Assert.Contains("already", (await Assert.ThrowsAsync<MigrationFailedException>(() => b.Group.MigrateAsync(cluster.Nodes[0].Id).AsTask())).Reason);
        await a.SendAsync("still here");
        Assert.Equal(["still here"], await a.ReadAsync(1));
        await b.SendAsync("and here");
        Assert.Equal(["and here"], await b.ReadAsync(1));
    }

    [Fact(Timeout = Limit)]
    public async Task A_logged_group_does_not_move_nor_a_group_to_where_it_would_be_logged()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(2, o => o.OnMigration = name => name switch
        {
            "/test/broken" => throw new InvalidOperationException("as asked"),
            "/test/wrong" => new GroupOptions { Journal = new NoJournal() }, // without a state there is nothing to log
            _ => Logged(),
        });
        ProcessGroup logged = await cluster.Nodes[0].JoinAsync("/test/logged", Logged());
        var refused = await Assert.ThrowsAsync<MigrationFailedException>(() => logged.MigrateAsync(cluster.Nodes[1].Id).AsTask());
        Assert.Contains("join the group at the target, then leave it here", refused.Message);
        Assert.Equal(["a"], (await cluster.Nodes[1].FindGroupAsync("/test/logged"))!.Members.Select(m => m.Name));
        await logged.FlushAsync();

        foreach ((string name, string reason) in new[] { ("/test/plain", "give no journal"), ("/test/broken", "callback at the target failed"), ("/test/wrong", "callback at the target failed") })
        {
            Member plain = await Member.JoinAsync(cluster.Nodes[0], name);
            refused = await Assert.ThrowsAsync<MigrationFailedException>(() => plain.Group.MigrateAsync(cluster.Nodes[1].Id).AsTask().WaitAsync(RealCluster.Patience));
            Assert.Contains(reason, refused.Message);
            await plain.SendAsync("still here");
            Assert.Equal(["still here"], await plain.ReadAsync(1));
        }
    }

    [Fact(Timeout = Limit)]
    public async Task Inside_a_handler_of_the_group_it_is_an_error_at_once()
    {
        await using RealCluster cluster = await StartAsync(2, []);
        var error = new TaskCompletionSource<Exception>();
        ProcessGroup group = await cluster.Nodes[0].JoinAsync("/test/inside", new GroupOptions
        {
            Configure = g => g.OnMessage(async _ =>
            {
                try
                {
                    await g.MigrateAsync(cluster.Nodes[1].Id);
                }
                catch (Exception e)
                {
                    error.SetResult(e);
                }
            }),
        });
        await group.SendAsync(Order.Fifo, Encoding.UTF8.GetBytes("go"));
        Assert.Contains("outside the handler", Assert.IsType<InvalidOperationException>(await error.Task.WaitAsync(RealCluster.Patience)).Message);
    }

    private static GroupOptions Logged() => new()
    {
        State = StateTransfer.Json(static () => 0, static _ => { }), Journal = new NoJournal(), Configure = static group => group.IgnoreMessages(),
    };

    /// <summary>Writes nothing down.</summary>
    private sealed class NoJournal : IGroupJournal
    {
        public ValueTask OnViewAsync(View view) => default;

        public ValueTask OnMessageAsync(JournalMessage message) => default;

        public ValueTask OnConfiguredAsync(ConfigurationEntry entry) => default;

        public ValueTask OnQuestionAsync(MessageId id, ReadOnlyMemory<byte> question, Action<ReadOnlyMemory<byte>, string?> answer)
        {
            answer(default, null);
            return default;
        }

        public ValueTask<StateSnapshot> GiveAsync(IJournaledMember member) => member.SaveAsync();

        public ValueTask LoadAsync(IAsyncEnumerable<ReadOnlyMemory<byte>>? given, IJournaledMember member) => member.LoadAsync(given);
    }
}
