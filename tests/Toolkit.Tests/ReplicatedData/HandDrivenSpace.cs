// Replicas of a space without a network: the test says which message is delivered where, within what the primitives allow.
using Core.Groups;
using Core.Groups.Replication;
using Toolkit.ReplicatedData;
using Toolkit.ReplicatedData.Space;

namespace Toolkit.Tests.ReplicatedData;

/// <summary>Some members, what they have multicast and who has got it.</summary>
internal sealed class HandDrivenSpace
{
    private readonly List<Sent> _total = [];
    private View _view;

    public HandDrivenSpace(params string[] names)
    {
        NodeId[] ids = [.. names.Select(n => new NodeId(n, 1))];
        _view = new View(GroupId.None, "/space", 1, "1", [.. ids], [.. ids], [], true);
        foreach (NodeId id in ids)
        {
            var member = new HandDrivenMember(this, id);
            Members.Add(member);
            member.Begin(null, _view);
        }
    }

    public List<HandDrivenMember> Members { get; } = [];

    public View View => _view;

    public HandDrivenMember this[int member] => Members[member];

    public void Send(HandDrivenMember from, Order order, byte[] body)
    {
        var sent = new Sent(from.Id, order, body);
        if (order is not Order.Causal) _total.Add(sent);
        foreach (HandDrivenMember member in Members) member.Inbox.Add(sent);
    }

    /// <summary>A member gets the first message of a sender that it has not got. Totally ordered ones must come in the order of their sending.</summary>
    public void Deliver(int to, int from)
    {
        HandDrivenMember member = Members[to];
        Sent next = member.Inbox.First(s => s.From == Members[from].Id);
        if (next.Order != Order.Causal) Assert.Same(next, member.Inbox.First(s => s.Order != Order.Causal));
        member.Take(next);
    }

    /// <summary>All members get all messages, in the order of their sending.</summary>
    public void Settle()
    {
        while (Members.Exists(m => m.Inbox.Count > 0))
        {
            foreach (HandDrivenMember member in Members.Where(m => m.Inbox.Count > 0)) member.Take(member.Inbox[0]);
        }
    }

    /// <summary>A new view after everything was delivered: without some, with a joiner that loads the state of the first.</summary>
    public void ChangeView(IEnumerable<int> without, params string[] joining)
    {
        Settle();
        NodeId[] left = [.. without.Select(i => Members[i].Id)];
        NodeId[] joined = [.. joining.Select(n => new NodeId(n, _view.Number + 1))];
        _view = _view with { Number = _view.Number + 1, Members = [.. _view.Members.Except(left), .. joined], Joined = [.. joined], Left = [.. left] };
        Members.RemoveAll(m => left.Contains(m.Id));
        byte[] state = Members[0].Save();
        foreach (HandDrivenMember member in Members) member.View(_view);
        foreach (NodeId id in joined)
        {
            var member = new HandDrivenMember(this, id);
            Members.Add(member);
            member.Begin(state, _view);
        }
    }

    public void AssertAllEqual()
    {
        Settle();
        Assert.All(Members, member => Assert.Equal(Members[0].Save(), member.Save()));
    }

    internal sealed record Sent(NodeId From, Order Order, byte[] Body);
}

/// <summary>One member.</summary>
internal sealed class HandDrivenMember : IReplicaPort, ISpaceEffects
{
    private readonly HandDrivenSpace _space;
    private View? _view;
    private long _lastCall;

    public HandDrivenMember(HandDrivenSpace space, NodeId id)
    {
        (_space, Id) = (space, id);
        Replica = new SpaceReplica(this);
        Replica.Attach(this);
    }

    public NodeId Id { get; }
    public SpaceReplica Replica { get; }
    public List<HandDrivenSpace.Sent> Inbox { get; } = [];
    public Dictionary<long, UpdateResult> Results { get; } = [];
    public Dictionary<long, Exception> Errors { get; } = [];
    public List<long> Flushes { get; } = [];

    NodeId IReplicaPort.Self => Id;
    View IReplicaPort.View => _view!;
    TimeSpan IReplicaPort.Now => TimeSpan.Zero;

    public void Begin(byte[]? state, View view)
    {
        if (state is null) Replica.Initialize();
        else Replica.Load(state);
        View(view);
    }

    public void View(View view)
    {
        _view = view;
        Replica.OnView(view);
    }

    public byte[] Save() => Replica.Save().ToArray();

    public void Take(HandDrivenSpace.Sent sent)
    {
        Inbox.Remove(sent);
        Replica.OnMessage(new ReplicaMessage { From = sent.From, Order = sent.Order, Body = sent.Body });
    }

    public ulong Open(ObjectKind kind, string name, UpdateMode mode = UpdateMode.Total)
    {
        long call = _lastCall += 2;
        Replica.Open(call, kind, name, mode);
        _space.Settle();
        if (Errors.TryGetValue(call, out Exception? error)) throw error;
        return SharedObject.IdOf(kind, name);
    }

    public long Call(Action<long> call)
    {
        call(_lastCall += 2);
        return _lastCall;
    }

    public long Set(ulong target, string key, string value, long expected = Operation.Any) =>
        Call(call => Replica.Update(call, SetOperation(target, key, value, expected)));

    public long SetCausally(ulong target, string key, string value) => Replica.UpdateCausally(SetOperation(target, key, value, Operation.Any));

    public long RemoveCausally(ulong target, string key) =>
        Replica.UpdateCausally(new Operation { Kind = OperationKind.Remove, Object = target, Expected = Operation.Any, Key = Bytes(key) });

    public string? Read(ulong target, string key) => Replica.Find(target)!.Find(Bytes(key).Span)?.Visible.Value is { } value ? Text(value) : null;

    public static Operation SetOperation(ulong target, string key, string value, long expected = Operation.Any) =>
        new() { Kind = OperationKind.Set, Object = target, Expected = expected, Key = Bytes(key), Value = Bytes(value) };

    public static ReadOnlyMemory<byte> Bytes(string text) => System.Text.Encoding.UTF8.GetBytes(text);

    public static string Text(byte[] bytes) => System.Text.Encoding.UTF8.GetString(bytes);

    void IReplicaPort.Multicast(Order order, ReadOnlySpan<byte> body) => _space.Send(this, order, body.ToArray());
    void IReplicaPort.Reply(long token, ReadOnlySpan<byte> body, bool isError) => throw new NotSupportedException();
    void IReplicaPort.NoReply(long token) => throw new NotSupportedException();
    void IReplicaPort.Flush(long call) => Flushes.Add(call);
    void IReplicaPort.WakeAt(TimeSpan time) => throw new NotSupportedException();
    void ISpaceEffects.Done(long call, in UpdateResult result) => Results[call & ~1L] = result;
    void ISpaceEffects.Fenced(long call) { }
    void ISpaceEffects.Failed(long call, Exception error) => Errors[call & ~1L] = error;
    void ISpaceEffects.Ended(MembershipEnd end) { }
}
