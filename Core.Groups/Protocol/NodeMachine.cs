// The composer: one node's protocol as a deterministic, single-threaded machine. Event and time in, effects out.
using System.Collections.Immutable;
using Core.Groups.Protocol.Groups;
using Core.Groups.Protocol.Membership;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Protocol.Primary;
using Core.Groups.Protocol.Requests;

namespace Core.Groups.Protocol;

/// <summary>How many replies a request waits for.</summary>
internal enum ReplyMode : byte { None, First, Count, Majority, All }

/// <summary>Counters of one node. Snapshots; a host asks for them between turns.</summary>
internal readonly record struct MachineStatistics(
    long Sent, long Delivered, long DeliveredBytes, int Unstable, int Queued, long FramesSent, long FramesReceived, long BytesSent, long BytesReceived);

/// <summary>
/// One node. A host calls one method at a time, each with the present monotonic time, and ends every batch of calls
/// with <see cref="EndTurn"/>, which sends what has gathered for each peer in one write.
/// </summary>
internal sealed class NodeMachine
{
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(3);
    private readonly NodeContext _context;
    private readonly MachineCore _core;
    private TimeSpan? _stopBy;
    private bool _hasStopped;

    public NodeMachine(NodeId self, NodeSettings settings, ulong lineageHigh, ulong lineageLow, INodeEffects effects)
    {
        _context = new NodeContext(self, settings, effects);
        var own = new PeerIdentity(self, settings.Address, settings.Site, settings.Weight, settings.Seeds.Contains(settings.Address));
        _core = new MachineCore(_context, own, new LineageId(lineageHigh, lineageLow));
    }

    public NodeId Self => _context.Self;
    /// <summary>The configuration that this node is in; null until the first.</summary>
    public Configuration? Configuration => _context.Configuration;
    public bool IsBlocked => _core.Change.IsBlocked;
    /// <summary>Extended mode: groups of this node have met others of their name, and the sides' states are not reconciled yet.</summary>
    public bool IsMerging => _context.IsMerging;
    /// <summary>The peers that can be reached now, this node included.</summary>
    public ImmutableArray<NodeId> Reachable => [.. _core.Membership.Reachability.Reach().Nodes];
    /// <summary>The addresses of the peers: where an incarnation that follows this one finds them.</summary>
    public ImmutableArray<string> PeerAddresses => [.. _core.Channels.All.Select(c => c.Identity.Address).Distinct()];
    /// <summary>When <see cref="Tick"/> wants to be called next.</summary>
    public TimeSpan NextDeadline => IsOver ? TimeSpan.MaxValue : _stopBy is { } stop && stop < _core.Deadline() ? stop : _core.Deadline();

    public MachineStatistics Statistics => new(
        _core.Calls.Sent, _core.Groups.Deliveries.Delivered, _core.Groups.Deliveries.DeliveredBytes, _context.Ordering?.Unstable ?? 0, _core.Calls.Count,
        _core.Channels.FramesSent, _core.Channels.FramesReceived, _core.Channels.BytesSent, _core.Channels.BytesReceived);

    private bool IsOver => _core.Change.IsOver || _hasStopped;

    // ---- time and connections

    /// <exception cref="Wire.WireFormatException">What the node is said to remember is no record of a machine.</exception>
    public void Start(TimeSpan now)
    {
        Enter(now);
        _core.Change.Stable.Start();
    }

    public void Tick(TimeSpan now) => Enter(now);

    public void EndTurn(TimeSpan now)
    {
        if (_hasStopped || (IsOver && !_core.HasLeft)) return;
        _context.Now = now;
        if (_stopBy is { } stopBy) GoOnStopping(stopBy);
        if (_hasStopped) return;
        _core.EndTurn();
        if (_core.HasLeft) EndStop();
    }

    /// <summary>A connection's handshake is done. It replaces any earlier connection with that peer.</summary>
    public void PeerConnected(TimeSpan now, int connection, PeerIdentity peer)
    {
        if (!Enter(now)) return;
        if (peer.IsClient) _core.Clients.OnConnected(connection, peer.Id);
        else _core.Membership.OnConnected(_core.Channels.Connected(connection, peer));
    }

