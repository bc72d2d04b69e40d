// What stands behind a ProcessGroup: its calls on their way to the protocol, and its life.
// Keeps: a membership begins and ends on the event loop; when it is over, calls fail at once with the reason.
using Core.Groups.Protocol;

namespace Core.Groups.Hosting;

/// <summary>One membership after another of one group: a forced re-join begins the next.</summary>
internal sealed class GroupMembership
{
    private readonly NodeHost _host;
    private readonly ProcessGroup _group;
    private readonly CreditGate<NodeInput> _credit;
    private readonly GroupMailHandler _mail;
    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile Present? _present;
    private volatile Present? _latest;
    private volatile bool _hasJoined;
    private readonly EntryPoints _entries;
    private volatile Func<Exception>? _endError; // null: it was no member yet
    private volatile CancellationTokenSource _ended = new();
    private volatile bool _leaveAsked;
    private GroupEnd _leftBy;

    /// <param name="expected">The id that the group must have; none: any.</param>
    public GroupMembership(NodeHost host, ProcessGroup group, GroupOptions options, EntryPoints entries, GroupId expected)
    {
        Expected = expected;
        Credentials = options.Credentials.ToArray();
        Inspects = options.InspectJoin is not null;
        _host = host;
        _group = group;
        _entries = entries;
        _credit = new CreditGate<NodeInput>(group.Name, host.Options.CreditWindow, host.Loop);
        _mail = new GroupMailHandler(host, this, group, options, entries);
        Mailbox = new Mailbox(_mail, group);
    }

    public string Name => _group.Name;
    public GroupId Expected { get; }
    public ReadOnlyMemory<byte> Credentials { get; }
    public bool Inspects { get; }
    public Mailbox Mailbox { get; }
    public StateFlow States => _mail.States;
    public GroupId Id => _latest?.Id ?? GroupId.None;
    public View View => _mail.View;
    public IReadOnlyDictionary<string, string> Configuration => _mail.Configuration;
    public CancellationToken Ended => _ended.Token;

    /// <summary>Completes when the membership is over for good, and the last handler has run.</summary>
    public Task Over => _over.Task;

    /// <summary>The call of the join that has not ended yet; 0 if there is none.</summary>
    public long JoinCall { get; set; }

    /// <summary>Whether the application has been told that it is a member: then an exclusion is followed by a re-join.</summary>
    public bool HasJoined { get => _hasJoined; set => _hasJoined = value; }

    /// <summary>Whether an exclusion is followed by a re-join.</summary>
    public bool WantsRejoin => _hasJoined && !_leaveAsked && _host.Options.RejoinGroups;

    /// <summary>Event loop: whether the leave was delivered; the last handlers may still run.</summary>
    public bool HasLeft { get; private set; }

    public IAsyncEnumerable<View> ReadViews(CancellationToken ct) => _mail.Views.ReadAsync(ct);

    public ValueTask SendAsync(Order order, ReadOnlyMemory<byte> packed, CancellationToken ct)
    {
        _host.Check(order, packed);
        if (_present is not { } present)
        {
            return ValueTask.FromException(EndError());
        }

        _host.Counters.Sent();
        return PassAsync(Multicast(present, order, packed), schedule: true, ct);
    }

    /// <summary>
    /// Sends in one membership: dropped if that is over by now. Completes when there was credit for it, also inside a handler,
    /// which therefore must not wait for it.
    /// </summary>
    public ValueTask PostAsync(int generation, Order order, ReadOnlyMemory<byte> packed)
    {
        if (_present is not { } present || present.Generation != generation)
        {
            return default;
        }

        _host.Counters.Sent();
        return _credit.PassAsync(Multicast(present, order, packed), packed.Length, insideHandler: false, CancellationToken.None);
    }

    /// <summary>Whether the membership ended because the group was deleted.</summary>
    public bool WasDeleted => _leftBy == GroupEnd.Deleted;

    /// <summary>Whether the membership of this generation lives.</summary>
    public bool IsPresent(int generation) => _present?.Generation == generation;

