// One node of a hand-driven cluster: a machine and an application that handles everything at once.
// Keeps: each input is a turn of its own.
using System.Collections.Immutable;
using Core.Groups.Protocol;
using Core.Groups.Protocol.Groups;
using Core.Groups.Protocol.Requests;
using Core.Groups.Testing.Simulation;
using Core.Groups.Tracing;

namespace Core.Groups.Tests.Paper;

/// <summary>A node through its incarnations. It joins again what it was in.</summary>
internal sealed class HandDrivenNode(HandDrivenCluster cluster, string name, NodeSettings settings) : INodeEffects
{
    private readonly SortedDictionary<GroupId, GroupReplica> _replicas = [];
    private readonly SortedSet<string> _wanted = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _joining = new(StringComparer.Ordinal);
    private readonly Queue<Action<NodeMachine, TimeSpan>> _later = new();
    private readonly List<GroupId> _unsaid = [];
    private readonly Queue<GroupId> _unconsumed = new();
    private readonly Dictionary<string, long> _joinCalls = [];
    private NodeMachine? _machine;
    private int _incarnation;
    private ReadOnlyMemory<byte> _remembered;
    private long _lastCall, _deletion;
    private bool _isOver;

    public string Name => name;
    public NodeId Id => new(name, _incarnation);
    public PeerIdentity Identity => new(Id, settings.Address, "", settings.Weight, settings.Seeds.Contains(settings.Address));
    public TimeSpan Now { get; set; }
    public bool IsUp => _machine is not null;
    public IEnumerable<GroupReplica> Replicas => _replicas.Values;

    public void Start()
    {
        if (IsUp) return;
        _isOver = false;
        _incarnation++;
        _machine = new NodeMachine(Id, settings with { Remembered = _remembered }, (ulong)name[0], (ulong)_incarnation, this);
        Do((m, now) => m.Start(now));
        foreach (string group in _wanted) AskToJoin(group);
    }

    public void Kill()
    {
        _machine = null;
        _replicas.Clear();
        _joining.Clear();
        _later.Clear();
        _unconsumed.Clear();
    }

    /// <summary>One turn, and the turns of the application that follow from it.</summary>
    public void Do(Action<NodeMachine, TimeSpan> input)
    {
        _later.Enqueue(input);
        while (_machine is { } machine && _later.TryDequeue(out Action<NodeMachine, TimeSpan>? next))
        {
            try
            {
                next(machine, Now);
                machine.EndTurn(Now);
            }
            catch (Exception exception)
            {
                cluster.Violate($"{Id} threw {exception}");
                _isOver = true;
            }
            if (_isOver) cluster.End(this);
        }
    }

    public void Join(string group)
    {
        if (_wanted.Add(group)) AskToJoin(group);
    }

    public void Leave(string group)
    {
        if (_wanted.Remove(group) && Find(group) is { } replica) Do((m, now) => m.Leave(now, ++_lastCall, replica.Id));
    }

    /// <summary>Deletes a group, as a member or not.</summary>
    public void Delete(string group)
    {
        _deletion = ++_lastCall;
        Do((m, now) => m.DeleteGroup(now, _deletion, group));
    }

    /// <summary>Whether the group that this node deletes may still be found.</summary>
    public bool IsDeleting => _deletion != 0;

    public void Watch(string group) => Do((m, now) => m.WatchGroup(now, ++_lastCall, group));

    /// <summary>The changes of groups that this node's watches were told of.</summary>
    public List<ViewChange> Watched { get; } = [];

    /// <summary>Gives up a join that is under way: where it is too late for that, the membership ends at once.</summary>
    public void GiveUp(string group)
    {
        if (!_joining.Remove(group)) return;
        _wanted.Remove(group);
        Do((m, now) => m.Cancel(now, _joinCalls[group]));
    }

    /// <summary>Multicasts; nothing happens if the node is no member that has the state.</summary>
    public void Send(string group, Order order, int size = 8)
    {
        if (Find(group) is not { IsLoaded: true } replica) return;
        byte[] body = new byte[Math.Max(8, size)];
        BitConverter.TryWriteBytes(body, ++cluster.LastMarker);
        Do((m, now) => m.Multicast(now, 0, replica.Id, order, body));
    }

    /// <summary>Multicasts to all the groups at once, or with a label; nothing happens if the node is not in all, with their states.</summary>
    public void Send(string[] groups, Order order, string? label, params NodeId[] to)
    {
        GroupReplica?[] all = [.. groups.Select(Find)];
        if (Array.Exists(all, r => r is not { IsLoaded: true })) return;
        byte[] body = new byte[8];
        BitConverter.TryWriteBytes(body, ++cluster.LastMarker);
        if (order == Order.Group) cluster.SpanningBroadcasts[Id] = cluster.SpanningBroadcasts.GetValueOrDefault(Id) + 1;
        Do((m, now) => m.Multicast(now, 0, new SpreadTarget([.. all.Select(r => r!.Id).Order()], to, label), order, body));
    }

