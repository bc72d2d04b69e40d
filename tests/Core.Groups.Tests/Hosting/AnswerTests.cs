using System.Collections.Concurrent;

namespace Core.Groups.Tests.Hosting;

/// <summary>Requests to several groups, answers with copies, requests that are passed on, groups that ask as one: over real nodes.</summary>
public sealed class AnswerTests
{
    private const int Limit = 120_000; // milliseconds

    private sealed record Question(string Text);
    private sealed record Reply(string By, string Text);

    private static async Task<ProcessGroup> JoinAsync(GroupNode node, string name, Action<Question, GroupMessage>? onQuestion = null, Action<Reply, GroupMessage>? onReply = null) =>
        await node.JoinAsync(name, new GroupOptions
        {
            Configure = g =>
            {
                g.OnRequest<Question, Reply>((question, message) =>
                {
                    onQuestion?.Invoke(question, message);
                    return ValueTask.FromResult(new Reply(node.Name, $"{question.Text} in {name}"));
                });
                g.On<Reply>((reply, message) =>
                {
                    onReply?.Invoke(reply, message);
                    return default;
                });
            },
        }).AsTask().WaitAsync(RealCluster.Patience);

    [Fact(Timeout = Limit)]
    public async Task Each_member_of_several_groups_answers_once()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        ProcessGroup ga = await JoinAsync(cluster.Nodes[0], "/g"), ha = await JoinAsync(cluster.Nodes[0], "/h");
        await JoinAsync(cluster.Nodes[1], "/g");
        await JoinAsync(cluster.Nodes[1], "/h");
        await JoinAsync(cluster.Nodes[2], "/h");
        foreach (string? label in (string?[])[null, "L"])
        {
            GroupReplies<Reply> replies = await cluster.Nodes[0].RequestAsync<Question, Reply>([ga, ha], new Question("who"), Replies.All, Order.Total, label).AsTask().WaitAsync(RealCluster.Patience);
            Assert.Equal(["a", "b", "c"], replies.Answers.Select(r => r.Value!.By).Order());
            Assert.Empty(replies.Failed);
        }

        cluster.Nodes[2].Crash();
        GroupReplies<Reply> left = await cluster.Nodes[0].RequestAsync<Question, Reply>([ga, ha], new Question("who"), Replies.All).AsTask().WaitAsync(RealCluster.Patience);
        Assert.Equal(["a", "b"], left.Answers.Select(r => r.Value!.By).Order());
    }

    [Fact(Timeout = Limit)]
    public async Task An_answer_is_copied_to_a_group_and_to_a_process()
    {
        var alone = new TaskCompletionSource<NodeMessage>();
        await using RealCluster cluster = await RealCluster.StartAsync(3, o => o.OnMessage = message =>
        {
            alone.TrySetResult(message);
            return default;
        });
        var copies = new ConcurrentQueue<(string At, Reply Reply, bool IsCopy)>();
        var both = new CountdownEvent(2);
        for (int i = 0; i < 2; i++)
        {
            string at = cluster.Nodes[i].Name;
            await JoinAsync(cluster.Nodes[i], "/server", (question, message) =>
            {
                if (at == "a") message.CopyAnswer([message.Group], [cluster.Nodes[2].Id]);
            }, (reply, message) =>
            {
                copies.Enqueue((at, reply, message.IsAnswerCopy));
                both.Signal();
            });
        }

        GroupReplies<Reply> replies = await cluster.Nodes[1].RequestAsync<Question, Reply>("/server", new Question("x"), Replies.All).AsTask().WaitAsync(RealCluster.Patience);
        Assert.Equal(["a", "b"], replies.Answers.Select(r => r.Value!.By).Order());
        Assert.True(both.Wait(RealCluster.Patience));
        Assert.Equal(["a", "b"], copies.Select(c => c.At).Order());
        Assert.All(copies, c => Assert.Equal(("a", true), (c.Reply.By, c.IsCopy)));
        NodeMessage process = await alone.Task.WaitAsync(RealCluster.Patience);
        Assert.Equal("a", process.From.Name);
        Assert.Contains("x in /server", System.Text.Encoding.UTF8.GetString(process.Body.Span));
    }

    [Fact(Timeout = Limit)]
    public async Task A_request_that_is_passed_on_is_answered_by_others_to_its_caller_also_when_who_passed_it_on_fails()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        var senders = new ConcurrentQueue<(string From, string? By)>();
        ProcessGroup experts = await JoinAsync(cluster.Nodes[0], "/experts"), second = await JoinAsync(cluster.Nodes[1], "/experts", (_, message) =>
        {
            senders.Enqueue((message.From.Name, message.PassedOnBy?.Name));
            if (message.PassedOnBy is not null && message.IsRequest) cluster.Nodes[0].Crash(); // who passed it on is gone before it is answered
        });
        Assert.Equal(2, second.View.Members.Length);
        NodeId expert = cluster.Nodes[1].Id;
        await JoinAsync(cluster.Nodes[0], "/desk", (_, message) => message.PassOn(experts, expert));

        GroupReplies<Reply> replies = await cluster.Nodes[2].RequestAsync<Question, Reply>("/desk", new Question("hard"), Replies.All).AsTask().WaitAsync(RealCluster.Patience);
        GroupReply<Reply> reply = Assert.Single(replies.Answers);
        Assert.Equal(("b", "hard in /experts", "a"), (reply.Value!.By, reply.Value.Text, reply.InPlaceOf!.Value.Name));
        Assert.Equal("b", reply.From.Name);
        Assert.Equal([("c", "a")], senders);
    }

    [Fact(Timeout = Limit)]
    public async Task A_group_that_asks_as_one_is_answered_at_each_member_and_handled_once()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        var handled = new ConcurrentQueue<string>();
        await JoinAsync(cluster.Nodes[2], "/server", (question, message) => handled.Enqueue($"{message.From.Name} {question.Text}"));
        ProcessGroup a = await JoinAsync(cluster.Nodes[0], "/callers"), b = await JoinAsync(cluster.Nodes[1], "/callers");
        for (int number = 1; number <= 3; number++)
        {
            var question = new Question($"q{number}");
            GroupReplies<Reply>[] all = await Task.WhenAll(
                a.RequestAsGroupAsync<Question, Reply>("/server", number, question, Replies.All).AsTask(),
                b.RequestAsGroupAsync<Question, Reply>("/server", number, question, Replies.All).AsTask()).WaitAsync(RealCluster.Patience);
            Assert.All(all, r => Assert.Equal($"q{number} in /server", r.Answers.Single().Value!.Text));
        }

        Assert.Equal(["/callers q1", "/callers q2", "/callers q3"], handled);
        await Assert.ThrowsAsync<InvalidOperationException>(() => a.RequestAsGroupAsync<Question, Reply>("/server", 3, new Question("again"), Replies.All).AsTask());

        // One asks, and dies; another one asks the same: it is answered again, not handled again.
        await b.RequestAsGroupAsync<Question, Reply>("/server", 4, new Question("q4"), Replies.All).AsTask().WaitAsync(RealCluster.Patience);
        cluster.Nodes[1].Crash();
        GroupReplies<Reply> late = await a.RequestAsGroupAsync<Question, Reply>("/server", 4, new Question("q4"), Replies.All).AsTask().WaitAsync(RealCluster.Patience);
        Assert.Equal("q4 in /server", late.Answers.Single().Value!.Text);
        Assert.Equal(4, handled.Count);
    }
}
