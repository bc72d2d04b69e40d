// One configuration change: propose, Status, exchange, RecoveryDone, Recovered, install. The one flush of the protocol.
// Keeps: a node answers no proposal older than what it promised; from Status to install it sends and delivers nothing and
// takes in data of those that go along only; an attempt that it recorded is completed or gone on from by the plan that it
// kept, whatever it has taken in since, until it records a later one: then the kept plan is void for ever.
// Follows: protocol.md section 5 (steps 2 to 5, "Completing what was decided"); EVS section 3.
// Deviations: Statuses go from each to all (one hop less than through the representative, as in the model); a change that
// will not be primary ends at once at each member, which stays blocked where it was.
using System.Collections.Immutable;
using Core.Groups.Protocol.Links;
using Core.Groups.Protocol.Ordering;
using Core.Groups.Protocol.Primary;
using Core.Groups.Tracing;

namespace Core.Groups.Protocol.Membership;

internal sealed class ConfigurationChange(NodeContext context, ChannelTable channels, Reachability reachability, IMembershipUser user)
{
    private readonly ChangeRecords _records = new(context, channels);
    private readonly MessageExchange _exchange = new(context, channels, reachability, user);
    private readonly Installation _installation = new(context, channels, user);
    private readonly List<Held> _stash = [];
    private readonly List<Held> _future = [];
    private readonly HashSet<NodeId> _seenInstalled = [];
    private IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>> _table = ToldTable.Empty;
    private RecoveryPlan? _kept;
    private int _plans;
    private bool _traceBlocked;

    private readonly record struct Held(Channel From, FrameHeader Header, ReadOnlyMemory<byte> Records);

    public ChangeRecords Records => _records;
    private WeakRules Weak => context.Settings.Weak;
    public Attempt? Current { get; private set; }
    /// <summary>What this node remembers of votes, and what of it is on disk and may be told.</summary>
    public StableVotes Stable { get; } = new(context);
    private VoteMemory Votes => Stable.Votes;
    public ConfigurationId Promised => Votes.Promised;
    public Session? Last => Votes.Last;
    public ImmutableArray<Session> Attempts => Votes.Attempts;
    /// <summary>Not in a primary configuration.</summary>
    public bool IsBlocked => context.IsBlocked;
    /// <summary>Blocked after a change that was not primary, with these members: nothing is gained by another one of them.</summary>
    public ImmutableArray<NodeId> BlockedWith { get; private set; } = [];
    /// <summary>A change began and did not end: another one must follow.</summary>
    public bool IsInterrupted => context.IsFrozen && Current is null && BlockedWith.IsEmpty;
    public bool IsOver { get; private set; }

    /// <summary>Whether a link to a node is kept while it is not connected.</summary>
    public bool Concerns(NodeId node) =>
        context.RankOf(node) >= 0 || Current?.Proposal.Includes(node) == true || _kept?.Proposal.Includes(node) == true;

    // ---- 2. propose, Status

    public void Propose(ImmutableArray<PeerIdentity> members, ImmutableArray<NodeId> leavers, long epoch, bool hasElectorate, int minimumWeight, LineageId newLineage, bool isForced = false)
    {
        var proposal = new Proposal(new ConfigurationId(epoch, context.Self), members, leavers, hasElectorate, minimumWeight, newLineage, isForced);
        OnProposal(proposal);
    }

    /// <summary>False: this node cannot take part, and should tell the proposer where it stands.</summary>
    public bool OnProposal(Proposal proposal)
    {
        if (Current?.Id == proposal.Id) return true;
        if ((proposal.Id <= Promised && !Weak.Lacks(WeakRules.PromisesAreForgotten)) || !proposal.Includes(context.Self) || IsOver) return false;
        if (IsUsed(proposal.Id.Epoch)) return false;
        foreach (PeerIdentity member in proposal.Members)
        {
            if (member.Id != context.Self && (reachability.IsSuspected(member.Id) || channels.Find(member.Id) is null)) return false;
        }
        // While this node works, only its own configuration's members may change it: others ask to be let in.
        // (In extended mode components that meet are on a par.)
        if (context.IsWorking && !context.Settings.IsExtended && context.RankOf(proposal.Id.Representative) < 0) return false;
        if (Current is { } running && context.Now < running.Deadline && running.IsCutShortBy(proposal, reachability.Reach())) return false;
        channels.SealAll();
        Votes.Promise(proposal.Id);
        BlockedWith = [];
        var attempt = new Attempt(proposal) { Deadline = Deadline(proposal) };
        Current = attempt;
        _future.RemoveAll(h => !IsOfKept(h));
        if (!context.IsFrozen)
        {
            context.IsFrozen = true;
            user.OnFrozen();
        }
        // A proposal is no vote: the others' disks write while this node's does.
        if (attempt.Id.Representative == context.Self) _records.SendToAll(proposal, ControlRecord.Proposal, proposal.Write);
        MemberStatus status = _exchange.Describe(Votes, Recorded);
        Stable.Keep(() => TellStatus(attempt, status));
        return true;
    }