    public Delivery LastDelivery { get; private set; }

    /// <summary>The application takes its time over a state, until it says that it has it.</summary>
    public bool IsSlow { get; set; }

    public void SayLoaded()
    {
        IsSlow = false;
        foreach (GroupId group in _unsaid) Do((m, now) => m.StateLoaded(now, group, true));
        _unsaid.Clear();
    }

    /// <summary>A handler of the application does not return: nothing that was delivered is consumed.</summary>
    public bool IsStanding { get; set; }

    public bool IsBehind => _unconsumed.Count > 0;

    /// <summary>The handler returns, and the application consumes what has come meanwhile.</summary>
    public void GoOn()
    {
        IsStanding = false;
        while (_unconsumed.TryDequeue(out GroupId group)) Do((m, now) => m.Consumed(now, group, 1));
    }

    /// <summary>Sets an entry of the group's configuration data.</summary>
    public void Configure(string group)
    {
        if (Find(group) is not { IsLoaded: true } replica) return;
        string value = $"{++cluster.LastMarker}";
        Do((m, now) => m.Configure(now, 0, replica.Id, "x", value));
    }

    /// <summary>Ranks the members the other way round.</summary>
    public void Rank(string group)
    {
        if (Find(group) is not { IsLoaded: true, View: { } view } replica) return;
        Do((m, now) => m.Rank(now, ++_lastCall, replica.Id, [.. view.Members.Reverse()]));
    }

    public void Stop() => Do((m, now) => m.Stop(now));

    /// <summary>What keeps this node from being at rest with all others; null: nothing.</summary>
    public string? Obstacle(IReadOnlyCollection<HandDrivenNode> all)
    {
        if (_machine is not { } machine) return $"{name} is down";
        if (machine.IsBlocked || machine.Configuration is not { } configuration) return $"{Id} is blocked";
        if (!all.All(n => configuration.Members.Contains(n.Id)) || configuration.Members.Length != all.Count) return $"{Id} is in {configuration.Id} [{string.Join(' ', configuration.Members)}]";
        if (machine.IsMerging) return $"{Id} has groups that merge";
        MachineStatistics statistics = machine.Statistics;
        if (statistics.Queued + statistics.Unstable > 0) return $"{Id} queues {statistics.Queued} and keeps {statistics.Unstable}";
        string? lacking = _wanted.FirstOrDefault(g => Find(g) is not { IsLoaded: true });
        if (lacking is not null) return $"{Id} has no state of {lacking}";
        return _replicas.Values.FirstOrDefault(r => !_wanted.Contains(r.Name)) is { } unwanted ? $"{Id} is still in {unwanted.Name}" : null;
    }

    private GroupReplica? Find(string group) => _replicas.Values.FirstOrDefault(r => r.Name == group);

    private void AskToJoin(string group)
    {
        if (!IsUp || Find(group) is not null || !_joining.Add(group)) return;
        long call = _joinCalls[group] = ++_lastCall;
        var candidate = new GroupId(((ulong)name[0] << 32) + ((ulong)_incarnation * 1000) + (ulong)call, group[^1]);
        Do((m, now) => m.Join(now, call, group, candidate));
    }

    void INodeEffects.Dial(string address) => cluster.Wants(this, address);
    void INodeEffects.Transmit(int connection, ReadOnlySpan<byte> frame) => cluster.Transmit(this, connection, frame);
    void INodeEffects.Close(int connection, string reason) => cluster.Close(this, connection);
    void INodeEffects.Store(long sequence, ReadOnlyMemory<byte> record)
    {
        _remembered = record;
        _later.Enqueue((m, now) => m.Stored(now, sequence));
    }

    void INodeEffects.Trace(TraceEvent line) => cluster.Record(line);
    void INodeEffects.ConfigurationInstalled(Configuration configuration, ImmutableArray<PeerIdentity> peers, ImmutableArray<NodeId> leavers) { }
    void INodeEffects.Blocked() { }
    void INodeEffects.Unblocked() { }
    void INodeEffects.Excluded(string reason, bool isLineageOver) => _isOver = true;
    void INodeEffects.Stopped() => _isOver = true;
    void INodeEffects.NameTaken(string byAddress) => cluster.Violate($"The name of {Id} is taken.");
    void INodeEffects.CreditReleased(GroupId group, long bytes) { }
    void INodeEffects.Sent(long call, MessageId message) { }
    void INodeEffects.RequestCompleted(long call, Outcome outcome, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed) { }
    void INodeEffects.GroupFound(long call, GroupInfo? group) { }
    void INodeEffects.WatchBegun(long call) { }
    void INodeEffects.WatchedChange(long call, GroupId group, ViewChange change) => Watched.Add(change);
    void INodeEffects.JoinRefused(long call, string reason) { }
    void INodeEffects.InspectJoin(GroupId group, long token, NodeId joiner, ReadOnlyMemory<byte> credentials) { }
    void INodeEffects.GroupsListed(long call, ImmutableArray<string> names) { }

