// What the pump of a group does with each item: views to their readers, messages to the handlers, state to and from the
// application's callbacks.
// Keeps: a callback that throws is logged and told to the protocol; it never ends the pump.
using System.Collections.Immutable;
using Core.Groups.Protocol;

namespace Core.Groups.Hosting;

/// <summary>The receiving end of one group's mailbox.</summary>
internal sealed class GroupMailHandler : IMailHandler, IReplies
{
    private const byte WithoutState = 0;
    private const byte WithState = 1;
    private const byte WithJournal = 2;
    private const int LongestRefusal = 1000;
    private static readonly View NoView = new(GroupId.None, "", 0, "", [], [], [], IsPrimary: false);

    private readonly NodeHost _host;
    private readonly GroupMembership _membership;
    private readonly ProcessGroup _group;
    private readonly GroupOptions _options;
    private readonly EntryPoints _entries;
    private readonly Dispatcher _dispatcher;
    private readonly JournalPost? _journal;
    private long _unreportedBytes;
    private int _configuredIn = NodeInput.AnyGeneration;
    private int _withoutState = NodeInput.AnyGeneration;

    public GroupMailHandler(NodeHost host, GroupMembership membership, ProcessGroup group, GroupOptions options, EntryPoints entries)
    {
        _host = host;
        _membership = membership;
        _group = group;
        _options = options;
        _entries = entries;
        States = new StateFlow(host, membership, options.State);
        _dispatcher = new Dispatcher(group.Name, entries, this, host.Options.MaximumMessageSize, host.Counters, host.Logger, options.OnKill);
        _journal = options.Journal is { } journal ? new JournalPost(journal, group, _dispatcher, options, this) : null;
    }

    public Broadcast<View> Views { get; } = new();

    /// <summary>Large states on their way from and to the application.</summary>
    public StateFlow States { get; }

    public View View => Views.Present ?? NoView;

    /// <summary>The configuration data as of the present place in the delivery order.</summary>
    public ImmutableDictionary<string, string> Configuration { get; private set; } = ImmutableDictionary<string, string>.Empty;

    public bool TakesMessages => _entries.IsReady;

    public ValueTask HandleAsync(in Mail mail, int generation)
    {
        if (generation == _withoutState && mail.Kind != MailKind.End)
        {
            PassOver(mail, generation);
            return default;
        }

        if (_configuredIn != generation && mail.Kind is (MailKind.Configured or MailKind.LoadState))
        {
            // A membership begins: what the group is configured to is told anew.
            _configuredIn = generation;
            Configuration = ImmutableDictionary<string, string>.Empty;
        }

        switch (mail.Kind)
        {
            case MailKind.Message when _journal is not null:
                return OnLoggedMessageAsync(mail.Delivery, generation);
            case MailKind.Question:
                return _journal is null ? default : KeepOnlyAsync(_journal.AskAsync(mail.Delivery, generation), generation);
            case MailKind.Message:
                return HandOnAsync(mail.Delivery, generation);
            case MailKind.View when _journal is not null:
                return OnLoggedViewAsync((View)mail.Subject!, generation);
            case MailKind.View:
                var view = (View)mail.Subject!;
                Views.Publish(view);
                _options.Sink?.OnView(view, generation);
                return OnViewAsync(view);
            case MailKind.Configured when _journal is not null:
                return OnLoggedConfiguredAsync((ConfigurationEntry)mail.Subject!, generation);
            case MailKind.Configured:
                return OnConfiguredAsync((ConfigurationEntry)mail.Subject!);
            case MailKind.SaveState:
                return SaveAsync(mail.Token, isWhole: mail.Subject is not null, generation);
            case MailKind.LoadState when mail.Subject is StateReader stream:
                return LoadAsync(stream, generation);
            case MailKind.LoadState:
                return LoadAsync((ReadOnlyMemory<byte>?)mail.Subject, generation);
            case MailKind.Reconcile:
                return ReconcileAsync((ImmutableArray<SideState>)mail.Subject!, generation);
            case MailKind.InspectJoin:
                return InspectAsync(mail.Token, (JoinRequest)mail.Subject!, generation);
            default:
                _membership.Finish();
                return default;
        }
    }

