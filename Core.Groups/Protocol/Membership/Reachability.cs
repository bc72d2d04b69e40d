// Who can be reached: connections, silence, suspicion, and what the peers say of their own reach.
// Keeps: a member that was suspected stays suspected until a configuration is installed, or this node is blocked; a pair
// is adjacent only when each says that it reaches the other. Suspicion may be false: the membership protocol makes it true.
// Follows: protocol.md section 5, Gather.
using System.Runtime.InteropServices;
using Core.Groups.Protocol.Links;

namespace Core.Groups.Protocol.Membership;

internal sealed class Reachability(NodeContext context, ChannelTable channels)
{
    private readonly Dictionary<NodeId, Presence> _presences = [];
    private readonly HashSet<NodeId> _suspects = [];
    private readonly HashSet<NodeId> _lostLinks = [];
    private readonly SortedDictionary<NodeId, TimeSpan> _contenders = [];
    private readonly List<(NodeId Node, string Address)> _reached = [];
    private ReachSet _shared = ReachSet.Empty;
    private TimeSpan _judged;

    public bool HasSuspects => _suspects.Count > 0;
    public Presence? Of(NodeId node) => _presences.GetValueOrDefault(node);
    public bool IsSuspected(NodeId node) => _suspects.Contains(node);
    /// <summary>Frames of the present configuration to or from this member were lost with its link.</summary>
    public bool IsLinkLost(NodeId node) => _lostLinks.Contains(node);

    /// <summary>Nodes that this one reaches, itself included, with their addresses.</summary>
    public ReachSet Reach()
    {
        // Asked for in every turn, and mostly the same as before: nothing is built for that.
        _reached.Clear();
        (NodeId, string) own = (context.Self, context.Settings.Address);
        int before = 0;
        foreach (Channel channel in channels.All)
        {
            // A blocked node goes on with whom it can reach again.
            if (context.IsBlocked && channel.Link.IsEstablished && _suspects.Count > 0 && context.Now - channel.LastHeard < context.Settings.Suspect) _suspects.Remove(channel.Id);
            if ((_suspects.Count > 0 && _suspects.Contains(channel.Id)) || (_contenders.Count > 0 && _contenders.ContainsKey(channel.Id)) || !_presences.ContainsKey(channel.Id)) continue;
            if (!channel.Link.IsEstablished && (context.IsBlocked || context.RankOf(channel.Id) < 0) && !IsResuming(channel)) continue;
            _reached.Add((channel.Id, channel.Identity.Address));
            if (channel.Id < context.Self) before = _reached.Count;
        }
        _reached.Insert(before, own);
        if (!_shared.IsSame(CollectionsMarshal.AsSpan(_reached))) _shared = new ReachSet([.. _reached]);
        return _shared;
    }

    /// <summary>What a node says that it reaches.</summary>
    public ReachSet ReachOf(NodeId node, ReachSet own) =>
        node == context.Self ? own : _presences[node].Reach;

    /// <summary>Whether a node takes part in the running attempt: a connection that breaks meanwhile is given time to resume.</summary>
    public Func<NodeId, bool> IsInAttempt { get; set; } = static _ => false;

    private bool IsResuming(Channel channel) => IsInAttempt(channel.Id) && context.Now - channel.LastHeard < context.Settings.Suspect;

    public void OnPresence(NodeId from, Presence presence) => _presences[from] = presence with { Reach = Share(presence.Reach) };

    /// <summary>Mostly all reach the same: they share one set, and what follows from it is worked out once for all of them.</summary>
    private ReachSet Share(ReachSet reach)
    {
        if (!_shared.IsSame(reach)) _shared = reach;
        return _shared;
    }

    /// <summary>True: this is news.</summary>
    public bool Suspect(NodeId node, string reason)
    {
        if (node == context.Self || !_suspects.Add(node)) return false;
        context.Effects.Log(ProtocolLogLevel.Warning, $"{context.Self} suspects {node}: {reason}");
        return true;
    }

    /// <summary>A configuration was installed: suspicions of those that are not in it are carried out.</summary>
    public void OnInstalled()
    {
        _suspects.Clear();
        _lostLinks.Clear();
    }

    public void OnLinkLost(NodeId node, string reason)
    {
        _lostLinks.Add(node);
        Suspect(node, reason);
    }

    public void Forget(NodeId node)
    {
        _presences.Remove(node);
        _contenders.Remove(node);
        if (context.RankOf(node) < 0) _suspects.Remove(node);
    }

    /// <summary>Whether both nodes say that they reach each other.</summary>
    public bool AreAdjacent(NodeId a, NodeId b, ReachSet ownReach) =>
        Reaches(a, b, ownReach) && Reaches(b, a, ownReach);

    private bool Reaches(NodeId from, NodeId to, ReachSet ownReach) =>
        from == context.Self ? ownReach.Contains(to) : _presences.TryGetValue(from, out Presence? presence) && presence.Reach.Contains(to);

    // ---- judging silence

    /// <summary>Judges every peer's silence. A node that was itself stopped for long first listens again.</summary>
    public bool Judge(Action<Channel> onSilentStranger)
    {
        TimeSpan gap = context.Now - _judged;
        bool wasStopped = _judged != default && gap > TimeSpan.FromTicks(Math.Max(context.Settings.Suspect.Ticks / 2, context.Settings.Heartbeat.Ticks * 3));
        _judged = context.Now;
        bool news = false;
        foreach (Channel channel in channels.All.ToArray())
        {
            if (wasStopped) channel.LastHeard = context.Now;
            if (context.Now - channel.LastHeard < context.Settings.Suspect) continue;
            if (context.RankOf(channel.Id) >= 0) news |= Suspect(channel.Id, "silence");
            else onSilentStranger(channel);
        }
        return news;
    }

    // ---- two incarnations of one name

    /// <summary>
    /// A node with the name of another that is connected: the elder is gone if its connection is broken; else the newcomer
    /// waits until the elder has spoken again (then its name is taken) or is suspected.
    /// </summary>
    public void OnConnected(Channel channel)
    {
        foreach (Channel other in channels.All)
        {
            if (other.Id.Name != channel.Id.Name || other.Id == channel.Id) continue;
            (Channel elder, Channel newcomer) = other.Id < channel.Id ? (other, channel) : (channel, other);
            if (!elder.IsConnected)
            {
                if (context.RankOf(elder.Id) >= 0) Suspect(elder.Id, $"{newcomer.Id} took its place");
            }
            else _contenders.TryAdd(newcomer.Id, context.Now);
        }
    }

    /// <summary>The newcomers whose name is taken for sure; the others go on waiting.</summary>
    public IReadOnlyList<Channel> Contend()
    {
        if (_contenders.Count == 0) return [];
        var refused = new List<Channel>();
        foreach ((NodeId newcomer, TimeSpan since) in _contenders.ToArray())
        {
            Channel? elder = channels.All.FirstOrDefault(c => c.Id.Name == newcomer.Name && c.Id < newcomer);
            if (elder is null || _suspects.Contains(elder.Id) || !elder.IsConnected)
            {
                _contenders.Remove(newcomer);
                if (elder is not null && context.RankOf(elder.Id) >= 0) Suspect(elder.Id, $"{newcomer} took its place");
            }
            else if (elder.LastHeard > since + context.Settings.Heartbeat && channels.Find(newcomer) is { } channel)
            {
                refused.Add(channel);
                _contenders[newcomer] = context.Now;
            }
        }
        return refused;
    }
}
