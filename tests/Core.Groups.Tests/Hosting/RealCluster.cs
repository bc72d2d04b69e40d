// Real nodes over loopback TCP for tests: started together, found by fixed ports, stopped at the end whatever happened.
extern alias Ticker;
using System.Text;
using System.Threading.Channels;
using FreeAddresses = Ticker::Samples.Shared.FreeAddresses;

namespace Core.Groups.Tests.Hosting;

internal sealed class RealCluster : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>The silence limit where a node that stands still is the subject: no other one stands still so long, on a busy machine either.</summary>
    public static readonly TimeSpan Soon = TimeSpan.FromSeconds(3);

    private readonly string[] _seeds;
    private readonly string? _directory;

    private RealCluster(string[] seeds, bool isStored) => (_seeds, _directory) = (seeds, isStored ? Directory.CreateTempSubdirectory("cluster").FullName : null);

    public List<GroupNode> Nodes { get; } = [];

    public static Task<RealCluster> StartAsync(int nodes, Action<GroupNodeOptions>? configure = null) => StartAsync(nodes, isStored: false, configure);

    public static async Task<RealCluster> StartAsync(int nodes, bool isStored, Action<GroupNodeOptions>? configure = null)
    {
        var cluster = new RealCluster(FreeAddresses.Take(nodes), isStored);
        for (int i = 0; i < nodes; i++)
        {
            cluster.Nodes.Add(await GroupNode.StartAsync(cluster.OptionsOf(i, configure)));
        }

        await Task.WhenAll(cluster.Nodes.Select(n => TogetherAsync(n, nodes))).WaitAsync(Patience);
        return cluster;
    }

    // A majority is a primary: a node may work before it has met the last one.
    private static async Task TogetherAsync(GroupNode node, int nodes)
    {
        await foreach (Configuration configuration in node.Configurations())
        {
            if (configuration.Members.Length == nodes)
                break;
        }

        await node.WaitForPrimaryAsync();
        node.GetStatistics(); // waits for the end of that turn: nobody is told of it later
    }

    /// <summary>The node dies; when this completes it holds its store no more.</summary>
    public async Task CrashAsync(int index)
    {
        Nodes[index].Crash();
        await Nodes[index].Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>The node is started again under its name and address.</summary>
    public async Task<GroupNode> RestartAsync(int index)
    {
        Nodes[index] = await GroupNode.StartAsync(OptionsOf(index, null));
        return Nodes[index];
    }

    public GroupNodeOptions OptionsOf(int index, Action<GroupNodeOptions>? configure)
    {
        var options = new GroupNodeOptions
        {
            Name = ((char)('a' + index)).ToString(), Listen = _seeds[index], Seeds = _seeds,
            DataDirectory = _directory is null ? null : Path.Combine(_directory, $"{index}"),
            Heartbeat = TimeSpan.FromMilliseconds(50), SuspectAfter = TimeSpan.FromSeconds(20), // longer than a busy machine stands still
        };
        configure?.Invoke(options);
        return options;
    }

    public async ValueTask DisposeAsync()
    {
        for (int i = 0; i < Nodes.Count; i++) await CrashAsync(i); // at once: an orderly stop is a test of its own
        if (_directory is not null) Directory.Delete(_directory, recursive: true);
    }
}

/// <summary>A member that writes down what it is told. Its state is the list of texts that it was given.</summary>
internal sealed class Member
{
    private readonly Channel<string> _deliveries = Channel.CreateUnbounded<string>();

    public List<string> Texts { get; private set; } = [];
    public List<MessageId> Ids { get; } = [];
    public ProcessGroup Group { get; private set; } = null!;

    public static async Task<Member> JoinAsync(GroupNode node, string name)
    {
        var member = new Member();
        member.Group = await node.JoinAsync(name, member.Options()).AsTask().WaitAsync(RealCluster.Patience);
        return member;
    }

    public GroupOptions Options() => new()
    {
        State = StateTransfer.Json(() => Texts, state => Texts = state),
        Configure = group =>
        {
            group.OnMessage(m =>
            {
                string text = Encoding.UTF8.GetString(m.Body.Span);
                Texts.Add(text);
                Ids.Add(m.Id);
                _deliveries.Writer.TryWrite(text);
                return text == "throw" ? throw new InvalidOperationException("as asked") : default;
            });
        },
    };

    public ValueTask SendAsync(string text, Order order = Order.Total) => Group.SendAsync(order, Encoding.UTF8.GetBytes(text));

    /// <summary>Waits for so many more deliveries.</summary>
    public async Task<List<string>> ReadAsync(int count)
    {
        using var patience = new CancellationTokenSource(RealCluster.Patience);
        var texts = new List<string>();
        while (texts.Count < count)
        {
            texts.Add(await _deliveries.Reader.ReadAsync(patience.Token));
        }

        return texts;
    }

    /// <summary>Waits for a view with these members.</summary>
    public async Task<View> ViewOfAsync(params string[] names)
    {
        using var patience = new CancellationTokenSource(RealCluster.Patience);
        await foreach (View view in Group.Views(patience.Token))
        {
            if (view.Members.Select(m => m.Name).SequenceEqual(names))
            {
                return view;
            }
        }

        throw new InvalidOperationException("The views ended.");
    }
}
