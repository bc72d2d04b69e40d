namespace Core.Groups.Tests.Hosting;

/// <summary>Groups as wholes, over real nodes: found, listed, passed on by their ids, deleted, asked to end.</summary>
public sealed class GroupDirectoryTests
{
    private const int Limit = 120_000; // milliseconds

    [Fact(Timeout = Limit)]
    public async Task A_group_id_that_was_passed_on_is_enough_to_use_the_group()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        Member a = await Member.JoinAsync(cluster.Nodes[0], "/test/id");
        string stored = a.Group.Id.ToString();

        GroupInfo found = (await cluster.Nodes[1].FindGroupAsync(stored))!;
        Assert.Equal(("/test/id", a.Group.Id, "a"), (found.Name, found.Id, found.Members.Single().Name));
        await cluster.Nodes[1].SendAsync(stored, Order.Total, "by id"u8.ToArray());
        Assert.Equal(["by id"], await a.ReadAsync(1));
        Member b = await Member.JoinAsync(cluster.Nodes[1], stored);
        Assert.Equal("/test/id", b.Group.Name);
        Assert.Equal(["by id"], b.Texts);

        await cluster.Nodes[2].DeleteGroupAsync(stored);
        Member again = await Member.JoinAsync(cluster.Nodes[2], "/test/id");
        Assert.NotEqual(found.Id, again.Group.Id);
        Assert.Null(await cluster.Nodes[0].FindGroupAsync(stored));
        await Assert.ThrowsAsync<GroupNotFoundException>(() => cluster.Nodes[0].JoinAsync(stored).AsTask());
        await Assert.ThrowsAsync<GroupNotFoundException>(() => cluster.Nodes[0].SendAsync(stored, Order.Total, default).AsTask());
        await Assert.ThrowsAsync<GroupNotFoundException>(() => cluster.Nodes[0].DeleteGroupAsync(stored).AsTask());
    }

    [Fact(Timeout = Limit)]
    public async Task A_deletion_ends_every_membership_with_its_own_error()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(2);
        Member a = await Member.JoinAsync(cluster.Nodes[0], "/test/delete"), b = await Member.JoinAsync(cluster.Nodes[1], "/test/delete");
        await a.SendAsync("before");
        await a.Group.FlushAsync(); // it is accepted, and may not have left: b's deletion could be ahead of it
        await cluster.Nodes[1].DeleteGroupAsync("/test/delete");
        await Task.WhenAll(a.Group.Completion, b.Group.Completion).WaitAsync(RealCluster.Patience);
        Assert.Equal(["before"], b.Texts);
        Assert.Equal("/test/delete", (await Assert.ThrowsAsync<GroupDeletedException>(() => a.SendAsync("after").AsTask())).Group);
        Assert.Empty(await cluster.Nodes[0].ListGroupsAsync());
    }

    [Fact(Timeout = Limit)]
    public async Task Names_are_listed_in_order_also_when_they_fill_many_frames()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(2);
        string[] names = [.. Enumerable.Range(0, 300).Select(i => $"/many/{i:d4}/{new string('x', 200)}")];
        await Task.WhenAll(names.Select(n => cluster.Nodes[0].JoinAsync(n).AsTask())).WaitAsync(RealCluster.Patience);
        await cluster.Nodes[1].JoinAsync("/other");
        Assert.Equal(names, await cluster.Nodes[1].ListGroupsAsync("/many/"));
        Assert.Equal(["/other"], await cluster.Nodes[1].ListGroupsAsync("/o"));
        Assert.Equal(301, (await cluster.Nodes[0].ListGroupsAsync()).Count);
        Assert.Empty(await cluster.Nodes[0].ListGroupsAsync(new string('/', 300)));
    }

    [Fact(Timeout = Limit)]
    public async Task A_group_of_a_site_has_members_there_and_callers_anywhere()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(2, o => o.Site = o.Name == "a" ? "New York" : "Ithaca");
        Member a = await Member.JoinAsync(cluster.Nodes[0], "@New York:/test");
        var refused = await Assert.ThrowsAsync<JoinRefusedException>(() => cluster.Nodes[1].JoinAsync("@New York:/test").AsTask());
        Assert.Contains("New York", refused.Reason);
        await cluster.Nodes[1].SendAsync("@New York:/test", Order.Fifo, "from Ithaca"u8.ToArray());
        Assert.Equal(["from Ithaca"], await a.ReadAsync(1));
        Assert.Equal(["@New York:/test"], await cluster.Nodes[1].ListGroupsAsync("@New York:"));
        await Assert.ThrowsAsync<ArgumentException>(() => cluster.Nodes[1].JoinAsync("test").AsTask());
    }

    [Fact(Timeout = Limit)]
    public async Task A_kill_is_what_the_application_makes_of_it()
    {
        await using RealCluster cluster = await RealCluster.StartAsync(3);
        var told = new TaskCompletionSource<string>();
        await cluster.Nodes[0].JoinAsync("/test/kill", new GroupOptions
        {
            Configure = g => g.IgnoreMessages(),
            OnKill = async (reason, message) =>
            {
                told.SetResult($"{message.From.Name}: {reason}");
                await message.Group.Node.StopAsync();
            },
        });
        Member deaf = await Member.JoinAsync(cluster.Nodes[1], "/test/other");
        await cluster.Nodes[2].KillAsync("/test/kill", "too old");
        Assert.Equal("c: too old", await told.Task.WaitAsync(RealCluster.Patience));
        await cluster.Nodes[0].Completion.WaitAsync(RealCluster.Patience);

        await cluster.Nodes[2].KillAsync("/test/other", "too old");
        await deaf.SendAsync("still here");
        Assert.Equal(["still here"], await deaf.ReadAsync(1));
    }
}