    // Credit that goes back late costs the senders little as long as it is a small part of their window.
    public void Consumed(int messages, long bytes, int generation)
    {
        _host.Counters.Handled(messages);
        _unreportedBytes += bytes + ((long)messages * CreditGate<NodeInput>.MessageOverhead);
        var input = new NodeInput { Kind = InputKind.Consumed, Group = _membership.Id, Generation = generation, Number = messages };
        if (_unreportedBytes < _host.Options.CreditWindow / 8)
        {
            _host.Loop.PostLazily(input);
        }
        else
        {
            _unreportedBytes = 0;
            _host.Loop.Post(input);
        }
    }

    public void WakeLoop(bool onThisThread)
    {
        if (onThisThread)
        {
            _host.Loop.RunHere();
        }
        else
        {
            _host.Loop.Schedule();
        }
    }

    public void Reply(long token, ReadOnlyMemory<byte> body, bool isError, int generation)
    {
        if (token != JournalPost.Replayed)
        {
            Post(new NodeInput { Kind = InputKind.Reply, Token = token, Body = body, Flag = isError, Generation = generation });
        }
    }

    public ValueTask AnswerAsync(AnswerPlan plan, in Delivery request, ReadOnlyMemory<byte> answer, int generation) =>
        request.ReplyToken == JournalPost.Replayed ? default : plan.CarryOutAsync(_host, request.ReplyToken, request.Body, answer, generation);

    /// <summary>As <see cref="Reply"/>, from outside the pump.</summary>
    public void ReplyLater(long token, ReadOnlyMemory<byte> body, bool isError, int generation) => _host.Loop.Post(new NodeInput
    {
        Kind = InputKind.Reply, Token = token, Body = body, Flag = isError, Generation = generation,
    });

    // The state could not be loaded, and the node leaves again: what still comes must not meet a state that is not there.
    private void PassOver(in Mail mail, int generation)
    {
        if (mail.Kind == MailKind.InspectJoin)
        {
            Post(new NodeInput { Kind = InputKind.JoinInspected, Token = mail.Token, Generation = generation }); // the machine is leaving: it refuses
        }
        else if (mail.Kind == MailKind.SaveState)
        {
            Post(new NodeInput { Kind = InputKind.StateSaved, Token = mail.Token, Generation = generation });
        }
        else if (mail.Kind == MailKind.Message && mail.Delivery.ReplyToken != 0)
        {
            Reply(mail.Delivery.ReplyToken, "this member could not load the group's state"u8.ToArray(), isError: true, generation);
        }
    }

    private async ValueTask OnLoggedViewAsync(View view, int generation)
    {
        if (await KeepAsync(_journal!.KeepAsync(view), generation).ConfigureAwait(false))
        {
            Views.Publish(view);
            _options.Sink?.OnView(view, generation);
            await OnViewAsync(view).ConfigureAwait(false);
        }
    }

    private async ValueTask OnLoggedConfiguredAsync(ConfigurationEntry entry, int generation)
    {
        if (await KeepAsync(_journal!.KeepAsync(entry), generation).ConfigureAwait(false))
        {
            await OnConfiguredAsync(entry).ConfigureAwait(false);
        }
    }

    private ValueTask OnLoggedMessageAsync(in Delivery delivery, int generation)
    {
        if (Envelope.IsQuestion(delivery.Body))
        {
            return KeepOnlyAsync(_journal!.AskAsync(delivery, generation), generation);
        }

        ValueTask kept = _journal!.KeepAsync(delivery);
        return kept.IsCompletedSuccessfully ? HandOnAsync(delivery, generation) : KeepAndHandOnAsync(kept, delivery, generation);
    }

    private ValueTask HandOnAsync(in Delivery delivery, int generation)
    {
        if (_options.Sink is not { } sink)
        {
            return _dispatcher.DispatchAsync(delivery, _group, View, generation);
        }

        sink.OnMessage(delivery.From, delivery.Order, delivery.Body, delivery.ReplyToken, generation);
        return default;
    }

