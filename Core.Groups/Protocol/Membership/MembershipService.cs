// The group membership service of a node: watches who can be reached, and sees to it that the right configuration change
// is proposed, by the right node, until the configuration is what it should be.
// Keeps: invariant 9 (liveness): an attempt that does not end in time is given up and followed by another.
// Follows: protocol.md section 5; "history of virtual synchrony", GMS.
using System.Collections.Immutable;
using Core.Groups.Protocol.Links;
using Core.Groups.Protocol.Primary;
using Core.Groups.Wire;

namespace Core.Groups.Protocol.Membership;

internal sealed class MembershipService
{
    private const int LargeCluster = 16;
    private static readonly TimeSpan GapPerNode = TimeSpan.FromMicroseconds(250), LookGapPerNode = TimeSpan.FromMicroseconds(50);
    private static readonly TimeSpan Redial = TimeSpan.FromMilliseconds(100), LongestRedial = TimeSpan.FromSeconds(1);
    private const int WaitForContacts = 4;
    private readonly NodeContext _context;
    private readonly ChannelTable _channels;
    private readonly PeerIdentity _own;
    private readonly Gathering _gathering;
    private readonly KnownRecords _known = new();
    private readonly SortedDictionary<string, (TimeSpan At, TimeSpan Wait)> _dials = new(StringComparer.Ordinal);
    private readonly LineageId _newLineage;
    private readonly List<long> _forcing = [];
    private readonly HashSet<string> _otherMode = [];
    /// <summary>Addresses at which nobody listened when they were last called.</summary>
    private readonly HashSet<string> _empty = [];
    private TimeSpan? _aloneFrom, _startedAt;
    private Presence? _told;
    private (bool IsBlocked, Session? Last) _stood;
    private TimeSpan _toldAt, _tellAt = TimeSpan.MaxValue;
    private TimeSpan _judgeAt;
    private TimeSpan _lookAt, _lookedAt, _soonAt = TimeSpan.MaxValue;
    private bool _looksAgain = true;

    public MembershipService(NodeContext context, ChannelTable channels, IMembershipUser user, PeerIdentity own, LineageId newLineage)
    {
        _context = context;
        _channels = channels;
        _own = own;
        _newLineage = newLineage;
        Reachability = new Reachability(context, channels);
        _gathering = new Gathering(context, Reachability, () => Change!.Promised);
        Change = new ConfigurationChange(context, channels, Reachability, user);
        Reachability.IsInAttempt = node => Change.Current?.Proposal.Includes(node) == true;
    }

    public Reachability Reachability { get; }
    public ConfigurationChange Change { get; }
    public bool IsLeaving { get; set; }

    private bool HasElectorate => !_context.Settings.Seeds.IsEmpty;
    private int MinimumWeight => _context.Settings.MinimumPrimaryWeight > 0 ? _context.Settings.MinimumPrimaryWeight : (_context.Settings.Seeds.Length / 2) + 1;

    // ---- inputs

    /// <summary>Something has changed that the membership may depend on.</summary>
    public void LookAgain() => _looksAgain = true;

    /// <summary>In a large cluster all tell of each newcomer: they are looked at together.</summary>
    private void LookSoon() => _soonAt = Min(_soonAt, LooksAt);

    private TimeSpan LooksAt => _channels.All.Count <= LargeCluster ? _context.Now : Max(_context.Now, _lookedAt + (_channels.All.Count * LookGapPerNode));

    public void OnConnected(Channel channel)
    {
        LookAgain();
        _dials.Remove(channel.Identity.Address);
        _empty.Remove(channel.Identity.Address);
        Reachability.OnConnected(channel);
    }

    public void OnEstablished(Channel channel)
    {
        if (_told is { } told) Send(channel, told);
    }

    public void OnDisconnected(Channel channel)
    {
        LookAgain();
        if (_channels.Find(channel.Id) is null) Reachability.Forget(channel.Id);
        DialSoon(channel.Identity.Address, _context.Now);
    }

    public void OnLinkLost(Channel channel, string reason)
    {
        if (_context.RankOf(channel.Id) >= 0)
        {
            Reachability.OnLinkLost(channel.Id, reason);
            channel.Rank = -1;
        }
    }

