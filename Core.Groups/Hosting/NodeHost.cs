// One node without its public face: what its parts share, how calls go in, how it starts and ends.
// Keeps: one thread at a time in the protocol machine; a machine that throws is never used again: the node counts as
// crashed; whatever ends the node, every pending call ends too.
using Core.Groups.Protocol;
using Core.Groups.Tracing;
using Core.Groups.Transport;
using Microsoft.Extensions.Logging;

namespace Core.Groups.Hosting;

/// <summary>The host of one node. Safe for any thread.</summary>
internal sealed class NodeHost : ITurn<NodeInput>
{
    private readonly Lock _turnGate = new();
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _machineStopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ITransport _transport;
    private readonly NodeIncarnations _incarnations;
    private volatile Incarnation _present;
    private volatile bool _over;

    public NodeHost(GroupNodeOptions options, ILogger logger, NodeId self, ITransport transport, Func<NodeId, TraceFile?> openTrace)
    {
        Options = options;
        Logger = logger;
        Counters = new HostCounters(options.Name);
        Loop = new EventLoop<NodeInput>(this, $"clock of node {options.Name}");
        TraceObserver = options.Traced;
        _present = new Incarnation(self, 0);
        Mailbox = new Mailbox(new NodeMailHandler(this), null);
        _transport = transport;
        _incarnations = new NodeIncarnations(this, transport, openTrace);
    }

    public GroupNodeOptions Options { get; }
    public ILogger Logger { get; }
    public HostCounters Counters { get; }
    /// <summary>Messages to this node as a single process.</summary>
    public Mailbox Mailbox { get; }
    public EventLoop<NodeInput> Loop { get; }
    public PendingCalls Calls { get; } = new();
    public NodeStatus Status { get; } = new();
    public Watches Watches { get; } = new();

    /// <summary>Takes a member of a group that would move here, or declines; called on the thread pool.</summary>
    public Action<MigrationOffer>? TakeMigrant { get; set; }

    /// <summary>The node's stable store; null: nothing outlives the process.</summary>
    public NodeMemory? Memory { get; private set; }

    public string Address { get; private set; } = "";
    public NodeId Self => _present.Id;

    /// <summary>Counts the incarnations that this host has had.</summary>
    public int Generation => _present.Generation;

    /// <summary>Ends when the node has; with the error that ended it.</summary>
    public Task Completion => _completion.Task;

    /// <summary>Whether the node has ended, however it did.</summary>
    public bool IsOver => _over;

    /// <summary>Ends when the machine's orderly stop is complete.</summary>
    public Task MachineStopped => _machineStopped.Task;

    public bool IsTracing => Options.TracePath is not null || Options.Traced is not null;
    public Action<TraceEvent>? TraceObserver { get; set; }

    public static long UnixMilliseconds() => TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>Listens, then starts the first incarnation.</summary>
    public async ValueTask StartAsync(CancellationToken ct)
    {
        await RememberAsync(ct).ConfigureAwait(false);

        // The machine must be there for the first event, and needs the address: the gate holds back turns until then.
        Address = await _transport.StartAsync(new TransportInputs(this), ct).ConfigureAwait(false);
        lock (_turnGate)
        {
            _incarnations.StartFirst(
                new NodeSettings
                {
                    Address = HostPort.Normalise(Address), Seeds = [.. Options.Seeds.Select(HostPort.Normalise)], Site = Options.Site, Weight = Options.Weight,
                    MinimumPrimaryWeight = Options.MinimumPrimaryWeight, Heartbeat = Options.Heartbeat, Suspect = Options.SuspectAfter, AttemptTimeout = Options.AnswerTime,
                    MaximumMessageSize = Options.MaximumMessageSize, CreditWindow = Options.CreditWindow, Tracing = IsTracing,
                    IsExtended = Options.Mode == ClusterMode.Extended, MaximumClients = Options.MaximumClients, ClientSession = Options.ClientSession,
                },
                Self);
        }

        HostLog.Listening(Logger, Self, Address);
        Loop.Start();
    }

