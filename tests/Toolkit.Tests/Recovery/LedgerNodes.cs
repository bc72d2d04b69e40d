// Real nodes with directories of their own that keep a ledger in a logged group, to be killed and started again in any order.
using System.Collections.Concurrent;
using Core.Groups;
using Samples.Shared;
using Toolkit.Recovery;

namespace Toolkit.Tests.Recovery;

/// <summary>One node's ledger: a list of texts in delivery order.</summary>
internal sealed class LedgerNode(GroupNode node)
{
    private readonly Lock _gate = new();
    private List<string> _entries = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public GroupNode Node => node;

    public LoggedGroup Group { get; private set; } = null!;

    public string[] Entries
    {
        get
        {
            lock (_gate) return [.. _entries];
        }
    }

    /// <summary>The members of every view that it was shown, in order.</summary>
    public ConcurrentQueue<string> Views { get; } = [];

    public async Task JoinAsync(string name = "/ledger", LoggedGroupOptions? options = null, CancellationToken ct = default) =>
        Group = await node.JoinLoggedAsync(
            name,
            new GroupOptions
            {
                State = new StateTransfer
                {
                    Initialize = () => Set([]),
                    Save = () => ValueTask.FromResult<ReadOnlyMemory<byte>>(System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(Entries)),
                    Load = state => Set(System.Text.Json.JsonSerializer.Deserialize<List<string>>(state.Span)!),
                },
                OnView = view =>
                {
                    Views.Enqueue(string.Join(" ", view.Members.Select(m => m.Name)));
                    return default;
                },
                Configure = group => group.On<string>((entry, _) =>
                {
                    lock (_gate) _entries.Add(entry);
                    Tell();
                    return default;
                }),
            },
            options, ct);

    private ValueTask Set(List<string> entries)
    {
        lock (_gate) _entries = entries;
        Tell();
        return default;
    }

    /// <summary>Completes when the ledger is so.</summary>
    public async Task WaitForAsync(string[] entries)
    {
        while (true)
        {
            Task changed = Volatile.Read(ref _changed).Task;
            if (Entries.SequenceEqual(entries)) return;
            await changed;
        }
    }

    private void Tell() => Interlocked.Exchange(ref _changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
}

internal sealed class LedgerNodes : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("ledger").FullName;
    private readonly string[] _seeds;
    private readonly LedgerNode?[] _nodes;

    public LedgerNodes(int nodes) => (_seeds, _nodes) = (FreeAddresses.Take(nodes), new LedgerNode?[nodes]);

    public LedgerNode this[int index] => _nodes[index]!;

    public IEnumerable<LedgerNode> All => _nodes.OfType<LedgerNode>();

    public async Task<LedgerNode> StartAsync(int index, Action<GroupNodeOptions>? configure = null)
    {
        string name = ((char)('a' + index)).ToString();
        var options = new GroupNodeOptions
        {
            Name = name, Listen = _seeds[index], Seeds = _seeds, DataDirectory = Path.Combine(_directory, name),
            Heartbeat = TimeSpan.FromMilliseconds(50), SuspectAfter = TimeSpan.FromSeconds(20),
        };
        configure?.Invoke(options);
        return _nodes[index] = new LedgerNode(await GroupNode.StartAsync(options));
    }

    public async Task StartAndJoinAsync(params int[] order)
    {
        foreach (int index in order) await StartAsync(index);
        await Task.WhenAll(order.Select(i => this[i].JoinAsync())).WaitAsync(RealNodes.Patience);
    }

    public async Task KillAsync(int index)
    {
        GroupNode node = _nodes[index]!.Node;
        node.Crash();
        await node.Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _nodes[index] = null;
    }

    public void LoseStore(int index) => Directory.Delete(Path.Combine(_directory, ((char)('a' + index)).ToString()), recursive: true);

    public async ValueTask DisposeAsync()
    {
        for (int i = 0; i < _nodes.Length; i++)
        {
            if (_nodes[i] is not null) await KillAsync(i);
        }

        Directory.Delete(_directory, recursive: true);
    }
}