    public void OnDialFailed(string address, bool refused)
    {
        LookAgain();
        TimeSpan wait = _dials.TryGetValue(address, out var dial) ? dial.Wait : Redial;
        wait = wait * 2 < LongestRedial ? wait * 2 : LongestRedial;
        _dials[address] = (_context.Now + wait, wait);
        if (!refused) return;
        _empty.Add(address);
        foreach (Channel channel in _channels.All.Where(c => c.Identity.Address == address && !c.IsConnected).ToArray())
        {
            // Its host answers and nobody listens: the process is gone. No need to wait for silence.
            if (_context.RankOf(channel.Id) >= 0) Reachability.Suspect(channel.Id, "nobody listens at its address");
            else
            {
                _channels.Drop(channel, null);
                Reachability.Forget(channel.Id);
            }
        }
    }

    public void OnControl(Channel from, ControlRecord kind, ref WireReader reader)
    {
        var before = (Change.Current, Change.BlockedWith, _context.Configuration);
        Take(from, kind, ref reader);
        // The many answers of a change are no reason to look, only its steps are.
        if (before != (Change.Current, Change.BlockedWith, _context.Configuration)) LookAgain();
        else if (kind == ControlRecord.Presence) LookSoon();
    }

    private void Take(Channel from, ControlRecord kind, ref WireReader reader)
    {
        switch (kind)
        {
            case ControlRecord.Presence:
                OnPresence(from, Presence.Read(ref reader, _known));
                break;
            case ControlRecord.Proposal:
                Propose(from, _known.Proposal.Read(ref reader));
                break;
            case ControlRecord.Status:
                Proposal proposal = _known.Proposal.Read(ref reader);
                MemberStatus status = MemberStatus.Read(ref reader, _known);
                var table = _known.Table.Read(ref reader);
                if (Propose(from, proposal)) Change.OnStatus(from.Id, status, table);
                break;
            case ControlRecord.RecoveryDone:
                Change.OnRecoveryDone(from.Id, reader.Configuration());
                break;
            case ControlRecord.Recovered:
                ConfigurationId id = reader.Configuration();
                Change.OnRecovered(from.Id, id, ToldTable.ReadList(ref reader, _known));
                break;
            default:
                throw new WireFormatException("A control record has no known kind.");
        }
    }

    private bool Propose(Channel from, Proposal proposal)
    {
        if (Change.OnProposal(proposal)) return Change.Current?.Id == proposal.Id;
        Send(from, Tellable());      // tells it why not
        return false;
    }

    private void OnPresence(Channel from, Presence presence)
    {
        if (presence.IsExtended != _context.Settings.IsExtended)
        {
            // It is never reached: nodes of different modes cannot be in one configuration.
            if (_otherMode.Add(from.Id.Name)) _context.Effects.Log(ProtocolLogLevel.Warning, $"{from.Id} is in {(presence.IsExtended ? "extended" : "primary")} mode and {_context.Self} is not: they do not work together. Set the same Mode at all nodes");
            return;
        }
        Reachability.OnPresence(from.Id, presence);
        foreach ((NodeId node, string address) in presence.Reach)
        {
            if (node != _context.Self && _channels.Find(node) is not { IsConnected: true } && address != _context.Settings.Address) DialSoon(address, LooksAt);
        }
        if (IsOverBecauseOf(from.Id, presence)) return;
        if (Change.Current is { IsExchanging: false } attempt && attempt.Id.Representative == _context.Self
            && !attempt.HasStatusOf(from.Id)
            && (presence.Promised > attempt.Id.Epoch || (presence.Configuration is { } its && its.Epoch == attempt.Id.Epoch && its != attempt.Id)))
        {
            Change.Abandon();      // it has promised more, or used this epoch: the next proposal goes above that
        }
    }

    /// <summary>True: what the other one says has shown that this incarnation can never go on, and it is over.</summary>
    private bool IsOverBecauseOf(NodeId from, Presence presence)
    {
        if (_context.Settings.IsExtended || _context.Configuration is null || presence.Last is not { } session || !CannotGoOnBeside(session, presence)) return false;
        Change.Exclude($"{from} knows session {session}", Change.Last?.Lineage != session.Lineage);
        return true;
    }

    /// <summary>What others have said before is looked at again when this node stands elsewhere: nobody says it twice.</summary>
    private void LookAtOtherSessions()
    {
        if (_stood == (Change.IsBlocked, Change.Last)) return;
        _stood = (Change.IsBlocked, Change.Last);
        foreach (Channel channel in _channels.All)
        {
            if (channel.IsConnected && Reachability.Of(channel.Id) is { } presence && IsOverBecauseOf(channel.Id, presence)) return;
        }
    }

