// Clients of real nodes, over loopback: calls, fail-over, refusals, bytes that are no client's.
extern alias Ticker;
using System.Collections.Concurrent;
using System.Text;
using Core.Groups.Protocol;
using Core.Groups.Protocol.Clients;
using Core.Groups.Tests.Transport;
using Core.Groups.Transport;
using Core.Groups.Wire;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses;

namespace Core.Groups.Tests.Hosting;

public sealed class GroupClientTests
{
    private const int Limit = 120_000; // milliseconds

    private static Task<GroupClient> ConnectAsync(RealCluster cluster, Action<GroupClientOptions>? configure = null)
    {
        var options = new GroupClientOptions { Nodes = [.. cluster.Nodes.Select(n => n.ListenAddress)], ConnectTimeout = RealCluster.Patience };
        configure?.Invoke(options);
        return GroupClient.ConnectAsync(options).AsTask();
    }

    private static async Task<ProcessGroup> AnswerAsync(GroupNode node, string group, Action<string>? onRequest = null) =>
        await node.JoinAsync(group, new GroupOptions
        {
            Configure = g => g.OnRequest<string, string>((text, message) =>
            {
                onRequest?.Invoke(text);
                return ValueTask.FromResult($"{node.Name} {message.From.Name.Split('-')[0]} {text}");
            }),
        }).AsTask().WaitAsync(RealCluster.Patience);

    [Fact(Timeout = Limit)]
    public async Task A_client_sends_to_groups_and_has_their_answers()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(2);
        await AnswerAsync(cluster.Nodes[0], "/answers");
        ProcessGroup second = await AnswerAsync(cluster.Nodes[1], "/answers");
        await using GroupClient client = await ConnectAsync(cluster, o => o.Name = "teller");

        GroupReplies<string> replies = await client.RequestAsync<string, string>("/answers", "one", Replies.All);
        Assert.Equal(["a teller one", "b teller one"], replies.Answers.Select(r => r.Value).Order());
        replies = await client.RequestAsync<string, string>(second.Id.ToString(), "two", Replies.First, timeout: RealCluster.Patience);
        Assert.EndsWith("two", replies.Answers.Single().Value);