    public void PeerDisconnected(TimeSpan now, int connection)
    {
        if (Enter(now) && !_core.Clients.TryDisconnect(connection) && _core.Channels.Disconnected(connection) is { } channel) _core.Membership.OnDisconnected(channel);
    }

    /// <param name="refused">The host is there and nobody listens at the port: the process is gone.</param>
    public void DialFailed(TimeSpan now, string address, bool refused)
    {
        if (Enter(now)) _core.Membership.OnDialFailed(address, refused);
    }

    /// <summary>One whole frame. The memory is kept: it must not be reused.</summary>
    public void FrameReceived(TimeSpan now, int connection, ReadOnlyMemory<byte> frame)
    {
        if (Enter(now) && !_core.Clients.TryReceive(connection, frame)) _core.Channels.OnFrame(connection, frame);
    }

    /// <summary>An operator's act, when a majority is lost for good: see <see cref="MembershipService.ForcePrimary"/>.</summary>
    public void ForcePrimary(TimeSpan now, long call)
    {
        if (Enter(now, call)) _core.Membership.ForcePrimary(call);
    }

    /// <summary>The record of this sequence number is on stable storage, and so are those before it.</summary>
    public void Stored(TimeSpan now, long sequence)
    {
        if (!Enter(now)) return;
        _core.Change.Stable.OnStored(sequence);
        _core.Membership.LookAgain();
    }

    // ---- groups

    /// <param name="candidate">Random: the id of the group if this join creates it; none: it must be there.</param>
    /// <param name="expected">The id that the group must have; none: any.</param>
    /// <param name="credentials">For the applications of the members that look at them.</param>
    /// <param name="inspects">Whether this node's application looks at the credentials of those that join later.</param>
    public void Join(TimeSpan now, long call, string name, GroupId candidate, GroupId expected = default, ReadOnlyMemory<byte> credentials = default, bool inspects = false)
    {
        if (!Enter(now, call)) return;
        if (_stopBy is not null) _context.Effects.Completed(call, Outcome.Stopped);
        else if (_core.Groups.Find(name) is { IsWanted: true } || _core.Groups.Directory.IsJoining(name)) _context.Effects.Completed(call, Outcome.AlreadyMember);
        else if (GroupName.SiteOf(name) is { } site && site != _context.Settings.Site) _context.Effects.Completed(call, Outcome.WrongSite);
        else _core.Groups.Directory.Begin(new Groups.Directory.Join(call, name, candidate, expected, credentials, inspects));
    }

    /// <summary>The answer to <see cref="INodeEffects.InspectJoin"/>. A joiner that was refused hears the reason, and nobody sees it in a view.</summary>
    /// <param name="refusal">Null: it is welcome.</param>
    public void JoinInspected(TimeSpan now, long token, string? refusal)
    {
        if (Enter(now)) _core.Groups.Directory.OnInspected(token, refusal);
    }

    /// <summary>Looks a group up by its name, or its id in text; ends with <see cref="INodeEffects.GroupFound"/>.</summary>
    public void FindGroup(TimeSpan now, long call, string address)
    {
        if (Enter(now, call)) _core.Groups.Queries.Find(call, address);
    }

    /// <summary>The names of groups that begin so; ends with <see cref="INodeEffects.GroupsListed"/>.</summary>
    public void ListGroups(TimeSpan now, long call, string prefix)
    {
        if (Enter(now, call)) _core.Groups.Queries.List(call, prefix);
    }

    /// <summary>
    /// Watches a group, by its name or its id in text: <see cref="INodeEffects.WatchBegun"/>, then <see cref="INodeEffects.WatchedChange"/> for
    /// each change of its view. The call ends when the group has, or when it is cancelled.
    /// </summary>
    public void WatchGroup(TimeSpan now, long call, string address)
    {
        if (Enter(now, call)) _core.Groups.Watches.Begin(call, address);
    }

