// One client without its public face: its machine, its connection, and the calls that wait.
// Keeps: one thread at a time in the machine; calls go in in their order and within the window; whatever ends the client, every
// call ends too. Reconnects for ever, with Polly: waits that grow, with chance in them, so that clients do not come all at once.
using System.Diagnostics;
using Core.Groups.Protocol;
using Core.Groups.Protocol.Clients;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Polly;
using Polly.Retry;
using Outcome = Core.Groups.Protocol.Outcome;

namespace Core.Groups.Hosting;

/// <summary>One call on its way to the machine.</summary>
internal readonly record struct ClientCall(PendingCall Pending, Order Order, ReadOnlyMemory<byte> Body, ReplyMode Mode, int Count, TimeSpan? Timeout, bool IsQuestion = false);

/// <summary>The host of one client. Safe for any thread.</summary>
internal sealed class ClientHost : IClientEffects, IClientConnectionEvents, IInputs<ClientCall>
{
    private readonly Lock _gate = new();
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly PendingCalls _calls = new();
    private readonly CreditGate<ClientCall> _credit;
    private readonly ClientConnector _connector;
    private readonly ClientMachine _machine;
    private readonly ITimer _clock;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    /// <summary>What a visit of the machine has ended: told when the gate is open again.</summary>
    private readonly List<(ClientCall Call, CallResult Result)> _ended = [];
    private readonly Dictionary<long, ClientCall> _made = [];
    private TaskCompletionSource _served = NewSignal();
    private string _problem = "no node has answered yet";
    private Task _serving = Task.CompletedTask;
    private Task? _stopped;
    private bool _isOver;

    public ClientHost(GroupClientOptions options, NodeId self)
    {
        Options = options;
        _logger = (options.LoggerFactory ?? NullLoggerFactory.Instance).CreateLogger("Core.Groups.Client");
        _credit = new CreditGate<ClientCall>(options.Name, options.Window, this);
        _machine = new ClientMachine(self, this);
        _connector = new ClientConnector(options, self, this, _logger);
        _clock = TimeProvider.System.CreateTimer(static host => ((ClientHost)host!).Visit(static (machine, now) => machine.Tick(now)), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        Self = self;
    }

    public GroupClientOptions Options { get; }
    public NodeId Self { get; private set; }
    public NodeId? Server { get; private set; }

    private TimeSpan Now => Stopwatch.GetElapsedTime(_start);

    public void Start() => _serving = Task.Run(ServeAsync);

    public async Task WaitUntilServedAsync(TimeSpan limit, CancellationToken ct)
    {
        Task served;
        lock (_gate)
        {
            ThrowIfOver();
            served = _served.Task;
        }

        try
        {
            await served.WaitAsync(limit, ct).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"No node served the client '{Options.Name}' in {limit.TotalSeconds} s: {_problem}. Are the addresses (GroupClientOptions.Nodes), the cluster's name and its key right?");
        }
    }

    public async Task<CallResult> CallAsync(string group, Order order, ReadOnlyMemory<byte> packed, Replies replies, TimeSpan? timeout, CancellationToken ct)
    {
        if (!GroupId.TryParse(group, out _))
        {
            GroupName.Validate(group);
        }

        if (!Enum.IsDefined(order))
        {
            throw new ArgumentOutOfRangeException(nameof(order), order, "There is no such order.");
        }

        if (timeout is { } limit && (limit <= TimeSpan.Zero || limit.TotalMilliseconds > int.MaxValue))
        {
            throw new ArgumentOutOfRangeException(nameof(timeout), limit, "A time limit is above zero and below 24 days; null means none.");
        }

        PendingCall pending = _calls.Add(0, group);
        try
        {
            await _credit.PassAsync(new ClientCall(pending, order, packed, replies.ToMode(), replies.Number, timeout), packed.Length, insideHandler: false, ct).ConfigureAwait(false);
        }
        catch
        {
            _calls.Take(pending.Number);
            throw;
        }

        await using (ct.UnsafeRegister((_, token) => Withdraw(pending, token), null).ConfigureAwait(false))
        {
            return await pending.Task.ConfigureAwait(false);
        }
    }

    /// <summary>Asks about groups; waits while no node can be reached.</summary>
    public async Task<CallResult> AskAsync(ClientQuestionKind kind, string text, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        PendingCall pending = _calls.Add(0, text);
        Visit((machine, now) => machine.Ask(now, pending.Number, kind, text));
        await using (ct.UnsafeRegister((_, token) => Withdraw(pending, token), null).ConfigureAwait(false))
        {
            return await pending.Task.ConfigureAwait(false);
        }
    }

    /// <summary>Stops once; completes when nothing runs any more.</summary>
    public Task StopAsync()
    {
        lock (_gate)
        {
            return _stopped ??= Task.Run(StopOnceAsync);
        }
    }

    private async Task StopOnceAsync()
    {
        Visit((machine, now) =>
        {
            machine.Stop(now);
            _isOver = true;
        });
        _credit.Close(static () => new ClientStoppedException(outcomeUnknown: false));
        _calls.Close(static () => new ClientStoppedException(outcomeUnknown: true), static () => new ClientStoppedException(outcomeUnknown: false));
        _served.TrySetException(new ClientStoppedException(outcomeUnknown: false));
        _ = _served.Task.Exception; // nobody has to look at it
        _connector.Stop();
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _clock.DisposeAsync().ConfigureAwait(false);
        _stopping.Dispose();
    }

