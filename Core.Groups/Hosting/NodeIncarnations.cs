// The turns of a node's event loop, and its incarnations: one protocol machine after another on one transport.
// Keeps: inputs for an earlier incarnation never reach a later one; within a turn the trace is flushed first, then frames
// leave, then the application sees (trace contract). Follows: protocol, section 6 (who was excluded comes back as new).
using System.Security.Cryptography;
using Core.Groups.Protocol;
using Core.Groups.Protocol.Requests;
using Core.Groups.Tracing;
using Core.Groups.Transport;
using Core.Groups.Wire;

namespace Core.Groups.Hosting;

/// <summary>Owns the present machine. Everything is called under the host's turn gate.</summary>
internal sealed class NodeIncarnations(NodeHost host, ITransport transport, Func<NodeId, TraceFile?> openTrace)
{
    private readonly HashSet<GroupMembership> _groups = [];
    private readonly List<GroupMembership> _left = [];
    private NodeSettings _settings = null!;
    private NodeEffects? _effects;
    private TraceFile? _trace;
    private bool _stopping;

    /// <summary>The present machine; null before the first.</summary>
    public NodeMachine? Machine { get; private set; }

    /// <summary>The groups that this node is in, joins, or joins again.</summary>
    public IReadOnlyCollection<GroupMembership> Groups => _groups;

    public void StartFirst(NodeSettings settings, NodeId self)
    {
        _settings = settings;
        try
        {
            StartMachine(self);
        }
        catch (WireFormatException e)
        {
            throw new StableStoreException($"The votes in the stable store cannot be read: {e.Message} Use the version that wrote them, or delete the store: then this node has forgotten everything, as one that is new.", e);
        }
    }

    /// <summary>One turn. Throws what the machine throws.</summary>
    public TimeSpan Run(ReadOnlySpan<NodeInput> inputs)
    {
        TimeSpan now = host.Loop.Now; // one reading for all inputs of a turn: it costs as much as handling a small one
        foreach (ref readonly NodeInput input in inputs)
        {
            if (input.Generation == host.Generation || input.Generation == NodeInput.AnyGeneration)
            {
                Feed(input, now);
                GoOnAfterExclusion();
            }
            else if (input.Kind != InputKind.StateOpened && host.Calls.Take(input.Call) is { } late)
            {
                late.End(CallResult.Of(Outcome.Excluded));
            }
        }

        now = host.Loop.Now;
        if (now >= Machine!.NextDeadline)
        {
            Machine.Tick(now);
        }

        EndTurn();
        GoOnAfterExclusion();
        _effects!.Publish(Machine.IsBlocked);
        Report();
        return Machine.NextDeadline;
    }

    /// <summary>The group is over, or was never joined.</summary>
    public void Forget(GroupMembership membership)
    {
        _groups.Remove(membership);
        _left.RemoveAll(g => g.Over.IsCompleted);
        _left.Add(membership);
    }

    /// <summary>Completes when the handlers have taken everything that they can.</summary>
    public Task WhenHandled() => Task.WhenAll(_groups.Concat(_left).Select(g => g.Mailbox.WhenIdle()).Append(host.Mailbox.WhenIdle()));

    /// <summary>The node is over.</summary>
    public void End(Exception? cause, bool writeFail)
    {
        if (writeFail)
        {
            _trace?.Append(new TraceEvent { Kind = TraceKind.Fail, Node = host.Self, Time = host.Loop.Now });
        }

        _trace?.Dispose();
        _effects?.PublishCalls(); // the machine had ended them
        host.Calls.Close(() => new NodeStoppedException(outcomeUnknown: true, cause), () => new NodeStoppedException(outcomeUnknown: false, cause)); // before the groups: of a join the others may know
        foreach (GroupMembership group in _groups.Concat(_left))
        {
            group.CutOff(() => new NodeStoppedException(outcomeUnknown: false, cause), forGood: true);
        }

        _groups.Clear();
        _left.Clear();
    }

    /// <summary>What the machine remembers goes to the disk; the machine hears when it is there.</summary>
    public void Store(long sequence, ReadOnlyMemory<byte> record)
    {
        int generation = host.Generation;
        host.Memory!.Keep(host.Self.Incarnation, record, () => host.Loop.Post(new NodeInput { Kind = InputKind.Stored, Token = sequence, Generation = generation }));
    }