    private async ValueTask RememberAsync(CancellationToken ct)
    {
        Memory = await NodeMemory.OpenAsync(Options, ct).ConfigureAwait(false);
        if (Memory is null)
        {
            return;
        }

        Memory.OnFailed = OnStoreFailed;
        long incarnation = await Memory.BeginAsync(Self.Incarnation, ct).ConfigureAwait(false);
        if (incarnation != Self.Incarnation)
        {
            _present = new Incarnation(new NodeId(Self.Name, incarnation), 0);
            _transport.ChangeIdentity(Self);
        }
    }

    /// <summary>One turn of the event loop.</summary>
    public TimeSpan Run(ReadOnlySpan<NodeInput> inputs)
    {
        lock (_turnGate)
        {
            try
            {
                return _over ? TimeSpan.MaxValue : _incarnations.Run(inputs);
            }
            catch (Exception e)
            {
                HostLog.ProtocolFailed(Logger, e, Self);
                End(e, abort: true);
                return TimeSpan.MaxValue;
            }
        }
    }

    /// <summary>Reads the machine's state between turns; null before the start.</summary>
    public T Inspect<T>(Func<NodeMachine?, IReadOnlyCollection<GroupMembership>, T> look)
    {
        lock (_turnGate)
        {
            return look(_incarnations.Machine, _incarnations.Groups);
        }
    }

    /// <summary>Completes when the handlers have taken everything that they can.</summary>
    public Task WhenHandled()
    {
        lock (_turnGate)
        {
            return _incarnations.WhenHandled();
        }
    }

    /// <summary>Turn: another incarnation begins; inputs for the ones before are dropped from now on.</summary>
    public void BecomeIncarnation(NodeId next)
    {
        _present = new Incarnation(next, Generation + 1);
        Status.Reset();
    }

    public void OnMachineStopped() => _machineStopped.TrySetResult();

    /// <summary>Joins a group; ends when the application has its state.</summary>
    public async ValueTask JoinAsync(GroupMembership membership, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        PendingCall call = Calls.Add(Generation, membership.Name, isJoin: true);
        membership.JoinCall = call.Number;
        Loop.Post(new NodeInput { Kind = InputKind.Join, Call = call.Number, Subject = membership, Generation = call.Generation });
        try
        {
            await call.Task.WaitAsync(ct).ConfigureAwait(false);
        }
        catch (StateTransferException)
        {
            await membership.Over.WaitAsync(ct).ConfigureAwait(false); // undone: it can be tried again
            throw;
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            Calls.Take(call.Number);
            membership.Leave();
            throw;
        }
    }

    /// <summary>Takes the place of a member that moves here. It has no caller: what becomes of it is logged, and the member's node is told.</summary>
    public async Task AcceptAsync(GroupMembership membership, MigrationOffer offer)
    {
        try
        {
            PendingCall call = Calls.Add(offer.Generation, membership.Name, isJoin: true);
            membership.JoinCall = call.Number;
            Loop.Post(new NodeInput { Kind = InputKind.AcceptMigration, Call = call.Number, Token = offer.Token, Subject = membership, Generation = call.Generation });
            await call.Task.ConfigureAwait(false);
            HostLog.MemberTaken(Logger, membership.Name, offer.From);
        }
        catch (Exception e)
        {
            HostLog.MemberNotTaken(Logger, e, membership.Name, offer.From);
            membership.Leave();
        }
    }

    /// <summary>A forced re-join has no caller: its failure is logged and ends the membership.</summary>
    public async Task ObserveRejoinAsync(GroupMembership membership, PendingCall call)
    {
        try
        {
            await call.Task.ConfigureAwait(false);
        }
        catch (Exception e) when (e is ExcludedException or NodeStoppedException)
        {
            // The next incarnation tries again, or there is none.
        }
        catch (Exception e)
        {
            HostLog.RejoinFailed(Logger, e, membership.Name);
            membership.Leave();
        }
    }

