// One incarnation of a simulated node: a protocol machine, its inputs and its timer.
// Keeps: the machine's contract. One call at a time, each with this incarnation's clock; every batch ends with EndTurn.
using System.Collections.Immutable;
using Core.Groups.Protocol;
using Core.Groups.Protocol.Groups;
using Core.Groups.Tracing;

namespace Core.Groups.Testing.Simulation;

/// <summary>How an incarnation ended.</summary>
internal enum ProcessEnd : byte { Crashed, Excluded, Stopped, NameTaken }

/// <summary>A running machine and its outside.</summary>
internal sealed class SimulatedProcess : INodeEffects, INetworkEndpoint
{
    /// <summary>A machine whose deadline stays in the past for so many ticks never sleeps again.</summary>
    private const int MaximumLateTicks = 1000;

    private readonly record struct Input(int Connection, ReadOnlyMemory<byte> Frame, Action<TimeSpan>? Call);

    private readonly SimulatedCluster cluster;
    private readonly SimulatedNode node;
    private readonly SimulationRandom random;
    private readonly TimeSpan startedAt;
    private readonly Queue<Input> inputs = [];
    private readonly List<Action> deferred = [];
    private bool turnArmed;
    private TimeSpan? tickArmed;
    /// <summary>The machine's, as it was at the end of its last turn.</summary>
    private TimeSpan deadline = TimeSpan.MaxValue;
    private int lateTicks;
    private ProcessEnd? end;

    public SimulatedProcess(SimulatedCluster cluster, SimulatedNode node, NodeId id, NodeSettings settings, SimulationRandom random)
    {
        this.cluster = cluster;
        this.node = node;
        this.random = random;
        startedAt = cluster.Time.Now;
        Id = id;
        Identity = new PeerIdentity(id, settings.Address, settings.Site, settings.Weight, settings.Seeds.Contains(settings.Address));
        ApplicationSeat seat = new(cluster, this, node.Wanted, random.Fork(), settings.CreditWindow);
        Application = cluster.Options.Traffic?.CreateApplication(seat) ?? new SimulatedApplication(seat);
        Machine = new NodeMachine(id, settings, random.NextULong(), random.NextULong(), this);
    }

    public NodeId Id { get; }
    public NodeMachine Machine { get; }
    public ISimulatedApplication Application { get; }

    /// <summary>The application, where it is the scripted one.</summary>
    public SimulatedApplication Scripted => (SimulatedApplication)Application;

    public PeerIdentity Identity { get; }
    public bool IsFrozen { get; private set; }
    public bool IsBlocked { get; private set; }
    public bool Answers => !IsFrozen && end is null;

    /// <summary>Whether it has ended, however it did.</summary>
    public bool IsOver => end is not null;

    /// <summary>Whether inputs wait for the machine.</summary>
    public bool HasInputs => inputs.Count > 0;

    /// <summary>This process's clock.</summary>
    public TimeSpan LocalNow => cluster.Time.Now - startedAt;

    /// <summary>Calls the machine in its next turn.</summary>
    public void Call(Action<TimeSpan> call) => Enqueue(new Input(0, default, call));

    /// <summary>Runs an act of this process later: not after its end, and not while it is frozen.</summary>
    public void After(TimeSpan delay, Action act) => cluster.Time.After(delay, () =>
    {
        if (end is not null) return;
        if (IsFrozen) deferred.Add(act);
        else act();
    });

    public void Freeze() => IsFrozen = true;

    public void Thaw()
    {
        if (!IsFrozen || end is not null) return;
        IsFrozen = false;
        Action[] late = [.. deferred];
        deferred.Clear();
        foreach (Action act in late)
        {
            if (end is not null) return;
            act();
        }
        if (inputs.Count > 0) ArmTurn();
        ArmTick();
    }

    /// <summary>The process is gone: the machine is never called again.</summary>
    public void Kill() => end = ProcessEnd.Crashed;

    private void Enqueue(in Input input)
    {
        if (end is not null) return;
        inputs.Enqueue(input);
        ArmTurn();
    }