    /// <summary>
    /// Whether this node is in a configuration of this epoch, or may be yet, by another representative's proposal: the ids of its
    /// messages name the epoch only, and would come twice.
    /// </summary>
    public bool IsUsed(long epoch) => context.Configuration?.Id.Epoch == epoch || _kept?.Proposal.Id.Epoch == epoch;

    private void TellStatus(Attempt attempt, MemberStatus status)
    {
        if (Current != attempt) return;
        attempt.Deadline = Deadline(attempt.Proposal);
        Send(ToldTable.Empty, to => !MayLack(to));
        Send(_table, MayLack);
        OnStatus(context.Self, status, _table);

        void Send(IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>> table, Func<NodeId, bool> isTo) => _records.SendToAll(attempt.Proposal, ControlRecord.Status, writer =>
        {
            attempt.Proposal.Write(writer);
            status.Write(writer);
            ToldTable.Write(writer, table);
        }, isTo);

        // Who was heard in this configuration has installed it, with its table: n² groups told by all are not told again to all.
        bool MayLack(NodeId member) => _table.Count > 0 && !_seenInstalled.Contains(member);
    }

    public void OnStatus(NodeId from, MemberStatus status, IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>> table)
    {
        if (Current is not { IsExchanging: false } attempt || !attempt.Proposal.Includes(from)) return;
        attempt.Statuses[from] = status;
        if (table.Count > 0) attempt.Tables[status.Installed!.Value] = table;
        if (attempt.HasAllStatuses) Exchange(attempt);
    }

    private TimeSpan Deadline(Proposal proposal) =>
        context.Now + (context.AttemptTimeout(proposal.Members.Length) * (proposal.Id.Representative == context.Self ? 1.0 : 1.4));

    /// <summary>The attempts that may be completed or gone on from; not those that left this node out.</summary>
    private ImmutableArray<ConfigurationId> Recorded
    {
        get
        {
            var recorded = ImmutableArray.CreateBuilder<ConfigurationId>();
            for (RecoveryPlan? plan = _kept; plan is not null; plan = plan.Chain)
            {
                if (!plan.Proposal.Leavers.Contains(context.Self)) recorded.Add(plan.Proposal.Id);
            }
            return recorded.ToImmutable();
        }
    }

    // ---- 3. exchange

    private void Exchange(Attempt attempt)
    {
        attempt.IsExchanging = true;
        CompleteInstalled(attempt);
        if (Current != attempt) return;
        attempt.Decision = context.Settings.IsExtended ? attempt.Label(Weak) : attempt.Decide(Weak);
        // In extended mode everybody goes on, from the configuration where it stands.
        if (!context.Settings.IsExtended && !GoesOn(attempt, attempt.Decision)) return;
        MemberStatus self = attempt.Statuses[context.Self];
        attempt.Together = self.Installed is null ? [context.Self]
            : [.. attempt.Proposal.Members.Select(m => m.Id).Where(m => attempt.Statuses[m].Installed == self.Installed)];
        if (attempt.Chain is null && context.Ordering is { } ordering) ShareMessages(attempt, ordering);
        _records.SendOrTake(attempt.Together, ControlRecord.RecoveryDone, attempt.Proposal, static _ => { }, () => OnRecoveryDone(context.Self, attempt.Id));
    }

