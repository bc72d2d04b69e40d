// Decides who should be in one configuration, and who should propose it.
// Keeps: what is proposed is a clique of mutual reach; every node that cannot get on with the node it waits for passes it
// by in the end, so all end in some configuration within a bounded time, also when reach is not transitive.
// Follows: protocol.md section 5.1, with a greedy clique in rank order in place of Totem's growing fail sets: it needs no
// rounds, since each presence says the whole reach of its node.
using System.Collections.Immutable;

namespace Core.Groups.Protocol.Membership;

/// <param name="promised">The proposal that this node answered last: who has installed it knows this node as a member.</param>
internal sealed class Gathering(NodeContext context, Reachability reachability, Func<ConfigurationId> promised)
{
    private static readonly TimeSpan FirstBackoff = TimeSpan.FromMilliseconds(500), LongestBackoff = TimeSpan.FromSeconds(15);
    private readonly SortedDictionary<NodeId, Backoff> _passed = [];
    private (NodeId Node, TimeSpan Since)? _waiting;
    /// <summary>How many nodes this one reached when it chose last.</summary>
    private int _reached;
    /// <summary>The nodes of other working components that this one sees, since when nothing has changed in them.</summary>
    private (ImmutableArray<NodeId> Members, TimeSpan Since, TimeSpan Until)? _meeting;

    private readonly record struct Backoff(TimeSpan Until, TimeSpan Length);

    /// <param name="Members">The clique, in the order of the new ranks.</param>
    /// <param name="Leavers">Those of it that stop.</param>
    internal sealed record Choice(NodeId Representative, ImmutableArray<NodeId> Members, ImmutableArray<NodeId> Leavers);

    private readonly record struct Candidate(NodeId Node, Presence Presence, (bool, long, NodeId, int, NodeId) Key);

    public Choice Choose(Presence own, ReachSet reach)
    {
        _reached = reach.Count;
        List<Candidate> candidates = CandidatesOf(own, reach);
        if (IsLeft) candidates.RemoveAll(c => c.Node != context.Self && !IsAlsoLeft(c.Node));
        var clique = new List<NodeId>();
        // The different sets of what the clique's nodes reach: each holds the whole clique. Mostly there is one.
        var reaches = new List<ReachSet>();
        var leavers = new List<NodeId>();
        foreach ((NodeId node, Presence presence, _) in candidates)
        {
            // All that are looked at are in this node's own set.
            if (!reaches.TrueForAll(r => ReferenceEquals(r, reach) || r.Contains(node))) continue;
            ReachSet its = node == context.Self ? reach : presence.Reach;
            if (!reaches.Contains(its))
            {
                if (!ReferenceEquals(its, reach) && !clique.TrueForAll(its.Contains)) continue;
                reaches.Add(its);
            }
            clique.Add(node);
            if (presence.IsLeaving) leavers.Add(node);
        }
        return new Choice(candidates[0].Node, [.. clique], [.. leavers]);
    }

    /// <summary>
    /// Whether nodes that were chosen still reach each other and may go along. That others would be chosen by now is no reason to give
    /// them up: what presences say changes with the attempt itself, and two choices could take turns for ever.
    /// </summary>
    public bool AreTogether(ImmutableArray<PeerIdentity> members, Presence own, ReachSet reach)
    {
        ReachSet? last = null;
        bool isLeft = IsLeft;
        foreach (PeerIdentity member in members)
        {
            Presence? presence = member.Id == context.Self ? own : reachability.Of(member.Id);
            if (presence is null || (member.Id != context.Self && (!IsCandidate(member.Id, presence, own) || (isLeft && !IsAlsoLeft(member.Id))))) return false;
            ReachSet its = member.Id == context.Self ? reach : presence.Reach;
            if (ReferenceEquals(its, last)) continue;      // mostly all reach the same
            if (!members.All(m => its.Contains(m.Id))) return false;
            last = its;
        }
        return true;
    }

    /// <summary>In extended mode what others have left of this configuration goes on by itself first.</summary>
    private bool IsLeft => context.Settings.IsExtended && context.Configuration?.Members.Any(IsGoneOn) == true;

    private bool IsAlsoLeft(NodeId node) => context.RankOf(node) >= 0 && !IsGoneOn(node);

    /// <summary>The nodes that this one and they themselves reach, in the order in which they would be ranked.</summary>
    private List<Candidate> CandidatesOf(Presence own, ReachSet reach)
    {
        var candidates = new List<Candidate>(reach.Count);
        ReachSet? last = null;
        bool reachesThis = false;
        foreach ((NodeId node, _) in reach)
        {
            Presence presence = PresenceOf(node, own);
            if (node != context.Self)
            {
                if (!ReferenceEquals(last, presence.Reach)) (last, reachesThis) = (presence.Reach, presence.Reach.Contains(context.Self));
                if (!reachesThis || !IsCandidate(node, presence, own)) continue;
            }
            candidates.Add(new Candidate(node, presence, KeyOf(node, presence, own)));
        }
        candidates.Sort(static (a, b) => a.Key.CompareTo(b.Key));
        return candidates;
    }

    /// <summary>This node waits for another one's proposal. True: it has waited long enough, and now does without that node.</summary>
    public bool WaitsTooLong(NodeId representative)
    {
        if (_waiting is not { } waiting || waiting.Node != representative)
        {
            _waiting = (representative, context.Now);
            return false;
        }
        if (context.Now - waiting.Since < Patience) return false;
        _waiting = null;
        Pass(representative);
        return true;
    }