    /// <summary>Deletes a group, by its name or its id in text: all its members leave it at one place among its messages.</summary>
    public void DeleteGroup(TimeSpan now, long call, string address)
    {
        if (Enter(now, call)) _core.Groups.Queries.Delete(call, address);
    }

    public void Leave(TimeSpan now, long call, GroupId group)
    {
        if (!Enter(now, call)) return;
        if (_core.Groups.Find(Resolve(group)) is { } member) _core.Groups.Leave(member, call);
        else _context.Effects.Completed(call, Outcome.NotMember);
    }

    /// <summary>
    /// This member moves to another node: one joins and one leaves in one view. Ends with <see cref="INodeEffects.MigrationEnded"/>, and the
    /// membership with it, or not at all.
    /// </summary>
    public void Migrate(TimeSpan now, long call, GroupId group, NodeId to)
    {
        if (!Enter(now, call)) return;
        if (_core.Groups.Find(Resolve(group)) is { } member) _core.Groups.Migrations.Begin(call, member, to);
        else _context.Effects.Completed(call, Outcome.NotMember);
    }

    /// <summary>The answer to <see cref="INodeEffects.MigrationOffered"/>: as a <see cref="Join"/>, which ends as such.</summary>
    public void AcceptMigration(TimeSpan now, long token, long call, ReadOnlyMemory<byte> credentials, bool inspects)
    {
        if (!Enter(now, call)) return;
        if (_stopBy is not null) _context.Effects.Completed(call, Outcome.Stopped);
        else _core.Groups.Migrations.Accept(token, call, credentials, inspects);
    }

    /// <summary>The application has no place for the member.</summary>
    public void DeclineMigration(TimeSpan now, long token, string reason)
    {
        if (Enter(now)) _core.Groups.Migrations.Decline(token, reason);
    }

    /// <summary>Multicast. <paramref name="call"/> 0: no completion wanted.</summary>
    public void Multicast(TimeSpan now, long call, GroupId group, Order order, ReadOnlyMemory<byte> body)
    {
        if (!Enter(now, call)) return;
        if (body.Length > _context.Settings.MaximumMessageSize) _context.Effects.Completed(call, Outcome.TooLarge);
        else _core.Calls.Submit(new Cast(call, Resolve(group), null, order.ToKind(), body));
    }

    /// <summary>
    /// One message in the union of several groups, of which this node is a member, and single processes; or in one order with
    /// all messages that have its label. A GBCAST to single processes alone has no group to stand still: it goes as causal-total.
    /// </summary>
    public void Multicast(TimeSpan now, long call, SpreadTarget target, Order order, ReadOnlyMemory<byte> body)
    {
        if (!Enter(now, call)) return;
        target = Resolve(target);
        if (body.Length > _context.Settings.MaximumMessageSize) _context.Effects.Completed(call, Outcome.TooLarge);
        else
        {
            MessageKind kind = order == Order.Group && target.Groups.Length == 0 ? MessageKind.CausalTotal : order.ToKind();
            _core.Calls.Submit(new Cast(call, target.Groups.Length > 0 ? target.Groups[0] : GroupId.None, null, kind, body, Spread: target));
        }
    }

    /// <summary>Sets an entry of the group's configuration data by GBCAST. Ends when it is delivered here.</summary>
    /// <param name="value">Null: the entry is removed.</param>
    public void Configure(TimeSpan now, long call, GroupId group, string key, string? value)
    {
        if (!Enter(now, call)) return;
        byte[] body = GroupConfiguration.WriteEntry(key, value);
        if (body.Length > _context.Settings.MaximumMessageSize) _context.Effects.Completed(call, Outcome.TooLarge);
        else _core.Calls.Submit(new Cast(call, Resolve(group), null, MessageKind.Group, body, MessageFlags.Configure));
    }

