// What a machine does to the outside, gathered during a turn and made visible at its end.
// Keeps: trace lines reach the operating system before any frame leaves and before the application sees anything
// (trace contract); nothing here calls back into the machine.
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Core.Groups.Protocol;
using Core.Groups.Protocol.Groups;
using Core.Groups.Tracing;
using Core.Groups.Transport;

namespace Core.Groups.Hosting;

/// <summary>The effects of one incarnation's machine. Event loop only.</summary>
internal sealed class NodeEffects(NodeHost host, NodeIncarnations incarnations, ITransport transport, TraceFile? trace) : INodeEffects
{
    private readonly GroupTable<GroupMembership> _members = new();
    private readonly Dictionary<long, GroupMembership> _joining = [];
    private readonly List<Mailbox> _touched = [];
    private readonly List<(PendingCall Call, CallResult Result)> _ended = [];
    private readonly List<(PendingCall Call, Exception Error)> _failed = [];
    private readonly List<(Configuration Configuration, ImmutableArray<NodeInfo> Members, ImmutableArray<NodeId> Leavers)> _configurations = [];
    private readonly List<TraceEvent> _traced = [];
    private bool _traceWaits;

    /// <summary>Why this incarnation is over; null while it lives.</summary>
    public (string Reason, bool IsLineageOver)? Exclusion { get; private set; }

    /// <summary>The address of the live node that has this node's name.</summary>
    public string? NameTakenBy { get; private set; }

    /// <summary>Whether the orderly stop is complete.</summary>
    public bool HasStopped { get; private set; }

    /// <summary>From now on this call's join is told of.</summary>
    public void AddJoin(long call, GroupMembership membership) => _joining.Add(call, membership);

    public void RemoveJoin(long call) => TryEndJoin(call, out _);

    private bool TryEndJoin(long call, [NotNullWhen(true)] out GroupMembership? membership)
    {
        if (!_joining.Remove(call, out membership))
        {
            return false;
        }

        if (_joining.Count == 0)
        {
            _joining.TrimExcess(); // there may have been thousands at once
        }

        return true;
    }

    public bool IsMember(GroupMembership membership) =>
        _members.TryGet(membership.Id, out GroupMembership? member) && member == membership;

    /// <summary>The trace to the operating system: before anything of this turn leaves.</summary>
    public void FlushTrace()
    {
        if (_traceWaits)
        {
            _traceWaits = false;
            trace?.Flush();
        }
    }

    /// <summary>Makes the turn visible to the application.</summary>
    /// <param name="isBlocked">Whether the node is, at the end of the turn.</param>
    public void Publish(bool isBlocked)
    {
        PublishTrace();
        foreach ((Configuration configuration, ImmutableArray<NodeInfo> members, ImmutableArray<NodeId> leavers) in _configurations)
        {
            if (configuration.IsTransitional)
            {
                host.Status.OnTransitional(configuration);
                continue;
            }

            host.Status.OnConfiguration(configuration, members, isBlocked);
            host.Watches.OnConfiguration(configuration, leavers);
        }

        host.Status.OnBlocked(isBlocked); // before the calls: who was answered finds the node as it was then
        foreach (Mailbox mailbox in _touched)
        {
            mailbox.Publish();
            mailbox.StartPump();
        }

        PublishCalls();
        _configurations.Clear();
        _touched.Clear();
    }

    /// <summary>Tells the observer of the trace.</summary>
    public void PublishTrace()
    {
        foreach (TraceEvent line in _traced)
        {
            host.RaiseTraced(line);
        }

        _traced.Clear();
    }

    /// <summary>Tells the callers of calls that have ended.</summary>
    public void PublishCalls()
    {
        foreach ((PendingCall call, CallResult result) in _ended)
        {
            call.End(result);
        }

        foreach ((PendingCall call, Exception error) in _failed)
        {
            call.TrySetException(error);
        }

        _failed.Clear();

        _ended.Clear();
    }

    public void Dial(string address) => transport.Dial(address);

    public void Transmit(int connection, ReadOnlySpan<byte> frame)
    {
        FlushTrace(); // a frame may leave at once, behind one that is being written
        transport.Transmit(connection, frame);
    }

    public void Close(int connection, string reason) => transport.Close(connection, reason);

    public void Store(long sequence, ReadOnlyMemory<byte> record) => incarnations.Store(sequence, record);

    public void Trace(TraceEvent line)
    {
        trace?.Append(line);
        _traceWaits = true;
        if (host.TraceObserver is not null)
        {
            _traced.Add(line);
        }
    }

    public void ConfigurationInstalled(Configuration configuration, ImmutableArray<PeerIdentity> peers, ImmutableArray<NodeId> leavers) =>
        _configurations.Add((configuration, [.. peers.Select(p => new NodeInfo(p.Id, p.Address, p.Site, p.Weight))], leavers));

    public void TransitionBegun(Configuration transitional) => _configurations.Add((transitional, [], []));

    public void GroupRenamed(GroupId before, GroupId after)
    {
        if (_members.Remove(before, out GroupMembership? member))
        {
            member.Rename(after);
            _members.Add(after, member);
        }
    }

    public void ReconcileState(GroupId group, ImmutableArray<SideState> sides) => Stage(group, new Mail { Kind = MailKind.Reconcile, Subject = sides });

    public void Blocked() { } // the host reads the machine's state after the turn

    public void Unblocked() { }

    public void Excluded(string reason, bool isLineageOver) => Exclusion ??= (reason, isLineageOver);

    public void NameTaken(string byAddress) => NameTakenBy ??= byAddress;

    public void ViewInstalled(View view) => Stage(view.Group, new Mail { Kind = MailKind.View, Subject = view });