    /// <summary>Primary mode: whether this node goes on, as a member of the primary.</summary>
    private bool GoesOn(Attempt attempt, PrimaryDecision decision)
    {
        if (!decision.IsPrimary)
        {
            Block(attempt, decision);
            return false;
        }
        bool isOfAnother = !attempt.Proposal.IsForced && Last is { } last && last.Lineage != decision.Lineage;
        if (!attempt.Proposal.IsForced && GivesUpALineage(attempt, decision)) return false;
        GoOnFromAttempt(attempt, decision);
        if (IsOver) return false;
        MemberStatus self = attempt.Statuses[context.Self];
        if (self.Installed != decision.Base?.Number && (self.Installed is not null || Attempts.Any(a => a.Contains(context.Self) && attempt.IsPending(a))))
        {
            Exclude($"the primary goes on from {decision.Base}, without this incarnation", isOfAnother);
            return false;
        }
        return true;
    }

    /// <summary>True: somebody here comes back as a stranger, so this attempt is over at all members, before any has recorded it.</summary>
    private bool GivesUpALineage(Attempt attempt, PrimaryDecision decision)
    {
        Voter[] voters = attempt.Voters;
        Voter[] leaving = Array.FindAll(voters, v => PrimaryRule.IsOfAnother(v, decision.Lineage, voters));
        if (leaving.Length == 0) return false;
        if (Array.Exists(leaving, v => v.Id == context.Self))
        {
            Votes.GiveUp();
            Exclude($"its lineage has ended: the nodes here go on from {decision.Base}", isLineageOver: true);
        }
        else Abandon();
        return true;
    }

    /// <summary>(i) Somebody has installed what others have only recorded: so it was decided, and those install it now.</summary>
    private void CompleteInstalled(Attempt attempt)
    {
        if (Weak.Lacks(WeakRules.InstalledIsNotCompleted)) return;
        HashSet<ConfigurationId> installed = [.. attempt.Statuses.Values.Where(s => s.Installed is not null).Select(s => s.Installed!.Value)];
        foreach ((NodeId node, MemberStatus status) in attempt.Statuses.ToArray())
        {
            if (status.Recorded is not [var recorded, ..] || status.Installed == recorded || !installed.Contains(recorded)) continue;
            attempt.Statuses[node] = status.After(recorded);
            if (node != context.Self) continue;
            InstallLate(attempt, _kept!);
            if (IsOver) return;
        }
    }

    private void InstallLate(Attempt attempt, RecoveryPlan kept)
    {
        List<Held> early = [.. _future.Where(h => IsOf(h, kept.Proposal.Id))];
        _future.Clear();
        Install(kept, attempt.Tables.GetValueOrDefault(kept.Proposal.Id) ?? _table, isLate: true);
        _stash.AddRange(early);
    }

    /// <summary>(ii) Nobody here has installed it, but others may have: those that recorded it go on from it.</summary>
    private void GoOnFromAttempt(Attempt attempt, PrimaryDecision decision)
    {
        if (Weak.Lacks(WeakRules.AttemptIsNotContinued) || decision.Base is not { } session) return;
        bool isInstalled = attempt.Statuses.Values.Any(s => s.Installed == session.Number);
        foreach ((NodeId node, MemberStatus status) in attempt.Statuses.ToArray())
        {
            if (status.Installed == session.Number || !status.Recorded.Contains(session.Number)) continue;
            attempt.Statuses[node] = status.After(session.Number);
            if (node != context.Self) continue;
            RecoveryPlan kept = _kept!;
            while (kept.Proposal.Id != session.Number) kept = kept.Chain!;      // what went on from it is known to have failed
            if (isInstalled) InstallLate(attempt, kept);
            else attempt.Chain = kept;
        }
    }

    private void ShareMessages(Attempt attempt, OrderingLayer ordering)
    {
        (NodeId Node, int Rank, MemberStatus Status)[] together =
            [.. attempt.Together.Select(n => (n, context.RankOf(n), attempt.Statuses[n])).OrderBy(t => t.Item2)];
        // What others sent is kept: if this attempt fails, they may go along in the next.
        bool IsTaken(Held held) => attempt.Together.Contains(held.From.Id) || Weak.Lacks(WeakRules.TakesFromStrangers);
        foreach (Held held in _stash.FindAll(IsTaken)) TakeHeld(held);
        _stash.RemoveAll(IsTaken);
        _exchange.Share(attempt, ordering, together);
    }