    /// <summary>Ranks the members of the group anew, by GBCAST. Ends when the view is installed here.</summary>
    public void Rank(TimeSpan now, long call, GroupId group, NodeId[] ranking)
    {
        if (!Enter(now, call)) return;
        if (_core.Groups.Find(Resolve(group)) is { } member) _core.Groups.Announcer.Rank(member, call, ranking);
        else _context.Effects.Completed(call, Outcome.NotMember);
    }

    /// <summary>Multicast that is answered; ends with <see cref="INodeEffects.RequestCompleted"/>.</summary>
    public void Request(TimeSpan now, long call, GroupId group, Order order, ReadOnlyMemory<byte> body, ReplyMode mode, int count, TimeSpan? timeout)
    {
        if (BeginRequest(now, call, body, mode, count, timeout)) _core.Calls.Submit(new Cast(call, Resolve(group), null, order.ToKind(), body, MessageFlags.Request, call));
    }

    private bool BeginRequest(TimeSpan now, long call, ReadOnlyMemory<byte> body, ReplyMode mode, int count, TimeSpan? timeout)
    {
        if (!EnterRequest(now, call, mode, count, timeout)) return false;
        if (body.Length <= _context.Settings.MaximumMessageSize) return true;
        _core.Requests.End(call, Outcome.TooLarge);
        return false;
    }

    private bool EnterRequest(TimeSpan now, long call, ReplyMode mode, int count, TimeSpan? timeout)
    {
        bool isOpen = Enter(now);
        if (isOpen) _core.Requests.Begin(call, mode, count, timeout);
        else _context.Effects.RequestCompleted(call, HowItEnded, [], []);
        return isOpen;
    }

    /// <summary>The same in the union of several groups, of which this node is a member, or with a label: each member answers once.</summary>
    public void Request(TimeSpan now, long call, SpreadTarget target, Order order, ReadOnlyMemory<byte> body, ReplyMode mode, int count, TimeSpan? timeout)
    {
        if (BeginRequest(now, call, body, mode, count, timeout)) _core.Calls.Submit(new Cast(call, target.Groups[0], null, order.ToKind(), body, MessageFlags.Request, call, Spread: Resolve(target)));
    }

    /// <summary>
    /// By the group's name, also from a node that is not a member: through a member, once, in one view. With mode None it
    /// ends with <see cref="INodeEffects.Sent"/> when all members have delivered the message.
    /// </summary>
    public void RequestByName(TimeSpan now, long call, string groupName, Order order, ReadOnlyMemory<byte> body, ReplyMode mode, int count, TimeSpan? timeout)
    {
        if (!Enter(now))
        {
            _context.Effects.RequestCompleted(call, HowItEnded, [], []);
            return;
        }
        _core.Requests.Begin(call, mode, count, timeout);
        if (body.Length > _context.Settings.MaximumMessageSize) _core.Requests.End(call, Outcome.TooLarge);
        else _core.Callers.Submit(call, groupName, order.ToKind(), body, mode != ReplyMode.None);
    }

    /// <summary>
    /// A request that all members of a group make alike, each for itself: delivered once, whichever comes first, and answered to each that
    /// made it. Its members are one caller, of which those of the other group remember the last <see cref="GroupCallers.Kept"/> requests.
    /// </summary>
    /// <param name="number">The same at all members; it rises from request to request.</param>
    public void RequestAsGroup(
        TimeSpan now, long call, GroupId asker, string groupName, long number, Order order, ReadOnlyMemory<byte> body, ReplyMode mode, int count, TimeSpan? timeout)
    {
        if (!EnterRequest(now, call, mode, count, timeout)) return;
        if (_core.Groups.Find(Resolve(asker)) is not { } member) _core.Requests.End(call, Outcome.NotMember);
        else if (body.Length > _context.Settings.MaximumMessageSize) _core.Requests.End(call, Outcome.TooLarge);
        else if (!_core.Callers.TrySubmitAsGroup(call, GroupCallers.IdOf(member.Id, member.Name), groupName, number, order.ToKind(), body, mode != ReplyMode.None))
            _core.Requests.End(call, Outcome.NumberTooLow);
    }

