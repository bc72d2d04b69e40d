using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Tests.Replication;

/// <summary>Replicas on real nodes.</summary>
public sealed class ReplicaHostTests
{
    private const int Limit = 120_000; // milliseconds: a test that hangs is a test that failed

    [Fact(Timeout = Limit)]
    public async Task Calls_of_all_members_make_one_log_in_which_each_callers_order_is_kept()
    {
        const int Each = 300;
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        LogFace[] logs = [await LogFace.OpenAsync(nodes[0]), await LogFace.OpenAsync(nodes[1]), await LogFace.OpenAsync(nodes[2])];
        await Task.WhenAll(logs.Select((log, member) => Task.Run(() => Task.WhenAll(Enumerable.Range(0, Each).Select(i => log.AppendAsync((member * Each) + i))))));
        long[][] read = await Task.WhenAll(logs.Select(log => log.ReadAsync(3 * Each)));
        Assert.Equal(3 * Each, read[0].Length);
        Assert.All(read, log => Assert.Equal(read[0], log));
        for (int member = 0; member < 3; member++)
        {
            Assert.Equal(Enumerable.Range(member * Each, Each).Select(i => (long)i), read[0].Where(value => value / Each == member));
        }
    }

    [Fact(Timeout = Limit)]
    public async Task A_joiner_gets_the_state()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        LogFace first = await LogFace.OpenAsync(nodes[0]);
        Assert.Equal(0, await first.AppendAsync(7));
        LogFace second = await LogFace.OpenAsync(nodes[1]);
        Assert.Equal([7], second.Read());
        Assert.Equal(1, await second.AppendAsync(8));
        Assert.Equal(2, second.Host.View.Members.Length);
    }

    [Fact(Timeout = Limit)]
    public async Task Those_who_open_one_name_on_a_node_share_the_replica_until_the_last_gives_it_up()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(1);
        int made = 0;
        Task<ReplicaHost<LogReplica>> Open() => ReplicaHost<LogReplica>.OpenAsync(nodes[0], "/test#log", () =>
        {
            made++;
            return new LogReplica(new LogFace());
        }).AsTask();
        ReplicaHost<LogReplica>[] hosts = await Task.WhenAll(Open(), Open());
        Assert.Equal(1, made);
        hosts[0].Run(0, static (log, _) => log.Append(1, 5));
        await hosts[0].DisposeAsync();
        await hosts[0].DisposeAsync(); // twice is once
        Assert.Throws<ObjectDisposedException>(() => hosts[0].Run(0, static (_, _) => { }));
        Assert.True(hosts[1].IsMember);
        LogReplica replica = hosts[1].Run(0, static (log, _) => log);
        Task leaving = hosts[1].DisposeAsync().AsTask();
        ReplicaHost<LogReplica> again = await Open(); // waits for the leave
        await leaving;
        Assert.Equal(MembershipEnd.Left, replica.End);
        Assert.Equal(2, made);
        Assert.Empty(again.Read(0, static (log, _) => log.Log));
        await Assert.ThrowsAsync<InvalidOperationException>(() => ReplicaHost<OtherReplica>.OpenAsync(nodes[0], "/test#log", () => new()).AsTask());
    }

    [Fact(Timeout = Limit)]
    public async Task A_join_that_is_given_up_leaves_nothing_behind()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2, o => o.SuspectAfter = TimeSpan.FromMinutes(1));
        LogFace first = await LogFace.OpenAsync(nodes[0]);
        await using (await nodes.FreezeAsync(0))
        {
            using var stop = new CancellationTokenSource();
            Task opening = ReplicaHost<LogReplica>.OpenAsync(nodes[1], "/test#log", () => new(new LogFace()), stop.Token).AsTask();
            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening);
        }

        await first.AppendAsync(3);
        LogFace second = await LogFace.OpenAsync(nodes[1]);
        Assert.Equal([3], second.Read());
    }

    [Fact(Timeout = Limit)]
    public async Task A_node_that_is_cut_off_gives_its_replica_up_without_waiting_for_the_others()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        await using LogFace log = await LogFace.OpenAsync(nodes[0]);
        nodes[1].Crash();
        nodes[2].Crash();
        await nodes[0].WaitForBlockedAsync().AsTask().WaitAsync(RealNodes.Patience);
        await log.Host.DisposeAsync().AsTask().WaitAsync(RealNodes.Patience);
        Assert.False(log.Host.Completion.IsCompleted); // it leaves when it can
        Assert.Throws<ObjectDisposedException>(() => log.Host.Run(0, static (_, _) => { }));
    }

    [Fact(Timeout = Limit)]
    public async Task An_excluded_member_is_told_and_comes_back_with_the_state_of_the_others()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3, RealNodes.SuspectsSoon);
        LogFace[] logs = [await LogFace.OpenAsync(nodes[0]), await LogFace.OpenAsync(nodes[1]), await LogFace.OpenAsync(nodes[2])];
        await logs[2].AppendAsync(1);
        NodeId before = logs[2].Host.Run(0, static (log, _) => log.Self);
        Task<int> lost;
        await using (await nodes.FreezeAsync(2))
        {
            lost = logs[2].AppendAsync(2);
            await logs[0].AppendAsync(3); // comes to its end when the others go on without the third
            while (logs[0].Host.View.Members.Length > 2)
            {
                await logs[0].FlushAsync();
            }
        }

        ExcludedException error = await Assert.ThrowsAsync<ExcludedException>(() => lost);
        Assert.True(error.OutcomeUnknown);
        await logs[2].Host.WhenJoinedAsync().WaitAsync(RealNodes.Patience);
        Assert.True(logs[2].Host.Run(0, static (log, _) => log.Self) > before);
        await logs[2].AppendAsync(4);
        Assert.Equal(logs[2].Read(), await logs[0].ReadAsync(logs[2].Read().Length));
        Assert.Equal([1, 3, 4], logs[2].Read());
    }

    [Fact(Timeout = Limit)]
    public async Task A_replica_that_throws_leaves_and_the_others_go_on()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        LogFace good = await LogFace.OpenAsync(nodes[0]), bad = new();
        bad.GetType().GetProperty(nameof(LogFace.Host))!.SetValue(
            bad, await ReplicaHost<LogReplica>.OpenAsync(nodes[1], "/test#log", () => new ThrowingReplica(bad)));
        await good.AppendAsync(1);
        await Assert.ThrowsAsync<NotMemberException>(() => bad.AppendAsync(ThrowingReplica.Bad));
        await Assert.ThrowsAsync<DivideByZeroException>(() => bad.Host.Completion.WaitAsync(RealNodes.Patience));
        Assert.IsType<DivideByZeroException>(Assert.Throws<InvalidOperationException>(() => bad.Read()).InnerException);
        Assert.Equal(2, await good.AppendAsync(2));
        await RealNodes.SeesAsync(() => good.Host.View.Members.Length == 1);
        LogFace again = await LogFace.OpenAsync(nodes[1]); // another one takes its place
        Assert.Equal((long[])[1, ThrowingReplica.Bad, 2], again.Read());
    }

    [Fact(Timeout = Limit)]
    public async Task When_the_only_member_cannot_save_its_state_the_joiner_begins_anew()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        await using ReplicaHost<LogReplica> bad = await ReplicaHost<LogReplica>.OpenAsync(nodes[0], "/test#log", () => new UnsavableReplica(new LogFace()));
        LogFace good = await LogFace.OpenAsync(nodes[1]); // tries until it is in
        await Assert.ThrowsAsync<DivideByZeroException>(() => bad.Completion.WaitAsync(RealNodes.Patience));
        Assert.Equal(0, await good.AppendAsync(1));
        Assert.Single(good.Host.View.Members);
    }

    [Fact(Timeout = Limit)]
    public async Task A_replica_that_throws_at_the_end_of_a_membership_gets_no_other_one()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3, RealNodes.SuspectsSoon);
        LogFace first = await LogFace.OpenAsync(nodes[0]);
        await using ReplicaHost<LogReplica> bad = await ReplicaHost<LogReplica>.OpenAsync(nodes[2], "/test#log", () => new ThrowsAtTheEnd(new LogFace()));
        await using (await nodes.FreezeAsync(2))
        {
            while (first.Host.View.Members.Length != 1)
            {
                await first.FlushAsync();
            }
        }

        await Assert.ThrowsAsync<DivideByZeroException>(() => bad.Completion.WaitAsync(RealNodes.Patience));
        Assert.Throws<InvalidOperationException>(() => bad.Read(0, static (log, _) => log.Sum));
    }

    [Fact(Timeout = Limit)]
    public async Task What_a_call_throws_goes_to_its_caller_and_the_replica_lives_on()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(1, o => o.MaximumMessageSize = 2000);
        LogFace log = await LogFace.OpenAsync(nodes[0]);
        Assert.ThrowsAny<FormatException>(() => log.Host.Run(0, static (_, _) => throw new FormatException()));
        Assert.Throws<MessageTooLargeException>(() => log.Host.Run(2000, static (log, size) => log.MulticastBytes(size)));
        log.Host.Run(1999, static (log, size) => log.MulticastBytes(size));
        Assert.Throws<InvalidOperationException>(() => log.Host.Run(log, static (_, face) => face.Read()));
        Assert.Equal(0, await log.AppendAsync(1));
    }

    [Fact(Timeout = Limit)]
    public async Task A_stopped_node_ends_the_membership()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(1);
        LogFace log = await LogFace.OpenAsync(nodes[0]);
        LogReplica replica = log.Host.Run(0, static (log, _) => log);
        await nodes[0].StopAsync();
        await log.Host.Completion.WaitAsync(RealNodes.Patience);
        Assert.Equal(MembershipEnd.Stopped, replica.End);
        Assert.ThrowsAny<GroupException>(() => log.Read());
        await Assert.ThrowsAnyAsync<GroupException>(() => log.Host.WhenJoinedAsync());
        await log.DisposeAsync();
    }

    [Fact(Timeout = Limit)]
    public async Task A_deleted_group_ends_the_membership_and_is_not_made_again()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        LogFace log = await LogFace.OpenAsync(nodes[0]);
        await log.AppendAsync(1);
        await nodes[1].DeleteGroupAsync("/test#log");
        await log.Host.Completion.WaitAsync(RealNodes.Patience);
        Assert.Throws<GroupDeletedException>(() => log.Read());
        Assert.Empty((await LogFace.OpenAsync(nodes[0])).Read());
    }

    [Fact(Timeout = Limit)]
    public async Task Time_and_stability_are_told()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2);
        LogFace log = await LogFace.OpenAsync(nodes[0]), other = await LogFace.OpenAsync(nodes[1]);
        log.Host.Run(0, static (log, _) => log.WakeIn(TimeSpan.FromMilliseconds(30)));
        await log.Woke.WaitAsync(RealNodes.Patience);
        log.Host.Run(0, static (log, _) => log.Append(-1, 4));
        await log.FlushAsync(); // after what was multicast before it
        Assert.Equal(4, Assert.Single(await other.ReadAsync(1)));
    }

    [Fact(Timeout = Limit)]
    public async Task A_node_that_is_no_member_asks_by_name_and_is_not_kept_waiting_by_those_who_do_not_answer()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(3);
        LogFace first = await LogFace.OpenAsync(nodes[0]), second = await LogFace.OpenAsync(nodes[1]);
        await second.AppendAsync(1);
        GroupReplies replies = await nodes[2].RequestAsync("/test#log", Order.Total, "how many?"u8.ToArray(), Replies.All).AsTask().WaitAsync(RealNodes.Patience);
        GroupReply reply = Assert.Single(replies.Answers);
        Assert.Equal("a", reply.From.Name);
        Assert.Equal(1, BitConverter.ToInt32(reply.Body.Span));
    }

    [Fact(Timeout = Limit)]
    public async Task Callers_wait_while_a_member_does_not_keep_up_and_nothing_is_lost()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(2, o =>
        {
            o.SuspectAfter = TimeSpan.FromMinutes(1);
            o.CreditWindow = 8 << 10;
        });
        LogFace log = await LogFace.OpenAsync(nodes[0]), other = await LogFace.OpenAsync(nodes[1]);
        var calls = new List<Task<int>>();
        await using (await nodes.FreezeAsync(1))
        {
            while (log.Host.WhenWritable().AsTask().IsCompleted)
            {
                Assert.True(calls.Count < 10_000, "There is no end to what can be multicast.");
                calls.Add(log.AppendAsync(calls.Count));
            }
        }

        await log.Host.WhenWritable();
        Assert.Equal(Enumerable.Range(0, calls.Count), await Task.WhenAll(calls));
        Assert.Equal(calls.Count, (await other.ReadAsync(calls.Count)).Length);
    }

    [Fact(Timeout = Limit)]
    public async Task Reads_allocate_nothing()
    {
        await using RealNodes nodes = await RealNodes.StartAsync(1);
        LogFace log = await LogFace.OpenAsync(nodes[0]);
        static long Read(LogFace log) => log.Host.Read(0, static (log, _) => log.Sum);
        Read(log);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
        {
            Read(log);
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20_000); // less than an object each; the runtime's own work may be counted
    }

    private sealed class ThrowingReplica(ILogEffects effects) : LogReplica(effects)
    {
        public const long Bad = 13;

        protected override void Apply(NodeId from, long call, long value)
        {
            if (value == Bad)
            {
                throw new DivideByZeroException("as asked");
            }

            base.Apply(from, call, value);
        }
    }

    private sealed class UnsavableReplica(ILogEffects effects) : LogReplica(effects)
    {
        protected internal override ReadOnlyMemory<byte> Save() => throw new DivideByZeroException("as asked");
    }

    private sealed class ThrowsAtTheEnd(ILogEffects effects) : LogReplica(effects)
    {
        protected internal override void OnEnded(MembershipEnd end) => throw new DivideByZeroException("as asked");
    }

    private sealed class OtherReplica() : LogReplica(new LogFace());
}
