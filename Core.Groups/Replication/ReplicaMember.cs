// A replica at its node: its gate, and everything that calls it.
// Keeps: the replica is called by one thread at a time and never from inside a call of its own; after OnEnded nothing of that
// membership reaches it, and nothing that it had asked for reaches the next one (protocol, invariant 7).
using Core.Groups.Hosting;

namespace Core.Groups.Replication;

/// <summary>The gate around one replica. Safe for any thread.</summary>
internal sealed class ReplicaMember : IDeliverySink, IDisposable
{
    private readonly Lock _gate = new();
    private readonly GroupNode _node;
    private readonly string _name;
    private readonly Replica _replica;
    private readonly ITimer _timer;
    private readonly ReplicaPort _port;
    private View _viewBeforeState = ReplicaPort.NoView;
    private int _generationBeforeState;
    private TaskCompletionSource _joined = NewSource();
    private bool _isInside;
    private Exception? _failure;
    private MembershipEnd? _over;

    public ReplicaMember(GroupNode node, string name, Replica replica)
    {
        _node = node;
        _name = name;
        _replica = replica;
        Outbox = new ReplicaOutbox(_gate, node.Host.Loop, (membership, call) => _ = FlushAsync(membership, call));
        _timer = TimeProvider.System.CreateTimer(
            static member => ((ReplicaMember)member!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _port = new ReplicaPort(node, Outbox, _timer);
        replica.Attach(_port);
    }

    public ReplicaOutbox Outbox { get; }

    /// <summary>Whether this node is a member, and the replica has its state.</summary>
    public bool IsMember => _port.Membership is not null;

    /// <summary>The view in which the last delivery stood.</summary>
    public View View => _port.View;

    /// <summary>What the replica threw.</summary>
    public Exception? Failure => Volatile.Read(ref _failure);

    /// <summary>The generation of the node in which the last membership began.</summary>
    public int LastGeneration { get; private set; } = NodeInput.AnyGeneration;

    // ---- the application's calls

    /// <summary>Takes the gate for a call of the application; <see cref="Exit"/> follows.</summary>
    public void Enter()
    {
        Hold();
        if (!IsMember)
        {
            Exception error = EndError();
            Exit();
            throw error;
        }
    }

    /// <summary>Leaves the gate; what the replica has multicast leaves, too.</summary>
    public void Exit()
    {
        _isInside = false;
        bool pump = Outbox.TryBecomePump();
        _gate.Exit();
        if (pump)
        {
            Outbox.Pump();
        }
    }

    /// <summary>Completes when this node is a member again after an exclusion; at once while it is one.</summary>
    public Task WhenJoined(CancellationToken ct)
    {
        lock (_gate)
        {
            return IsMember ? Task.CompletedTask : _joined.Task.WaitAsync(ct);
        }
    }

    /// <summary>There will not be another membership: calls get this error from now on.</summary>
    public void Finish(MembershipEnd end)
    {
        Hold();
        End(end);
        _over = end;
        _joined.TrySetException(EndError());
        _ = _joined.Task.Exception; // nobody has to look at it
        Exit();
    }

    public void Dispose() => _timer.Dispose();

    // ---- the group's deliveries

    /// <summary>A membership begins. What the replica throws here, this throws: the join fails.</summary>
    /// <param name="state">Null: this member is the first.</param>
    public void Begin(ProcessGroup group, ReadOnlyMemory<byte>? state)
    {
        var membership = new ReplicaMembership(group.Membership, _node.Id, _generationBeforeState);
        // Before the gate is taken: a token that is cancelled already calls back at once.
        group.Ended.UnsafeRegister(_ => OnTokenEnded(membership), null);
        Hold();
        try
        {
            End(MembershipEnd.Excluded); // of the one before, if its end comes late
            if (_failure is not null)
            {
                throw EndError(); // it threw when the one before ended: the join fails
            }

            if (_node.Host.Generation == membership.Generation && membership.Group.IsPresent(membership.Generation))
            {
                Load(membership, state);
                _port.View = _viewBeforeState;
                Guard(nameof(OnView), _viewBeforeState, static (replica, view) => replica.OnView(view));
                _joined.TrySetResult();
            }
        }
        finally
        {
            Exit();
        }
    }

    /// <summary>Saves the state. What the replica throws, this throws, and the member leaves.</summary>
    public ReadOnlyMemory<byte> Save()
    {
        Hold();
        try
        {
            return IsMember ? _replica.Save() : throw EndError();
        }
        catch (Exception e) when (IsMember)
        {
            Fail(nameof(Save), e);
            throw;
        }
        finally
        {
            Exit();
        }
    }

    public void OnMessage(NodeId from, Order order, ReadOnlyMemory<byte> packed, long token, int generation)
    {
        if (!Envelope.TryUnpack(packed, out ReadOnlySpan<byte> entry, out ReadOnlyMemory<byte> body) || !entry.IsEmpty)
        {
            OnUnreadable(token, generation);
            return;
        }

        Hold();
        if (_port.Membership?.Generation == generation)
        {
            var message = new ReplicaMessage { From = from, Order = order, Body = body };
            try
            {
                if (token == 0)
                {
                    _replica.OnMessage(message);
                }
                else
                {
                    _replica.OnRequest(message, token);
                }
            }
            catch (Exception e)
            {
                Fail(token == 0 ? nameof(OnMessage) : nameof(Replica.OnRequest), e);
            }
        }

        Exit();
    }

    public void OnView(View view, int generation)
    {
        Hold();
        if (_port.Membership?.Generation == generation)
        {
            _port.View = view;
            Guard(nameof(OnView), view, static (replica, view) => replica.OnView(view));
        }
        else
        {
            (_viewBeforeState, _generationBeforeState) = (view, generation);
        }

        Exit();
    }

    // ---- from elsewhere

    private void OnTimer()
    {
        Hold();
        if (IsMember && _port.TakeWake())
        {
            Guard(nameof(Replica.OnWake), 0, static (replica, _) => replica.OnWake());
        }

        Exit();
    }

    private async Task FlushAsync(ReplicaMembership membership, long call)
    {
        try
        {
            await _node.FlushAsync().ConfigureAwait(false);
        }
        catch (GroupException)
        {
            return; // the membership is over: the replica hears of that by OnEnded
        }

        Hold();
        if (ReferenceEquals(_port.Membership, membership))
        {
            Guard(nameof(Replica.OnFlushed), call, static (replica, call) => replica.OnFlushed(call));
        }

        Exit();
    }

    private void OnTokenEnded(ReplicaMembership membership)
    {
        Hold();
        if (ReferenceEquals(_port.Membership, membership))
        {
            End(membership.Group.WasDeleted ? MembershipEnd.Deleted
                : _node.Host.IsOver || _node.Host.Generation == membership.Generation ? MembershipEnd.Stopped : MembershipEnd.Excluded);
        }

        Exit();
    }

    // No version of this library multicasts such a body to a replica.
    private void OnUnreadable(long token, int generation)
    {
        _node.Host.Counters.UndecodableMessage();
        if (token > 0)
        {
            _node.Host.Loop.Post(new NodeInput
            {
                Kind = InputKind.Reply, Token = token, Body = "the request could not be read: send bytes"u8.ToArray(), Flag = true, Generation = generation,
            });
        }
    }

    // ---- under the gate

    private void Load(ReplicaMembership membership, ReadOnlyMemory<byte>? state)
    {
        _port.Open(membership);
        LastGeneration = membership.Generation;
        try
        {
            if (state is { } bytes)
            {
                _replica.Load(bytes);
            }
            else
            {
                _replica.Initialize();
            }
        }
        catch (Exception e)
        {
            Volatile.Write(ref _failure, e);
            _port.Close();
            throw;
        }
    }

    private void Guard<TState>(string method, TState state, Action<Replica, TState> call)
    {
        try
        {
            call(_replica, state);
        }
        catch (Exception e)
        {
            Fail(method, e);
        }
    }

    private void Fail(string method, Exception error)
    {
        ReplicaLog.Failed(_node.Host.Logger, error, _name, method);
        _node.Host.Counters.HandlerFailed();
        Volatile.Write(ref _failure, error);
        GroupMembership? group = _port.Membership?.Group;
        End(MembershipEnd.Failed);
        group?.Leave();
    }

    private void End(MembershipEnd end)
    {
        if (!IsMember)
        {
            return;
        }

        _port.Close();
        if (_joined.Task.IsCompleted)
        {
            _joined = NewSource();
        }

        Guard(nameof(Replica.OnEnded), end, static (replica, end) => replica.OnEnded(end));
    }

    private Exception EndError() => _failure is { } failure
        ? new InvalidOperationException($"The replica of '{_name}' threw, and this node has left the group. Dispose of it and open it again.", failure)
        : _over?.ToException(_name, outcomeUnknown: false) ?? new ExcludedException($"'{_name}' is being joined again", outcomeUnknown: false);

    private void Hold()
    {
        _gate.Enter();
        if (_isInside)
        {
            _gate.Exit();
            throw new InvalidOperationException(
                $"A call of the replica of '{_name}' from inside a call of it. End calls with continuations that run elsewhere (RunContinuationsAsynchronously).");
        }

        _isInside = true;
    }

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