    public void Reply(TimeSpan now, long replyToken, ReadOnlyMemory<byte> body, bool isError)
    {
        if (!Enter(now) || !_core.Groups.Deliveries.TryTakeToken(replyToken, body, isError, out Asker asker, out ImmutableArray<Asker> others)) return;
        MessageFlags flags = isError ? MessageFlags.Error : 0;
        _core.Answers.Give(asker, body, flags);
        foreach (Asker other in others) _core.Answers.Give(other, body, flags);
    }

    /// <summary>
    /// Answers, with copies to groups of which this node is a member and to single processes: one message, which all that live get or
    /// none. Costs credit in the groups as a multicast does. A caller that has gone keeps nobody from the copies.
    /// </summary>
    /// <param name="head">So many bytes at the front of the body are for those that get a copy alone.</param>
    public void ReplyWithCopies(TimeSpan now, long replyToken, ReadOnlyMemory<byte> body, bool isError, int head, SpreadTarget copies)
    {
        if (!Enter(now)) return;
        copies = Resolve(copies);
        if (!_core.Groups.Deliveries.TryTakeToken(replyToken, body[head..], isError, out Asker asker, out ImmutableArray<Asker> others))
        {
            _core.Calls.GiveBack(copies, body.Length);      // the group was left meanwhile: its callers were told so
            return;
        }
        MessageFlags flags = isError ? MessageFlags.Error : 0;
        var stamp = new AnswerStamp(asker.Caller, asker.Place ?? _context.Self, head);
        SpreadTarget all = copies with { To = [asker.Caller, .. copies.To.Where(n => n != asker.Caller)] };
        _core.Calls.Submit(new Cast(0, all.Groups.FirstOrDefault(), null, MessageKind.Causal, body, flags | MessageFlags.Reply | MessageFlags.AnswerTo, asker.Request, Spread: all, Answer: stamp));
        foreach (Asker other in others) _core.Answers.Give(other, body[head..], flags);
    }

    /// <summary>
    /// Passes a request on to a group of which this node is a member, or to one member of it: whoever answers first answers in this node's
    /// place. The caller is told by the same message, so that no failure leaves it waiting. Costs credit in the group as a multicast does.
    /// </summary>
    /// <param name="only">Null: all members handle it.</param>
    public void PassOn(TimeSpan now, long replyToken, GroupId group, NodeId? only, ReadOnlyMemory<byte> body)
    {
        if (!Enter(now)) return;
        SpreadTarget target = Resolve(new SpreadTarget([group], [], null));
        if (!_core.Groups.Deliveries.TryPassOn(replyToken, out Asker asker, out NodeId from))
        {
            _core.Calls.GiveBack(target, body.Length);
            return;
        }
        var stamp = new AnswerStamp(asker.Caller, asker.Place ?? _context.Self, From: from, Only: only);
        _core.Calls.Submit(new Cast(
            0, target.Groups[0], null, MessageKind.Causal, body, MessageFlags.Request | MessageFlags.AnswerTo, asker.Request, Spread: target with { To = [asker.Caller] }, Answer: stamp));
    }

    /// <summary>This member will not answer: its caller is told not to wait for it.</summary>
    public void NoReply(TimeSpan now, long replyToken)
    {
        if (Enter(now)) _core.Groups.Deliveries.WithholdAnswer(replyToken);
    }

    /// <summary>Withdraws a call that has not ended: it ends as <see cref="Outcome.Cancelled"/> and leaves nothing behind.</summary>
    public void Cancel(TimeSpan now, long call)
    {
        if (!Enter(now)) return;
        if (_core.Requests.End(call, Outcome.Cancelled)) return;
        if (_core.Membership.Withdraw(call)
            || _core.Groups.Migrations.Cancel(call) || _core.Calls.Cancel(call) || _core.Groups.Announcer.CancelRanking(call) || _core.Groups.Directory.Cancel(call) || _core.Groups.Queries.Cancel(call) || _core.Groups.Watches.Cancel(call))
            _context.Effects.Completed(call, Outcome.Cancelled);
    }

