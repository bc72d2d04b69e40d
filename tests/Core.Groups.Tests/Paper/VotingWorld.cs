// The primary rule alone in random rounds: components are proposed, answer, record, install, and are cut off at any step.
// Keeps: without a store a restart is a stranger; with one it remembers, unless it is given an empty disk. What the rounds do
// with an answer is what ConfigurationChange does.
// Follows: protocol.md section 6; the executable model of the vote, with weights, an electorate, lineages and leavers.
using System.Collections.Immutable;
using Core.Groups.Protocol;
using Core.Groups.Protocol.Primary;
using Core.Groups.Wire;

namespace Core.Groups.Tests.Paper;

/// <summary>One random history of primaries.</summary>
internal sealed class VotingWorld
{
    private sealed class Node(string name, int weight, bool isElector, ulong memory, WeakRules weak)
    {
        private byte[] _stored = [], _before = [];

        public NodeId Id { get; set; } = new(name, 1);
        /// <summary>Its store; 0: none.</summary>
        public ulong Memory { get; private set; } = memory;
        public int Weight => weight;
        public bool IsElector => isElector;
        public bool IsUp { get; set; } = true;
        public VoteMemory Votes { get; private set; } = new(weak, memory);
        public Session? Last => Votes.Last;
        public ImmutableArray<Session> Attempts => Votes.Attempts;
        /// <summary>The configuration that it is in; it keeps it while it is blocked.</summary>
        public ConfigurationId? Installed { get; set; }
        /// <summary>This incarnation recorded an attempt and keeps its plan.</summary>
        public bool HasPlan { get; private set; }
        /// <summary>It works in that configuration: no proposal has frozen it.</summary>
        public bool IsActive { get; set; }

        /// <summary>What is remembered now is on disk.</summary>
        public void Keep()
        {
            if (Memory == 0) return;
            var record = new WireWriter();
            Votes.Write(record);
            (_before, _stored) = (_stored, record.ToArray());
        }

        /// <param name="losesLast">The last record was not synced, although others were told of it.</param>
        public void Restart(bool losesLast = false, ulong emptyDisk = 0)
        {
            Id = Id with { Incarnation = Id.Incarnation + 1 };
            if (emptyDisk != 0) (Memory, _stored, _before) = (emptyDisk, [], []);
            (IsUp, Votes, Installed, IsActive, HasPlan) = (true, new VoteMemory(weak, Memory), null, false, false);
            if (losesLast) _stored = _before;
            if (_stored.Length > 0) Votes.Read(_stored);
        }

        public void GiveUp()
        {
            Votes.GiveUp();
            Keep();
        }

        public void Record(Session session, IReadOnlyList<Voter> voters)
        {
            Votes.Record(session, voters);
            HasPlan = true;
            Keep();
        }

        public void Install(Session session)
        {
            Votes.Install(session);
            HasPlan = false;
            (Installed, IsActive) = (session.Number, true);
            Keep();
        }

        public Voter Vote(bool stays) => new(Id, weight, isElector, stays, Last, Attempts, Votes.Memory);
    }

    private readonly Random _random;
    private readonly WeakRules _weak;
    private readonly bool _hasElectorate, _goodbyes, _losesDisks;
    private readonly int _minimum;
    private readonly Node[] _nodes;
    private readonly List<Voter> _gone = [];
    private readonly List<(Session Session, NodeId[] Voters)> _formed = [];
    private long _epoch;
    private ulong _memories;

    /// <param name="goodbyes">A leaver tells others before it goes that they may use its vote.</param>
    /// <param name="stores">How many of the nodes have a stable store, from 0 to 1.</param>
    /// <param name="losesDisks">A restarted node may find an empty disk.</param>
    public VotingWorld(int seed, bool hasElectorate, WeakRules weak, bool goodbyes, double stores = 0, bool losesDisks = false)
    {
        _losesDisks = losesDisks;
        (_random, _weak, _hasElectorate, _goodbyes) = (new Random(seed), weak, hasElectorate, goodbyes);
        int count = _random.Next(2, 7), electors = hasElectorate ? Math.Min(count, _random.Next(1, 6)) : 0;
        _nodes = [.. Enumerable.Range(0, count).Select(i => new Node($"{(char)('a' + i)}", _random.Next(4) == 0 ? 2 : 1, i < electors, stores > 0 && _random.NextDouble() < stores ? ++_memories : 0, weak))];
        _minimum = (_nodes.Where(n => n.IsElector).Sum(n => n.Weight) / 2) + 1;
    }

