// A small replica to show and test the hosts with: a log in total order, and a sum that is added to causally.
using System.Buffers.Binary;
using Core.Groups;
using Core.Groups.Replication;

namespace Toolkit.Tests.Replication;

/// <summary>What the log tells its face.</summary>
internal interface ILogEffects
{
    void Appended(long call, int position);

    void Flushed(long call);

    void Woke();

    void Ended(long call, MembershipEnd end);
}

/// <summary>A body is [kind][call: 8 bytes][value: 8 bytes]; a state is [sum: 8 bytes] and 8 bytes for each value of the log.</summary>
internal class LogReplica(ILogEffects effects) : Replica
{
    private const byte AppendKind = 1;
    private const byte AddKind = 2;
    private const byte PoisonKind = 3;
    private const int BodySize = 17;

    private readonly SortedSet<long> _waiting = [];
    private readonly List<long> _log = [];

    public IReadOnlyList<long> Log => _log;

    public long Sum { get; private set; }

    public NodeId Self => Port.Self;

    public View View => Port.View;

    public MembershipEnd? End { get; private set; }

    public virtual void Append(long call, long value)
    {
        _waiting.Add(call);
        Multicast(Order.Total, AppendKind, call, value);
    }

    public void Add(long value) => Multicast(Order.Causal, AddKind, 0, value);

    /// <summary>All replicas will throw that have this value at the end of their log.</summary>
    public void Poison(long last) => Multicast(Order.Total, PoisonKind, 0, last);

    public void Flush(long call)
    {
        _waiting.Add(call);
        Port.Flush(call);
    }

    public void WakeIn(TimeSpan time) => Port.WakeAt(Port.Now + time);

    public void MulticastBytes(int count) => Port.Multicast(Order.Total, new byte[count]);

    protected internal override void Initialize() => Load(new byte[8]);

    protected internal override void Load(ReadOnlyMemory<byte> state)
    {
        if (state.Length % 8 != 0 || state.Length == 0)
        {
            throw new FormatException("A state is a sum and values of 8 bytes each.");
        }

        _log.Clear();
        Sum = BinaryPrimitives.ReadInt64LittleEndian(state.Span);
        for (int at = 8; at < state.Length; at += 8)
        {
            _log.Add(BinaryPrimitives.ReadInt64LittleEndian(state.Span[at..]));
        }

        End = null;
    }

    protected internal override ReadOnlyMemory<byte> Save()
    {
        byte[] state = new byte[8 + (8 * _log.Count)];
        BinaryPrimitives.WriteInt64LittleEndian(state, Sum);
        for (int i = 0; i < _log.Count; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(state.AsSpan(8 + (8 * i)), _log[i]);
        }

        return state;
    }

    protected internal override void OnView(View view) => Assert.Contains(Port.Self, view.Members);

    protected internal override void OnMessage(in ReplicaMessage message)
    {
        ReadOnlySpan<byte> body = message.Body.Span;
        if (body.Length != BodySize)
        {
            return;
        }

        long call = BinaryPrimitives.ReadInt64LittleEndian(body[1..]), value = BinaryPrimitives.ReadInt64LittleEndian(body[9..]);
        switch (body[0])
        {
            case AppendKind:
                Apply(message.From, call, value);
                break;
            case AddKind:
                Sum += value;
                break;
            case PoisonKind when _log is [.., var last] && last == value:
                throw new InvalidOperationException("as asked");
        }
    }

    /// <summary>The oldest member answers with the length of the log.</summary>
    protected internal override void OnRequest(in ReplicaMessage message, long token)
    {
        if (Port.View.RankOf(Port.Self) == 0)
        {
            Port.Reply(token, BitConverter.GetBytes(_log.Count));
        }
        else
        {
            Port.NoReply(token);
        }
    }

    protected internal override void OnFlushed(long call)
    {
        if (_waiting.Remove(call))
        {
            effects.Flushed(call);
        }
    }

    protected internal override void OnWake() => effects.Woke();

    protected internal override void OnEnded(MembershipEnd end)
    {
        End = end;
        foreach (long call in _waiting)
        {
            effects.Ended(call, end);
        }

        _waiting.Clear();
    }

    protected virtual void Apply(NodeId from, long call, long value)
    {
        _log.Add(value);
        if (from == Port.Self && _waiting.Remove(call))
        {
            effects.Appended(call, _log.Count - 1);
        }
    }

    private void Multicast(Order order, byte kind, long call, long value)
    {
        Span<byte> body = stackalloc byte[BodySize];
        body[0] = kind;
        BinaryPrimitives.WriteInt64LittleEndian(body[1..], call);
        BinaryPrimitives.WriteInt64LittleEndian(body[9..], value);
        Port.Multicast(order, body);
    }
}