    public async ValueTask<MessageId> SendTracedAsync(Order order, ReadOnlyMemory<byte> packed, CancellationToken ct)
    {
        _host.Check(order, packed);
        CallResult result = await CallAsync((present, call) => Multicast(present, order, packed, call), Timeout.InfiniteTimeSpan, ct).ConfigureAwait(false);
        return result.Message;
    }

    public async ValueTask<CallResult> RequestAsync(Order order, ReadOnlyMemory<byte> packed, Replies replies, TimeSpan? timeout, CancellationToken ct)
    {
        if (replies == Replies.None)
        {
            await SendAsync(order, packed, ct).ConfigureAwait(false);
            return CallResult.Of(Outcome.Done);
        }

        _host.Check(order, packed, timeout);
        RefuseWaitForSelf(replies);
        return await CallAsync(
            (present, call) => new NodeInput
            {
                Kind = InputKind.Request, Group = present.Id, Generation = present.Generation, Order = order, Body = packed, Call = call,
                Mode = replies.ToMode(), Number = replies.Number, Timeout = timeout,
            },
            timeout ?? Timeout.InfiniteTimeSpan, ct).ConfigureAwait(false);
    }

    /// <summary>A call that is not charged to the credit: the caller waits for its end.</summary>
    public ValueTask<CallResult> CallFreeAsync(InputKind kind, object subject, CancellationToken ct)
    {
        Present present = _present ?? throw EndError();
        return _host.CallAsync(
            call => new NodeInput { Kind = kind, Group = present.Id, Generation = call.Generation, Call = call.Number, Subject = subject }, Name, ct);
    }

    /// <summary>A request that all members make alike, to another group.</summary>
    public ValueTask<CallResult> RequestAsGroupAsync(
        string target, long number, Order order, ReadOnlyMemory<byte> packed, Replies replies, TimeSpan? timeout, CancellationToken ct)
    {
        _host.Check(order, packed, timeout);
        ArgumentOutOfRangeException.ThrowIfLessThan(number, 1);
        Present present = _present ?? throw EndError();
        return _host.CallAsync(
            call => new NodeInput
            {
                Kind = InputKind.RequestAsGroup, Group = present.Id, Generation = call.Generation, Call = call.Number, Subject = target, Token = number, Order = order,
                Body = packed, Mode = replies.ToMode(), Number = replies.Number, Timeout = timeout,
            },
            target, ct);
    }

    /// <summary>The group's id and the generation of this membership.</summary>
    /// <exception cref="NotMemberException">The membership is over, or another error that says why.</exception>
    public (GroupId Id, int Generation) RequirePresent() => _present is { } present ? (present.Id, present.Generation) : throw EndError();

    /// <summary>Posts the input of a message that goes to other groups too, when this group has credit for it.</summary>
    public ValueTask TakeCreditAsync(in NodeInput input, int bytes, CancellationToken ct) =>
        _credit.PassAsync(input, bytes, HandlerScope.Group == _group, ct, schedule: false);

    /// <summary>Inside a handler of this group, a request that needs this member's own reply would wait for itself.</summary>
    /// <exception cref="InvalidOperationException">It would.</exception>
    public void RefuseWaitForSelf(Replies replies) => RefuseWaitForSelf(replies, View.Members.Length);

    /// <param name="members">All that are asked, in this group and others.</param>
    public void RefuseWaitForSelf(Replies replies, int members)
    {
        if (HandlerScope.Group == _group && replies.Needed(members) > members - 1)
        {
            throw new InvalidOperationException(
                $"A request for {replies} replies inside a handler of '{Name}' would wait for that handler's own reply. " +
                "Ask for fewer replies than there are other members, or start the request and await it outside the handler.");
        }
    }

    public void Leave()
    {
        _leaveAsked = true;
        PassOverHeld();
        _host.Loop.Post(new NodeInput { Kind = InputKind.Leave, Subject = this, Generation = NodeInput.AnyGeneration });
    }

    /// <summary>A handler was registered, or will not come: what is held may go on.</summary>
    public void HandlersChanged() => Mailbox.StartPump();

