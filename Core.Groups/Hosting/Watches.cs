// The watches of one node: of nodes, from the configurations it installs; of groups, from what the protocol tells.
// Keeps: a watch misses nothing between its beginning and its end; events wait for their reader in memory: they are rare.
using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Core.Groups.Protocol.Groups;

namespace Core.Groups.Hosting;

/// <summary>Hands events to those that watch. Safe for any thread.</summary>
internal sealed class Watches
{
    private readonly Lock _gate = new();
    private readonly List<(string? Name, Channel<WatchEvent> Events)> _ofNodes = [];
    private readonly Dictionary<long, GroupWatch> _ofGroups = [];
    private ImmutableArray<NodeId> _members = [];
    private bool _isComplete;

    private sealed record GroupWatch(string Group, Channel<WatchEvent> Events, TaskCompletionSource Begun);

    public IAsyncEnumerable<WatchEvent> OfNodes(string? name, CancellationToken ct)
    {
        Channel<WatchEvent> events = Channel.CreateUnbounded<WatchEvent>();
        lock (_gate)
        {
            if (_isComplete)
            {
                events.Writer.Complete();
            }

            _ofNodes.Add((name, events));
        }

        return ReadAsync(events, () => Remove(events), ct);
    }

    /// <summary>Event loop: the configuration, after those that left it of their own will.</summary>
    public void OnConfiguration(Configuration configuration, ImmutableArray<NodeId> leavers)
    {
        lock (_gate)
        {
            foreach (NodeId gone in _members.Where(m => !configuration.Members.Contains(m)))
            {
                Tell(new WatchEvent(gone, null, leavers.Contains(gone) ? WatchKind.Left : WatchKind.Failed));
            }

            foreach (NodeId joined in configuration.Members.Where(m => !_members.Contains(m)))
            {
                Tell(new WatchEvent(joined, null, WatchKind.Joined));
            }

            _members = configuration.Members;
        }
    }

    public async ValueTask<IAsyncEnumerable<WatchEvent>> OfGroupAsync(NodeHost host, string group, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        PendingCall call = host.Calls.Add(host.Generation, group);
        var watch = new GroupWatch(group, Channel.CreateUnbounded<WatchEvent>(), new(TaskCreationOptions.RunContinuationsAsynchronously));
        lock (_gate)
        {
            _ofGroups.Add(call.Number, watch);
        }

        _ = EndAsync(host, call, watch, ct);
        host.Loop.Post(new NodeInput { Kind = InputKind.WatchGroup, Call = call.Number, Generation = call.Generation, Subject = group }, schedule: false);
        host.Loop.RunHere();
        await watch.Begun.Task.ConfigureAwait(false);
        return ReadAsync(watch.Events, () => host.Withdraw(call, CancellationToken.None), ct);
    }

    /// <summary>Event loop: the watch of this call has begun.</summary>
    public void Begin(long call) => Find(call)?.Begun.TrySetResult();

    /// <summary>Event loop: the group has changed.</summary>
    public void OnChange(long call, ViewChange change)
    {
        if (Find(call) is not { } watch)
        {
            return; // it was withdrawn
        }

        Write(change.Failed, WatchKind.Failed);
        Write(change.Left, WatchKind.Left);
        Write(change.Joined, WatchKind.Joined);

        void Write(ImmutableArray<NodeId> nodes, WatchKind what)
        {
            foreach (NodeId node in nodes)
            {
                watch.Events.Writer.TryWrite(new WatchEvent(node, watch.Group, what));
            }
        }
    }

    /// <summary>The node is over.</summary>
    public void Complete()
    {
        lock (_gate)
        {
            _isComplete = true;
            foreach ((_, Channel<WatchEvent> events) in _ofNodes)
            {
                events.Writer.TryComplete();
            }
        }
    }

    private async Task EndAsync(NodeHost host, PendingCall call, GroupWatch watch, CancellationToken ct)
    {
        try
        {
            await host.WaitAsync(call, ct).ConfigureAwait(false);
            watch.Events.Writer.TryComplete();
            watch.Begun.TrySetResult();
        }
        catch (Exception e)
        {
            watch.Events.Writer.TryComplete(e);
            watch.Begun.TrySetException(e);
            _ = watch.Begun.Task.Exception; // whoever waits for it sees it
        }
        finally
        {
            lock (_gate)
            {
                _ofGroups.Remove(call.Number);
            }
        }
    }

    private static async IAsyncEnumerable<WatchEvent> ReadAsync(Channel<WatchEvent> events, Action end, [EnumeratorCancellation] CancellationToken ct)
    {
        try
        {
            await foreach (WatchEvent happened in events.Reader.ReadAllAsync(ct).ConfigureAwait(false))
            {
                yield return happened;
            }
        }
        finally
        {
            end();
        }
    }

    private GroupWatch? Find(long call)
    {
        lock (_gate)
        {
            return _ofGroups.GetValueOrDefault(call);
        }
    }

    private void Remove(Channel<WatchEvent> events)
    {
        lock (_gate)
        {
            _ofNodes.RemoveAll(w => w.Events == events);
        }
    }

    private void Tell(WatchEvent happened)
    {
        foreach ((string? name, Channel<WatchEvent> events) in _ofNodes)
        {
            if (name is null || name == happened.Node.Name)
            {
                events.Writer.TryWrite(happened);
            }
        }
    }
}
