// One membership of a replica's group in one simulated process: what waits before the replica, and what waits behind it.
// Keeps: what the host of real nodes keeps. One thing at a time in delivery order; things leave in the order of the calls and
// within the credit; nothing of a membership that is over reaches the replica.
using Core.Groups.Protocol.Groups;
using Core.Groups.Replication;
using Core.Groups.Testing.Simulation;

namespace Core.Groups.Testing.Replicas;

/// <summary>A membership, and the replica's port in it.</summary>
internal sealed class ReplicaSlot(ApplicationSeat seat, ReplicaSite site, GroupId id) : IReplicaPort
{
    private static readonly View NoView = new(GroupId.None, "", 0, "", [], [], [], IsPrimary: false);

    private readonly SimulatedProcess _process = seat.Process;
    private readonly Queue<Action> _inbox = [];
    private readonly Queue<(int Size, Action<TimeSpan> Leave)> _outbox = [];
    private bool _hasBegun;
    private bool _isBusy;
    private bool _isInside;
    private long _creditUsed;
    private TimeSpan _wakeAt = TimeSpan.MaxValue;
    private int _timers;

    public GroupId Id => id;
    public ReplicaSite Site => site;

    /// <summary>The last view that came before the state.</summary>
    public View ViewBeforeState { get; set; } = NoView;

    /// <summary>Whether the replica has its state, and its membership and its process live.</summary>
    public bool IsLive => _hasBegun && !_process.IsOver;

    public bool IsLeaving { get; set; }

    /// <summary>Whether the machine has taken this node out of the group; what was delivered before is still handled.</summary>
    public bool HasLeft { get; set; }

    /// <summary>Flushes that have not ended.</summary>
    public int Flushes { get; set; }

    public NodeId Self => _process.Id;
    public View View { get; set; } = NoView;
    public TimeSpan Now => _process.LocalNow;

    public IEnumerable<string> Unfinished()
    {
        if (_isBusy || _inbox.Count > 0) yield return $"{site.Group} is handling messages";
        if (_outbox.Count > 0) yield return $"{_outbox.Count} things in {site.Group} wait for credit";
        if (_creditUsed != 0) yield return $"{_creditUsed} bytes of credit in {site.Group} were not given back";
        if (Flushes > 0) yield return $"{Flushes} flushes in {site.Group} have not ended";
        if (_timers > 0) yield return $"{_timers} calls in {site.Group} are still to be made";
    }

    // ---- before the replica

    /// <summary>Puts an act at its place in the delivery order of the group.</summary>
    public void HandOver(Action act)
    {
        _inbox.Enqueue(act);
        HandleNext();
    }

    /// <summary>Does the act after a random time, and nothing else of the group in between.</summary>
    public void Hold(TimeSpan atMost, Action act)
    {
        if (atMost == TimeSpan.Zero)
        {
            act();
            return;
        }

        _isBusy = true;
        _process.After(seat.Random.Between(TimeSpan.Zero, atMost), () =>
        {
            _isBusy = false;
            act();
            HandleNext();
        });
    }

    /// <summary>The state is here: the membership begins for the replica.</summary>
    public void Begin(Action<Replica> load)
    {
        _hasBegun = true;
        site.Enter(this);
        if (!Call(load)) return;
        View = ViewBeforeState;
        Call(replica => replica.OnView(View));
    }

    public void OnView(View view)
    {
        View = view;
        Call(replica => replica.OnView(view));
    }

    /// <summary>Calls the replica, if its membership lives. False: it threw, which is told as a violation.</summary>
    public bool Call(Action<Replica> call)
    {
        return IsLive && Guard(call);
    }

    /// <summary>Runs a call later, unless the membership is over by then.</summary>
    public void After(TimeSpan delay, Action<Replica> call)
    {
        _timers++;
        _process.After(delay, () =>
        {
            _timers--;
            Call(call);
        });
    }

    /// <summary>The membership is over, as far as the replica is told.</summary>
    public void End(MembershipEnd end)
    {
        if (!_hasBegun) return;
        _hasBegun = false;
        _outbox.Clear();
        _wakeAt = TimeSpan.MaxValue;
        site.Exit(end);
        Guard(replica => replica.OnEnded(end));
    }

    public void OnCreditReleased(long bytes)
    {
        _creditUsed -= bytes;
        if (_creditUsed < 0) seat.Cluster.Violate($"{Self} got back more credit in {site.Group} than it had used.");
        LetOut();
    }

    // ---- the port

    public void Multicast(Order order, ReadOnlySpan<byte> body)
    {
        byte[] copy = body.ToArray();
        Enqueue(copy.Length + CreditAccount.MessageOverhead, now => _process.Machine.Multicast(now, 0, id, order, copy));
    }

    public void Reply(long token, ReadOnlySpan<byte> body, bool isError = false)
    {
        byte[] copy = body.ToArray();
        Enqueue(0, now => _process.Machine.Reply(now, token, copy, isError));
    }

    public void NoReply(long token) => Enqueue(0, now => _process.Machine.NoReply(now, token));

    public void Flush(long call)
    {
        Flushes++;
        Enqueue(0, now => ((ReplicaApplication)_process.Application).Flush(now, this, call));
    }

    public void WakeAt(TimeSpan time)
    {
        if (_wakeAt == time) return;
        _wakeAt = time;
        if (time == TimeSpan.MaxValue || !IsLive) return;
        TimeSpan late = TimeSpan.FromMicroseconds(seat.Random.Below(seat.Random.Chance(0.05) ? 16_000 : 1_000));
        _process.After((time > Now ? time - Now : TimeSpan.Zero) + late, () =>
        {
            if (_wakeAt != time || !IsLive) return;
            _wakeAt = TimeSpan.MaxValue;
            Call(replica => replica.OnWake());
        });
    }

    private bool Guard(Action<Replica> call)
    {
        if (_isInside)
        {
            seat.Cluster.Violate($"{Self}: the replica of {site.Group} was called from inside a call of it. Use ReplicaSite.After.");
            return false;
        }

        _isInside = true;
        try
        {
            call(site.Held);
            return true;
        }
        catch (Exception exception)
        {
            seat.Cluster.Violate($"{Self}: the replica of {site.Group} threw {exception}");
            return false;
        }
        finally
        {
            _isInside = false;
        }
    }

    private void Enqueue(int size, Action<TimeSpan> leave)
    {
        if (!IsLive) return;
        _outbox.Enqueue((size, leave));
        LetOut();
    }

    private void LetOut()
    {
        while (_outbox.TryPeek(out var next) && (next.Size == 0 || _creditUsed == 0 || _creditUsed + next.Size <= seat.CreditWindow))
        {
            _outbox.Dequeue();
            _creditUsed += next.Size;
            _process.Call(next.Leave);
        }
    }

    private void HandleNext()
    {
        while (!_isBusy && _inbox.TryDequeue(out Action? act)) act();
    }
}