    private void ArmTurn()
    {
        if (turnArmed) return;
        turnArmed = true;
        After(TimeSpan.FromMicroseconds(random.Chance(0.3) ? random.Below(40) : 0), () => { turnArmed = false; Turn(); });
    }

    /// <summary>The deadline can only be heeded as exactly as a timer of an operating system can.</summary>
    private void ArmTick()
    {
        if (deadline == TimeSpan.MaxValue) return;
        TimeSpan late = TimeSpan.FromMicroseconds(random.Chance(0.05) ? random.Below(16_000) : random.Below(1_000));
        TimeSpan at = startedAt + deadline;
        if (tickArmed is { } armed && armed <= at + late) return;
        TimeSpan due = at + late > cluster.Time.Now ? at + late : cluster.Time.Now + TimeSpan.FromMicroseconds(1);
        tickArmed = due;
        After(due - cluster.Time.Now, () =>
        {
            if (tickArmed != due) return;
            tickArmed = null;
            Turn();
        });
    }

    /// <summary>A batch of whatever is ready, as a host's loop would take it.</summary>
    private void Turn()
    {
        TimeSpan now = LocalNow;
        try
        {
            if (deadline <= now) Machine.Tick(now);
            for (int batch = random.Between(1, 16); batch > 0 && end is null && inputs.TryDequeue(out Input input); batch--)
            {
                if (input.Call is { } call) call(now);
                else Machine.FrameReceived(now, input.Connection, input.Frame);
            }
            Machine.EndTurn(now);
            deadline = Machine.NextDeadline;
            lateTicks = deadline <= now ? lateTicks + 1 : 0;
        }
        catch (Exception exception)
        {
            cluster.Violate($"{Id}: the machine threw {exception}");
            return;
        }
        if (end is { } how)
        {
            Application.OnProcessEnded(how);
            node.ProcessEnded(how);
            return;
        }
        if (lateTicks > MaximumLateTicks)
            cluster.Violate($"{Id}: the deadline {deadline} stays in the past at {now}, however often Tick is called.");
        if (inputs.Count > 0) ArmTurn();
        ArmTick();
    }

    void INetworkEndpoint.Connected(int connection, PeerIdentity peer)
    {
        Call(now => Machine.PeerConnected(now, connection, peer));
    }

    void INetworkEndpoint.Disconnected(int connection) => Call(now => Machine.PeerDisconnected(now, connection));

    void INetworkEndpoint.DialFailed(string address, bool refused) => Call(now => Machine.DialFailed(now, address, refused));

    void INetworkEndpoint.Received(int connection, ReadOnlyMemory<byte> frame) => Enqueue(new Input(connection, frame, null));

    void INodeEffects.Dial(string address) => cluster.Network.Dial(this, node.Name, address);

    void INodeEffects.Transmit(int connection, ReadOnlySpan<byte> frame)
    {
        cluster.Fingerprint.Add(frame);
        cluster.Network.Transmit(this, connection, frame);
    }

    void INodeEffects.Close(int connection, string reason) => cluster.Network.Close(this, connection);

    void INodeEffects.Store(long sequence, ReadOnlyMemory<byte> record) => node.Disk!.Write(
        record, () => Call(now => Machine.Stored(now, sequence)), () => After(TimeSpan.Zero, () =>
        {
            cluster.Log(Id, "the disk failed: the process ends");
            node.Crash();
        }));

    void INodeEffects.Trace(TraceEvent line) => cluster.Record(line);

    void INodeEffects.ConfigurationInstalled(Configuration configuration, ImmutableArray<PeerIdentity> peers, ImmutableArray<NodeId> leavers)
    {
        cluster.Coverage.Configurations++;
        if (!configuration.Members.Contains(Id)) cluster.Violate($"{Id} installed {configuration.Id}, of which it is no member.");
        if (!configuration.Members.SequenceEqual(peers.Select(peer => peer.Id)))
            cluster.Violate($"{Id} was told other peers than the members of {configuration.Id}.");
    }