    private async ValueTask KeepAndHandOnAsync(ValueTask kept, Delivery delivery, int generation)
    {
        if (await KeepAsync(kept, generation).ConfigureAwait(false))
        {
            await HandOnAsync(delivery, generation).ConfigureAwait(false);
        }
    }

    private async ValueTask KeepOnlyAsync(ValueTask kept, int generation) => await KeepAsync(kept, generation).ConfigureAwait(false);

    // Who cannot write down what it is given must not pretend that it had: it leaves, and handles nothing more.
    private async ValueTask<bool> KeepAsync(ValueTask kept, int generation)
    {
        if (await GuardAsync("Journal", () => kept).ConfigureAwait(false) is null)
        {
            return true;
        }

        _withoutState = generation;
        _membership.Leave();
        return false;
    }

    /// <summary>Tells the application of a view.</summary>
    public async ValueTask OnViewAsync(View view)
    {
        if (_options.OnView is { } onView)
        {
            await GuardAsync("OnView", () => onView(view)).ConfigureAwait(false);
        }
    }

    /// <summary>Tells the application of an entry of the configuration data.</summary>
    public async ValueTask OnConfiguredAsync(ConfigurationEntry entry)
    {
        Configuration = entry.Value is { } value ? Configuration.SetItem(entry.Key, value) : Configuration.Remove(entry.Key);
        if (_options.OnConfigured is { } onConfigured)
        {
            await GuardAsync("OnConfigured", () => onConfigured(entry)).ConfigureAwait(false);
        }
    }

    private async ValueTask InspectAsync(long token, JoinRequest request, int generation)
    {
        (NodeId joiner, ReadOnlyMemory<byte> credentials) = request;
        string? refusal = "the member that looked at the credentials could not judge them; see its log.";
        await GuardAsync("InspectJoin", async () => refusal = await _options.InspectJoin!(joiner, credentials).ConfigureAwait(false)).ConfigureAwait(false);
        if (refusal is not null)
        {
            refusal = refusal.Length > LongestRefusal ? refusal[..LongestRefusal] : refusal;
            HostLog.JoinRefused(_host.Logger, _group.Name, joiner, refusal);
        }

        Post(new NodeInput { Kind = InputKind.JoinInspected, Token = token, Subject = refusal, Generation = generation });
    }

    private async ValueTask SaveAsync(long token, bool isWhole, int generation)
    {
        // In a merge of components each side's state is handed over as a whole.
        if (!isWhole && (_journal is not null || (_host.Options.Mode != ClusterMode.Extended && _options.State is { IsStream: true })))
        {
            byte kind = _journal is null ? WithState : WithJournal;
            Exception? failure = await GuardAsync("Save", async () => States.Open(token, kind, await OpenAsync().ConfigureAwait(false), generation)).ConfigureAwait(false);
            if (failure is not null)
            {
                Post(new NodeInput { Kind = InputKind.StateSaved, Token = token, Generation = generation });
            }

            return;
        }

        byte[]? saved = null;
        await GuardAsync("Save", async () => saved = _options.State is { } transfer ? Prefix(WithState, await transfer.Save().ConfigureAwait(false)) : [WithoutState]).ConfigureAwait(false);
        Post(new NodeInput { Kind = InputKind.StateSaved, Token = token, Flag = saved is not null, Body = saved, Generation = generation });
    }

    private ValueTask<StateSnapshot> OpenAsync() => _journal is null ? _options.State!.OpenAsync() : _journal.Journal.GiveAsync(_journal);

    private ValueTask TakeAsync(StateReader stream) => _journal is null ? TransferOf().TakeAsync(stream) : _journal.Journal.LoadAsync(stream, _journal);

    private static byte[] Prefix(byte kind, ReadOnlyMemory<byte> content)
    {
        byte[] packed = GC.AllocateUninitializedArray<byte>(content.Length + 1);
        packed[0] = kind;
        content.CopyTo(packed.AsMemory(1));
        return packed;
    }