    public int Formed => _formed.Count;

    /// <summary>What went wrong first, or null.</summary>
    public string? Run(int steps)
    {
        for (int i = 0; i < steps; i++)
        {
            if (Step() is { } wrong) return wrong;
        }
        return null;
    }

    private string? Step()
    {
        Node node = _nodes[_random.Next(_nodes.Length)];
        if (_random.NextDouble() < 0.06)
        {
            (node.IsUp, node.IsActive) = (false, false);
            if (_goodbyes && _random.Next(2) == 0) _gone.Add(node.Vote(stays: false));
            return null;
        }
        if (!node.IsUp && _random.NextDouble() < 0.5)
        {
            bool loses = node.Memory != 0 && _weak.Lacks(WeakRules.ToldBeforeStored) && _random.Next(2) == 0;
            node.Restart(loses, node.Memory != 0 && _losesDisks && _random.Next(5) == 0 ? ++_memories : 0);
        }
        Node[] up = [.. _nodes.Where(n => n.IsUp).OrderBy(_ => _random.Next())];
        return up.Length == 0 ? null : Round([.. up.Take(_random.Next(1, up.Length + 1)).OrderBy(n => n.Id)]);
    }

    /// <summary>One configuration change of these nodes; it may be cut off after any step.</summary>
    private string? Round(Node[] members)
    {
        int left = _random.Next(2) == 0 ? int.MaxValue : _random.Next(3 * members.Length);
        var number = new ConfigurationId(++_epoch, members[0].Id);
        foreach (Node member in members)
        {
            if (left-- == 0) return null;
            member.IsActive = false;
            member.Votes.Promise(number);
            member.Keep();
        }
        CompleteInstalled(members);
        HashSet<Node> leavers = members.Length > 1 && _random.Next(5) == 0 ? [members[_random.Next(members.Length)]] : [];
        List<Voter> voters = [.. members.Select(m => m.Vote(!leavers.Contains(m)))];
        if (_goodbyes) voters.AddRange(_gone.Where(g => !voters.Exists(v => v.Id.Name == g.Id.Name)));
        PrimaryDecision decision = PrimaryRule.Decide(voters, _hasElectorate, _minimum, new LineageId(1, (ulong)_epoch), _weak);
        if (!decision.IsPrimary)
        {
            foreach (Node member in members) Block(member, members, decision);
            return null;
        }
        if (ExcludeThoseOutside(members, voters, decision)) return null;
        var session = new Session(decision.Lineage, number, [.. members.Where(m => !leavers.Contains(m)).Select(m => new SessionMember(m.Id, m.Weight, m.Votes.Memory))]);
        foreach (Node member in members)
        {
            if (left-- == 0) return null;
            member.Record(session, voters);
        }
        foreach (Node member in members.OrderBy(_ => _random.Next()))
        {
            if (left-- == 0) return null;
            if (leavers.Contains(member)) (member.IsUp, member.IsActive) = (false, false);
            else if (_formed.Exists(f => f.Session.Equals(session))) member.Install(session);
            else if (Form(member, session, members) is { } wrong) return wrong;
        }
        return null;
    }

    /// <summary>Those that recorded what others here have installed install it now.</summary>
    private static void CompleteInstalled(Node[] members)
    {
        foreach (Session formed in members.Where(m => m.Installed is not null && m.Last?.Number == m.Installed).Select(m => m.Last!).ToArray())
        {
            foreach (Node member in members)
            {
                if (!member.Attempts.IsEmpty && member.Attempts[^1].Equals(formed) && formed.Contains(member.Id)) member.Install(formed);
            }
        }
        foreach (Node member in members) member.IsActive = false;
    }