    public void OnForward(NodeId from, ConfigurationId id, ReadOnlyMemory<byte> record)
    {
        // A forward can precede the last Status: it is held on the attempt until it is known who goes along.
        if (Current is not { } attempt || attempt.Id != id || attempt.Plan is not null) return;
        if (attempt.IsExchanging && attempt.Together.Contains(from)) user.OnForwarded(record);
        else if (!attempt.IsExchanging) attempt.EarlyForwards.Add((from, record));
    }

    public void OnRecoveryDone(NodeId from, ConfigurationId id)
    {
        if (Current is not { } attempt || attempt.Id != id) return;
        attempt.Done.Add(from);
        CheckDone(attempt);
    }

    // ---- 4. Recovered

    private void CheckDone(Attempt attempt)
    {
        if (attempt.Plan is not null || !attempt.IsExchanging || attempt.Together.IsEmpty || attempt.Done.Count < attempt.Together.Length || !attempt.Together.All(attempt.Done.Contains)) return;
        foreach ((NodeId from, ReadOnlyMemory<byte> record) in attempt.EarlyForwards)
        {
            if (attempt.Together.Contains(from)) user.OnForwarded(record);
        }
        attempt.EarlyForwards.Clear();
        var plan = new RecoveryPlan
        {
            Proposal = attempt.Proposal, Session = attempt.Decision!.IsPrimary ? attempt.SessionOf(attempt.Decision.Lineage) : null, Together = attempt.Together, Chain = attempt.Chain,
            Clock = attempt.Statuses.Values.Max(s => s.Clock),
        };
        if (attempt.Chain is { } chain) plan.Groups.AddRange(chain.Groups.Select(g => chain.Continue(g, context.NodeAt)));
        else if (context.Ordering is { } ordering)
        {
            var oracle = new CollectiveOracle(ordering, [.. attempt.Together.Select(n => (context.RankOf(n), attempt.Statuses[n]))]);
            plan.Compute(ordering, ++_plans, oracle);
        }
        attempt.Plan = plan;
        if (_kept is null || !Weak.Lacks(WeakRules.KeptPlanIsNeverVoid)) _kept = plan;
        if (plan.Session is { } session) Votes.Record(session, attempt.Voters);
        ImmutableArray<GroupTold> told = user.Tell(plan);
        Stable.Keep(() => TellRecovered(attempt, told));
    }

    private void TellRecovered(Attempt attempt, ImmutableArray<GroupTold> told)
    {
        if (Current != attempt) return;
        _records.SendOrTake(attempt.Proposal.Members.Select(m => m.Id), ControlRecord.Recovered, attempt.Proposal, writer => ToldTable.WriteList(writer, told), () => OnRecovered(context.Self, attempt.Id, told));
    }

    public void OnRecovered(NodeId from, ConfigurationId id, ImmutableArray<GroupTold> told)
    {
        if (Current is not { } attempt || attempt.Id != id) return;
        attempt.Recovered[from] = told;
        if (attempt.Plan is { } plan && HasAllRecovered(attempt)) Install(plan, attempt.Recovered, isLate: false);
    }

    private bool HasAllRecovered(Attempt attempt) =>
        attempt.Recovered.Count == attempt.Proposal.Members.Length
        || (Weak.Lacks(WeakRules.InstallWithTheRepresentative) && attempt.Recovered.ContainsKey(attempt.Id.Representative));

    // ---- 5. install

    private void Install(RecoveryPlan plan, IReadOnlyDictionary<NodeId, ImmutableArray<GroupTold>> told, bool isLate)
    {
        List<(GroupOrder, ImmutableArray<NodeId>)> groups = _installation.DescribeGroups(plan);
        if (_traceBlocked) Unblock();
        _installation.InstallChain(plan);
        if (plan.Proposal.Leavers.Contains(context.Self))
        {
            // It has left its groups: nothing of the old configuration concerns it any more.
            IsOver = true;
            user.OnLeft();
            return;
        }
        _installation.CarryOut(plan);
        _installation.Enter(plan);
        if (plan.Session is { } session) Votes.Install(session);
        Stable.Keep();
        _kept = null;
        _table = told;
        _seenInstalled.Clear();
        if (!isLate)
        {
            Current = null;
            context.IsFrozen = false;
            if (IsBlocked) context.Effects.Unblocked();
            context.IsBlocked = false;
            _stash.Clear();
            reachability.OnInstalled();
        }
        _installation.Announce(plan);
        user.OnInstalled(groups, told);
        if (isLate) return;
        Held[] early = [.. _future.Where(h => IsOf(h, plan.Proposal.Id))];
        _future.Clear();
        foreach (Held held in early) user.OnHeld(held.From, held.Header, held.Records, silently: false);
    }

