// Replicas fed by hand: one group, whose multicasts the test delivers one by one, in an order that the primitives allow.
// Keeps: each sender's multicasts in its order, all members the same order, a crash takes with it what was not delivered.
using System.Collections.Immutable;
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Tests.HandFed;

internal sealed class HandFedGroup<TReplica> where TReplica : Replica
{
    private readonly List<HandFedMember<TReplica>> _members = [];
    private readonly Queue<(NodeId From, Order Order, byte[] Body)> _requests = [];
    private long _view;
    private long _lastToken;
    private long _lastIncarnation;

    public TimeSpan Now { get; set; }

    public IReadOnlyList<HandFedMember<TReplica>> Members => _members;

    /// <summary>How many multicasts and requests are not delivered.</summary>
    public int Waiting => _members.Sum(m => m.Outbox.Count) + _requests.Count;

    /// <param name="beforeState">What happens between the joiner's view and its state.</param>
    public HandFedMember<TReplica> Join(string name, Func<TReplica> create, Action? beforeState = null)
    {
        var member = new HandFedMember<TReplica>(new NodeId(name, ++_lastIncarnation), create(), () => Now);
        member.Replica.Attach(member);
        _members.Add(member);
        View view = Next([member.Id], []);
        foreach (HandFedMember<TReplica> other in _members.Where(m => m != member))
            other.OnView(view);
        beforeState?.Invoke();
        if (_members.Count == 1)
            member.Replica.Initialize();
        else
            member.Replica.Load(_members[0].Replica.Save());
        member.HasState = true;
        member.OnView(view);
        return member;
    }

    /// <summary>What the member multicast and nobody was delivered is lost; it learns that it is out.</summary>
    public void Exclude(HandFedMember<TReplica> member)
    {
        _members.Remove(member);
        member.Outbox.Clear();
        member.Replica.OnEnded(MembershipEnd.Excluded);
        View view = Next([], [member.Id]);
        foreach (HandFedMember<TReplica> other in _members)
            other.OnView(view);
    }

    /// <summary>A request of a node outside; the members' replies come to <see cref="HandFedMember{T}.Replied"/>.</summary>
    public void Request(NodeId from, ReadOnlySpan<byte> body, Order order = Order.Total) => _requests.Enqueue((from, order, body.ToArray()));

    /// <summary>Delivers one multicast or request to all. False: there is none.</summary>
    public bool DeliverOne(Func<int, int> choose)
    {
        HandFedMember<TReplica>[] senders = [.. _members.Where(m => m.Outbox.Count > 0)];
        int choice = senders.Length + (_requests.Count > 0 ? 1 : 0);
        if (choice == 0)
            return false;
        choice = choose(choice);
        if (choice == senders.Length)
        {
            (NodeId from, Order primitive, byte[] body) = _requests.Dequeue();
            long token = ++_lastToken;
            foreach (HandFedMember<TReplica> member in _members.Where(m => m.HasState).ToArray())
                member.Replica.OnRequest(new ReplicaMessage { From = from, Order = primitive, Body = body }, token);
            return true;
        }

        (Order order, byte[] sent) = senders[choice].Outbox.Dequeue();
        foreach (HandFedMember<TReplica> member in _members.Where(m => m.HasState).ToArray())
            member.Replica.OnMessage(new ReplicaMessage { From = senders[choice].Id, Order = order, Body = sent });
        return true;
    }

    /// <summary>Until nothing is left.</summary>
    public void Settle()
    {
        while (DeliverOne(static _ => 0)) { }
    }

    /// <summary>Time passes, and who asked for it is woken.</summary>
    public void Pass(TimeSpan time)
    {
        Now += time;
        foreach (HandFedMember<TReplica> member in _members)
            member.WakeIfDue();
    }

    private View Next(ImmutableArray<NodeId> joined, ImmutableArray<NodeId> left) =>
        new(new GroupId(1, 1), "/test", ++_view, $"{_view}", [.. _members.Select(m => m.Id)], joined, left, IsPrimary: true);
}

/// <summary>One member, and its replica's port.</summary>
internal sealed class HandFedMember<TReplica>(NodeId id, TReplica replica, Func<TimeSpan> now) : IReplicaPort where TReplica : Replica
{
    private TimeSpan _wakeAt = TimeSpan.MaxValue;

    public NodeId Id => id;
    public TReplica Replica => replica;

    /// <summary>Before, all that is delivered is in the state that is to come.</summary>
    public bool HasState { get; set; }
    public Queue<(Order Order, byte[] Body)> Outbox { get; } = [];

    /// <summary>Of each request: the member, the answer (null: none), and whether it is an error.</summary>
    public Action<long, byte[]?, bool> Replied { get; set; } = static (_, _, _) => { };

    public NodeId Self => id;
    public View View { get; private set; } = new(GroupId.None, "", 0, "", [], [], [], IsPrimary: false);
    public TimeSpan Now => now();

    public void OnView(View view)
    {
        View = view;
        replica.OnView(view);
    }

    public void WakeIfDue()
    {
        if (_wakeAt > Now)
            return;
        _wakeAt = TimeSpan.MaxValue;
        replica.OnWake();
    }

    public void Multicast(Order order, ReadOnlySpan<byte> body) => Outbox.Enqueue((order, body.ToArray()));

    public void Reply(long token, ReadOnlySpan<byte> body, bool isError = false) => Replied(token, body.ToArray(), isError);

    public void NoReply(long token) => Replied(token, null, false);

    public void Flush(long call) => throw new NotSupportedException("Nothing here is ever unstable.");

    public void WakeAt(TimeSpan time) => _wakeAt = time;
}