    void INodeEffects.Blocked() => IsBlocked = true;

    void INodeEffects.Unblocked() => IsBlocked = false;

    void INodeEffects.Excluded(string reason, bool isLineageOver)
    {
        cluster.Log(Id, $"excluded{(isLineageOver ? " with its lineage" : "")}: {reason}");
        end ??= ProcessEnd.Excluded;
    }

    void INodeEffects.NameTaken(string byAddress)
    {
        cluster.Violate($"{Id} was refused because its name is taken at {byAddress}, but no other process has that name.");
        end ??= ProcessEnd.NameTaken;
    }

    void INodeEffects.Stopped() => end ??= ProcessEnd.Stopped;

    void INodeEffects.Log(ProtocolLogLevel level, string message)
    {
        cluster.Log(Id, message);
        if (level == ProtocolLogLevel.Error) cluster.Violate($"{Id} logged an error: {message}");
    }

    void INodeEffects.ViewInstalled(View view) => Application.OnView(view);

    void INodeEffects.Deliver(in Delivery delivery) => Application.OnDelivery(delivery);

    void INodeEffects.SaveState(GroupId group, long token) => Application.OnSaveState(group, token);

    void INodeEffects.SaveWholeState(GroupId group, long token) => Scripted.OnSaveState(group, token, isWhole: true);

    void INodeEffects.MigrationOffered(long token, GroupId group, string name, NodeId from) => Scripted.Moves.OnOffered(token, name, from);

    void INodeEffects.MigrationEnded(long call, GroupInfo? moved, string? reason) => Scripted.Moves.OnEnded(call, moved, reason);

    void INodeEffects.LoadState(GroupId group, ReadOnlyMemory<byte>? state) => Application.OnLoadState(group, state);

    void INodeEffects.ReadState(GroupId group, long token) => Application.OnReadState(group, token);

    void INodeEffects.EndState(GroupId group, long token) => Application.OnEndState(token);

    void INodeEffects.StreamState(GroupId group, StateStep step, ReadOnlyMemory<byte> piece, long expected) => Application.OnStreamState(group, step, piece);

    void INodeEffects.ReconcileState(GroupId group, ImmutableArray<SideState> sides) => Scripted.OnReconcile(group, sides);

    void INodeEffects.GroupRenamed(GroupId before, GroupId after) => Scripted.OnRenamed(before, after);

    void INodeEffects.Configured(GroupId group, string key, string? value) => Application.OnConfigured(group, key, value);

    void INodeEffects.GroupLeft(GroupId group, GroupEnd end) => Application.OnGroupLeft(group, end);

    void INodeEffects.CreditReleased(GroupId group, long bytes) => Application.OnCreditReleased(group, bytes);

    void INodeEffects.Sent(long call, MessageId message) => Application.OnSent(call, message);

    void INodeEffects.Completed(long call, Outcome outcome) => Application.OnCompleted(call, outcome);

    void INodeEffects.JoinRefused(long call, string reason) => Scripted.OnJoinRefused(call);

    void INodeEffects.InspectJoin(GroupId group, long token, NodeId joiner, ReadOnlyMemory<byte> credentials) =>
        Scripted.OnInspectJoin(group, token, joiner, credentials);

    void INodeEffects.GroupFound(long call, GroupInfo? group) => Scripted.Queries.OnFound(call, group);

    void INodeEffects.WatchBegun(long call) => Scripted.Queries.OnWatchBegun(call);

    void INodeEffects.WatchedChange(long call, GroupId group, ViewChange change) => Scripted.Queries.OnWatchedChange(call, group, change);

    void INodeEffects.GroupsListed(long call, ImmutableArray<string> names) => Scripted.Queries.OnListed(call, names);

    void INodeEffects.Joined(long call, GroupId group, string name) => Application.OnJoined(call, group, name);

    void INodeEffects.RequestCompleted(long call, Outcome outcome, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed) =>
        Application.OnRequestCompleted(call, outcome, replies, failed);
}