    private void StartMachine(NodeId self)
    {
        Span<byte> random = stackalloc byte[16];
        RandomNumberGenerator.Fill(random);
        _trace = openTrace(self);
        host.Mailbox.Open(host.Generation);
        _effects = new NodeEffects(host, this, transport, _trace);
        if (Machine is { } before) _settings = _settings with { Contacts = before.PeerAddresses };
        NodeSettings settings = host.Memory is { } memory ? _settings with { Memory = memory.Store.Id, Remembered = memory.Remembered } : _settings;
        Machine = new NodeMachine(self, settings, BitConverter.ToUInt64(random), BitConverter.ToUInt64(random[8..]), _effects);
        Machine.Start(host.Loop.Now);
    }

    private void EndTurn()
    {
        Machine!.EndTurn(host.Loop.Now);
        _effects!.FlushTrace();
        transport.Flush();
    }

    // What the machine has said about itself.
    private void Report()
    {
        if (_effects!.NameTakenBy is { } address)
        {
            HostLog.NameTaken(host.Logger, host.Self.Name, address);
            host.End(new NameTakenException(host.Self.Name, address), abort: false);
        }
        else if (_effects.HasStopped)
        {
            host.OnMachineStopped();
        }
    }

    // Called after every input: the way out must be short.
    private void GoOnAfterExclusion()
    {
        if (_effects!.Exclusion is { } exclusion)
        {
            BeginAgain(exclusion.Reason, exclusion.IsLineageOver);
        }
    }

    private void BeginAgain(string reason, bool isLineageOver)
    {
        EndTurn(); // what it still had to say; its deliveries of this turn are dropped with it
        NodeId old = host.Self;
        var next = new NodeId(old.Name, Math.Max(NodeHost.UnixMilliseconds(), old.Incarnation + 1));
        HostLog.Excluded(host.Logger, old, reason, next);
        if (isLineageOver)
        {
            HostLog.LineageEnded(host.Logger, old);
        }

        host.Counters.Excluded();
        host.Mailbox.Drop();
        _effects!.PublishTrace();
        _effects.PublishCalls();
        _trace?.Dispose();

        host.BecomeIncarnation(next);
        transport.ChangeIdentity(next);
        Exception Error() => new ExcludedException(reason, outcomeUnknown: true) { LineageEnded = isLineageOver };
        host.Calls.EndGeneration(host.Generation - 1, Error);
        GroupMembership[] groups = [.. _groups];
        _groups.RemoveWhere(g => _stopping || !g.WantsRejoin);
        foreach (GroupMembership group in groups)
        {
            group.CutOff(() => new ExcludedException(reason, outcomeUnknown: false) { LineageEnded = isLineageOver }, forGood: !_groups.Contains(group));
        }

        StartMachine(next);
        if (_stopping)
        {
            host.OnMachineStopped(); // there is nobody left to take leave of
        }

        foreach (GroupMembership group in _groups.ToArray())
        {
            PendingCall call = host.Calls.Add(host.Generation, group.Name, isJoin: true);
            group.JoinCall = call.Number;
            Join(group, call.Number);
            _ = host.ObserveRejoinAsync(group, call);
        }
    }