    private static void Block(Node node, Node[] members, PrimaryDecision decision)
    {
        if (decision.Ended is { } ended && node.Last?.Lineage == ended)
        {
            node.GiveUp();
            node.Restart();
        }
        else if (node.Votes.NewerAmong(members.Select(m => m.Last)) is { } newest && !(node.Attempts is [.., var kept] && kept.Equals(newest)))
        {
            bool isOver = (node.Installed is not null || node.HasPlan) && node.Votes.IsOverBecauseOf(newest, node.Id);
            node.Votes.Adopt(newest);
            node.Keep();
            if (isOver) node.Restart();
        }
    }

    /// <summary>Who is not in the session that the decision goes on from comes back as a new incarnation. True: the round is over.</summary>
    private static bool ExcludeThoseOutside(Node[] members, List<Voter> voters, PrimaryDecision decision)
    {
        bool any = false;
        foreach (Node member in members)
        {
            bool isOfAnother = PrimaryRule.IsOfAnother(voters.Find(v => v.Id == member.Id)!, decision.Lineage, voters);
            bool isInBase = decision.Base is { } session && session.Contains(member.Id) && (member.Installed == session.Number || member.Attempts.Contains(session));
            if (!isOfAnother && (isInBase || (member.Installed is null && !member.Attempts.Any(a => a.Contains(member.Id) && PrimaryRule.IsPending(a, voters))))) continue;
            if (isOfAnother) member.GiveUp();
            member.Restart();
            any = true;
        }
        return any;
    }

    private string? Form(Node first, Session session, Node[] voters)
    {
        Session[] active = [.. _formed.Select(f => f.Session).Where(IsActive)];
        _formed.Add((session, [.. voters.Select(v => v.Id)]));
        Voter[] votes = [.. voters.Select(v => v.Vote(stays: true))];
        first.Install(session);
        int electorate = _nodes.Where(n => n.IsElector && session.Contains(n.Id)).Sum(n => n.Weight);
        if (_hasElectorate && electorate < _minimum) return $"{session} holds {electorate} of the electorate, {_minimum} is the minimum.";
        if (_hasElectorate && active.Length > 0) return $"{active[0]} can still decide when {session} forms.";
        Session? before = _formed.SkipLast(1).LastOrDefault(f => f.Session.Lineage == session.Lineage).Session;
        return before is null || Continues(before, votes) ? null : $"{session}, by [{string.Join(' ', voters.Select(v => v.Id))}], forks from {before}.";
    }

    /// <summary>A majority of the session, and of the electorate, works in it.</summary>
    private bool IsActive(Session session)
    {
        Node[] working = [.. _nodes.Where(n => n.IsActive && n.Installed == session.Number)];
        return 2 * working.Sum(n => n.Weight) > session.Weight && working.Where(n => n.IsElector).Sum(n => n.Weight) >= _minimum;
    }

    private bool Continues(Session before, Voter[] voters)
    {
        int present = before.Members.Where(m => voters.Any(v => v.IsMemoryOf(m))).Sum(m => m.Weight);
        if (2 * present > before.Weight || (2 * present == before.Weight && voters.Any(v => v.IsMemoryOf(before.Members[0])))) return true;
        if (!_hasElectorate) return false;
        // Without a store: if whoever took part in both has forgotten it, it is lost (and cannot be active any more);
        // if somebody remembers it, all others of it must be proven dead.
        bool IsDead(SessionMember member) => member.Memory == 0 && voters.Any(v => v.Id.Name == member.Id.Name && v.Id.Incarnation > member.Id.Incarnation);
        bool IsHere(SessionMember member) => voters.Any(v => v.IsMemoryOf(member));
        return before.Members.Any(IsHere) ? before.Members.All(m => IsHere(m) || IsDead(m)) : before.Members.Any(IsDead);
    }
}