    private bool CannotGoOnBeside(Session session, Presence presence)
    {
        if (session.Contains(_context.Self) || Change.Last is not { } mine) return false;
        if (session.Lineage == mine.Lineage)
        {
            return session.Number > mine.Number && !Change.Attempts.Any(a => a.Number >= session.Number);
        }
        if (presence.IsBlocked || !session.MayWork(IsReplaced, HasElectorate ? MinimumWeight : 0)) return false;
        // Two lineages: of two that work the one that was forced goes on, then the heavier, then the lower id; one that is blocked gives way.
        return Change.IsBlocked || session.GoesBefore(mine);
    }

    /// <summary>Whether this configuration has a later incarnation of a node.</summary>
    private bool IsReplaced(NodeId node) =>
        _context.Configuration!.Members.Any(m => m.Name == node.Name && m.Incarnation > node.Incarnation);

    // ---- the turn

    public void EndTurn()
    {
        if (Change.IsOver || (!_looksAgain && _context.Now < Min(_lookAt, _soonAt))) return;
        _looksAgain = false;
        (_lookedAt, _soonAt) = (_context.Now, TimeSpan.MaxValue);
        _startedAt ??= _context.Now;
        _aloneFrom ??= _context.Now + WaitBeforeAlone;
        if (_context.Now >= _judgeAt)
        {
            _judgeAt = _context.Now + (_context.Settings.Heartbeat / 2);
            Reachability.Judge(OnSilentStranger);
        }
        LookAtOtherSessions();
        if (Change.IsOver) return;
        foreach (Channel newcomer in Reachability.Contend())
        {
            Change.Records.Send(newcomer, ControlRecord.NameTaken, writer => writer.Text(_context.Settings.Address));
        }
        // Each step may call for the next one; it ends, since every proposal has a higher epoch and freezes this node.
        for (int round = 0; round < 8 && Step(); round++) { }
        Tell();
        Dial();
        _lookAt = Deadline();
    }

    /// <summary>How long a node that starts looks for others before it is a configuration of its own.</summary>
    private TimeSpan WaitBeforeAlone
    {
        get
        {
            // In extended mode it would work at once, and make groups that others have: it first gives the seeds time to answer.
            if (_context.Settings.IsExtended && _context.Settings.Seeds.Any(s => s != _context.Settings.Address)) return _context.Settings.Suspect;
            return HasElectorate || _context.Settings.Contacts.IsEmpty ? TimeSpan.Zero : _context.Settings.Suspect * WaitForContacts;
        }
    }

    private void OnSilentStranger(Channel channel)
    {
        _channels.Drop(channel, "silence");
        Reachability.Forget(channel.Id);
    }

    private bool Step()
    {
        if (Change.IsOver) return false;
        ReachSet reach = Reachability.Reach();
        Presence own = Describe(reach);
        Gathering.Choice choice = _gathering.Choose(own, reach);
        if (Change.Current is { } attempt)
        {
            _gathering.WaitsNoMore();
            if (!MustGiveUp(attempt, reach) && !IsOutdated(attempt, choice, own, reach)) return false;
            Change.Abandon();
            return true;
        }
        if (_forcing.Count > 0 && Change.IsBlocked)
        {
            Propose(choice with { Leavers = [] }, isForced: true);
            return true;
        }
        if (MaySomebodyBeThere(choice, reach))
        {
            _gathering.WaitsNoMore();
            return false;
        }
        if (choice.Representative == _context.Self)
        {
            _gathering.WaitsNoMore();
            if (!IsWanted(choice, reach)) return false;
            Propose(choice);
            return true;
        }
        if (IsHealthy(reach) || SameNodes(choice.Members, Change.BlockedWith))
        {
            _gathering.WaitsNoMore();
            return false;
        }
        return _gathering.WaitsTooLong(choice.Representative);
    }

    /// <summary>Whether the chosen configuration is another one than the present, or the present one needs a change.</summary>
    private bool IsWanted(Gathering.Choice choice, ReachSet reach)
    {
        if (choice.Members.Length == choice.Leavers.Length && choice.Members.Length > 1) return false;
        bool mayBeAlone = _context.Now >= _aloneFrom || (_context.Settings.IsExtended && _context.Configuration is not null);
        if (choice.Members.Length == 1 && !mayBeAlone) return false;
        if (!Change.BlockedWith.IsEmpty) return !SameNodes(choice.Members, Change.BlockedWith);
        if (Change.IsInterrupted || _context.Configuration is null) return true;
        if (_context.Settings.IsExtended && _gathering.IsStillMeeting(choice.Members, reach)) return false;
        return !choice.Leavers.IsEmpty || choice.Members.Any(_gathering.IsLeftBehind) || !SameNodes(choice.Members, _context.Configuration.Members);
    }

