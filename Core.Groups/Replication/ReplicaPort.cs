// What a replica may do to the world, at a node. Everything here happens under the replica's gate.
using System.Text;
using Core.Groups.Hosting;

namespace Core.Groups.Replication;

/// <summary>The port of one replica; without a membership, what is asked of it goes nowhere.</summary>
internal sealed class ReplicaPort(GroupNode node, ReplicaOutbox outbox, ITimer timer) : IReplicaPort
{
    public static readonly View NoView = new(GroupId.None, "", 0, "", [], [], [], IsPrimary: false);
    private static readonly TimeSpan LongestTimer = TimeSpan.FromDays(1);

    private ReplicaMembership? _membership;
    private View _view = NoView;
    private TimeSpan _wakeAt = TimeSpan.MaxValue;
    private bool _isMuted; // in a view of another time: what is delivered there has had its consequences

    public NodeId Self { get; private set; } = node.Id;

    public TimeSpan Now => node.Host.Loop.Now;

    /// <summary>The view in which the present delivery stands. May be read from any thread.</summary>
    public View View
    {
        get => Volatile.Read(ref _view);
        set
        {
            _isMuted = value.Number > 0 && !value.Contains(Self);
            Volatile.Write(ref _view, value);
        }
    }

    /// <summary>The present membership, while it lives. May be read from any thread.</summary>
    public ReplicaMembership? Membership => Volatile.Read(ref _membership);

    /// <summary>Whether the time has come that the replica asked for. If so, it stands no more.</summary>
    public bool TakeWake()
    {
        if (Now < _wakeAt)
        {
            ArmTimer();
            return false;
        }

        _wakeAt = TimeSpan.MaxValue;
        return true;
    }

    public void Open(ReplicaMembership membership)
    {
        Self = membership.Self;
        View = NoView;
        Volatile.Write(ref _membership, membership);
    }

    public void Close()
    {
        Volatile.Write(ref _membership, null);
        outbox.Clear();
        WakeAt(TimeSpan.MaxValue);
    }

    public void Multicast(Order order, ReadOnlySpan<byte> body)
    {
        int limit = node.Host.Options.MaximumMessageSize - 1; // the envelope takes one
        if (body.Length > limit)
        {
            throw new MessageTooLargeException(body.Length, limit);
        }

        if (_membership is { } membership && !_isMuted)
        {
            outbox.Add(new OutboxItem(OutboxKind.Multicast, membership, Order: order, Body: Envelope.Pack(body)));
        }
    }

    public void Reply(long token, ReadOnlySpan<byte> body, bool isError = false)
    {
        int limit = node.Host.Options.MaximumMessageSize;
        if (body.Length > limit)
        {
            body = Encoding.UTF8.GetBytes($"the reply has {body.Length} bytes, the limit (GroupNodeOptions.MaximumMessageSize) is {limit}");
            isError = true;
        }

        Add(isError ? OutboxKind.ErrorReply : OutboxKind.Reply, token, body.ToArray());
    }

    public void NoReply(long token) => Add(OutboxKind.NoReply, token);

    public void Flush(long call) => Add(OutboxKind.Flush, call);

    public void WakeAt(TimeSpan time)
    {
        if (time != _wakeAt)
        {
            _wakeAt = time;
            ArmTimer();
        }
    }

    private void Add(OutboxKind kind, long number, byte[]? body = null)
    {
        if (_membership is { } membership && !_isMuted && (number != JournalPost.Replayed || kind == OutboxKind.Flush))
        {
            outbox.Add(new OutboxItem(kind, membership, number, Body: body));
        }
    }

    private void ArmTimer()
    {
        if (_wakeAt == TimeSpan.MaxValue)
        {
            timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            return;
        }

        // Rounded up: a timer counts in milliseconds, and one that is early would come again at once.
        double wait = Math.Ceiling(Math.Max(0, (_wakeAt - Now).TotalMilliseconds));
        timer.Change(TimeSpan.FromMilliseconds(Math.Min(wait, LongestTimer.TotalMilliseconds)), Timeout.InfiniteTimeSpan);
    }
}