        Member member = await Member.JoinAsync(cluster.Nodes[0], "/texts");
        MessageId sent = await client.SendAsync("/texts", Order.Fifo, "by name"u8.ToArray());
        await client.SendAsync(member.Group.Id.ToString(), Order.Causal, "by id"u8.ToArray());
        Assert.Equal(["by name", "by id"], await member.ReadAsync(2));
        Assert.Equal(sent, member.Ids[0]);
        await Assert.ThrowsAsync<GroupNotFoundException>(() => client.SendAsync("/none", Order.Total, ReadOnlyMemory<byte>.Empty).AsTask());
        Assert.Equal(["by name", "by id"], member.Texts);
    }

    [Fact(Timeout = Limit)]
    public async Task A_client_looks_groups_up_lists_them_and_deletes_one()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(2);
        Member a = await Member.JoinAsync(cluster.Nodes[0], "/test/x");
        await Member.JoinAsync(cluster.Nodes[1], "/test/y");
        await using GroupClient client = await ConnectAsync(cluster);
        GroupInfo found = (await client.FindGroupAsync("/test/x"))!;
        Assert.Equal((a.Group.Id, "/test/x", "a"), (found.Id, found.Name, found.Members.Single().Name));
        Assert.Equal(found.Id, (await client.FindGroupAsync(found.Id.ToString()))!.Id);
        Assert.Null(await client.FindGroupAsync("/none"));
        Assert.Equal(["/test/x", "/test/y"], await client.ListGroupsAsync("/test/"));
        await client.DeleteGroupAsync("/test/x");
        await a.Group.Completion.WaitAsync(RealCluster.Patience);
        await Assert.ThrowsAsync<GroupNotFoundException>(() => client.DeleteGroupAsync("/test/x").AsTask());
        Assert.Equal(["/test/y"], await client.ListGroupsAsync());
    }

    [Fact(Timeout = Limit)]
    public async Task A_cluster_in_extended_mode_refuses_clients_and_says_why()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(1, o => o.Mode = ClusterMode.Extended);
        var refused = await Assert.ThrowsAsync<NotSupportedException>(() => ConnectAsync(cluster));
        Assert.Contains("extended mode", refused.Message);
    }

    [Fact(Timeout = Limit)]
    public async Task Nodes_that_are_gone_cost_a_client_no_wait()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(1);
        // A wait before each next node would be longer than the test may take: and with six of seven gone, there would be one.
        await using GroupClient client = await ConnectAsync(cluster, o =>
        {
            o.Nodes = [.. FreeAddresses.Take(6), .. o.Nodes];
            o.Delay = o.MaximumDelay = TimeSpan.FromMinutes(5);
        });
        Assert.Equal("a", client.Server!.Value.Name);
    }

    [Fact(Timeout = Limit)]
    public async Task What_is_open_when_the_node_fails_goes_on_through_another_once_and_in_order()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        Member a = await Member.JoinAsync(cluster.Nodes[0], "/ledger"), b = await Member.JoinAsync(cluster.Nodes[1], "/ledger"), c = await Member.JoinAsync(cluster.Nodes[2], "/ledger");
        Member[] members = [a, b, c];
        await using GroupClient client = await ConnectAsync(cluster);

        string first = client.Server!.Value.Name;
        Task<MessageId> SendAsync(int i) => client.SendAsync("/ledger", Order.Fifo, Encoding.UTF8.GetBytes(i.ToString())).AsTask();
        Task<MessageId>[] before = [.. Enumerable.Range(0, 250).Select(SendAsync)];
        await before[20].WaitAsync(RealCluster.Patience);
        cluster.Nodes.Single(n => n.Name == first).Crash();
        Task<MessageId>[] after = [.. Enumerable.Range(250, 250).Select(SendAsync)];
        await Task.WhenAll([.. before, .. after]).WaitAsync(RealCluster.Patience);

        Assert.NotEqual(first, client.Server!.Value.Name);
        foreach (Member survivor in members.Where(m => m.Group.Node.Name != first))
        {
            await survivor.ReadAsync(500);
            Assert.Equal(Enumerable.Range(0, 500).Select(i => i.ToString()), survivor.Texts);
        }
    }

    [Fact(Timeout = Limit)]
    public async Task A_crowd_of_clients_moves_when_their_node_fails_and_each_call_is_handled_once()
    {
        const int Crowd = 200;
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        var handled = new ConcurrentQueue<string>();
        await AnswerAsync(cluster.Nodes[2], "/crowd", handled.Enqueue);
        GroupClient[] clients = await Task.WhenAll(Enumerable.Range(0, Crowd).Select(_ => ConnectAsync(cluster, o => o.Nodes = [.. o.Nodes.Take(2)])));
        Task<GroupReplies<string>> AskAsync(int i, string text) =>
            clients[i].RequestAsync<string, string>("/crowd", $"{i} {text}", Replies.First, timeout: RealCluster.Patience).AsTask();
        Task<GroupReplies<string>>[] under = [.. Enumerable.Range(0, Crowd).Select(i => AskAsync(i, "before"))];
        cluster.Nodes[0].Crash();
        Task<GroupReplies<string>>[] after = [.. Enumerable.Range(0, Crowd).Select(i => AskAsync(i, "after"))];
        foreach (GroupReplies<string> replies in await Task.WhenAll([.. under, .. after]))
        {
            Assert.Equal("c", replies.Answers.Single().From.Name);
        }

        Assert.Equal(2 * Crowd, handled.Count);
        Assert.All(handled.GroupBy(t => t.Split(' ')[0]), texts => Assert.Equal([$"{texts.Key} before", $"{texts.Key} after"], texts));
        Assert.All(clients, client => Assert.Equal("b", client.Server!.Value.Name));
        await Task.WhenAll(clients.Select(c => c.DisposeAsync().AsTask()));
    }

    [Fact(Timeout = Limit)]
    public async Task A_request_that_was_handled_is_answered_again_not_handled_again()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        int handled = 0;
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await cluster.Nodes[0].JoinAsync("/slow", new GroupOptions
        {
            Configure = g => g.OnRequest<string, string>(async (text, _) =>
            {
                Interlocked.Increment(ref handled);
                reached.TrySetResult();
                await release.Task;
                return text.ToUpperInvariant();
            }),
        });
        string[] others = [.. cluster.Nodes.Skip(1).Select(n => n.ListenAddress)];
        await using GroupClient client = await ConnectAsync(cluster, o => o.Nodes = others);
        Task<GroupReplies<string>> request = client.RequestAsync<string, string>("/slow", "text", Replies.All).AsTask();
        await reached.Task.WaitAsync(RealCluster.Patience);
        cluster.Nodes.Single(n => n.Name == client.Server!.Value.Name).Crash();
        release.SetResult();
        Assert.Equal("TEXT", (await request.WaitAsync(RealCluster.Patience)).Answers.Single().Value);
        Assert.Equal(1, handled);
    }

    [Fact(Timeout = Limit)]
    public async Task Entry_points_by_name_and_by_number_are_called_by_members_nodes_and_clients()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(2);
        var told = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        ProcessGroup group = await cluster.Nodes[0].JoinAsync("/entries", new GroupOptions
        {
            Configure = g =>
            {
                g.OnEntryRequest("add", m => ValueTask.FromResult<ReadOnlyMemory<byte>>(new[] { (byte)(m.Body.Span[0] + 1) }));
                g.OnEntryRequest(7, m => ValueTask.FromResult<ReadOnlyMemory<byte>>(new[] { (byte)(m.Body.Span[0] + 7) }));
                g.OnEntry("tell", m =>
                {
                    told.TrySetResult(Encoding.UTF8.GetString(m.Body.Span));
                    return default;
                });
                Assert.Throws<InvalidOperationException>(() => g.OnEntryRequest(7, _ => default));
            },
        });
        await using GroupClient client = await ConnectAsync(cluster);
        byte[] one = [1];
        Assert.Equal(2, (await client.RequestEntryAsync("/entries", "add", Order.Total, one, Replies.All)).Answers.Single().Body.Span[0]);
        Assert.Equal(8, (await cluster.Nodes[1].RequestEntryAsync("/entries", 7, Order.Total, one, Replies.All)).Answers.Single().Body.Span[0]);
        Assert.Equal(8, (await group.RequestEntryAsync(7, Order.Total, one, Replies.All)).Answers.Single().Body.Span[0]);
        await group.SendEntryAsync("tell", Order.Fifo, "text"u8.ToArray());
        Assert.Equal("text", await told.Task.WaitAsync(RealCluster.Patience));
        Assert.True((await client.RequestEntryAsync("/entries", 8, Order.Total, one, Replies.All)).Answers.Single().IsError);
    }

    [Fact(Timeout = Limit)]
    public async Task A_handler_that_would_wait_for_itself_is_told_so_whatever_it_calls_its_group()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(1);
        var errors = new TaskCompletionSource<string[]>(TaskCreationOptions.RunContinuationsAsynchronously);
        ProcessGroup group = await cluster.Nodes[0].JoinAsync("/self", new GroupOptions
        {
            Configure = g => g.OnMessage(async _ =>
            {
                var found = new List<string>();
                foreach (string address in (string[])["/self", g.Id.ToString()])
                {
                    found.Add((await Assert.ThrowsAsync<InvalidOperationException>(() => g.Node.RequestAsync(address, Order.Total, ReadOnlyMemory<byte>.Empty, Replies.All).AsTask())).Message);
                    found.Add((await Assert.ThrowsAsync<InvalidOperationException>(() => g.Node.RequestAsync<int, int>(address, 1, Replies.All).AsTask())).Message);
                }

                found.Add((await Assert.ThrowsAsync<InvalidOperationException>(() => g.RequestEntryAsync(1, Order.Total, ReadOnlyMemory<byte>.Empty, Replies.All).AsTask())).Message);
                errors.TrySetResult([.. found]);
            }),
        });
        await group.SendAsync(Order.Total, ReadOnlyMemory<byte>.Empty);
        Assert.All(await errors.Task.WaitAsync(RealCluster.Patience), message => Assert.Contains("await it outside the handler", message));
    }

    [Fact(Timeout = Limit)]
    public async Task Large_messages_and_answers_pass_in_parts()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(2, o => o.MaximumMessageSize = 4 << 20);
        await cluster.Nodes[0].JoinAsync("/echo", new GroupOptions { Configure = g => g.OnRequest(m => ValueTask.FromResult<ReadOnlyMemory<byte>>(m.Body.ToArray())) });
        await using GroupClient client = await ConnectAsync(cluster);
        var body = new byte[3 << 20];
        new Random(1).NextBytes(body);
        GroupReplies replies = await client.RequestAsync("/echo", Order.Total, body, Replies.All);
        Assert.True(replies.Answers.Single().Body.Span.SequenceEqual(body));
        await Assert.ThrowsAsync<MessageTooLargeException>(() => client.SendAsync("/echo", Order.Total, new byte[5 << 20]).AsTask());
    }

    [Fact(Timeout = Limit)]
    public async Task Who_serves_nobody_and_who_has_another_key_say_so()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(1, o =>
        {
            o.ClusterKey = new byte[16];
            o.MaximumClients = 0;
        });
        // Long enough for an answer, whatever the machine does: the message says what the last one was.
        string[] said = await Task.WhenAll(SayAsync(new byte[16]), SayAsync([.. Enumerable.Repeat((byte)7, 16)]));
        Assert.Contains("Full", said[0]);
        Assert.Contains("proof of the cluster key is wrong", said[1]);

        async Task<string> SayAsync(byte[] key)
        {
            var options = new GroupClientOptions { Nodes = [cluster.Nodes[0].ListenAddress], ClusterKey = key, ConnectTimeout = TimeSpan.FromSeconds(5) };
            return (await Assert.ThrowsAsync<TimeoutException>(() => GroupClient.ConnectAsync(options).AsTask())).Message;
        }
    }

    [Fact(Timeout = Limit)]
    public async Task A_client_that_stops_ends_its_calls_and_says_what_is_not_known()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(1);
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await cluster.Nodes[0].JoinAsync("/silent", new GroupOptions
        {
            Configure = g => g.OnRequest<string, string>(async (text, message) =>
            {
                reached.TrySetResult();
                await g.Node.Completion; // it never answers
                return text;
            }),
        });
        GroupClient client = await ConnectAsync(cluster);
        using var cancelled = new CancellationTokenSource();
        Task<GroupReplies<string>> withdrawn = client.RequestAsync<string, string>("/silent", "x", Replies.All, ct: cancelled.Token).AsTask();
        await reached.Task.WaitAsync(RealCluster.Patience);
        await Assert.ThrowsAsync<TimeoutException>(() => client.RequestAsync<string, string>("/silent", "y", Replies.All, timeout: TimeSpan.FromMilliseconds(50)).AsTask());
        Task<GroupReplies<string>> open = client.RequestAsync<string, string>("/silent", "z", Replies.All).AsTask();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => withdrawn);
        await client.DisposeAsync();
        Assert.True((await Assert.ThrowsAsync<ClientStoppedException>(() => open)).OutcomeUnknown);
        Assert.False((await Assert.ThrowsAsync<ClientStoppedException>(() => client.SendAsync("/silent", Order.Total, ReadOnlyMemory<byte>.Empty).AsTask())).OutcomeUnknown);
        await client.DisposeAsync();
    }

    [Fact(Timeout = Limit)]
    public async Task Bytes_that_no_client_sends_end_their_connection_only()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(1);
        await AnswerAsync(cluster.Nodes[0], "/answers");
        await using GroupClient client = await ConnectAsync(cluster);
        var random = new Random(5);
        for (int round = 0; round < 40; round++)
        {
            TcpTransportOptions stranger = TestPeer.Options($"z{round}") with { ClusterName = "default", IsClient = true };
            using RawPeer raw = await RawPeer.JoinAsync(cluster.Nodes[0].ListenAddress, stranger);
            var frame = new byte[random.Next(1, 60)];
            random.NextBytes(frame);
            frame[0] = (byte)(random.Next(2) == 0 ? ClientRecord.Attach : ClientRecord.Call);
            await raw.SendFrameLengthAsync(frame.Length);
            await raw.SendAsync(frame);
            if (frame[0] == (byte)ClientRecord.Call)
            {
                await raw.DrainAsync(); // closed by the node
            }
        }

        Assert.Equal("a client still", (await client.RequestAsync<string, string>("/answers", "still", Replies.All)).Answers.Single().Value);
    }

    [Fact]
    public void A_client_machine_takes_any_bytes_for_what_they_are()
    {
        var random = new Random(9);
        var effects = new NoEffects();
        for (int round = 0; round < 20_000; round++)
        {
            var machine = new ClientMachine(new NodeId("client", 1), effects);
            machine.Call(TimeSpan.Zero, 1, "/g", Order.Total, new byte[10], ReplyMode.All, 0, null);
            machine.Connected(TimeSpan.Zero);
            if (round % 2 == 0)
            {
                var welcome = new WireWriter();
                new ClientWelcome(new NodeId("a", 1), 1, 10, 1000, 1000, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(9)).Write(welcome);
                machine.FrameReceived(TimeSpan.Zero, welcome.ToArray());
            }

            var frame = new byte[random.Next(0, 40)];
            random.NextBytes(frame);
            if (frame.Length > 0 && random.Next(4) > 0)
            {
                frame[0] = (byte)(0x21 + random.Next(8));
            }

            machine.FrameReceived(TimeSpan.Zero, frame);
            machine.Tick(TimeSpan.FromSeconds(1));
        }

        Assert.True(effects.Closed > 1000);
    }

    [Theory]
    [InlineData(nameof(GroupClientOptions.Name), "")]
    [InlineData(nameof(GroupClientOptions.Nodes), "none")]
    [InlineData(nameof(GroupClientOptions.ClusterKey), "short")]
    [InlineData(nameof(GroupClientOptions.Window), "0")]
    [InlineData(nameof(GroupClientOptions.Delay), "long")]
    public async Task Options_that_cannot_be_meant_are_named(string option, string value)
    {
        var options = new GroupClientOptions { Nodes = ["127.0.0.1:1"] };
        switch (option)
        {
            case nameof(GroupClientOptions.Name): options.Name = value; break;
            case nameof(GroupClientOptions.Nodes): options.Nodes = []; break;
            case nameof(GroupClientOptions.ClusterKey): options.ClusterKey = Encoding.UTF8.GetBytes(value); break;
            case nameof(GroupClientOptions.Window): options.Window = 0; break;
            default: options.Delay = TimeSpan.FromDays(1); break;
        }

        Assert.Equal(option, (await Assert.ThrowsAsync<ArgumentException>(() => GroupClient.ConnectAsync(options).AsTask())).ParamName);
    }

    private sealed class NoEffects : IClientEffects
    {
        public int Closed { get; private set; }

        public void Transmit(ReadOnlySpan<byte> frame) { }
        public void Close(string reason) => Closed++;
        public void Answered(long call, Outcome outcome, GroupInfo? group, IReadOnlyList<string> names) { }
        public void Ended(long call, Outcome outcome, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed, MessageId message) { }
        public void ServedBy(NodeId? server) { }
        public void IdentityChanged(NodeId self) { }
    }
}