    /// <summary>Makes a call of the machine that has no membership, and waits for its end.</summary>
    public ValueTask<CallResult> CallAsync(Func<PendingCall, NodeInput> input, string group, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        PendingCall call = Calls.Add(Generation, group);
        Loop.Post(input(call), schedule: false);
        Loop.RunHere();
        return WaitAsync(call, ct);
    }

    /// <summary>Waits for a call; the caller's cancellation withdraws it.</summary>
    public async ValueTask<CallResult> WaitAsync(PendingCall call, CancellationToken ct)
    {
        await using (ct.UnsafeRegister((_, token) => Withdraw(call, token), null).ConfigureAwait(false))
        {
            return await call.Task.ConfigureAwait(false);
        }
    }

    /// <summary>Checks what a caller wants to send.</summary>
    public void Check(Order order, ReadOnlyMemory<byte> packed, TimeSpan? timeout = null)
    {
        if (!Enum.IsDefined(order))
        {
            throw new ArgumentOutOfRangeException(nameof(order), order, "There is no such order.");
        }

        if (packed.Length > Options.MaximumMessageSize)
        {
            throw new MessageTooLargeException(packed.Length, Options.MaximumMessageSize);
        }

        if (timeout is { } limit && (limit <= TimeSpan.Zero || limit.TotalMilliseconds > int.MaxValue))
        {
            throw new ArgumentOutOfRangeException(nameof(timeout), limit, "A time limit is above zero and below 24 days; null means none.");
        }
    }

    /// <exception cref="InvalidOperationException">Tracing is off.</exception>
    public void RequireTracing()
    {
        if (!IsTracing)
        {
            throw new InvalidOperationException("Tracing is off. Set GroupNodeOptions.TracePath or GroupNodeOptions.Traced.");
        }
    }

    public void RaiseTraced(TraceEvent line)
    {
        try
        {
            TraceObserver?.Invoke(line);
        }
        catch (Exception e)
        {
            HostLog.ObserverFailed(Logger, e, nameof(GroupNode.Traced));
        }
    }

    /// <summary>Ends the node: orderly if the machine has stopped; else it is to the others as if it had crashed.</summary>
    /// <param name="cause">The error that ends it, if there is one.</param>
    /// <param name="abort">Close connections without a goodbye.</param>
    /// <param name="writeFail">A deliberate crash: the trace says so.</param>
    public void End(Exception? cause, bool abort, bool writeFail = false)
    {
        lock (_turnGate)
        {
            if (_over)
            {
                return;
            }

            _over = true;
            if (abort)
            {
                _transport.Abort();
            }

            Loop.Stop();
            _incarnations.End(cause, writeFail);
            Status.Complete();
            Watches.Complete();
        }

        _ = Task.Run(() => FinishAsync(cause)); // not on the caller's thread: it may be the event loop's
    }

    private async Task FinishAsync(Exception? cause)
    {
        try
        {
            await _transport.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            HostLog.TransportFailed(Logger, e);
        }

        try
        {
            if (Memory is { } memory)
            {
                await memory.DisposeAsync().ConfigureAwait(false);
            }
        }
        catch (Exception e)
        {
            HostLog.StoreFailed(Logger, e, Self);
        }

        if (cause is null)
        {
            _completion.TrySetResult();
        }
        else
        {
            _completion.TrySetException(cause);
            _ = _completion.Task.Exception; // nobody has to look at it
        }
    }

    // What it cannot remember a node must not promise: it ends, as a crash looks to the others.
    private void OnStoreFailed(StableStoreException error)
    {
        HostLog.StoreFailed(Logger, error, Self);
        End(error, abort: true);
    }

    /// <summary>The caller gives a call up.</summary>
    public void Withdraw(PendingCall call, CancellationToken ct)
    {
        if (Calls.Take(call.Number) is not null)
        {
            Loop.Post(new NodeInput { Kind = InputKind.Cancel, Call = call.Number, Generation = call.Generation });
            call.TrySetCanceled(ct);
        }
    }

    private sealed record Incarnation(NodeId Id, int Generation);
}