    private void Feed(in NodeInput i, TimeSpan now)
    {
        NodeMachine machine = Machine!;
        switch (i.Kind)
        {
            case InputKind.PeerConnected: machine.PeerConnected(now, i.Number, (PeerIdentity)i.Subject!); break;
            case InputKind.PeerDisconnected: machine.PeerDisconnected(now, i.Number); break;
            case InputKind.DialFailed: machine.DialFailed(now, (string)i.Subject!, i.Flag); break;
            case InputKind.FrameReceived: machine.FrameReceived(now, i.Number, i.Body); break;
            case InputKind.ForcePrimary: machine.ForcePrimary(now, i.Call); break;
            case InputKind.Stored: machine.Stored(now, i.Token); break;
            case InputKind.NameTaken: OnNameTaken((string)i.Subject!); break;
            case InputKind.Join: Join((GroupMembership)i.Subject!, i.Call); break;
            case InputKind.Leave: Leave((GroupMembership)i.Subject!); break;
            case InputKind.Multicast: machine.Multicast(now, i.Call, i.Group, i.Order, i.Body); break;
            case InputKind.Request: machine.Request(now, i.Call, i.Group, i.Order, i.Body, i.Mode, i.Number, i.Timeout); break;
            case InputKind.RequestByName: machine.RequestByName(now, i.Call, (string)i.Subject!, i.Order, i.Body, i.Mode, i.Number, i.Timeout); break;
            case InputKind.Reply: machine.Reply(now, i.Token, i.Body, i.Flag); break;
            case InputKind.NoReply: machine.NoReply(now, i.Token); break;
            case InputKind.Cancel: machine.Cancel(now, i.Call); break;
            case InputKind.Flush: machine.Flush(now, i.Call); break;
            case InputKind.SpreadRequest: machine.Request(now, i.Call, (SpreadTarget)i.Subject!, i.Order, i.Body, i.Mode, i.Number, i.Timeout); break;
            case InputKind.RequestAsGroup: machine.RequestAsGroup(now, i.Call, i.Group, (string)i.Subject!, i.Token, i.Order, i.Body, i.Mode, i.Number, i.Timeout); break;
            case InputKind.ReplyWithCopies: machine.ReplyWithCopies(now, i.Token, i.Body, i.Flag, i.Number, (SpreadTarget)i.Subject!); break;
            case InputKind.PassOn: machine.PassOn(now, i.Token, i.Group, (NodeId?)i.Subject, i.Body); break;
            case InputKind.Migrate: machine.Migrate(now, i.Call, i.Group, (NodeId)i.Subject!); break;
            case InputKind.AcceptMigration: AcceptMigration((GroupMembership)i.Subject!, i.Token, i.Call, now); break;
            case InputKind.DeclineMigration: machine.DeclineMigration(now, i.Token, (string)i.Subject!); break;
            case InputKind.Spread: machine.Multicast(now, i.Call, (SpreadTarget)i.Subject!, i.Order, i.Body); break;
            case InputKind.Nothing: break;
            case InputKind.Configure: Configure(i, (ConfigurationEntry)i.Subject!, now); break;
            case InputKind.Rank: machine.Rank(now, i.Call, i.Group, (NodeId[])i.Subject!); break;
            case InputKind.StateSaved: machine.StateSaved(now, i.Token, StateOf(i)); break;
            case InputKind.StateOpened: machine.StateOpened(now, i.Group, i.Token, i.Call); break;
            case InputKind.StateRead: machine.StateRead(now, i.Token, StateOf(i), i.Number != 0); break;
            case InputKind.StateTaken: machine.StateTaken(now, i.Group, i.Number); break;
            case InputKind.StateLoaded: machine.StateLoaded(now, i.Group, i.Flag); break;
            case InputKind.Consumed: machine.Consumed(now, i.Group, i.Number); break;
            case InputKind.WatchGroup: machine.WatchGroup(now, i.Call, (string)i.Subject!); break;
            case InputKind.JoinInspected: machine.JoinInspected(now, i.Token, (string?)i.Subject); break;
            case InputKind.FindGroup: machine.FindGroup(now, i.Call, (string)i.Subject!); break;
            case InputKind.ListGroups: machine.ListGroups(now, i.Call, (string)i.Subject!); break;
            case InputKind.DeleteGroup: machine.DeleteGroup(now, i.Call, (string)i.Subject!); break;
            case InputKind.Stop: _stopping = true; machine.Stop(now); break;
            default: throw new InvalidOperationException($"There is no input {i.Kind}.");
        }
    }

    // Not the null literal: it would be taken for an array, and become an empty state.
    private static ReadOnlyMemory<byte>? StateOf(in NodeInput i) => i.Flag ? i.Body : default(ReadOnlyMemory<byte>?);

    private void Configure(in NodeInput i, ConfigurationEntry entry, TimeSpan now) =>
        Machine!.Configure(now, i.Call, i.Group, entry.Key, entry.Value);

    // Told by the handshake. A node that is in a cluster is the rightful bearer of its name: the newcomer gives up.
    private void OnNameTaken(string address)
    {
        if (Machine!.Configuration is null)
        {
            _effects!.NameTaken(address);
        }
    }

    private void Join(GroupMembership membership, long call)
    {
        GroupId candidate = GroupId.None;
        if (membership.Expected == GroupId.None)
        {
            Span<byte> random = stackalloc byte[16];
            RandomNumberGenerator.Fill(random);
            candidate = new GroupId(BitConverter.ToUInt64(random), BitConverter.ToUInt64(random[8..]));
        }

        _groups.Add(membership);
        _effects!.AddJoin(call, membership);
        Machine!.Join(host.Loop.Now, call, membership.Name, candidate, membership.Expected, membership.Credentials, membership.Inspects);
    }

    private void AcceptMigration(GroupMembership membership, long token, long call, TimeSpan now)
    {
        _groups.Add(membership);
        _effects!.AddJoin(call, membership);
        Machine!.AcceptMigration(now, token, call, membership.Credentials, membership.Inspects);
    }

    private void Leave(GroupMembership membership)
    {
        if (_effects!.IsMember(membership))
        {
            Machine!.Leave(host.Loop.Now, 0, membership.Id);
            return;
        }

        if (_groups.Remove(membership))
        {
            _effects.RemoveJoin(membership.JoinCall);
            Machine!.Cancel(host.Loop.Now, membership.JoinCall);
        }

        if (!membership.HasLeft)
        {
            membership.Finish(); // there is no membership whose last deliveries are still being handled
        }
    }
}