    private async ValueTask LoadAsync(ReadOnlyMemory<byte>? state, int generation)
    {
        _journal?.Generation = generation;
        Exception? error = await GuardAsync("Load", () => LoadAsync(state)).ConfigureAwait(false);
        await OnLoadedAsync(error, generation).ConfigureAwait(false);
    }

    private async ValueTask LoadAsync(StateReader stream, int generation)
    {
        _journal?.Generation = generation;
        Exception? error = await GuardAsync("Load", async () =>
        {
            try
            {
                CheckKind(isLogged: await stream.ReadKindAsync().ConfigureAwait(false) == WithJournal);
                await TakeAsync(stream).ConfigureAwait(false);
                await stream.DrainAsync().ConfigureAwait(false);
            }
            catch (Exception) when (stream.IsVoid)
            {
                // The donor is gone. A new one begins anew, or the membership is over.
            }
        }).ConfigureAwait(false);
        if (!stream.IsVoid)
        {
            await OnLoadedAsync(error, generation).ConfigureAwait(false);
        }
    }

    private async ValueTask OnLoadedAsync(Exception? error, int generation)
    {
        if (error is not null)
        {
            _withoutState = generation;
        }

        Post(new NodeInput { Kind = InputKind.StateLoaded, Group = _membership.Id, Flag = error is null, Generation = generation });
        if (_host.Calls.Take(_membership.JoinCall, generation) is not { } join)
        {
            return; // the join was withdrawn, or the incarnation ended meanwhile
        }

        if (error is not null)
        {
            join.TrySetException(new StateTransferException(_group.Name, error.Message, error));
            return;
        }

        if (_membership.HasJoined)
        {
            View view = View;
            await GuardAsync("Rejoined", () =>
            {
                _group.RaiseRejoined(view);
                return default;
            }).ConfigureAwait(false);
        }

        _membership.HasJoined = true;
        join.End(CallResult.Of(Outcome.Done));
    }

    private async ValueTask ReconcileAsync(ImmutableArray<SideState> sides, int generation)
    {
        Exception? error = null;
        if (_options.Reconcile is { } reconcile)
        {
            NodeId self = _host.Self;
            GroupSide[] all = [.. sides.Select(s => new GroupSide(s.Members, s.State?[1..], s.Members.Contains(self)))];
            error = await GuardAsync("Reconcile", () => reconcile(all)).ConfigureAwait(false);
        }

        if (error is not null)
        {
            _withoutState = generation;
        }

        Post(new NodeInput { Kind = InputKind.StateLoaded, Group = _membership.Id, Flag = error is null, Generation = generation });
    }

    private ValueTask LoadAsync(ReadOnlyMemory<byte>? state)
    {
        if (state is not { } packed)
        {
            return _journal is not null ? _journal.Journal.LoadAsync(null, _journal) : _options.State?.Initialize?.Invoke() ?? default;
        }

        CheckKind(isLogged: false);
        if (packed.Length > 0 && packed.Span[0] == WithState)
        {
            return TransferOf().Load(packed[1..]);
        }

        return _options.State is null ? default : throw new InvalidOperationException("the member that should give the state has no GroupOptions.State; set it at all members.");
    }

    private void CheckKind(bool isLogged)
    {
        if (isLogged != _journal is not null)
        {
            throw new InvalidOperationException(isLogged
                ? "the group is logged; join it with a journal, as its members did."
                : "the member that should give the state keeps no journal; set GroupOptions.Journal at all members.");
        }
    }

    private StateTransfer TransferOf() => _options.State ?? throw new InvalidOperationException("the group has a state; set GroupOptions.State.");

    private async ValueTask<Exception?> GuardAsync(string callback, Func<ValueTask> run)
    {
        try
        {
            await run().ConfigureAwait(false);
            return null;
        }
        catch (Exception e)
        {
            _host.Counters.HandlerFailed();
            HostLog.CallbackFailed(_host.Logger, e, callback, _group.Name);
            return e;
        }
    }

    // The pump wakes the loop when the item is done.
    private void Post(in NodeInput input) => _host.Loop.Post(input, schedule: false);
}