    /// <summary>
    /// Nodes that were started just now have no state. They could begin a lineage, or go on with one as a majority of what their
    /// stores remember, right beside a survivor whom they have just not met yet, and whose state would be lost. They first hear
    /// of every seed that it is with them or that nobody listens there, and of all others in the last session that they
    /// are back, for as long as it takes to suspect them.
    /// </summary>
    private bool MaySomebodyBeThere(Gathering.Choice choice, ReachSet reach)
    {
        if (_context.Settings.IsExtended || _context.Configuration is not null || _context.Now >= _startedAt + _context.Settings.Suspect) return false;
        if (choice.Members is [_] && _own.Weight < MinimumWeight) return false;      // it does nothing by itself
        if (choice.Members.Any(n => n != _context.Self && Reachability.Of(n)?.Configuration is not null)) return false;
        return _context.Settings.Seeds.Any(s => s != _context.Settings.Address && !_empty.Contains(s) && !choice.Members.Any(n => n != _context.Self && reach[n] == s))
            || Change.Last?.Members.Any(m => !m.IsElector && !choice.Members.Any(n => n.Name == m.Id.Name)) == true;
    }

    private bool IsHealthy(ReachSet reach) =>
        _context.Configuration is { } configuration && !Change.IsInterrupted && Change.BlockedWith.IsEmpty && !IsLeaving
        && configuration.Members.All(m => m == _context.Self || Reachability.AreAdjacent(_context.Self, m, reach));

    private static bool SameNodes(ImmutableArray<NodeId> a, ImmutableArray<NodeId> b) =>
        a.Length == b.Length && (a.SequenceEqual(b) || a.ToHashSet().IsSupersetOf(b));

    /// <summary>
    /// This node's own proposal, to nodes that meanwhile say that they belong elsewhere, or that not all of them reach each
    /// other: such a one does not answer, and must not be taken for dead.
    /// </summary>
    private bool IsOutdated(Attempt attempt, Gathering.Choice choice, Presence own, ReachSet reach) =>
        attempt.Id.Representative == _context.Self && !attempt.IsExchanging
        && (!_gathering.AreTogether(attempt.Proposal.Members, own, reach)
            || attempt.WithoutStatus.Any(m => m == choice.Representative && _context.IsBlocked && Reachability.Of(m) is { IsBlocked: false }));

    private bool MustGiveUp(Attempt attempt, ReachSet reach)
    {
        foreach (PeerIdentity member in attempt.Proposal.Members)
        {
            if (member.Id != _context.Self && !reach.Contains(member.Id)) return true;
        }
        if (_context.Now < attempt.Deadline || !attempt.HasStatusOf(_context.Self)) return false;
        foreach (NodeId silent in attempt.WithoutStatus.ToArray())
        {
            // It did not answer in time: it joins the fail set.
            if (_context.RankOf(silent) >= 0) Reachability.Suspect(silent, "no answer to a proposal");
            else _gathering.Pass(silent);
        }
        return true;
    }

    private void Propose(Gathering.Choice choice, bool isForced = false)
    {
        if (isForced) _context.Effects.Log(ProtocolLogLevel.Warning, $"{_context.Self}: an operator forces a primary of [{string.Join(' ', choice.Members)}]; what only others know is given up");
        long epoch = Change.Promised.Epoch;
        var members = ImmutableArray.CreateBuilder<PeerIdentity>();
        foreach (NodeId node in choice.Members)
        {
            if (node == _context.Self)
            {
                members.Add(_own);
                continue;
            }
            epoch = Math.Max(epoch, Reachability.Of(node)!.Promised);
            members.Add(_channels.Find(node)!.Identity);
        }
        Change.Propose(members.ToImmutable(), choice.Leavers, epoch + 1, HasElectorate, MinimumWeight, _newLineage, isForced);
    }