    // ---- connections

    private async Task ServeAsync()
    {
        ResiliencePipeline retry = new ResiliencePipelineBuilder().AddRetry(new RetryStrategyOptions
        {
            MaxRetryAttempts = int.MaxValue,
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            Delay = Options.Delay,
            MaxDelay = Options.MaximumDelay,
            ShouldHandle = static arguments => ValueTask.FromResult(arguments.Outcome.Exception is IOException),
            OnRetry = arguments =>
            {
                _problem = arguments.Outcome.Exception!.Message;
                HostLog.ClientNotServed(_logger, Self, _problem);
                return ValueTask.CompletedTask;
            },
        }).Build();
        while (!_stopping.IsCancellationRequested)
        {
            ClientConnection connection = await retry.ExecuteAsync(ct => _connector.ConnectAsync(ct), _stopping.Token).ConfigureAwait(false);
            await connection.Ended.ConfigureAwait(false);
        }
    }

    public void OnConnected() => Visit(static (machine, now) => machine.Connected(now));

    public void OnDisconnected(string reason)
    {
        HostLog.ClientDisconnected(_logger, Self, reason);
        Visit(static (machine, now) => machine.Disconnected(now));
    }

    public void OnFrame(ReadOnlyMemory<byte> frame) => Visit((machine, now) => machine.FrameReceived(now, frame));

    // ---- the machine

    void IInputs<ClientCall>.Post(in ClientCall call, bool schedule)
    {
        ClientCall made = call;
        Visit((machine, now) =>
        {
            _made.Add(made.Pending.Number, made);
            machine.Call(now, made.Pending.Number, made.Pending.Group, made.Order, made.Body, made.Mode, made.Count, made.Timeout);
        });
    }

    private void Withdraw(PendingCall pending, CancellationToken ct)
    {
        if (_calls.Take(pending.Number) is not null)
        {
            pending.TrySetCanceled(ct);
            Visit((machine, now) => machine.Cancel(now, pending.Number));
        }
    }

    private void Visit(Action<ClientMachine, TimeSpan> visit)
    {
        (ClientCall Call, CallResult Result)[] ended;
        lock (_gate)
        {
            if (_isOver)
            {
                return;
            }

            visit(_machine, Now);
            _connector.Flush();
            TimeSpan next = _machine.NextDeadline;
            TimeSpan wait = next == TimeSpan.MaxValue ? Timeout.InfiniteTimeSpan : TimeSpan.FromMilliseconds(Math.Clamp((next - Now).TotalMilliseconds, 1, int.MaxValue));
            _clock.Change(wait, Timeout.InfiniteTimeSpan);
            ended = [.. _ended];
            _ended.Clear();
        }

        foreach ((ClientCall call, CallResult result) in ended)
        {
            End(call, result);
            if (!call.IsQuestion)
            {
                _credit.Release(call.Body.Length + CreditGate<ClientCall>.MessageOverhead);
            }
        }
    }

    private void End(in ClientCall call, in CallResult result)
    {
        _calls.Take(call.Pending.Number);
        switch (result.Outcome)
        {
            case Outcome.Excluded: call.Pending.TrySetException(new ClientForgottenException()); break;
            case Outcome.Stopped: call.Pending.TrySetException(new ClientStoppedException(outcomeUnknown: true)); break;
            case Outcome.TooLarge: call.Pending.TrySetException(new MessageTooLargeException(call.Body.Length, _machine.MaximumMessage)); break;
            default: call.Pending.End(result); break;
        }
    }

    void IClientEffects.Transmit(ReadOnlySpan<byte> frame) => _connector.Transmit(frame);

    void IClientEffects.Close(string reason)
    {
        _problem = reason;
        _connector.Close(reason);
    }

    void IClientEffects.Ended(long call, Outcome outcome, IReadOnlyList<ReplyItem> replies, IReadOnlyList<NodeId> failed, MessageId message)
    {
        if (_made.Remove(call, out ClientCall made))
        {
            _ended.Add((made, new CallResult(outcome, [.. replies], failed, message)));
        }
    }

    void IClientEffects.Answered(long call, Outcome outcome, GroupInfo? group, IReadOnlyList<string> names)
    {
        if (_calls.Find(call) is { } asked)
        {
            object? found = group is null ? names.ToArray() : group;
            _ended.Add((new ClientCall(asked, default, default, default, 0, null, IsQuestion: true), CallResult.Of(outcome) with { Found = found }));
        }
    }

    void IClientEffects.Refused(ClientRefusal why)
    {
        if (why == ClientRefusal.ExtendedMode)
        {
            _served.TrySetException(new NotSupportedException("The cluster is in extended mode, which serves no clients: a call that is sent again through another component could be delivered in both. Make the program a node."));
            _ = _served.Task.Exception; // nobody has to look at it
        }
    }

    void IClientEffects.ServedBy(NodeId? server)
    {
        Server = server;
        if (server is { } node)
        {
            HostLog.ClientServed(_logger, Self, node);
            _connector.OnServed();
            _served.TrySetResult();
        }
        else
        {
            _served = NewSignal();
        }
    }

    void IClientEffects.IdentityChanged(NodeId self)
    {
        HostLog.ClientForgotten(_logger, Self, self);
        Self = self;
        _connector.ChangeIdentity(self);
    }

    private void ThrowIfOver()
    {
        if (_isOver)
        {
            throw new ClientStoppedException(outcomeUnknown: false);
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