    /// <summary>Done when all that this node has sent and delivered is stable.</summary>
    public void Flush(TimeSpan now, long call)
    {
        if (Enter(now, call)) _core.Flushes.Begin(call);
    }

    /// <param name="state">Null: the application's callback failed.</param>
    public void StateSaved(TimeSpan now, long token, ReadOnlyMemory<byte>? state)
    {
        if (Enter(now)) _core.Groups.States.OnSaved(token, state);
    }

    /// <summary>In place of <see cref="StateSaved"/>: the state is large, and is read in pieces.</summary>
    /// <param name="expected">Its size in bytes; -1: not known.</param>
    public void StateOpened(TimeSpan now, GroupId group, long token, long expected)
    {
        if (Enter(now)) _core.Groups.States.OnOpened(group, token, expected);
    }

    /// <summary>The next piece of an opened state, at most <see cref="StateStreams.PieceSize"/> bytes.</summary>
    /// <param name="piece">Null: the application's snapshot could not be read.</param>
    public void StateRead(TimeSpan now, long token, ReadOnlyMemory<byte>? piece, bool isLast)
    {
        if (Enter(now)) _core.Groups.States.OnRead(token, piece, isLast);
    }

    /// <summary>The application has taken so many bytes of a state that comes in pieces.</summary>
    public void StateTaken(TimeSpan now, GroupId group, long bytes)
    {
        if (Enter(now)) _core.Groups.States.Streams.OnConsumed(group, bytes);
    }

    public void StateLoaded(TimeSpan now, GroupId group, bool succeeded)
    {
        if (!Enter(now) || _core.Groups.Find(Resolve(group)) is not { } member) return;
        if (succeeded) _core.Groups.States.OnLoaded(member);
        else _core.Groups.Leave(member, 0);
    }

    /// <summary>The application has handled the next <paramref name="deliveries"/> deliveries of the group.</summary>
    public void Consumed(TimeSpan now, GroupId group, int deliveries)
    {
        if (Enter(now)) _core.Credit.OnConsumed(Resolve(group), deliveries);
    }

    // ---- stop

    /// <summary>An orderly stop: leaves the groups, hands over, votes in the change that leaves it out.</summary>
    public void Stop(TimeSpan now)
    {
        if (!Enter(now) || _stopBy is not null) return;
        _stopBy = now + StopPatience;
        _core.Clients.SendAway(forGood: true);
        foreach (long call in _core.Groups.Directory.EndAll()) _context.Effects.Completed(call, Outcome.Stopped);
        foreach (GroupMember group in _core.Groups.Members) _core.Groups.Leave(group, 0);
    }

    private void GoOnStopping(TimeSpan stopBy)
    {
        bool isAlone = _context.Configuration is null || _context.Configuration.Members.Length == 1;
        if (_context.Now >= stopBy || _core.Change.IsBlocked || (isAlone && _core.Groups.Members.Count == 0))
        {
            EndStop();
            return;
        }
        if (_core.Groups.Members.Count > 0 || _core.Membership.IsLeaving) return;
        _core.Membership.IsLeaving = true;
        _core.Membership.LookAgain();
    }

    private void EndStop()
    {
        _hasStopped = true;
        _core.EndAll(Outcome.Stopped);
        _context.Effects.Stopped();
    }

    /// <summary>A host may use an id that its group had before it was merged.</summary>
    private GroupId Resolve(GroupId group) => _core.Groups.Merger.Resolve(group);

    private SpreadTarget Resolve(SpreadTarget target) =>
        _context.Settings.IsExtended ? target with { Groups = [.. target.Groups.Select(Resolve).Order()] } : target;

    /// <summary>What a call is told that comes when this machine is over.</summary>
    private Outcome HowItEnded => _hasStopped || _core.HasLeft ? Outcome.Stopped : Outcome.Excluded;

    private bool Enter(TimeSpan now, long call = 0)
    {
        _context.Now = now;
        if (!IsOver) return true;
        if (call != 0) _context.Effects.Completed(call, HowItEnded);
        return false;
    }
}
