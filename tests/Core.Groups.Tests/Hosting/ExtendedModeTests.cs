// Extended mode on real nodes: clusters that start apart, work apart, and meet.
extern alias Ticker;
using System.Text;
using System.Text.Json;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses;

namespace Core.Groups.Tests.Hosting;

public sealed class ExtendedModeTests
{
    /// <summary>A member whose state is a set of texts: two sides together have what either has.</summary>
    private sealed class Reconciler
    {
        private readonly TaskCompletionSource<GroupSide[]> _met = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly SemaphoreSlim _handled = new(0);

        public SortedSet<string> Texts { get; private set; } = new(StringComparer.Ordinal);
        public ProcessGroup Group { get; private set; } = null!;
        public Task<GroupSide[]> Met => _met.Task.WaitAsync(RealCluster.Patience);

        public static async Task<Reconciler> JoinAsync(GroupNode node, string name)
        {
            var member = new Reconciler();
            member.Group = await node.JoinAsync(name, new GroupOptions
            {
                State = StateTransfer.Json(() => member.Texts, state => member.Texts = state),
                Reconcile = sides =>
                {
                    foreach (GroupSide side in sides) member.Texts.UnionWith(JsonSerializer.Deserialize<string[]>(side.State!.Value.Span)!);
                    member._met.TrySetResult([.. sides]);
                    return default;
                },
                Configure = group => group.OnMessage(m =>
                {
                    member.Texts.Add(Encoding.UTF8.GetString(m.Body.Span));
                    member._handled.Release();
                    return default;
                }),
            }).AsTask().WaitAsync(RealCluster.Patience);
            return member;
        }

        public async Task SendAsync(string text)
        {
            await Group.SendAsync(Order.Total, Encoding.UTF8.GetBytes(text));
            await HandledAsync();
        }

        public async Task HandledAsync() => Assert.True(await _handled.WaitAsync(RealCluster.Patience));
    }

    private static GroupNodeOptions Options(string name, string listen, params string[] seeds) => new()
    {
        Name = name, Listen = listen, Seeds = seeds, Mode = ClusterMode.Extended, Heartbeat = TimeSpan.FromMilliseconds(50), SuspectAfter = TimeSpan.FromSeconds(20), // longer than a busy machine stands still
    };

    [Fact]
    public async Task Clusters_that_start_apart_merge_when_they_meet_and_reconcile_their_groups()
    {
        string[] addresses = FreeAddresses.Take(3);
        // b and c know of nobody, and each goes on alone; a knows both, and through it they meet.
        await using GroupNode b = await GroupNode.StartAsync(Options("b", addresses[1]));
        Reconciler ofB = await Reconciler.JoinAsync(b, "/g");
        await ofB.SendAsync("from b");
        await using GroupNode other = await GroupNode.StartAsync(Options("c", addresses[2]));
        Reconciler ofC = await Reconciler.JoinAsync(other, "/g");
        await ofC.SendAsync("from c");
        await using GroupNode a = await GroupNode.StartAsync(Options("a", addresses[0], addresses[1], addresses[2]));

        GroupSide[] sides = await ofB.Met, sidesOfC = await ofC.Met;
        Assert.Equal(2, sides.Length);
        Assert.Equal(sides.Select(s => s.Members.Single().Name), sidesOfC.Select(s => s.Members.Single().Name));
        Assert.Equal("b", sides.Single(s => s.IsOwn).Members.Single().Name);
        Assert.Equal(ofB.Group.Id, ofC.Group.Id);      // one group, though each made its own
        await ofC.SendAsync("to both");
        await ofB.HandledAsync();
        Assert.Equal(["from b", "from c", "to both"], ofB.Texts);
        Assert.Equal(ofB.Texts, ofC.Texts);
        Assert.Equal(2, ofB.Group.View.Members.Length);
        Assert.Equal(2, ofB.Group.View.Sides.Length);

        Reconciler ofA = await Reconciler.JoinAsync(a, "/g");      // a joiner gets the state that was made of them
        Assert.Equal(ofB.Texts, ofA.Texts);
    }

    [Fact]
    public async Task A_member_that_loses_the_others_goes_on_and_is_told_of_the_transitional_configuration()
    {
        string[] addresses = FreeAddresses.Take(2);
        await using GroupNode a = await GroupNode.StartAsync(Options("a", addresses[0], addresses));
        await using GroupNode b = await GroupNode.StartAsync(Options("b", addresses[1], addresses));
        await a.WaitForPrimaryAsync().AsTask().WaitAsync(RealCluster.Patience);
        await using var configurations = a.Configurations().GetAsyncEnumerator();
        while (await configurations.MoveNextAsync().AsTask().WaitAsync(RealCluster.Patience) && configurations.Current.Members.Length < 2) { }
        Reconciler ofA = await Reconciler.JoinAsync(a, "/g");
        b.Crash();
        var seen = new List<string>();
        while (seen.Count < 2 && await configurations.MoveNextAsync().AsTask().WaitAsync(RealCluster.Patience))
        {
            Configuration next = configurations.Current;
            seen.Add($"{(next.IsTransitional ? "transitional" : "regular")} {next.Members.Length} {(next.IsPrimary ? "primary" : "not primary")}");
        }

        Assert.Equal(["transitional 1 not primary", "regular 1 not primary"], seen);      // one of two seeds is no majority; it works all the same
        Assert.False(a.IsBlocked);
        await ofA.SendAsync("alone");
    }

    [Fact]
    public async Task A_group_with_a_state_needs_Reconcile()
    {
        await using GroupNode node = await GroupNode.StartAsync(Options("a", "127.0.0.1:0"));
        var error = await Assert.ThrowsAsync<ArgumentException>(() => node.JoinAsync("/g", new GroupOptions { State = StateTransfer.Json(() => 0, _ => { }) }).AsTask());
        Assert.Contains("Reconcile", error.Message);
    }
}
