// Boards fed by hand, with the calls of each member; and the judge of their histories.
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.BulletinBoard;
using Toolkit.BulletinBoard.Replication;
using Toolkit.Tests.HandFed;

namespace Toolkit.Tests.BulletinBoard;

/// <summary>What a run has shown.</summary>
internal sealed class BoardHistory
{
    /// <summary>Every item that was posted, and what was taken of it, by whom.</summary>
    public HashSet<OperationId> Posted { get; } = [];
    public List<(OperationId Item, NodeId By)> Taken { get; } = [];
    public HashSet<NodeId> Gone { get; } = [];

    /// <summary>The property that is broken, or null.</summary>
    /// <param name="left">The items that each member has on its board at the end.</param>
    public string? Judge(IReadOnlyList<OperationId[]> left)
    {
        foreach (var takes in Taken.GroupBy(t => t.Item))
        {
            if (takes.Count() > 1)
                return $"{takes.Key} was taken by {string.Join(" and ", takes.Select(t => t.By))}";
            if (!Posted.Contains(takes.Key))
                return $"{takes.Key} was taken and never posted";
            if (left.Any(l => l.Contains(takes.Key)))
                return $"{takes.Key} was taken and is still there";
        }

        if (left.FirstOrDefault(l => !l.Order(ById).SequenceEqual(left[0].Order(ById))) is not null)
            return "members have different items";
        OperationId[] lost = [.. Posted.Where(p => !left[0].Contains(p) && !Taken.Any(t => t.Item == p))];
        return lost.Length > 0 && Gone.Count == 0 ? $"{lost[0]} is lost" : null;
    }

    public static readonly Comparer<OperationId> ById = Comparer<OperationId>.Create((a, b) => (a.Node, a.Sequence).CompareTo((b.Node, b.Sequence)));
}

/// <summary>One member's side.</summary>
internal sealed class BoardDesk : IBoardEffects
{
    public Dictionary<long, BoardItem?> Done { get; } = [];
    public HashSet<long> Interrupted { get; } = [];
    public List<BoardItem> Seen { get; } = [];
    public int LostHolds { get; private set; }
    public Action<long, BoardItem?> OnDone { get; set; } = static (_, _) => { };

    void IBoardEffects.Done(long call, BoardItem? item)
    {
        Done.Add(call, item);
        OnDone(call, item);
    }

    public void Appeared(BoardItem item) => Seen.Add(item);

    public void Ended(long call, MembershipEnd end) => Interrupted.Add(call);

    public void HoldsLost() => LostHolds++;
}

/// <summary>A board and its members.</summary>
internal sealed class BoardWorld(BoardConsistency consistency)
{
    private readonly Dictionary<HandFedMember<BoardReplica>, BoardDesk> _desks = [];
    private long _lastCall;

    public HandFedGroup<BoardReplica> Group { get; } = new();

    public HandFedMember<BoardReplica> Join(string name)
    {
        var desk = new BoardDesk();
        HandFedMember<BoardReplica> member = Group.Join(name, () => new BoardReplica(consistency, desk));
        _desks.Add(member, desk);
        return member;
    }

    public BoardDesk DeskOf(HandFedMember<BoardReplica> member) => _desks[member];

    public long Next() => _lastCall += 10; // room for what a completion posts

    public OperationId Post(HandFedMember<BoardReplica> member, params Field[] fields)
    {
        long call = Next();
        member.Replica.Post(call, fields, TimeSpan.Zero, null);
        return new OperationId(member.Id, call);
    }

    public OperationId PostWhen(HandFedMember<BoardReplica> member, Guard guard, params Field[] fields)
    {
        long call = Next();
        member.Replica.Post(call, fields, TimeSpan.Zero, guard);
        return new OperationId(member.Id, call);
    }

    public long Take(HandFedMember<BoardReplica> member, Template template, bool waits = true, bool holds = false, Guard? guard = null)
    {
        long call = Next();
        member.Replica.Take(call, template, waits, holds, guard);
        return call;
    }

    public string ItemsOf(HandFedMember<BoardReplica> member) => string.Join(" ", member.Replica.InOrder);
}