    /// <summary>A member that did not hear that this configuration was decided, or gave it up alone: only another change brings it along.</summary>
    public bool IsLeftBehind(NodeId member) => IsLeftBehind(member, reachability.Of(member));

    private bool IsLeftBehind(NodeId member, Presence? presence) =>
        member != context.Self && context.Configuration is { } present && presence is { IsStuck: true }
        && (presence.Promised > present.Id.Epoch || (presence.Configuration != present.Id && presence.Promised == present.Id.Epoch));

    public void WaitsNoMore() => _waiting = null;

    /// <summary>A node broke an attempt: it is left out for a growing time.</summary>
    public void Pass(NodeId node)
    {
        TimeSpan length = _passed.TryGetValue(node, out Backoff before) ? Min(before.Length * 2, LongestBackoff) : FirstBackoff;
        _passed[node] = new Backoff(context.Now + length, length);
    }

    public void OnInstalled(IEnumerable<NodeId> members)
    {
        _waiting = null;
        _meeting = null;
        foreach (NodeId member in members) _passed.Remove(member);
    }

    public void Forget(NodeId node) => _passed.Remove(node);

    /// <summary>When a decision may change without any event.</summary>
    public TimeSpan Deadline()
    {
        TimeSpan deadline = _waiting is { } waiting ? waiting.Since + Patience : TimeSpan.MaxValue;
        if (_meeting is { } meeting && meeting.Until > context.Now) deadline = Min(deadline, meeting.Until);
        foreach (Backoff backoff in _passed.Values)
        {
            if (backoff.Until > context.Now) deadline = Min(deadline, backoff.Until);
        }
        return deadline;
    }

    private TimeSpan Patience => context.AttemptTimeout(_reached) * 1.5;

    private bool IsCandidate(NodeId node, Presence presence, Presence own)
    {
        if (_passed.TryGetValue(node, out Backoff backoff) && backoff.Until > context.Now) return false;
        // A working primary takes in strangers only: an old incarnation learns that it is over, and comes back as one.
        return own.IsBlocked || presence.Configuration is null || presence.Configuration == own.Configuration || context.RankOf(node) >= 0
            || !presence.IsBlocked;
    }

    private Presence PresenceOf(NodeId node, Presence own) => node == context.Self ? own : reachability.Of(node)!;

    private (bool, long, NodeId, int, NodeId) KeyOf(NodeId node, Presence presence, Presence own)
    {
        // Members of a working configuration are in it, even where their last presence does not say so yet.
        if (context.Settings.IsExtended) return KeyByConfiguration(node, presence, own);
        int rank = own.IsBlocked ? -1 : context.RankOf(node);
        if (rank >= 0 && !IsLeftBehind(node, presence)) return (false, -own.Last!.Number.Epoch, own.Last.Number.Representative, rank, node);
        ConfigurationId? session = presence.Last?.Number;
        return (presence.IsBlocked, -(session?.Epoch ?? 0), session?.Representative ?? default, presence.Configuration is null ? int.MaxValue : presence.Rank, node);
    }

    /// <summary>In extended mode: the newest configuration first, by rank there; newcomers last.</summary>
    private (bool, long, NodeId, int, NodeId) KeyByConfiguration(NodeId node, Presence presence, Presence own)
    {
        int rank = own.Configuration is null || IsLeftBehind(node, presence) || IsGoneOn(node) ? -1 : context.RankOf(node);
        ConfigurationId? stands = rank >= 0 ? own.Configuration : presence.Configuration;
        return (stands is null, -(stands?.Epoch ?? 0), stands?.Representative ?? default, rank >= 0 ? rank : presence.Rank, node);
    }

    /// <summary>
    /// In extended mode: a member that is in a later configuration without this node. What is left of the present one first goes
    /// on by itself (with it end the suspicions that tore it apart); then it meets the others like any component.
    /// </summary>
    private bool IsGoneOn(NodeId member) => member != context.Self && context.RankOf(member) >= 0
        && reachability.Of(member)?.Configuration is { } its && its.Epoch > context.Configuration!.Id.Epoch && its != promised();

    /// <summary>
    /// Components that meet see each other's nodes one after the other: who merges waits until it sees no more of them come, so
    /// that none of them is torn apart: as long as those it sees reach somebody whom it does not, for a while.
    /// </summary>
    public bool IsStillMeeting(ImmutableArray<NodeId> members, ReachSet reach)
    {
        bool isWhole = context.Configuration?.Members.All(members.Contains) == true;      // who has to go on without a member does not wait
        if (!isWhole || members.All(n => context.RankOf(n) >= 0 || reachability.Of(n)?.Configuration is null))
        {
            _meeting = null;
            return false;
        }
        TimeSpan since = _meeting is { } before && before.Members.SequenceEqual(members) ? before.Since : context.Now;
        bool areAllHere = members.All(n => reachability.ReachOf(n, reach).Nodes.All(reach.Contains));
        TimeSpan until = since + (areAllHere ? context.Settings.Heartbeat : context.Settings.AttemptTimeout * 2);
        _meeting = (members, since, until);
        return context.Now < until;
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