    /// <summary>An operator's act: a new lineage begins with whoever can be reached, on what is here. Ends when this node works.</summary>
    public void ForcePrimary(long call)
    {
        if (!Change.IsBlocked)
        {
            _context.Effects.Completed(call, Outcome.NotBlocked);
            return;
        }
        _forcing.Add(call);
        LookAgain();
    }

    public bool Withdraw(long call) => _forcing.Remove(call);

    /// <summary>The calls that wait for a forced primary: they end now.</summary>
    public IReadOnlyList<long> EndForcing()
    {
        long[] calls = [.. _forcing];
        _forcing.Clear();
        return calls;
    }

    public void OnInstalled()
    {
        foreach (long call in EndForcing()) _context.Effects.Completed(call, Outcome.Done);
        _gathering.OnInstalled(_context.Configuration!.Members);
        _known.Forget();
        foreach (Channel channel in _channels.All.ToArray())
        {
            if (channel.IsConnected || Change.Concerns(channel.Id)) continue;
            _channels.Drop(channel, null);
            Reachability.Forget(channel.Id);
        }
    }

    // ---- telling and dialling

    private Presence Describe(ReachSet reach) => new(
        Change.Promised.Epoch, _context.Configuration?.Id, Math.Max(0, _context.RankOf(_context.Self)), Change.IsBlocked, _context.IsFrozen && Change.Current is null, IsLeaving, Change.Last, reach)
    {
        IsExtended = _context.Settings.IsExtended,
    };

    /// <summary>What others may know of this node: of its votes what is on disk.</summary>
    private Presence Tellable() => Describe(Reachability.Reach()) with { Promised = Change.Stable.Promised.Epoch, Last = Change.Stable.Last };

    /// <summary>
    /// In a large cluster each of n nodes sees n others come, and tells n of it: it waits for more to tell. Few tell at once.
    /// </summary>
    private TimeSpan Gap => _channels.All.Count <= LargeCluster ? TimeSpan.Zero : _channels.All.Count * GapPerNode;

    private void Tell()
    {
        Presence now = Tellable();
        _tellAt = TimeSpan.MaxValue;
        if (_told is { } told && told.Says(now)) return;
        if (_context.Now < _toldAt + Gap)
        {
            _tellAt = _toldAt + Gap;
            return;
        }
        (_told, _toldAt) = (now, _context.Now);
        Change.Records.SendToAll(ControlRecord.Presence, now.Write);
    }

    private void Send(Channel channel, Presence presence) => Change.Records.Send(channel, ControlRecord.Presence, presence.Write);

    private void DialSoon(string address, TimeSpan at)
    {
        if (address != _context.Settings.Address && !_dials.ContainsKey(address)) _dials[address] = (at, Redial / 2);
    }

    private void Dial()
    {
        foreach (string seed in _context.Settings.Seeds.Concat(_context.Configuration is null ? _context.Settings.Contacts : []))
        {
            if (!_channels.All.Any(c => c.IsConnected && c.Identity.Address == seed)) DialSoon(seed, _context.Now);
        }
        foreach ((string address, (TimeSpan at, TimeSpan wait)) in _dials.ToArray())
        {
            if (at > _context.Now) continue;
            if (_channels.All.Any(c => c.IsConnected && c.Identity.Address == address) || !IsOfInterest(address))
            {
                _dials.Remove(address);
                continue;
            }
            _dials[address] = (TimeSpan.MaxValue, wait);      // until it fails or connects
            _context.Effects.Dial(address);
        }
    }

    private bool IsOfInterest(string address)
    {
        if (_context.Settings.Seeds.Contains(address) || _context.Settings.Contacts.Contains(address)) return true;
        foreach (Channel channel in _channels.All)
        {
            if (channel.Identity.Address == address) return true;
            if (Reachability.Of(channel.Id) is { } presence && presence.Reach.HasAddress(address)) return true;
        }
        return false;
    }

    public TimeSpan Deadline()
    {
        TimeSpan deadline = Change.Current is { } attempt && attempt.HasStatusOf(_context.Self) ? Min(_judgeAt, attempt.Deadline) : _judgeAt;
        deadline = Min(Min(deadline, Min(_tellAt, _soonAt)), _gathering.Deadline());
        if (_aloneFrom is { } from && _context.Now < from) deadline = Min(deadline, from);
        if (_startedAt + _context.Settings.Suspect is { } all && _context.Now < all) deadline = Min(deadline, all);
        foreach ((TimeSpan at, _) in _dials.Values) deadline = Min(deadline, at);
        return deadline;
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;
}