    void INodeEffects.Log(ProtocolLogLevel level, string message)
    {
        if (level == ProtocolLogLevel.Error) cluster.Violate(message);
    }

    void INodeEffects.Completed(long call, Outcome outcome)
    {
        if (call == _deletion) _deletion = 0;
        if (outcome is Outcome.StateTransferFailed) cluster.Violate($"A state transfer to {Id} failed.");
    }

    void INodeEffects.Joined(long call, GroupId group, string groupName)
    {
        _joining.Remove(groupName);
        if (!_replicas.TryAdd(group, new GroupReplica(group, groupName))) cluster.Violate($"{Id} joined {groupName} twice.");
        if (!_wanted.Contains(groupName)) _later.Enqueue((m, now) => m.Leave(now, ++_lastCall, group));
    }

    void INodeEffects.ViewInstalled(View view)
    {
        if (_replicas.TryGetValue(view.Group, out GroupReplica? replica)) replica.View = view;
        else cluster.Violate($"{Id} got a view of {view.GroupName}, of which it is no member.");
    }

    void INodeEffects.Configured(GroupId group, string key, string? value)
    {
        if (_replicas.TryGetValue(group, out GroupReplica? replica)) replica.Configure(key, value, isTransferred: !replica.IsLoaded);
    }

    void INodeEffects.GroupLeft(GroupId group, GroupEnd end)
    {
        if (_replicas.Remove(group, out GroupReplica? replica) && _wanted.Contains(replica.Name)) _later.Enqueue((_, _) => AskToJoin(replica.Name));
    }

    void INodeEffects.SaveState(GroupId group, long token)
    {
        if (!_replicas.TryGetValue(group, out GroupReplica? replica)) return;
        byte[] state = replica.Save(ballast: 0);
        cluster.States.OnSaved(Id, state, cluster.History.Count);
        _later.Enqueue((m, now) => m.StateSaved(now, token, state));
    }

    void INodeEffects.ReadState(GroupId group, long token) { }

    void INodeEffects.EndState(GroupId group, long token) { }

    void INodeEffects.StreamState(GroupId group, StateStep step, ReadOnlyMemory<byte> piece, long expected) { }

    void INodeEffects.LoadState(GroupId group, ReadOnlyMemory<byte>? state)
    {
        if (!_replicas.TryGetValue(group, out GroupReplica? replica)) return;
        if (replica.IsLoaded || (state is { } bytes && !replica.TryLoad(bytes))) cluster.Violate($"{Id} cannot load a state of {replica.Name}.");
        if (state is { } loaded) cluster.States.OnLoaded(Id, loaded);
        replica.IsLoaded = true;
        if (IsSlow) _unsaid.Add(group);
        else _later.Enqueue((m, now) => m.StateLoaded(now, group, true));
    }

    void INodeEffects.ReconcileState(GroupId group, ImmutableArray<SideState> sides)
    {
        if (!_replicas.TryGetValue(group, out GroupReplica? replica)) return;
        if (!replica.TryReconcile([.. sides.Select(s => s.State!.Value)])) cluster.Violate($"{Id} cannot reconcile the states of {replica.Name}.");
        _later.Enqueue((m, now) => m.StateLoaded(now, group, true));
    }

    void INodeEffects.GroupRenamed(GroupId before, GroupId after)
    {
        if (!_replicas.Remove(before, out GroupReplica? replica)) return;
        replica.Id = after;
        _replicas.Add(after, replica);
    }

    void INodeEffects.Deliver(in Delivery delivery)
    {
        LastDelivery = delivery;
        if (!_replicas.TryGetValue(delivery.Group, out GroupReplica? replica))
        {
            if (delivery.Group != GroupId.None) cluster.Violate($"{Id} got {delivery.Message} of a group that it is not in.");
            return;
        }
        if (!replica.IsLoaded) cluster.Violate($"{Id} got {delivery.Message} before the state.");
        foreach (GroupReplica each in delivery.Spread is { } spread ? spread.Groups.Select(g => _replicas[g]) : [replica])
        {
            if (!each.Apply(delivery, BitConverter.ToUInt64(delivery.Body.Span))) cluster.Violate($"{Id} got {delivery.Message} twice.");
        }
        if (IsStanding) _unconsumed.Enqueue(replica.Id);
        else _later.Enqueue((m, now) => m.Consumed(now, replica.Id, 1));
    }
}