    /// <summary>Event loop: the protocol has taken this node into the group.</summary>
    public void Begin(GroupId id, int generation)
    {
        _credit.Open();
        Mailbox.Open(generation);
        if (_ended.IsCancellationRequested)
        {
            _ended = new CancellationTokenSource();
        }

        _present = _latest = new Present(id, generation);
    }

    /// <summary>Event loop: the group was merged with one that has this id.</summary>
    public void Rename(GroupId id)
    {
        if (_present is { } present)
        {
            _present = _latest = present with { Id = id };
        }
    }

    /// <summary>Event loop: this node left; what was delivered before is still handled.</summary>
    public bool StageLeft(GroupEnd end)
    {
        HasLeft = true;
        _present = null;
        PassOverHeld();
        _endError = () => end == GroupEnd.Deleted ? new GroupDeletedException(Name) : new NotMemberException(Name);
        _leftBy = end;
        _credit.Close(EndError);
        return Mailbox.Stage(new Mail { Kind = MailKind.End });
    }

    public void ReleaseCredit(long bytes) => _credit.Release(bytes);

    /// <summary>Event loop: the incarnation or the node is over; nothing that waits is handled any more.</summary>
    /// <param name="forGood">Whether there will be no re-join.</param>
    public void CutOff(Func<Exception> error, bool forGood)
    {
        _endError = error;
        _present = null;
        States.Drop();
        Mailbox.Drop();
        _credit.Close(EndError);
        _ = _ended.CancelAsync(); // what is registered there is the application's code
        if (forGood)
        {
            Finish();
        }
    }

    /// <summary>Event loop: the group does not take this node in.</summary>
    public void EndWith(Func<Exception> error)
    {
        _endError = error;
        Finish();
    }

    /// <summary>The membership is over for good.</summary>
    public void Finish()
    {
        if (_host.Calls.Take(JoinCall) is { } join)
        {
            join.TrySetException(_leftBy switch // before the application was told that it is a member
            {
                GroupEnd.Lost => new StateTransferException(Name, "everybody who had the state is gone. Join again: the first to do so begins anew."),
                _ => EndedBy(),
            });
        }

        _ = _ended.CancelAsync();
        _mail.Views.Complete();
        _over.TrySetResult();
    }

    // Without a handler, what is held would hold up the end of the membership.
    private void PassOverHeld()
    {
        if (!_entries.IsReady)
        {
            _entries.IgnoreMessages();
            HandlersChanged();
        }
    }

    private async ValueTask<CallResult> CallAsync(Func<Present, long, NodeInput> input, TimeSpan creditTimeout, CancellationToken ct)
    {
        Present present = _present ?? throw EndError();
        PendingCall call = _host.Calls.Add(present.Generation, Name);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(creditTimeout);
        try
        {
            _host.Counters.Sent();
            await PassAsync(input(present, call.Number), schedule: false, limit.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            _host.Calls.Take(call.Number);
            if (e is OperationCanceledException && !ct.IsCancellationRequested)
            {
                throw new TimeoutException($"There was no credit for the request to '{Name}' in the time given.", e);
            }

            throw;
        }

        _host.Loop.RunHere();
        return await _host.WaitAsync(call, ct).ConfigureAwait(false);
    }

    private Exception EndError() => _host.IsOver ? new NodeStoppedException(outcomeUnknown: false) : EndedBy();

    private Exception EndedBy() => _endError?.Invoke() ?? new NotMemberException(Name);

    private ValueTask PassAsync(in NodeInput input, bool schedule, CancellationToken ct) =>
        _credit.PassAsync(input, input.Body.Length, HandlerScope.Group == _group, ct, schedule);

    private static NodeInput Multicast(Present present, Order order, ReadOnlyMemory<byte> packed, long call = 0) => new()
    {
        Kind = InputKind.Multicast, Group = present.Id, Generation = present.Generation, Order = order, Body = packed, Call = call,
    };

    /// <summary>A membership that lives: the group's id, and the generation of the machine that it belongs to.</summary>
    private sealed record Present(GroupId Id, int Generation);
}