    // ---- blocked, void, over

    private void Block(Attempt attempt, PrimaryDecision decision)
    {
        Current = null;
        BlockedWith = [.. attempt.Proposal.Members.Select(m => m.Id)];
        if (!IsBlocked || !_traceBlocked)
        {
            context.IsBlocked = true;
            if (context.Configuration is not null && !_traceBlocked)
            {
                _traceBlocked = true;
                context.Trace(TraceKind.Block);
            }
            context.Effects.Log(ProtocolLogLevel.Warning, $"{context.Self} is not in a primary configuration: {decision.Reason}");
            context.Effects.Blocked();
        }
        if (decision.Ended is { } ended && Last?.Lineage == ended)
        {
            Votes.GiveUp();
            Exclude("everybody that knew the last state of this lineage is gone", isLineageOver: true);
            return;
        }
        Learn(attempt);
    }

    /// <summary>Somebody here knows a newer session.</summary>
    private void Learn(Attempt attempt)
    {
        if (Votes.NewerAmong(attempt.Statuses.Values.Select(s => s.Last)) is not { } newest || _kept?.Proposal.Id == newest.Number) return;
        bool isOver = (context.Configuration is not null || _kept is not null) && Votes.IsOverBecauseOf(newest, context.Self);
        Votes.Adopt(newest);
        Stable.Keep();
        if (isOver) Exclude($"session {newest} went on without this incarnation");
    }

    private void Unblock()
    {
        _traceBlocked = false;
        context.Trace(TraceKind.Unblock);
    }

    /// <param name="isLineageOver">What it knew of was another lineage than the one that goes on.</param>
    public void Exclude(string reason, bool isLineageOver = false)
    {
        if (IsOver) return;
        IsOver = true;
        Current = null;
        Stable.Keep();
        context.Trace(TraceKind.Exclude);
        user.OnExcluded(reason, isLineageOver);
    }

    /// <summary>Gives the present attempt up; the node stays frozen until another one ends well.</summary>
    public void Abandon()
    {
        Current = null;
        BlockedWith = [];
    }

    // ---- frames of configurations

    /// <summary>A frame of the present configuration while a change is under way, or of one that is not installed here.</summary>
    public void OnFrame(Channel from, FrameHeader header, ReadOnlyMemory<byte> records)
    {
        var held = new Held(from, header, records);
        if (header.Configuration.Span.SequenceEqual(context.ConfigurationBytes.Span) && context.Configuration is not null)
        {
            if (Current is { IsExchanging: true, Plan: null, Chain: null } attempt && (attempt.Together.Contains(from.Id) || Weak.Lacks(WeakRules.TakesFromStrangers))) TakeHeld(held);
            else _stash.Add(held);
        }
        else if (!Weak.Lacks(WeakRules.EarlyFramesAreDropped) && (IsOf(held, Current?.Id) || IsOfKept(held))) _future.Add(held);
    }

    /// <summary>A member was heard in the present configuration: once all were, nobody needs to be told of it again.</summary>
    public void OnSeenInstalled(NodeId member)
    {
        if (_table.Count == 0 || !_seenInstalled.Add(member)) return;
        if (_seenInstalled.Count >= context.Configuration!.Members.Length - 1) _table = ToldTable.Empty;
    }

    private void TakeHeld(Held held)
    {
        if (held.Header.Configuration.Span.SequenceEqual(context.ConfigurationBytes.Span)) user.OnHeld(held.From, held.Header, held.Records, silently: true);
    }

    /// <summary>Whether it is of an attempt that this node has recorded, or of one from which that goes on: others may have installed it.</summary>
    private bool IsOfKept(Held held)
    {
        for (RecoveryPlan? plan = _kept; plan is not null; plan = plan.Chain)
        {
            if (IsOf(held, plan.Proposal.Id)) return true;
        }
        return false;
    }

    private static bool IsOf(Held held, ConfigurationId? id) =>
        id is { } value && held.Header.Configuration.Span.SequenceEqual(NodeContext.Encode(value));
}
