using System.Text;
using Core.Groups.Tracing;

namespace Core.Groups.Tests.Hosting;

/// <summary>Nodes as applications use them: everything from sockets to handlers.</summary>
public sealed class RealNodeTests
{
    private const int Limit = 120_000; // milliseconds: a test that hangs is a test that failed

    [Fact(Timeout = Limit)]
    public async Task Members_see_the_same_view_ranked_in_the_order_of_their_joins()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        var members = new List<Member>();
        foreach (GroupNode node in cluster.Nodes)
        {
            members.Add(await Member.JoinAsync(node, "/test/views"));
        }

        View[] views = await Task.WhenAll(members.Select(m => m.ViewOfAsync("a", "b", "c")));
        Assert.Single(views.Select(v => v.Id).Distinct());
        Assert.Equal(3, views[0].Number);
        Assert.True(views[0].IsPrimary);
        Assert.Equal([0, 1, 2], members.Select(m => m.Group.Rank));
        Assert.Single(members.Select(m => m.Group.Id).Distinct());
        Assert.Equal(["a", "b", "c"], cluster.Nodes[1].Members.Select(m => m.Id.Name).Order());
        await Assert.ThrowsAsync<AlreadyMemberException>(() => cluster.Nodes[0].JoinAsync("/test/views").AsTask());
    }

    [Fact(Timeout = Limit)]
    public async Task Addresses_are_the_same_however_they_are_spelled()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(2, o =>
        {
            o.Listen = o.Listen.Replace("127.0.0.1", "localhost");
            o.Seeds = [.. o.Seeds.Select((s, i) => i == 0 ? s.Replace("127.0.0.1", "LOCALHOST") : s)];
        });
        // A node that did not find itself among its seeds would have no vote, and the two no primary.
        Assert.All(cluster.Nodes, n => Assert.True(n.Configuration!.IsPrimary));
    }

    [Fact(Timeout = Limit)]
    public async Task Concurrent_sends_are_delivered_in_one_total_order()
    {
        const int Each = 200;
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        var members = new List<Member>();
        foreach (GroupNode node in cluster.Nodes)
        {
            members.Add(await Member.JoinAsync(node, "/test/total"));
        }

        await Task.WhenAll(members.Select(m => m.ViewOfAsync("a", "b", "c")));
        await Task.WhenAll(members.Select((m, sender) => Task.Run(async () =>
        {
            for (int i = 0; i < Each; i++)
            {
                await m.SendAsync($"{sender}:{i}");
            }
        })));
        List<string>[] orders = await Task.WhenAll(members.Select(m => m.ReadAsync(3 * Each)));
        Assert.Equal(orders[0], orders[1]);
        Assert.Equal(orders[0], orders[2]);
        for (int sender = 0; sender < 3; sender++)
        {
            Assert.Equal(Enumerable.Range(0, Each).Select(i => $"{sender}:{i}"), orders[0].Where(t => t.StartsWith($"{sender}:")));
        }
    }

    [Theory(Timeout = Limit)]
    [InlineData(Order.Safe)]
    [InlineData(Order.Group)]
    public async Task Safe_messages_and_group_broadcasts_stand_in_one_order_among_all(Order order)
    {
        const int Each = 50;
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        var members = new List<Member>();
        foreach (GroupNode node in cluster.Nodes)
        {
            members.Add(await Member.JoinAsync(node, "/test/strong"));
        }

        await Task.WhenAll(members.Select(m => m.ViewOfAsync("a", "b", "c")));
        await Task.WhenAll(members.Select((m, sender) => Task.Run(async () =>
        {
            for (int i = 0; i < Each; i++)
            {
                await m.SendAsync($"{sender}:{i}", i % 2 == 0 ? order : Order.Total);
            }

            await m.Group.FlushAsync();
        })));
        List<string>[] seen = await Task.WhenAll(members.Select(m => m.ReadAsync(3 * Each)));
        Assert.Equal(seen[0], seen[1]);
        Assert.Equal(seen[0], seen[2]);
    }

    [Fact(Timeout = Limit)]
    public async Task Configuration_data_and_ranking_change_as_one_event_and_a_joiner_has_them()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        Member a = await Member.JoinAsync(cluster.Nodes[0], "/test/configured"), b = await Member.JoinAsync(cluster.Nodes[1], "/test/configured");
        await Task.WhenAll(a.ViewOfAsync("a", "b"), b.ViewOfAsync("a", "b"));
        await a.Group.ConfigureAsync("feed", "a");
        await b.Group.ConfigureAsync("feed", "b");
        await a.Group.ConfigureAsync("old", "x");
        await a.Group.ConfigureAsync("old", null);
        await a.Group.RankAsync([b.Group.Node.Id]);
        View ranked = await b.ViewOfAsync("b", "a");
        Assert.Equal((3, 0), (ranked.Number, ranked.Joined.Length + ranked.Left.Length));
        await Assert.ThrowsAsync<ArgumentException>(() => a.Group.ConfigureAsync("k", new string('x', ProcessGroup.MaximumEntry)).AsTask());

        Member c = await Member.JoinAsync(cluster.Nodes[2], "/test/configured");
        await c.ViewOfAsync("b", "a", "c");
        Assert.Equal("b", Assert.Single(c.Group.Configuration).Value);
        Assert.Equal(c.Group.Configuration, b.Group.Configuration);
    }

    [Fact(Timeout = Limit)]
    public async Task One_multicast_reaches_several_groups_and_single_processes_once()
    {
        var alone = new TaskCompletionSource<NodeMessage>();
        await using RealCluster cluster = await RealCluster.StartAsync(3, options => options.OnMessage = message =>
        {
            alone.TrySetResult(message);
            return default;
        });
        Member ga = await Member.JoinAsync(cluster.Nodes[0], "/test/g"), gb = await Member.JoinAsync(cluster.Nodes[1], "/test/g");
        Member ha = await Member.JoinAsync(cluster.Nodes[0], "/test/h"), hb = await Member.JoinAsync(cluster.Nodes[1], "/test/h");
        await Task.WhenAll(ga.ViewOfAsync("a", "b"), gb.ViewOfAsync("a", "b"), ha.ViewOfAsync("a", "b"), hb.ViewOfAsync("a", "b"));
        GroupNode node = cluster.Nodes[0];
        foreach (Order order in Enum.GetValues<Order>())
        {
            MessageId id = await node.MulticastAsync([ga.Group, ha.Group], order, Encoding.UTF8.GetBytes($"{order}"));
            string[] first = await Task.WhenAll(Once(ga, ha), Once(gb, hb));
            Assert.Equal([$"{order}", $"{order}"], first);
            Assert.Single(ga.Ids.Concat(ha.Ids), id);
        }

        await node.MulticastAsync([ga.Group], Order.Safe, "label"u8.ToArray(), label: "L", to: [cluster.Nodes[2].Id]);
        Assert.Equal("label", Encoding.UTF8.GetString((await alone.Task.WaitAsync(RealCluster.Patience)).Body.Span));
        await Assert.ThrowsAsync<ArgumentException>(() => node.MulticastAsync([ga.Group], Order.Fifo, "x"u8.ToArray(), label: "L").AsTask());
        await Assert.ThrowsAsync<ArgumentException>(() => node.MulticastAsync([], Order.Fifo, "x"u8.ToArray()).AsTask());
        await Assert.ThrowsAsync<ArgumentException>(() => node.MulticastAsync([gb.Group], Order.Fifo, "x"u8.ToArray()).AsTask());

        // Handled in one of the groups: the other one has nothing.
        static async Task<string> Once(Member one, Member other) => (await await Task.WhenAny(one.ReadAsync(1), other.ReadAsync(1)))[0];
    }

    [Fact(Timeout = Limit)]
    public async Task A_late_joiner_has_the_state_and_every_message_behind_it_once()
    {
        const int Count = 300;
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        Member first = await Member.JoinAsync(cluster.Nodes[0], "/test/state");
        Task sending = Task.Run(async () =>
        {
            for (int i = 0; i < Count; i++)
            {
                await first.SendAsync($"{i}", Order.Fifo);
                if (i == Count / 4)
                {
                    await first.Group.FlushAsync();
                }
            }
        });
        Member second = await Member.JoinAsync(cluster.Nodes[1], "/test/state");
        await sending.WaitAsync(RealCluster.Patience);
        await first.SendAsync("end", Order.Fifo);
        while ((await second.ReadAsync(1))[0] != "end")
        {
        }

        Assert.Equal([.. Enumerable.Range(0, Count).Select(i => $"{i}"), "end"], second.Texts);
    }

    [Fact(Timeout = Limit)]
    public async Task A_request_to_all_names_the_member_that_crashed_with_it_in_hand()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        var groups = new List<ProcessGroup>();
        foreach (GroupNode node in cluster.Nodes)
        {
            groups.Add(await node.JoinAsync("/test/requests", new GroupOptions
            {
                Configure = g => g.OnRequest(async m =>
                {
                    if (node.Name == "c")
                    {
                        node.Crash();
                        await Task.Delay(Timeout.InfiniteTimeSpan, g.Ended);
                    }

                    return Encoding.UTF8.GetBytes($"{node.Name}:{Encoding.UTF8.GetString(m.Body.Span)}");
                }),
            }));
        }

        GroupReplies replies = await groups[0].RequestAsync(Order.Total, "x"u8.ToArray(), Replies.All, RealCluster.Patience);
        Assert.Equal(["a:x", "b:x"], replies.Answers.Select(a => Encoding.UTF8.GetString(a.Body.Span)).Order());
        Assert.Equal("c", Assert.Single(replies.Failed).Name);
    }

    [Fact(Timeout = Limit)]
    public async Task A_request_without_an_answer_ends_with_its_time_and_cancellation_withdraws_one()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(1);
        ProcessGroup group = await cluster.Nodes[0].JoinAsync("/test/silence", new GroupOptions
        {
            Configure = g => g.OnRequest(async _ =>
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, g.Ended);
                return default;
            }),
        });
        await Assert.ThrowsAsync<TimeoutException>(() =>
            group.RequestAsync(Order.Fifo, default, Replies.All, TimeSpan.FromMilliseconds(100)).AsTask().WaitAsync(RealCluster.Patience));
        using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(100));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            group.RequestAsync(Order.Fifo, default, Replies.All, ct: cancel.Token).AsTask().WaitAsync(RealCluster.Patience));
    }

    [Fact(Timeout = Limit)]
    public async Task A_caller_that_is_not_a_member_sends_and_asks()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        Member member = await Member.JoinAsync(cluster.Nodes[0], "/test/outside");
        member.Group.OnRequest<string, int>((text, _) => ValueTask.FromResult(text.Length));
        member.Group.OnRequest(m => ValueTask.FromResult(m.Body));
        MessageId sent = await cluster.Nodes[1].SendAsync("/test/outside", Order.Total, "hello"u8.ToArray());
        Assert.Equal(["hello"], await member.ReadAsync(1));
        Assert.Equal([sent], member.Ids);
        GroupReplies replies = await cluster.Nodes[1].RequestAsync("/test/outside", Order.Fifo, "echo"u8.ToArray(), Replies.All, RealCluster.Patience);
        Assert.Equal("echo", Encoding.UTF8.GetString(Assert.Single(replies.Answers).Body.Span));
        await Assert.ThrowsAsync<GroupNotFoundException>(() => cluster.Nodes[1].SendAsync("/test/nothing", Order.Total, default).AsTask());
    }

    [Fact(Timeout = Limit)]
    public async Task An_orderly_stop_leaves_the_groups_and_later_calls_say_so()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        Member a = await Member.JoinAsync(cluster.Nodes[0], "/test/stop");
        Member c = await Member.JoinAsync(cluster.Nodes[2], "/test/stop");
        await a.ViewOfAsync("a", "c");
        await c.SendAsync("last words");
        await cluster.Nodes[2].StopAsync().AsTask().WaitAsync(RealCluster.Patience);
        Assert.Equal(["last words"], await a.ReadAsync(1));
        await a.ViewOfAsync("a");
        Assert.True(cluster.Nodes[2].Completion.IsCompletedSuccessfully);
        Assert.True(c.Group.Ended.IsCancellationRequested);
        await Assert.ThrowsAsync<NodeStoppedException>(() => cluster.Nodes[2].JoinAsync("/test/other").AsTask());
        await Assert.ThrowsAsync<NodeStoppedException>(() => cluster.Nodes[2].FlushAsync().AsTask());
        await Assert.ThrowsAsync<NodeStoppedException>(() => c.SendAsync("too late").AsTask());
        await cluster.Nodes[2].StopAsync(); // stopping twice is stopping once
    }

    [Fact(Timeout = Limit)]
    public async Task A_handler_that_throws_loses_nothing_but_its_own_message()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(1);
        Member member = await Member.JoinAsync(cluster.Nodes[0], "/test/throws");
        await member.SendAsync("before");
        await member.SendAsync("throw");
        await member.SendAsync("after");
        Assert.Equal(["before", "throw", "after"], await member.ReadAsync(3));
        Assert.Equal(1, cluster.Nodes[0].GetStatistics().HandlerErrors);
    }

    [Theory(Timeout = Limit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_state_callback_that_throws_undoes_the_join_and_the_group_goes_on(bool atDonor)
    {
        await using RealCluster cluster = await RealCluster.StartAsync(2);
        bool fail = true;
        Member first = new();
        GroupOptions options = first.Options();
        options.State = StateTransfer.Bytes(() => fail && atDonor ? throw new IOException("no state") : "s"u8.ToArray(), _ => { });
        ProcessGroup group = await cluster.Nodes[0].JoinAsync("/test/state-fails", options);
        var joiner = new GroupOptions
        {
            State = StateTransfer.Bytes(() => default, _ =>
            {
                if (fail && !atDonor)
                {
                    throw new IOException("bad state");
                }
            }),
        };
        await Assert.ThrowsAsync<StateTransferException>(() => cluster.Nodes[1].JoinAsync("/test/state-fails", joiner).AsTask().WaitAsync(RealCluster.Patience));
        fail = false;
        ProcessGroup second = await cluster.Nodes[1].JoinAsync("/test/state-fails", joiner).AsTask().WaitAsync(RealCluster.Patience);
        await second.SendAsync(Order.Total, "still here"u8.ToArray());
        Assert.Equal(["still here"], await first.ReadAsync(1));
        Assert.Equal(group.Id, second.Id);
    }

    [Fact(Timeout = Limit)]
    public async Task A_node_that_crashed_comes_back_and_has_the_groups_state()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        Member a = await Member.JoinAsync(cluster.Nodes[0], "/test/restart");
        Member c = await Member.JoinAsync(cluster.Nodes[2], "/test/restart");
        await a.SendAsync("one");
        await c.ReadAsync(1);
        NodeId before = cluster.Nodes[2].Id;
        cluster.Nodes[2].Crash();
        await a.ViewOfAsync("a");
        await a.SendAsync("two");
        GroupNode again = await cluster.RestartAsync(2);
        await again.WaitForPrimaryAsync().AsTask().WaitAsync(RealCluster.Patience);
        Member back = await Member.JoinAsync(again, "/test/restart");
        Assert.Equal(["one", "two"], back.Texts);
        Assert.True(again.Id > before);
        await a.ViewOfAsync("a", "c");
    }

    [Fact(Timeout = Limit)]
    public async Task A_handler_does_not_wait_for_itself()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(1);
        var errors = new TaskCompletionSource<(Exception? Leave, Exception? Request)>();
        ProcessGroup group = await cluster.Nodes[0].JoinAsync("/test/self", new GroupOptions
        {
            Configure = g => g.OnMessage(async _ =>
            {
                Exception? leave = await Record.ExceptionAsync(() => g.LeaveAsync().AsTask());
                Exception? request = await Record.ExceptionAsync(() => g.RequestAsync(Order.Total, default, Replies.All).AsTask());
                errors.SetResult((leave, request));
                g.Leave();
            }),
        });
        await group.SendAsync(Order.Total, default);
        (Exception? leave, Exception? request) = await errors.Task.WaitAsync(RealCluster.Patience);
        Assert.IsType<InvalidOperationException>(leave);
        Assert.IsType<InvalidOperationException>(request);
        await group.LeaveAsync().AsTask().WaitAsync(RealCluster.Patience);
        Assert.True(group.Ended.IsCancellationRequested);
        await Assert.ThrowsAsync<NotMemberException>(() => group.SendAsync(Order.Total, default).AsTask());
    }

    [Fact(Timeout = Limit)]
    public async Task A_traced_send_gives_the_id_that_the_members_see()
    {
        var traced = new List<TraceEvent>();
        await using RealCluster cluster = await RealCluster.StartAsync(1, o => o.Traced = e =>
        {
            lock (traced)
            {
                traced.Add(e);
            }
        });
        Member member = await Member.JoinAsync(cluster.Nodes[0], "/test/traced");
        MessageId id = await member.Group.SendTracedAsync(Order.Causal, "x"u8.ToArray());
        await member.ReadAsync(1);
        Assert.Equal(id, Assert.Single(member.Ids));
        lock (traced)
        {
            Assert.Equal(TraceKind.Configuration, traced[0].Kind);
            Assert.Contains(traced, e => e.Kind == TraceKind.Deliver && e.Message == id.ToString());
        }
    }

    [Fact(Timeout = Limit)]
    public async Task A_second_node_of_a_live_name_gives_up()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(2);
        GroupNodeOptions options = cluster.OptionsOf(1, o => o.Listen = "127.0.0.1:0");
        await using GroupNode twin = await GroupNode.StartAsync(options);
        await Assert.ThrowsAsync<NameTakenException>(() => twin.Completion.WaitAsync(RealCluster.Patience));
        Assert.False(cluster.Nodes[1].Completion.IsCompleted);
    }

    [Fact(Timeout = Limit)]
    public async Task A_crash_of_the_node_ends_the_calls_that_wait()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(1);
        GroupNode node = cluster.Nodes[0];
        ProcessGroup group = await node.JoinAsync("/test/crash", new GroupOptions
        {
            Configure = g => g.OnRequest(async _ =>
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, g.Ended);
                return default;
            }),
        });
        Task<GroupReplies> request = group.RequestAsync(Order.Total, default, Replies.All).AsTask();
        node.Crash();
        Assert.True((await Assert.ThrowsAsync<NodeStoppedException>(() => request.WaitAsync(RealCluster.Patience))).OutcomeUnknown);
        Assert.True(group.Ended.IsCancellationRequested);
        await node.Completion.WaitAsync(RealCluster.Patience);
        await node.StopAsync();
    }
}