    public void Deliver(in Delivery delivery)
    {
        Stage(delivery.Group, new Mail { Kind = MailKind.Message, Delivery = delivery });
        if (delivery.Spread is not null && Envelope.IsQuestion(delivery.Body))
        {
            AskOthers(delivery);
        }
    }

    public void SaveState(GroupId group, long token) => Stage(group, new Mail { Kind = MailKind.SaveState, Token = token });

    public void SaveWholeState(GroupId group, long token) => Stage(group, new Mail { Kind = MailKind.SaveState, Token = token, Subject = WholeState.Wanted });

    public void MigrationOffered(long token, GroupId group, string name, NodeId from)
    {
        (Action<MigrationOffer>? take, int generation) = (host.TakeMigrant, host.Generation);
        ThreadPool.UnsafeQueueUserWorkItem(_ => take?.Invoke(new MigrationOffer(token, group, name, from, generation)), null);
    }

    public void MigrationEnded(long call, GroupInfo? moved, string? reason)
    {
        if (moved is not null)
        {
            Found(call, moved);
        }
        else if (host.Calls.Take(call) is { } pending)
        {
            _failed.Add((pending, new MigrationFailedException(pending.Group, reason!)));
        }
    }

    public void LoadState(GroupId group, ReadOnlyMemory<byte>? state) => Stage(group, new Mail { Kind = MailKind.LoadState, Subject = state });

    public void ReadState(GroupId group, long token)
    {
        if (_members.TryGet(group, out GroupMembership? member))
        {
            member.States.Read(token);
        }
    }

    public void EndState(GroupId group, long token)
    {
        if (_members.TryGet(group, out GroupMembership? member))
        {
            member.States.End(token);
        }
    }

    public void StreamState(GroupId group, StateStep step, ReadOnlyMemory<byte> piece, long expected)
    {
        if (!_members.TryGet(group, out GroupMembership? member))
        {
            return;
        }

        if (step == StateStep.Begin)
        {
            Stage(group, new Mail { Kind = MailKind.LoadState, Subject = member.States.Begin(expected, host.Generation) });
        }
        else
        {
            member.States.OnStep(step, piece);
        }
    }

    public void Configured(GroupId group, string key, string? value) =>
        Stage(group, new Mail { Kind = MailKind.Configured, Subject = new ConfigurationEntry(key, value) });

    public void GroupLeft(GroupId group, GroupEnd end)
    {
        if (_members.Remove(group, out GroupMembership? member))
        {
            incarnations.Forget(member);
            if (member.StageLeft(end))
            {
                _touched.Add(member.Mailbox);
            }
        }
    }

    public void CreditReleased(GroupId group, long bytes)
    {
        if (_members.TryGet(group, out GroupMembership? member))
        {
            member.ReleaseCredit(bytes);
        }
    }

    public void Sent(long call, MessageId message) => End(call, new CallResult(Outcome.Done, [], [], message));

    public void Completed(long call, Outcome outcome) => RequestCompleted(call, outcome, [], []);

    public void Joined(long call, GroupId group, string name)
    {
        if (TryEndJoin(call, out GroupMembership? membership))
        {
            membership.Begin(group, host.Generation);
            _members.Add(group, membership);
        }
    }

    public void RequestCompleted(long call, Outcome outcome, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed)
    {
        if (host.Calls.Find(call) is not { } pending || (pending.IsJoin && outcome == Outcome.Done))
        {
            return; // a join ends well when the application has loaded the state
        }

        host.Calls.Take(call);
        bool isRefused = pending.IsJoin && outcome is not (Outcome.Excluded or Outcome.Stopped); // those end all groups alike
        if (isRefused && TryEndJoin(call, out GroupMembership? refused))
        {
            incarnations.Forget(refused);
            refused.Finish();
        }

        _ended.Add((pending, new CallResult(outcome, replies, failed)));
    }

    public void InspectJoin(GroupId group, long token, NodeId joiner, ReadOnlyMemory<byte> credentials) =>
        Stage(group, new Mail { Kind = MailKind.InspectJoin, Token = token, Subject = new JoinRequest(joiner, credentials) });

    public void JoinRefused(long call, string reason)
    {
        if (TryEndJoin(call, out GroupMembership? refused))
        {
            incarnations.Forget(refused);
            refused.EndWith(() => new JoinRefusedException(refused.Name, reason));
        }
    }

    public void GroupFound(long call, GroupInfo? group) => Found(call, group);

    public void WatchBegun(long call) => host.Watches.Begin(call);

    public void WatchedChange(long call, GroupId group, ViewChange change) => host.Watches.OnChange(call, change);

    public void GroupsListed(long call, ImmutableArray<string> names) => Found(call, names);

    public void Log(ProtocolLogLevel level, string message) => HostLog.Protocol(host.Logger, level, message);

    public void Stopped() => HasStopped = true;

    private void Found(long call, object? found) => End(call, new CallResult(Outcome.Done, [], [], Found: found));

    private void End(long call, in CallResult result)
    {
        if (host.Calls.Take(call) is { } pending)
        {
            _ended.Add((pending, result));
        }
    }

    // The journal of each group that is asked, at its place among what that group is given.
    private void AskOthers(in Delivery delivery)
    {
        foreach (GroupId other in delivery.Spread!.Groups)
        {
            if (other != delivery.Group)
            {
                Stage(other, new Mail { Kind = MailKind.Question, Delivery = delivery });
            }
        }
    }

    private void Stage(GroupId group, in Mail mail)
    {
        if (group == GroupId.None)
        {
            if (host.Mailbox.Stage(mail))
            {
                _touched.Add(host.Mailbox);
            }
        }
        else if (_members.TryGet(group, out GroupMembership? member) && member.Mailbox.Stage(mail))
        {
            _touched.Add(member.Mailbox);
        }
    }
}
